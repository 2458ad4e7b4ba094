/* What the main thread waits for: a signal, a failure, or the time. */
#include "service/ops/signals.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define FOR_EVER (-1)

static struct signals signals_new(void) {
    struct signals signals;
    cr_assert_not(failed(signals_init(&signals)));
    return signals;
}

static bool is_blocked(int number) {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, number) == 1;
}

Test(signals, nothing_has_come_when_the_time_is_over) {
    struct signals signals = signals_new();
    cr_assert_eq(signals_wait(&signals, 0), STOP_NOT_YET);
    cr_assert_eq(signals_wait(&signals, 1), STOP_NOT_YET);
    cr_assert(is_blocked(SIGTERM), "the next signal must still be data");
    signals_deinit(&signals);
}

Test(signals, sigterm_is_a_reason) {
    struct signals signals = signals_new();
    kill(getpid(), SIGTERM);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_SIGNAL);
    signals_deinit(&signals);
}

Test(signals, sigint_is_a_reason) {
    struct signals signals = signals_new();
    kill(getpid(), SIGINT);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_SIGNAL);
    signals_deinit(&signals);
}

Test(signals, both_are_blocked_in_threads_that_come_later) {
    struct signals signals = signals_new();
    cr_assert(is_blocked(SIGTERM));
    cr_assert(is_blocked(SIGINT));
    signals_deinit(&signals);
}

Test(signals, a_pipe_without_a_reader_does_not_end_the_process) {
    struct signals signals = signals_new();
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_assert_eq(write(ends[1], "x", 1), -1);
    close(ends[1]);
    signals_deinit(&signals);
}

Test(signals, sighup_asks_for_a_reload_and_is_no_reason_to_stop) {
    struct signals signals = signals_new();
    kill(getpid(), SIGHUP);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_NOT_BUT_RELOAD);
    cr_assert_eq(signals_wait(&signals, 0), STOP_NOT_YET);
    kill(getpid(), SIGTERM);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_SIGNAL);
    cr_assert(is_blocked(SIGHUP), "a terminal that closes must not cut the drain short");
    kill(getpid(), SIGHUP);
    signals_deinit(&signals);
}

Test(signals, a_failure_goes_before_sighup) {
    struct signals signals = signals_new();
    kill(getpid(), SIGHUP);
    signals_fail(&signals);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_FAILURE);
    signals_deinit(&signals);
}

static void *fail_elsewhere(void *context) {
    signals_fail(context);
    return NULL;
}

Test(signals, a_failure_of_any_thread_is_a_reason) {
    struct signals signals = signals_new();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, &signals), 0);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_FAILURE);
    pthread_join(thread, NULL);
    signals_deinit(&signals);
}

/* The exit code must tell of the disk, whoever asked at the same time. */
Test(signals, a_failure_goes_before_a_signal) {
    struct signals signals = signals_new();
    kill(getpid(), SIGTERM);
    signals_fail(&signals);
    signals_fail(&signals);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_FAILURE);
    signals_deinit(&signals);
}

Test(signals, a_second_signal_ends_the_process, .signal = SIGTERM) {
    struct signals signals = signals_new();
    kill(getpid(), SIGTERM);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_SIGNAL);
    kill(getpid(), SIGTERM);
    cr_assert_fail("it lives");
}

Test(signals, a_signal_after_a_failure_ends_the_process, .signal = SIGINT) {
    struct signals signals = signals_new();
    signals_fail(&signals);
    cr_assert_eq(signals_wait(&signals, FOR_EVER), STOP_FAILURE);
    kill(getpid(), SIGINT);
    cr_assert_fail("it lives");
}

Test(signals, without_descriptors_it_says_so_and_leaves_none_open) {
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    /* One more than is open: the first descriptor is had, the second is not, and the first is given back. */
    const int probe = dup(STDERR_FILENO);
    cr_assert_geq(probe, 0);
    close(probe);
    const struct rlimit one_more = {.rlim_cur = (rlim_t)probe + 1, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &one_more), 0);
    struct signals signals;
    const result outcome = signals_init(&signals);
    const int again = dup(STDERR_FILENO);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(outcome.failure, FAILURE_MEMORY);
    cr_assert_eq(again, probe);
    close(again);
}
