#include "service/base/clock.h"

#include <assert.h>
#include <time.h>

#include "service/base/failpoint.h"

#define NANOSECONDS_PER_SECOND      1000000000
#define NANOSECONDS_PER_MILLISECOND 1000000

static int64_t now_ns(clockid_t clock) {
    struct timespec now;
    const int outcome = clock_gettime(clock, &now);
    assert(outcome == 0); /* Both clocks exist on every Linux. */
    return (int64_t)now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

int64_t clock_wall_ns(void) {
    return now_ns(CLOCK_REALTIME) + DAYBOOK_SHIFT_MS(WALL_CLOCK) * NANOSECONDS_PER_MILLISECOND;
}

int64_t clock_monotonic_ns(void) {
    return now_ns(CLOCK_MONOTONIC);
}
