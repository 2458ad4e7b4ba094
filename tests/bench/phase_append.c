#include "tests/bench/phases.h"

#include "tests/bench/closed_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_TIMEOUT_MS 10000u
#define NS_PER_MS       UINT64_C(1000000)

/* The requests of a phase, written before its clock starts. */
struct requests {
    struct wire_writer *bytes;
    grpc_slice *slices;
    uint32_t count;
};

static void requests_init(struct requests *requests, const struct phase_options *options) {
    requests->count = options->requests_count;
    requests->bytes = calloc(requests->count, sizeof *requests->bytes);
    requests->slices = calloc(requests->count, sizeof *requests->slices);
    if (requests->bytes == NULL || requests->slices == NULL) abort();
    for (uint32_t i = 0; i < requests->count; i++) {
        struct peer_append append = {
            .number = i,
            .events_count = options->events_per_request,
            .event_bytes = options->event_bytes,
        };
        wire_writer_init(&requests->bytes[i]);
        options->peer->write_append(&requests->bytes[i], &append);
        /* Static for gRPC: no reference to count, and the bytes outlive every call. */
        requests->slices[i] = grpc_slice_from_static_buffer(requests->bytes[i].data, requests->bytes[i].size);
    }
}

static void requests_deinit(struct requests *requests) {
    for (uint32_t i = 0; i < requests->count; i++) wire_writer_deinit(&requests->bytes[i]);
    free(requests->bytes);
    free(requests->slices);
}

/* Asks for the head; a peer that stores nothing has 0. */
static bool ask_head(const struct phase_options *options, uint64_t *ret_head, char ret_error[CALL_ERROR_BYTES]) {
    *ret_head = 0;
    if (options->peer->head_method == NULL) return true;
    struct connection connection;
    if (!connection_open(&connection, options->target, HEAD_TIMEOUT_MS)) {
        (void)snprintf(ret_error, CALL_ERROR_BYTES, "no connection to %s", options->target);
        return false;
    }
    bool ok = unary_ask_uint(&connection, options->peer->head_method, options->peer->head_field, HEAD_TIMEOUT_MS,
                             ret_head, ret_error);
    connection_close(&connection);
    return ok;
}

/* Runs the loop between two questions for the head, which must agree with what was acknowledged: a peer that answers and
 * does not store would win every race. */
static bool run_checked(const struct phase_options *options, const struct closed_loop_options *loop,
                        struct closed_loop_result *ret_result) {
    char error[CALL_ERROR_BYTES] = "";
    uint64_t head_before = 0;
    uint64_t head_after = 0;
    bool ok = ask_head(options, &head_before, error) && closed_loop_run(loop, ret_result, error) &&
              ask_head(options, &head_after, error);
    if (!ok) {
        (void)fprintf(stderr, "load: %s: %s\n", options->peer->name, error);
        return false;
    }
    uint64_t acknowledged = ret_result->calls_all_count * options->events_per_request;
    if (options->peer->head_method != NULL && head_after - head_before != acknowledged) {
        (void)fprintf(stderr,
                      "load: %s: %" PRIu64 " events acknowledged, but the head went from %" PRIu64 " to %" PRIu64 "\n",
                      options->peer->name, acknowledged, head_before, head_after);
        return false;
    }
    return true;
}

static void print_result(const char *phase, const struct phase_options *options,
                         const struct closed_loop_result *result) {
    double calls = (double)result->calls_count;
    double seconds = (double)result->elapsed_ns / 1e9;
    printf("phase=%s peer=%s in_flight=%u calls=%" PRIu64 " calls_per_second=%.0f events_per_second=%.0f", phase,
           options->peer->name, options->in_flight, result->calls_count, calls / seconds,
           calls * options->events_per_request / seconds);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " p999_us=%" PRIu64, histogram_quantile(&result->latency_us, 500),
           histogram_quantile(&result->latency_us, 990), histogram_quantile(&result->latency_us, 999));
    printf(" server_us=%.2f client_us=%.2f others_cores=%.2f\n", (double)result->times.server_us / calls,
           (double)result->times.client_us / calls, measure_others_cores(&result->times, result->elapsed_ns));
}

/* Runs an append phase whose loop ends by time or by number. */
static bool run_phase(const char *phase, const struct phase_options *options, uint64_t window_ns, uint64_t calls_max) {
    struct requests requests;
    requests_init(&requests, options);
    struct closed_loop_options loop = {
        .target = options->target,
        .method = options->peer->append_method,
        .requests = requests.slices,
        .requests_count = requests.count,
        .threads_count = options->threads_count,
        .in_flight = options->in_flight,
        .warmup_ns = window_ns > 0 ? options->warmup_ms * NS_PER_MS : 0,
        .window_ns = window_ns,
        .calls_max = calls_max,
        .server_pid = options->server_pid,
    };
    struct closed_loop_result result;
    bool ok = run_checked(options, &loop, &result);
    if (ok && result.calls_count == 0) {
        (void)fprintf(stderr, "load: %s: no call ended in the time measured\n", options->peer->name);
        ok = false;
    }
    if (ok) print_result(phase, options, &result);
    requests_deinit(&requests);
    return ok;
}

bool phase_append(const struct phase_options *options) {
    return run_phase("append", options, options->window_ms * NS_PER_MS, 0);
}

bool phase_fill(const struct phase_options *options) {
    if (options->events_count % options->events_per_request != 0) {
        (void)fprintf(stderr, "load: %" PRIu64 " events are no whole number of requests of %u\n", options->events_count,
                      options->events_per_request);
        return false;
    }
    return run_phase("fill", options, 0, options->events_count / options->events_per_request);
}
