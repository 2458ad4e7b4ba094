/* open_loop.h: calls at a fixed rate, whatever the server makes of it: what a crowd of clients does that do not wait for each
 * other. A server that cannot keep up must refuse some and serve the others.
 *
 * Every thread has a connection, a completion queue and its share of the rate. Calls that end inside the measured window are
 * counted. A refusal is RESOURCE_EXHAUSTED and must say when to retry, a call that waits too long expires; any other error ends
 * the run.
 * Ownership: options and result belong to the caller; everything else lives only inside open_loop_run.
 * Threads: one at a time. Errors: the first call that fails otherwise is told. */
#ifndef DAYBOOK_TESTS_BENCH_OPEN_LOOP_H
#define DAYBOOK_TESTS_BENCH_OPEN_LOOP_H

#include "tests/bench/connection.h"
#include "tests/bench/histogram.h"
#include "tests/bench/measure.h"
#include "tests/bench/wire.h"

#define OPEN_LOOP_THREADS_MAX 64u

struct open_loop_options {
    const char *target;
    const char *method;
    /* Writes a request as it is sent, into an empty writer. Calls are numbered from 0 without gaps. By any of the threads. */
    void (*write_request)(void *context, uint64_t number, struct wire_writer *writer);
    void *context;
    uint32_t threads_count;
    /* All threads together. */
    uint64_t calls_per_second;
    /* Calls that may be under way; when they all are, those that are due are not made, and not made up for: they are offered
     * and never sent. */
    uint32_t in_flight_max;
    uint64_t warmup_ns;
    uint64_t window_ns;
    /* How long a call waits; 0: for ever. */
    uint32_t deadline_ms;
    pid_t server_pid;
};

struct open_loop_result {
    /* Inside the window: calls that were due, those of them that were made, and what became of calls. */
    uint64_t offered_count;
    uint64_t sent_count;
    uint64_t accepted_count;
    uint64_t refused_count;
    uint64_t expired_count;
    uint64_t elapsed_ns;
    struct measure_times times;
    /* Microseconds from the start of a call to its end. */
    struct histogram accepted_us;
    struct histogram refused_us;
    /* With warm-up and drain. Whether a call that has expired was carried out is not known. */
    uint64_t sent_all_count;
    uint64_t accepted_all_count;
    uint64_t expired_all_count;
};

/* Runs the calls. False: one failed, or no connection came about; `ret_error` says why. */
bool open_loop_run(const struct open_loop_options *options, struct open_loop_result *ret_result,
                   char ret_error[CALL_ERROR_BYTES]);

#endif
