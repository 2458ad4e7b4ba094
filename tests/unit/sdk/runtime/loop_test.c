/* Completions run on the loop's own thread, in order, with the program's signals kept away. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "sdk/runtime/loop.h"

#define OPERATIONS 100

/* A call on a channel that leads nowhere: an empty batch on it completes at once. */
struct nowhere {
    struct loop loop;
    grpc_channel *channel;
    grpc_call *call;
};

static void nowhere_open(struct nowhere *nowhere) {
    daybook__core_ref();
    daybook_status status;
    cr_assert(daybook__loop_open(&nowhere->loop, "a-loop", &status), "%s", status.message);
    daybook__loop_hold(&nowhere->loop);
    nowhere->channel = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "nowhere");
    nowhere->call = grpc_channel_create_call(nowhere->channel, NULL, GRPC_PROPAGATE_DEFAULTS, nowhere->loop.queue,
                                             grpc_slice_from_static_string("/a/b"), NULL,
                                             gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void nowhere_start(struct nowhere *nowhere, struct loop_operation *operation) {
    daybook__loop_start(nowhere->call, NULL, 0, operation);
}

static void nowhere_close(struct nowhere *nowhere) {
    daybook__loop_close(&nowhere->loop);
    grpc_call_unref(nowhere->call);
    grpc_channel_destroy(nowhere->channel);
    daybook__core_unref();
}

struct observed {
    struct loop_operation operation;
    bool ok;
    bool inside;
    pthread_t thread;
    char thread_name[16];
    sigset_t blocked;
    uint32_t number; /* the how many-th completion it was */
    uint32_t *numbers;
};

static void observe(struct loop_operation *operation, bool ok) {
    struct observed *observed = (struct observed *)operation;
    observed->ok = ok;
    observed->inside = daybook__loop_is_inside();
    observed->thread = pthread_self();
    pthread_getname_np(pthread_self(), observed->thread_name, sizeof observed->thread_name);
    pthread_sigmask(SIG_SETMASK, NULL, &observed->blocked);
    observed->number = ++*observed->numbers;
}

Test(loop, completions_run_on_its_named_thread) {
    struct nowhere nowhere;
    nowhere_open(&nowhere);
    uint32_t numbers = 0;
    struct observed observed = {.operation.complete = observe, .numbers = &numbers};
    nowhere_start(&nowhere, &observed.operation);
    nowhere_close(&nowhere);
    cr_assert_eq(numbers, 1);
    cr_assert(observed.ok);
    cr_assert(observed.inside);
    cr_assert_not(pthread_equal(observed.thread, pthread_self()));
    cr_assert_str_eq(observed.thread_name, "a-loop");
    cr_assert_not(daybook__loop_is_inside());
}

Test(loop, signals_are_left_to_the_program) {
    struct nowhere nowhere;
    nowhere_open(&nowhere);
    uint32_t numbers = 0;
    struct observed observed = {.operation.complete = observe, .numbers = &numbers};
    nowhere_start(&nowhere, &observed.operation);
    nowhere_close(&nowhere);
    static const int for_the_program[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < sizeof for_the_program / sizeof for_the_program[0]; i++) {
        cr_assert_eq(sigismember(&observed.blocked, for_the_program[i]), 1, "signal %d", for_the_program[i]);
    }
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        cr_assert_eq(sigismember(&observed.blocked, faults[i]), 0, "signal %d", faults[i]);
    }
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    cr_assert_eq(sigismember(&own, SIGTERM), 0, "the opener's mask is as before");
}

Test(loop, close_runs_everything_that_was_started_in_order) {
    struct nowhere nowhere;
    nowhere_open(&nowhere);
    uint32_t numbers = 0;
    struct observed observed[OPERATIONS];
    for (size_t i = 0; i < OPERATIONS; i++) {
        observed[i] = (struct observed){.operation.complete = observe, .numbers = &numbers};
        nowhere_start(&nowhere, &observed[i].operation);
    }
    nowhere_close(&nowhere);
    cr_assert_eq(numbers, OPERATIONS);
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        cr_assert_eq(observed[i].number, i + 1);
    }
}

/* --- Timers ------------------------------------------------------------------------------------------------------- */

#define TIMERS 4

struct timed {
    struct loop_operation operation; /* starts the timers, on the loop's thread */
    struct timer timers[TIMERS];
    uint32_t counts[TIMERS];
    uint32_t expired_count;
    gpr_timespec last_at;
    bool was_early;
    bool was_late; /* one that was due before came after */
    bool was_inside;
    sem_t all_expired;
};

static struct timed timed;

static void expire(struct timer *timer) {
    timed.was_inside = daybook__loop_is_inside();
    if (gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), timer->at) < 0) timed.was_early = true;
    if (timed.expired_count > 0 && gpr_time_cmp(timer->at, timed.last_at) < 0) timed.was_late = true;
    timed.last_at = timer->at;
    timed.counts[timer - timed.timers]++;
    /* The second one starts the first one again. */
    if (timer == &timed.timers[1]) daybook__loop_timer_start(&timed.timers[0], 1);
    if (++timed.expired_count == TIMERS) sem_post(&timed.all_expired);
}

static void start_timers(struct loop_operation *operation, bool ok) {
    (void)operation;
    (void)ok;
    static const uint32_t pauses_ms[TIMERS] = {0, 10, 30, 3600000};
    for (uint32_t i = TIMERS; i-- > 0;) {
        timed.timers[i].expire = expire;
        daybook__loop_timer_start(&timed.timers[i], pauses_ms[i]);
    }
    daybook__loop_timer_stop(&timed.timers[3]);
    daybook__loop_timer_stop(&timed.timers[3]);
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
    }
}

Test(loop, timers_expire_in_their_order_and_never_early, .timeout = 60) {
    struct nowhere nowhere;
    nowhere_open(&nowhere);
    sem_init(&timed.all_expired, 0, 0);
    timed.operation.complete = start_timers;
    nowhere_start(&nowhere, &timed.operation);
    wait_for(&timed.all_expired);
    nowhere_close(&nowhere);
    cr_assert_eq(timed.counts[0], 2);
    cr_assert_eq(timed.counts[1], 1);
    cr_assert_eq(timed.counts[2], 1);
    cr_assert_eq(timed.counts[3], 0, "it was stopped");
    cr_assert_not(timed.was_early);
    cr_assert_not(timed.was_late);
    cr_assert(timed.was_inside);
    cr_assert_not(daybook__loop_is_inside());
    sem_destroy(&timed.all_expired);
}

/* A loop that always has something to complete. */
struct busy {
    struct loop_operation operation;
    struct nowhere *nowhere;
    struct timer timer;
    bool has_expired;
    uint64_t completions_count;
    sem_t over;
};

static void busy_expire(struct timer *timer) {
    struct busy *busy = (struct busy *)((char *)timer - offsetof(struct busy, timer));
    busy->has_expired = true;
}

static void busy_complete(struct loop_operation *operation, bool ok) {
    (void)ok;
    struct busy *busy = (struct busy *)operation;
    busy->timer.expire = busy_expire;
    if (busy->completions_count++ == 0) daybook__loop_timer_start(&busy->timer, 5);
    if (busy->has_expired)
        sem_post(&busy->over);
    else
        nowhere_start(busy->nowhere, operation);
}

Test(loop, a_busy_loop_has_time_for_timers, .timeout = 60) {
    struct nowhere nowhere;
    nowhere_open(&nowhere);
    struct busy busy = {.operation.complete = busy_complete, .nowhere = &nowhere};
    sem_init(&busy.over, 0, 0);
    nowhere_start(&nowhere, &busy.operation);
    wait_for(&busy.over);
    nowhere_close(&nowhere);
    cr_assert_gt(busy.completions_count, 1);
    sem_destroy(&busy.over);
}

Test(loop, core_is_counted) {
    cr_assert_not(grpc_is_initialized());
    daybook__core_ref();
    daybook__core_ref();
    daybook__core_unref();
    cr_assert(grpc_is_initialized());
    daybook__core_unref();
}
