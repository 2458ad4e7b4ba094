#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

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
    bool ok = checked_loop_run(options, &loop, &result);
    if (ok) {
        checked_loop_print(phase, options, &result);
        printf("\n");
    }
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
