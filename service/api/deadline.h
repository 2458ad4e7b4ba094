/* deadline.h: until when the caller waits, as a time that a request carries to the sequencer.
 *
 * Threads: any. */
#ifndef SERVICE_API_DEADLINE_H
#define SERVICE_API_DEADLINE_H

#include <stdint.h>

#include "service/base/clock.h"

/* A time of the monotonic clock; 0: the caller waits for ever, or longer than a month. `remaining_ms` is rounded up, so what
 * has a moment left is never taken for past. */
static inline int64_t deadline_of(uint64_t remaining_ms) {
    const uint64_t month_ms = UINT64_C(31) * 24 * 60 * 60 * 1000;
    return remaining_ms > month_ms ? 0 : clock_monotonic_ns() + (int64_t)remaining_ms * 1000000;
}

#endif
