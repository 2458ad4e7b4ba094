#include "tests/bench/checked_loop.h"

#include <inttypes.h>
#include <stdio.h>

#define HEAD_TIMEOUT_MS 10000u

bool checked_loop_head(const struct phase_options *options, uint64_t *ret_head) {
    const char *name = options->peer->name;
    *ret_head = 0;
    if (options->peer->head_method == NULL) return true;
    struct connection connection;
    if (!connection_open(&connection, options->target, HEAD_TIMEOUT_MS)) {
        (void)fprintf(stderr, "load: %s: no connection to %s\n", name, options->target);
        return false;
    }
    char error[CALL_ERROR_BYTES] = "";
    bool ok = unary_ask_uint(&connection, options->peer->head_method, options->peer->head_field, HEAD_TIMEOUT_MS,
                             ret_head, error);
    connection_close(&connection);
    if (!ok) (void)fprintf(stderr, "load: %s: %s\n", name, error);
    return ok;
}

bool checked_loop_check(const struct phase_options *options, uint64_t head_before, uint64_t acknowledged_count) {
    uint64_t head = 0;
    if (!checked_loop_head(options, &head)) return false;
    if (options->peer->head_method == NULL || head - head_before == acknowledged_count) return true;
    (void)fprintf(stderr,
                  "load: %s: %" PRIu64 " events acknowledged, but the head went from %" PRIu64 " to %" PRIu64 "\n",
                  options->peer->name, acknowledged_count, head_before, head);
    return false;
}

bool checked_loop_run(const struct phase_options *options, const struct closed_loop_options *loop,
                      struct closed_loop_result *ret_result) {
    uint64_t head_before = 0;
    if (!checked_loop_head(options, &head_before)) return false;
    char error[CALL_ERROR_BYTES] = "";
    if (!closed_loop_run(loop, ret_result, error)) {
        (void)fprintf(stderr, "load: %s: %s\n", options->peer->name, error);
        return false;
    }
    if (ret_result->calls_count == 0) {
        (void)fprintf(stderr, "load: %s: no call ended in the time measured\n", options->peer->name);
        return false;
    }
    return checked_loop_check(options, head_before, ret_result->calls_all_count * options->events_per_request);
}

void checked_loop_print(const char *phase, const struct phase_options *options,
                        const struct closed_loop_result *result) {
    double calls = (double)result->calls_count;
    double seconds = (double)result->elapsed_ns / 1e9;
    printf("phase=%s peer=%s in_flight=%u calls=%" PRIu64 " calls_per_second=%.0f events_per_second=%.0f", phase,
           options->peer->name, options->in_flight, result->calls_count, calls / seconds,
           calls * options->events_per_request / seconds);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " p999_us=%" PRIu64 " max_us=%" PRIu64,
           histogram_quantile(&result->latency_us, 500), histogram_quantile(&result->latency_us, 990),
           histogram_quantile(&result->latency_us, 999), result->latency_us.value_max);
    printf(" server_us=%.2f client_us=%.2f others_cores=%.2f", (double)result->times.server_us / calls,
           (double)result->times.client_us / calls, measure_others_cores(&result->times, result->elapsed_ns));
}
