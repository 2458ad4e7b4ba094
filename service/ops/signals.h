/* signals.h: the main thread waits here for a reason to stop.
 *
 * Signals are blocked in every thread and read as data; a failure inside the daemon wakes the same wait.
 * Threads: init and wait on the main thread, before and after any other exists; fail from any. */
#ifndef SERVICE_OPS_SIGNALS_H
#define SERVICE_OPS_SIGNALS_H

#include "service/base/result.h"

struct signals {
    int signal_descriptor;
    int failure_descriptor;
};

enum stop_reason { STOP_NOT_YET, STOP_NOT_BUT_RELOAD, STOP_SIGNAL, STOP_FAILURE };

/* Blocks SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE. FAILURE_MEMORY when the kernel gives no descriptors. */
MUST_USE result signals_init(struct signals *signals);
void signals_deinit(struct signals *signals);

/* Waits for SIGTERM or SIGINT, or for signals_fail; STOP_NOT_YET when the time is over, STOP_NOT_BUT_RELOAD for a SIGHUP. Once it
 * has returned a reason to stop, a further signal ends the process at once, but for SIGHUP, which means nothing any more. */
enum stop_reason signals_wait(struct signals *signals, int timeout_ms);

/* Something failed that the daemon must stop for. Any thread. */
void signals_fail(struct signals *signals);

#endif
