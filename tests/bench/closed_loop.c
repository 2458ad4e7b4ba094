#include "tests/bench/closed_loop.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000u

/* When calls count: set before the threads start, constant from then on. */
struct window {
    uint64_t begin_ns;
    uint64_t end_ns;
};

/* What the workers know of each other. */
struct shared {
    struct window window;
    _Atomic uint64_t written_count;
    _Atomic uint64_t answered_count;
};

/* A call and the bytes of its request, when those are written as they are sent. */
struct slot {
    struct unary_call call;
    struct wire_writer request;
};

struct worker {
    const struct closed_loop_options *options;
    struct shared *shared;
    pthread_t thread;
    struct connection connection;
    void *method;
    grpc_completion_queue *queue;
    struct slot *slots;
    uint32_t calls_in_flight;
    uint32_t calls_running;
    uint32_t request_next;
    /* Calls that may still be started. */
    uint64_t calls_left;
    uint64_t calls_all_count;
    struct histogram latency_us;
    bool failed;
    char error[CALL_ERROR_BYTES];
};

/* The next request that is ready, or one that is written now into the slot: its bytes are free, because the call that
 * had them has been answered. */
static grpc_slice next_request(struct worker *worker, struct slot *slot) {
    const struct closed_loop_options *options = worker->options;
    if (options->write_request == NULL) {
        grpc_slice request = options->requests[worker->request_next];
        worker->request_next = (worker->request_next + 1) % options->requests_count;
        return request;
    }
    wire_writer_clear(&slot->request);
    options->write_request(options->context, atomic_fetch_add(&worker->shared->written_count, 1),
                           atomic_load(&worker->shared->answered_count), &slot->request);
    return grpc_slice_from_static_buffer(slot->request.data, slot->request.size);
}

static void start_call(struct worker *worker, struct slot *slot) {
    const gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_slice request = next_request(worker, slot);
    worker->calls_left--;
    worker->calls_running++;
    uint64_t now_ns = measure_now_ns();
    if (worker->options->answers_field == 0)
        unary_start(&slot->call, &worker->connection, worker->method, worker->queue, request, never);
    else
        reading_start(&slot->call, &worker->connection, worker->method, worker->queue, request, never);
    slot->call.started_ns = now_ns;
}

static void fail(struct worker *worker, const char *error) {
    if (!worker->failed) (void)snprintf(worker->error, sizeof worker->error, "%s", error);
    worker->failed = true;
}

/* Takes a completion. True: the call goes on. */
static bool goes_on(struct worker *worker, struct unary_call *call) {
    const struct closed_loop_options *options = worker->options;
    grpc_byte_buffer *message = NULL;
    if (options->answers_field == 0 || !reading_step(call, &message)) return false;
    if (message == NULL) return true;
    uint64_t count = 0;
    if (!message_count_fields(message, options->answers_field, &count)) fail(worker, "an answer is not protobuf");
    call->answers_count += count;
    grpc_byte_buffer_destroy(message);
    return true;
}

/* Counts a call that has ended; remembers the first error. */
static void end_call(struct worker *worker, struct unary_call *call, uint64_t now_ns) {
    const struct closed_loop_options *options = worker->options;
    uint64_t started_ns = call->started_ns;
    uint64_t answers_count = call->answers_count;
    worker->calls_running--;
    worker->calls_all_count++;
    char error[CALL_ERROR_BYTES];
    if (!unary_finish(call, error)) {
        fail(worker, error);
        return;
    }
    if (options->answers_field != 0 && answers_count != options->answers_count) {
        (void)snprintf(error, sizeof error, "%" PRIu64 " events in an answer, not %" PRIu64, answers_count,
                       options->answers_count);
        fail(worker, error);
        return;
    }
    uint64_t answered_count = atomic_fetch_add(&worker->shared->answered_count, 1) + 1;
    uint64_t latency_us = (now_ns - started_ns) / 1000;
    if (options->observe_answer != NULL) options->observe_answer(options->context, answered_count, now_ns, latency_us);
    if (now_ns >= worker->shared->window.begin_ns && now_ns < worker->shared->window.end_ns)
        histogram_record(&worker->latency_us, latency_us);
}

static void *worker_main(void *context) {
    struct worker *worker = context;
    for (uint32_t i = 0; i < worker->calls_in_flight && worker->calls_left > 0; i++)
        start_call(worker, &worker->slots[i]);
    while (worker->calls_running > 0) {
        grpc_event event = grpc_completion_queue_next(worker->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        assert(event.type == GRPC_OP_COMPLETE);
        /* The call is the first member of its slot. */
        struct slot *slot = event.tag;
        if (goes_on(worker, &slot->call)) continue;
        uint64_t now_ns = measure_now_ns();
        end_call(worker, &slot->call, now_ns);
        bool more = !worker->failed && worker->calls_left > 0 && now_ns < worker->shared->window.end_ns;
        if (more) start_call(worker, slot);
    }
    return NULL;
}

/* The share of worker `index` when `total` is dealt out to `count`. */
static uint64_t share(uint64_t total, uint32_t count, uint32_t index) {
    return total / count + (index < total % count ? 1u : 0u);
}

/* How many calls all workers may make together. */
static uint64_t calls_max(const struct closed_loop_options *options) {
    if (options->window_ns == 0) return options->calls_max;
    return options->write_request != NULL ? UINT64_MAX : options->requests_count;
}

static bool worker_init(struct worker *worker, const struct closed_loop_options *options, struct shared *shared,
                        uint32_t index, uint32_t workers_count, char ret_error[CALL_ERROR_BYTES]) {
    *worker = (struct worker){.options = options, .shared = shared};
    if (!connection_open(&worker->connection, options->target, CONNECT_TIMEOUT_MS)) {
        (void)snprintf(ret_error, CALL_ERROR_BYTES, "no connection to %s in %u ms", options->target,
                       CONNECT_TIMEOUT_MS);
        return false;
    }
    worker->method = connection_method(&worker->connection, options->method);
    worker->queue = grpc_completion_queue_create_for_next(NULL);
    worker->calls_in_flight = (uint32_t)share(options->in_flight, workers_count, index);
    worker->slots = calloc(worker->calls_in_flight, sizeof *worker->slots);
    if (worker->slots == NULL) abort();
    worker->request_next = options->requests_count / workers_count * index;
    worker->calls_left = share(calls_max(options), workers_count, index);
    histogram_init(&worker->latency_us);
    return true;
}

static void worker_deinit(struct worker *worker) {
    connection_queue_free(worker->queue);
    connection_close(&worker->connection);
    for (uint32_t i = 0; i < worker->calls_in_flight; i++) wire_writer_deinit(&worker->slots[i].request);
    free(worker->slots);
}

/* Starts all workers, measures over the window and waits for them. */
static void run_workers(struct worker *workers, uint32_t workers_count, struct shared *shared,
                        struct closed_loop_result *result) {
    const struct closed_loop_options *options = workers[0].options;
    struct window window = {.begin_ns = measure_now_ns() + options->warmup_ns, .end_ns = UINT64_MAX};
    if (options->window_ns > 0) window.end_ns = window.begin_ns + options->window_ns;
    shared->window = window;
    for (uint32_t i = 0; i < workers_count; i++) {
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) abort();
    }

    measure_wait_until_ns(window.begin_ns);
    struct measure_times begin = measure_times_now(options->server_pid);
    if (options->window_ns > 0) {
        measure_wait_until_ns(window.end_ns);
        result->times = measure_times_since(&begin, options->server_pid);
        result->elapsed_ns = options->window_ns;
    }
    for (uint32_t i = 0; i < workers_count; i++) (void)pthread_join(workers[i].thread, NULL);
    if (options->window_ns == 0) {
        result->times = measure_times_since(&begin, options->server_pid);
        result->elapsed_ns = measure_now_ns() - window.begin_ns;
    }
}

/* Adds what a worker has counted. False: it failed, or had no request left before the window ended. */
static bool collect(struct worker *worker, struct closed_loop_result *result, char ret_error[CALL_ERROR_BYTES]) {
    if (!worker->failed && worker->options->window_ns > 0 && worker->calls_left == 0) {
        worker->failed = true;
        (void)snprintf(worker->error, sizeof worker->error, "%u requests were too few for the time (--requests)",
                       worker->options->requests_count);
    }
    if (worker->failed) memcpy(ret_error, worker->error, sizeof worker->error);
    histogram_merge(&result->latency_us, &worker->latency_us);
    result->calls_all_count += worker->calls_all_count;
    return !worker->failed;
}

bool closed_loop_run(const struct closed_loop_options *options, struct closed_loop_result *ret_result,
                     char ret_error[CALL_ERROR_BYTES]) {
    assert(options->threads_count > 0 && options->threads_count <= CLOSED_LOOP_THREADS_MAX);
    assert(options->in_flight > 0 && options->in_flight <= CLOSED_LOOP_IN_FLIGHT_MAX);
    assert(options->write_request != NULL ||
           (options->requests_count > 0 && options->requests_count >= options->calls_max));
    assert(options->window_ns > 0 || options->calls_max > 0);
    assert(options->warmup_ns == 0 || options->window_ns > 0);

    uint32_t wanted = options->threads_count < options->in_flight ? options->threads_count : options->in_flight;
    struct worker *workers = calloc(wanted, sizeof *workers);
    if (workers == NULL) abort();
    struct shared shared = {.written_count = 0};
    uint32_t workers_count = 0;
    while (workers_count < wanted &&
           worker_init(&workers[workers_count], options, &shared, workers_count, wanted, ret_error))
        workers_count++;

    bool ok = workers_count == wanted;
    if (ok) {
        *ret_result = (struct closed_loop_result){0};
        histogram_init(&ret_result->latency_us);
        run_workers(workers, workers_count, &shared, ret_result);
        for (uint32_t i = 0; i < workers_count; i++) ok = collect(&workers[i], ret_result, ret_error) && ok;
        ret_result->calls_count = ret_result->latency_us.count;
    }
    for (uint32_t i = 0; i < workers_count; i++) worker_deinit(&workers[i]);
    free(workers);
    return ok;
}
