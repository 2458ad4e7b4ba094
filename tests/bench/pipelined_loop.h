/* pipelined_loop.h: messages on open bidirectional streams, so many in flight; each that is answered makes room for the
 * next.
 *
 * Every thread has a connection, a completion queue and its share of the streams. A message waits in the transport for
 * those after it, 32 at a time, as a client does that has more to send: a system call for each would be what is measured.
 * Ownership: options and result belong to the caller; connections, queues and threads live only inside
 * pipelined_loop_run. Threads: one at a time. Errors: the first failure ends the run and is told. */
#ifndef DAYBOOK_TESTS_BENCH_PIPELINED_LOOP_H
#define DAYBOOK_TESTS_BENCH_PIPELINED_LOOP_H

#include "tests/bench/connection.h"
#include "tests/bench/histogram.h"
#include "tests/bench/measure.h"
#include "tests/bench/wire.h"

#include <sys/types.h>

#define PIPELINED_LOOP_THREADS_MAX   64u
#define PIPELINED_LOOP_STREAMS_MAX   64u
#define PIPELINED_LOOP_IN_FLIGHT_MAX 65536u

struct pipelined_loop_options {
    const char *target;
    const char *method;
    uint32_t threads_count;
    uint32_t streams_count;
    /* Over all streams. */
    uint32_t in_flight;
    uint64_t warmup_ns;
    uint64_t window_ns;
    /* Makes the message of a slot, once, before the clock starts. Slots are numbered over all streams. */
    void (*write_message)(void *context, uint32_t slot, struct wire_writer *writer);
    /* Makes the message of a slot new before it is sent again, in place; `number` is the loop's next, from 0 on. */
    void (*renew_message)(void *context, uint64_t number, uint8_t *data, size_t size);
    /* How many messages an answer acknowledges. False: it refuses one, or is not protobuf. */
    bool (*count_answers)(const uint8_t *data, size_t size, uint64_t *ret_count);
    void *context;
    /* The server's process, for its processor time; 0: not known. */
    pid_t server_pid;
};

struct pipelined_loop_result {
    /* Answers inside the window. */
    uint64_t answers_count;
    uint64_t elapsed_ns;
    struct measure_times times;
    /* Microseconds from the sending of a message to its answer. */
    struct histogram latency_us;
    /* Messages that carried the answers, with warm-up and drain. */
    uint64_t answer_messages_count;
    /* With warm-up and drain: what the server has taken. */
    uint64_t answers_all_count;
};

/* Sends until the window ends, waits for all answers and ends the streams. False: `ret_error` says why. */
bool pipelined_loop_run(const struct pipelined_loop_options *options, struct pipelined_loop_result *ret_result,
                        char ret_error[CALL_ERROR_BYTES]);

#endif
