/* phases.h: what one run of the load generator does; each phase prints one line of key=value pairs.
 *
 * Ownership: options belong to the caller. Threads: one phase at a time.
 * Errors: false, after a line on standard error. */
#ifndef DAYBOOK_TESTS_BENCH_PHASES_H
#define DAYBOOK_TESTS_BENCH_PHASES_H

#include "tests/bench/peer.h"
#include "tests/bench/workload.h"

#include <stdbool.h>
#include <sys/types.h>

/* What a query asks for. */
enum phase_query {
    PHASE_QUERY_CUSTOMER,
    PHASE_QUERY_NEEDLE,
    PHASE_QUERY_NEEDLE_TYPE,
};

struct phase_options {
    const struct peer *peer;
    const char *target;
    uint32_t threads_count;
    uint32_t in_flight;
    uint32_t event_bytes;
    uint32_t events_per_request;
    /* append, fill: different requests, sent in turn and each only once: their events have ids. */
    uint32_t requests_count;
    uint32_t warmup_ms;
    uint32_t window_ms;
    uint64_t events_count;
    pid_t server_pid;
    struct workload workload;
    /* The appends of a workload have a condition each. */
    bool conditional;
    enum phase_query query;
    /* What each query must find. */
    uint32_t matches_count;
    /* Queries to make; 0: as many as the window has room for. */
    uint64_t calls_count;
    /* Printed, for the report. */
    const char *label;
    /* disk: where it writes. */
    const char *directory;
    /* overload: how many times the rate that the server can take, and how many calls may be under way then. */
    uint32_t overload_times;
    uint32_t overload_in_flight;
    /* A server takes so many calls of one connection and no more; a crowd has many connections, each with a thread. */
    uint32_t overload_threads_count;
    /* How long each of its calls waits; 0: for ever. And how much of the time the server may run, in percent. */
    uint32_t overload_deadline_ms;
    uint32_t server_share_percent;
    /* Calls of append-many. */
    uint32_t streams_count;
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

/* Appends events of the workload in a closed loop for a time, each request written as it is sent. */
bool phase_workload(const struct phase_options *options);

/* Appends `events_count` events of the workload, and prints one line. */
bool phase_workload_fill(const struct phase_options *options);

/* The same, and prints a line for each twentieth of them: whether the rate holds, and the longest pauses. */
bool phase_flat(const struct phase_options *options);

/* Appends one event a message on `streams_count` streams of appends, for a time; `in_flight` messages over all. */
bool phase_append_many(const struct phase_options *options);

/* Reads what filters match, for a time or `calls_count` times; each must find `matches_count` events. */
bool phase_query(const struct phase_options *options);

/* Appends of the workload as fast as the server takes them, then at `overload_times` that rate, then as before. */
bool phase_overload(const struct phase_options *options);

/* Writes and syncs a file as a commit does, for a time: what the disk alone does. */
bool phase_disk(const struct phase_options *options);

#endif
