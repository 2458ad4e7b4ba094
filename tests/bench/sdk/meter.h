/* meter.h: what every client of the benchmark does beside calling: its options, counting, the window, the result.
 *
 * Ownership: nothing to free. Threads: `meter_add` each thread on its own lane; `meter_is_over` any. Errors: meter_fail
 * ends the program. */
#ifndef DAYBOOK_TESTS_BENCH_SDK_METER_H
#define DAYBOOK_TESTS_BENCH_SDK_METER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define METER_LANES_MAX 64u

struct meter_task {
    const char *target; /* "127.0.0.1:50052" */
    /* blocking: unary calls, each waited for by its thread. future: `in_flight` unary calls at once, driven by one thread.
     * pull: one stream that is read. push: one that is written. talk: a message and its answer on one stream. */
    const char *mode;
    uint32_t threads_count;
    uint32_t in_flight;
    const char *payload;
    size_t payload_bytes;
};

/* Counts calls, or messages, that have come to their end. */
void meter_add(unsigned lane, uint64_t count);

/* Whether it is time to stop. */
int meter_is_over(void);

/* Says what failed, and ends the program with 1. */
void meter_fail(const char *what, const char *why);

/* Made by each peer: calls in this mode until it is over. */
void peer_run(const struct meter_task *task);

/* The name of the peer. */
extern const char *const peer_name;

#ifdef __cplusplus
}
#endif

#endif
