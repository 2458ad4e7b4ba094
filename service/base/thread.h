/* thread.h: threads of the daemon. Signals are the main thread's business: here all are blocked but those of a thread's own
 * faults, which must reach it.
 *
 * Ownership: the caller joins a thread; one that is detached ends by itself. Threads: any.
 * Errors: FAILURE_MEMORY, the system has no room for another thread. */
#ifndef SERVICE_BASE_THREAD_H
#define SERVICE_BASE_THREAD_H

#include <pthread.h>

#include "service/base/result.h"

/* Starts a thread. `name` has at most 15 characters. */
MUST_USE result thread_start(const char *name, void *(*run)(void *context), void *context, pthread_t *ret_thread);

/* Starts one that nobody joins. It bears its maker's name: when this returns it may have ended. */
MUST_USE result thread_start_detached(void *(*run)(void *context), void *context);

#endif
