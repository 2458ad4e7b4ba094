#include "service/ops/signals.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void stop_signals(sigset_t *ret_set) {
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
}

result signals_init(struct signals *signals) {
    sigset_t set;
    stop_signals(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    signals->signal_descriptor = signalfd(-1, &set, SFD_CLOEXEC);
    signals->failure_descriptor = eventfd(0, EFD_CLOEXEC);
    if (signals->signal_descriptor >= 0 && signals->failure_descriptor >= 0) return RESULT_OK;
    signals_deinit(signals);
    return failure_result(FAILURE_MEMORY);
}

void signals_deinit(struct signals *signals) {
    if (signals->signal_descriptor >= 0) close(signals->signal_descriptor);
    if (signals->failure_descriptor >= 0) close(signals->failure_descriptor);
}

/* The number of a signal that has come. */
static uint32_t signal_take(const struct signals *signals) {
    struct signalfd_siginfo taken;
    const ssize_t size = read(signals->signal_descriptor, &taken, sizeof taken);
    assert(size == (ssize_t)sizeof taken);
    (void)size;
    return taken.ssi_signo;
}

enum stop_reason signals_wait(struct signals *signals, int timeout_ms) {
    struct pollfd waits[] = {
        {.fd = signals->signal_descriptor, .events = POLLIN},
        {.fd = signals->failure_descriptor, .events = POLLIN},
    };
    const int ready_count = poll(waits, 2, timeout_ms);
    assert(ready_count >= 0 || errno == EINTR);
    if (ready_count <= 0) return STOP_NOT_YET;
    /* Taken off the queue, also when the failure goes before: only a later signal may find the default action below. */
    const bool is_reload = waits[0].revents != 0 && signal_take(signals) == SIGHUP;
    if (waits[1].revents == 0 && is_reload) return STOP_NOT_BUT_RELOAD;
    const enum stop_reason reason = waits[1].revents != 0 ? STOP_FAILURE : STOP_SIGNAL;
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return reason;
}

void signals_fail(struct signals *signals) {
    const uint64_t one = 1;
    const ssize_t size = write(signals->failure_descriptor, &one, sizeof one);
    assert(size == (ssize_t)sizeof one);
    (void)size;
}
