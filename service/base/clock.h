/* clock.h: time, in one place, so that what must be deterministic can be kept away from it.
 *
 * Threads: any. */
#ifndef SERVICE_BASE_CLOCK_H
#define SERVICE_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since 1970-01-01 UTC by the wall clock; it may jump. */
int64_t clock_wall_ns(void);

/* Nanoseconds of a clock that never goes back; for timers and durations. */
int64_t clock_monotonic_ns(void);

#endif
