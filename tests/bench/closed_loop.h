/* closed_loop.h: a fixed number of calls in flight, unary or server-streaming; each that ends starts the next.
 *
 * Every thread has a connection, a completion queue and its share of the calls in flight. Calls that end inside the
 * measured window are counted; those of the warm-up before it and of the drain after it are not.
 * Ownership: options and result belong to the caller; connections, queues and threads live only inside closed_loop_run.
 * Threads: one at a time. Errors: the first failed call ends the run and is told. */
#ifndef DAYBOOK_TESTS_BENCH_CLOSED_LOOP_H
#define DAYBOOK_TESTS_BENCH_CLOSED_LOOP_H

#include "tests/bench/connection.h"
#include "tests/bench/histogram.h"
#include "tests/bench/measure.h"
#include "tests/bench/wire.h"

#include <sys/types.h>

#define CLOSED_LOOP_THREADS_MAX   64u
#define CLOSED_LOOP_IN_FLIGHT_MAX 4096u

struct closed_loop_options {
    const char *target;
    const char *method;
    /* Sent in turn, each once: as many as there may be calls. Their bytes outlive the run. */
    const grpc_slice *requests;
    uint32_t requests_count;
    /* Instead of requests: writes each as it is sent, into an empty writer. Calls are numbered from 0 without gaps, and
     * `answered_count` of them have been answered. By any of the threads. */
    void (*write_request)(void *context, uint64_t number, uint64_t answered_count, struct wire_writer *writer);
    /* Sees each answer: how many there are with this one, and when it came. By any of the threads. NULL: nobody looks. */
    void (*observe_answer)(void *context, uint64_t answered_count, uint64_t now_ns, uint64_t latency_us);
    void *context;
    /* 0: calls are unary. Else server-streaming, and each must bring `answers_count` fields of this number. */
    uint32_t answers_field;
    uint64_t answers_count;
    uint32_t threads_count;
    uint32_t in_flight;
    uint64_t warmup_ns;
    /* Length of the measured window; 0: until `calls_max` calls have been made, by all threads together. */
    uint64_t window_ns;
    uint64_t calls_max;
    /* The server's process, for its processor time; 0: not known. */
    pid_t server_pid;
};

struct closed_loop_result {
    /* Inside the window. */
    uint64_t calls_count;
    uint64_t elapsed_ns;
    struct measure_times times;
    /* Microseconds from the start of a call to its end. */
    struct histogram latency_us;
    /* With warm-up and drain: what the server has taken. */
    uint64_t calls_all_count;
};

/* Runs the calls. False: a call failed or no connection came about, `ret_error` says why. */
bool closed_loop_run(const struct closed_loop_options *options, struct closed_loop_result *ret_result,
                     char ret_error[CALL_ERROR_BYTES]);

#endif
