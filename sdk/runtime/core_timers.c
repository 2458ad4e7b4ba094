/* core_timers.c: see core_timers.h. */
#include "sdk/runtime/core_timers.h"

#include <stddef.h>
#include <time.h>

/* Longer than a tick of the coarse clock: when the bound has come, its second has, too. */
#define COARSE_NS 10000000

/* Of libgrpc 1.51: runs what is due, on the calling thread. NULL in a gRPC that has it no more. */
extern void core_timers_tick(void) __asm__("_Z23grpc_timer_manager_tickv") __attribute__((weak));

static int64_t now_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 ? now.tv_sec : 0;
}

gpr_timespec daybook__core_timers_bound(gpr_timespec deadline) {
    const gpr_timespec bound = {.tv_sec = now_seconds() + 1, .tv_nsec = COARSE_NS, .clock_type = GPR_CLOCK_MONOTONIC};
    return gpr_time_cmp(bound, deadline) < 0 ? bound : deadline;
}

void daybook__core_timers_run(int64_t *last_seconds) {
    const int64_t seconds = now_seconds();
    if (seconds == *last_seconds) return;
    *last_seconds = seconds;
    if (core_timers_tick != NULL) core_timers_tick();
}
