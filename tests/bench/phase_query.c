/* Reads of all events that a filter matches: by the tag of a customer, of a needle, or of a needle and a type. */
#include "tests/bench/phases.h"

#include "tests/bench/closed_loop.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)

/* Needles in turn: each has its first read before any has its second. Customers at random. */
static void write_request(void *context, uint64_t number, uint64_t answered_count, struct wire_writer *writer) {
    (void)answered_count;
    const struct phase_options *options = context;
    char tag[WORKLOAD_NAME_BYTES];
    struct peer_query query = {.tag = tag};
    uint64_t state = number;
    if (options->query == PHASE_QUERY_CUSTOMER)
        workload_customer(random_below(&state, options->workload.customers_count), tag);
    else
        workload_needle((uint32_t)(number % options->workload.needles_count), tag);
    if (options->query == PHASE_QUERY_NEEDLE_TYPE) query.type = workload_type(0);
    options->peer->write_query(writer, &query);
}

bool phase_query(const struct phase_options *options) {
    static const char *const names[] = {
        [PHASE_QUERY_CUSTOMER] = "customer",
        [PHASE_QUERY_NEEDLE] = "needle",
        [PHASE_QUERY_NEEDLE_TYPE] = "needle-type",
    };
    if (options->peer->write_query == NULL) {
        (void)fprintf(stderr, "load: %s has nothing to read\n", options->peer->name);
        return false;
    }
    const struct closed_loop_options loop = {
        .target = options->target,
        .method = options->peer->read_method,
        .write_request = write_request,
        .context = (void *)(uintptr_t)options,
        .answers_field = options->peer->read_events_field,
        .answers_count = options->matches_count,
        .threads_count = options->threads_count,
        .in_flight = options->in_flight,
        .warmup_ns = options->calls_count == 0 ? options->warmup_ms * NS_PER_MS : 0,
        .window_ns = options->calls_count == 0 ? options->window_ms * NS_PER_MS : 0,
        .calls_max = options->calls_count,
        .server_pid = options->server_pid,
    };
    char error[CALL_ERROR_BYTES] = "";
    struct closed_loop_result result;
    if (!closed_loop_run(&loop, &result, error)) {
        (void)fprintf(stderr, "load: %s: %s\n", options->peer->name, error);
        return false;
    }
    const double calls = (double)result.calls_count;
    printf("phase=query peer=%s query=%s matches=%u events=%" PRIu64 " pass=%s in_flight=%u reads_per_second=%.0f",
           options->peer->name, names[options->query], options->matches_count, options->events_count, options->label,
           options->in_flight, calls * 1e9 / (double)result.elapsed_ns);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " max_us=%" PRIu64, histogram_quantile(&result.latency_us, 500),
           histogram_quantile(&result.latency_us, 990), result.latency_us.value_max);
    printf(" server_us=%.2f client_us=%.2f others_cores=%.2f\n", (double)result.times.server_us / calls,
           (double)result.times.client_us / calls, measure_others_cores(&result.times, result.elapsed_ns));
    return true;
}
