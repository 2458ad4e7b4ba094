/* core_timers.h: gRPC's own timers (deadlines, keep-alive, handshakes) go on when the wall clock is set back.
 *
 * They are run by a thread of gRPC's that waits for a time of the wall clock, because Abseil's waits are like that. Set back by
 * an hour, it sleeps an hour longer, and so would everything that waits for a deadline. Whoever waits for completions
 * therefore runs the timers that are due, about once a second.
 * Threads: any, outside of gRPC's callbacks. Errors: none; a gRPC without that function has other timers. */
#ifndef DAYBOOK_SDK_RUNTIME_CORE_TIMERS_H
#define DAYBOOK_SDK_RUNTIME_CORE_TIMERS_H

#include <stdint.h>

#include <grpc/support/time.h>

/* The earlier of the two: the deadline, of the monotonic clock, and a moment of the next second. */
gpr_timespec daybook__core_timers_bound(gpr_timespec deadline);

/* Runs the timers that are due, unless that was done this second by the caller's own note of it. Costs a few nanoseconds. */
void daybook__core_timers_run(int64_t *last_seconds);

#endif
