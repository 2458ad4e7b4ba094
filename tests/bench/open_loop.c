#include "tests/bench/open_loop.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000u
#define NS_PER_SECOND      UINT64_C(1000000000)
/* A thread that is later than this does not make up for it. */
#define LATE_NS UINT64_C(100000000)
/* How often a thread looks whether calls are due. */
#define TICK_US 500

/* What the workers know of each other; the window is constant once they run. */
struct shared {
    uint64_t begin_ns;
    uint64_t window_begin_ns;
    uint64_t window_end_ns;
    _Atomic uint64_t written_count;
};

struct slot {
    struct unary_call call; /* the first member: the tag of its completion */
    struct wire_writer request;
    struct slot *next; /* of the free ones */
};

struct worker {
    const struct open_loop_options *options;
    struct shared *shared;
    pthread_t thread;
    struct connection connection;
    void *method;
    grpc_completion_queue *queue;
    struct slot *slots;
    uint32_t slots_count;
    struct slot *free;
    uint32_t running_count;
    uint64_t interval_ns;
    uint64_t due_ns; /* of the next call */
    struct open_loop_result counts;
    bool failed;
    char error[CALL_ERROR_BYTES];
};

static bool in_window(const struct worker *worker, uint64_t now_ns) {
    return now_ns >= worker->shared->window_begin_ns && now_ns < worker->shared->window_end_ns;
}

static void start_call(struct worker *worker, uint64_t now_ns) {
    struct slot *slot = worker->free;
    worker->free = slot->next;
    worker->running_count++;
    worker->counts.sent_all_count++;
    if (in_window(worker, now_ns)) worker->counts.sent_count++;
    wire_writer_clear(&slot->request);
    worker->options->write_request(worker->options->context, atomic_fetch_add(&worker->shared->written_count, 1),
                                   &slot->request);
    const uint64_t started_ns = measure_now_ns();
    unary_start(&slot->call, &worker->connection, worker->method, worker->queue,
                grpc_slice_from_static_buffer(slot->request.data, slot->request.size),
                worker->options->deadline_ms == 0
                    ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                    : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                   gpr_time_from_millis(worker->options->deadline_ms, GPR_TIMESPAN)));
    slot->call.started_ns = started_ns;
}

static void start_due(struct worker *worker) {
    uint64_t now_ns = measure_now_ns();
    if (now_ns > worker->due_ns + LATE_NS) worker->due_ns = now_ns;
    while (!worker->failed && worker->due_ns <= now_ns && now_ns < worker->shared->window_end_ns) {
        worker->due_ns += worker->interval_ns;
        if (in_window(worker, now_ns)) worker->counts.offered_count++;
        if (worker->free != NULL) start_call(worker, now_ns);
        now_ns = measure_now_ns();
    }
}

/* Whether a call's trailers hold a google.rpc.RetryInfo. */
static bool says_when(const struct call_status *status) {
    static const char type[] = "google.rpc.RetryInfo";
    for (size_t i = 0; i < status->trailing_metadata.count; i++) {
        const grpc_metadata *entry = &status->trailing_metadata.metadata[i];
        if (grpc_slice_str_cmp(entry->key, "grpc-status-details-bin") != 0) continue;
        return memmem(GRPC_SLICE_START_PTR(entry->value), GRPC_SLICE_LENGTH(entry->value), type, sizeof type - 1) !=
               NULL;
    }
    return false;
}

static void fail(struct worker *worker, const char *error) {
    if (!worker->failed) (void)snprintf(worker->error, sizeof worker->error, "%s", error);
    worker->failed = true;
}

static void end_call(struct worker *worker, struct slot *slot) {
    const uint64_t now_ns = measure_now_ns();
    const uint64_t latency_us = (now_ns - slot->call.started_ns) / 1000;
    const grpc_status_code code = slot->call.status.code;
    const bool is_refusal = code == GRPC_STATUS_RESOURCE_EXHAUSTED && says_when(&slot->call.status);
    const bool is_expired = code == GRPC_STATUS_DEADLINE_EXCEEDED && worker->options->deadline_ms != 0;
    char error[CALL_ERROR_BYTES];
    const bool ok = unary_finish(&slot->call, error);
    slot->next = worker->free;
    worker->free = slot;
    worker->running_count--;
    if (!ok && !is_refusal && !is_expired) fail(worker, error);
    if (ok) worker->counts.accepted_all_count++;
    if (is_expired) worker->counts.expired_all_count++;
    if (!in_window(worker, now_ns)) return;
    if (ok) {
        worker->counts.accepted_count++;
        histogram_record(&worker->counts.accepted_us, latency_us);
    } else if (is_expired) {
        worker->counts.expired_count++;
    } else {
        worker->counts.refused_count++;
        histogram_record(&worker->counts.refused_us, latency_us);
    }
}

static void *worker_main(void *context) {
    struct worker *worker = context;
    worker->due_ns = worker->shared->begin_ns;
    bool sends = true;
    while (sends || worker->running_count > 0) {
        if (sends) start_due(worker);
        sends = !worker->failed && measure_now_ns() < worker->shared->window_end_ns;
        const gpr_timespec until =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(TICK_US, GPR_TIMESPAN));
        const grpc_event event = grpc_completion_queue_next(worker->queue, until, NULL);
        if (event.type == GRPC_OP_COMPLETE) end_call(worker, event.tag);
    }
    return NULL;
}

static bool worker_init(struct worker *worker, const struct open_loop_options *options, struct shared *shared,
                        char ret_error[CALL_ERROR_BYTES]) {
    *worker = (struct worker){.options = options, .shared = shared};
    if (!connection_open(&worker->connection, options->target, CONNECT_TIMEOUT_MS)) {
        (void)snprintf(ret_error, CALL_ERROR_BYTES, "no connection to %s in %u ms", options->target,
                       CONNECT_TIMEOUT_MS);
        return false;
    }
    worker->method = connection_method(&worker->connection, options->method);
    worker->queue = grpc_completion_queue_create_for_next(NULL);
    worker->interval_ns = NS_PER_SECOND * options->threads_count / options->calls_per_second;
    worker->slots_count = options->in_flight_max / options->threads_count;
    worker->slots = calloc(worker->slots_count, sizeof *worker->slots);
    if (worker->slots == NULL) abort();
    for (uint32_t i = 0; i < worker->slots_count; i++) {
        wire_writer_init(&worker->slots[i].request);
        worker->slots[i].next = worker->free;
        worker->free = &worker->slots[i];
    }
    histogram_init(&worker->counts.accepted_us);
    histogram_init(&worker->counts.refused_us);
    return true;
}

static void worker_deinit(struct worker *worker) {
    connection_queue_free(worker->queue);
    connection_close(&worker->connection);
    for (uint32_t i = 0; i < worker->slots_count; i++) wire_writer_deinit(&worker->slots[i].request);
    free(worker->slots);
}

static void run_workers(struct worker *workers, uint32_t workers_count, struct shared *shared,
                        struct open_loop_result *result) {
    const struct open_loop_options *options = workers[0].options;
    shared->begin_ns = measure_now_ns();
    shared->window_begin_ns = shared->begin_ns + options->warmup_ns;
    shared->window_end_ns = shared->window_begin_ns + options->window_ns;
    for (uint32_t i = 0; i < workers_count; i++) {
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) abort();
    }
    measure_wait_until_ns(shared->window_begin_ns);
    const struct measure_times begin = measure_times_now(options->server_pid);
    measure_wait_until_ns(shared->window_end_ns);
    result->times = measure_times_since(&begin, options->server_pid);
    result->elapsed_ns = options->window_ns;
    for (uint32_t i = 0; i < workers_count; i++) (void)pthread_join(workers[i].thread, NULL);
}

static bool collect(const struct worker *worker, struct open_loop_result *result, char ret_error[CALL_ERROR_BYTES]) {
    if (worker->failed) memcpy(ret_error, worker->error, sizeof worker->error);
    result->offered_count += worker->counts.offered_count;
    result->sent_count += worker->counts.sent_count;
    result->expired_count += worker->counts.expired_count;
    result->expired_all_count += worker->counts.expired_all_count;
    result->accepted_count += worker->counts.accepted_count;
    result->refused_count += worker->counts.refused_count;
    result->sent_all_count += worker->counts.sent_all_count;
    result->accepted_all_count += worker->counts.accepted_all_count;
    histogram_merge(&result->accepted_us, &worker->counts.accepted_us);
    histogram_merge(&result->refused_us, &worker->counts.refused_us);
    return !worker->failed;
}

bool open_loop_run(const struct open_loop_options *options, struct open_loop_result *ret_result,
                   char ret_error[CALL_ERROR_BYTES]) {
    assert(options->threads_count > 0 && options->threads_count <= OPEN_LOOP_THREADS_MAX);
    assert(options->calls_per_second > 0 && options->in_flight_max >= options->threads_count);
    assert(options->window_ns > 0);
    struct worker *workers = calloc(options->threads_count, sizeof *workers);
    if (workers == NULL) abort();
    struct shared shared = {.written_count = 0};
    uint32_t workers_count = 0;
    while (workers_count < options->threads_count &&
           worker_init(&workers[workers_count], options, &shared, ret_error)) {
        workers_count++;
    }
    bool ok = workers_count == options->threads_count;
    if (ok) {
        *ret_result = (struct open_loop_result){0};
        histogram_init(&ret_result->accepted_us);
        histogram_init(&ret_result->refused_us);
        run_workers(workers, workers_count, &shared, ret_result);
        for (uint32_t i = 0; i < workers_count; i++) ok = collect(&workers[i], ret_result, ret_error) && ok;
    }
    for (uint32_t i = 0; i < workers_count; i++) worker_deinit(&workers[i]);
    free(workers);
    return ok;
}
