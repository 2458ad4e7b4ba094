/* wait.h: condition variables on the monotonic clock, so that nobody waits longer because the wall clock was set.
 *
 * Ownership: the condition is its owner's. Threads: as pthread_cond_t. Errors: none. */
#ifndef DAYBOOK_SDK_RUNTIME_WAIT_H
#define DAYBOOK_SDK_RUNTIME_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A moment to wait for, or never. */
struct wait_deadline {
    bool never;
    struct timespec at;
};

/* The moment `wait_ms` from now; DAYBOOK_TIMEOUT_NONE is never. */
struct wait_deadline daybook__wait_deadline(uint32_t wait_ms);

void daybook__condition_init(pthread_cond_t *condition);

/* Waits for a signal. False: the deadline has passed. Wakes up for nothing at times, as every condition does. */
bool daybook__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct wait_deadline *deadline);

#endif
