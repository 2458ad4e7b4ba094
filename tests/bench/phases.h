/* phases.h: what one run of the load generator does; each phase prints one line of key=value pairs.
 *
 * Ownership: options belong to the caller. Threads: one phase at a time.
 * Errors: false, after a line on standard error. */
#ifndef DAYBOOK_TESTS_BENCH_PHASES_H
#define DAYBOOK_TESTS_BENCH_PHASES_H

#include "tests/bench/peer.h"

#include <stdbool.h>
#include <sys/types.h>

struct phase_options {
    const struct peer *peer;
    const char *target;
    uint32_t threads_count;
    uint32_t in_flight;
    uint32_t event_bytes;
    uint32_t events_per_request;
    /* Different requests, sent in turn and each only once: their events have ids. */
    uint32_t requests_count;
    uint32_t warmup_ms;
    uint32_t window_ms;
    uint64_t events_count;
    pid_t server_pid;
    /* When the server was started, in microseconds since 1970; 0: not known. */
    uint64_t started_us;
};

/* Appends in a closed loop for a time; then the head must have moved by exactly the events that were acknowledged. */
bool phase_append(const struct phase_options *options);

/* Appends `events_count` events in requests of `events_per_request`; the head must then be at `events_count`. */
bool phase_fill(const struct phase_options *options);

/* Reads the whole store on one stream; it must have `events_count` events. */
bool phase_read(const struct phase_options *options);

/* Waits until the server answers where its head is; tells how long after `started_us` that was. */
bool phase_start(const struct phase_options *options);

#endif
