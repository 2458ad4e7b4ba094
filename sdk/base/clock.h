/* clock.h: the monotonic clock, and waiting by it, so that nobody waits longer because the wall clock was set.
 *
 * Ownership: conditions are their owners'. Threads: any. Errors: none. */
#ifndef DAYBOOK_SDK_BASE_CLOCK_H
#define DAYBOOK_SDK_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Later than every moment. */
#define CLOCK_NEVER_MS (INT64_MAX / 2)

/* Milliseconds since some moment; one that has begun counts, so that what is due later is not due before its time. */
int64_t daybook__clock_now_ms(void);

/* Milliseconds since 1970, which may go back. */
int64_t daybook__clock_unix_ms(void);

/* The moment `wait_ms` from here; DAYBOOK_TIMEOUT_NONE is never. */
int64_t daybook__clock_after_ms(uint32_t wait_ms);

/* How long it is until then: 0 when it has passed, DAYBOOK_TIMEOUT_NONE for never. */
uint32_t daybook__clock_until_ms(int64_t until_ms);

/* A condition whose waits follow this clock. */
void daybook__clock_condition_init(pthread_cond_t *condition);

/* Waits for a signal. False: the moment has come. Wakes up for nothing at times, as every condition does. */
bool daybook__clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms);

#endif
