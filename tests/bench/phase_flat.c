/* Whether the rate holds while the store grows, and how long it ever pauses. */
#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"
#include "tests/bench/progress.h"
#include "tests/bench/stall_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct flat {
    const struct phase_options *options;
    pthread_mutex_t lock;
    struct progress progress;
    struct stall_watch watch;
};

static void write_request(void *context, uint64_t number, uint64_t answered_count, struct wire_writer *writer) {
    (void)answered_count;
    const struct flat *flat = context;
    const struct phase_options *options = flat->options;
    options->peer->write_workload(writer, &options->workload, number * options->events_per_request,
                                  options->events_per_request, NULL);
}

/* A lock is cheap enough: these are answers to requests of many events. */
static void observe_answer(void *context, uint64_t answered_count, uint64_t now_ns, uint64_t latency_us) {
    struct flat *flat = context;
    (void)pthread_mutex_lock(&flat->lock);
    struct progress_piece *piece = progress_take(&flat->progress, answered_count, now_ns, latency_us);
    const uint64_t stall_us = stall_watch_take(&flat->watch);
    if (stall_us > piece->stall_max_us) piece->stall_max_us = stall_us;
    (void)pthread_mutex_unlock(&flat->lock);
}

static void print_pieces(const struct flat *flat) {
    const struct phase_options *options = flat->options;
    const uint64_t events_count = flat->progress.answers_per_piece * options->events_per_request;
    for (uint32_t i = 0; i < PROGRESS_PIECES_COUNT; i++) {
        const struct progress_piece *piece = &flat->progress.pieces[i];
        printf("phase=flat peer=%s piece=%u events=%" PRIu64 " seconds=%.6f pause_max_us=%" PRIu64
               " stall_max_us=%" PRIu64 " p50_us=%" PRIu64 " p99_us=%" PRIu64 " p999_us=%" PRIu64 " max_us=%" PRIu64
               "\n",
               options->peer->name, i, events_count, (double)(piece->end_ns - piece->begin_ns) / 1e9,
               piece->pause_max_us, piece->stall_max_us, histogram_quantile(&piece->latency_us, 500),
               histogram_quantile(&piece->latency_us, 990), histogram_quantile(&piece->latency_us, 999),
               piece->latency_us.value_max);
    }
}

/* Runs the appends and prints. The store is empty before: events are numbered from 0. */
static bool run(struct flat *flat, uint64_t calls_count) {
    const struct phase_options *options = flat->options;
    const struct closed_loop_options loop = {
        .target = options->target,
        .method = options->peer->append_method,
        .write_request = write_request,
        .observe_answer = observe_answer,
        .context = flat,
        .threads_count = options->threads_count,
        .in_flight = options->in_flight,
        .calls_max = calls_count,
        .server_pid = options->server_pid,
    };
    struct closed_loop_result result;
    progress_init(&flat->progress, calls_count, measure_now_ns());
    stall_watch_start(&flat->watch);
    bool ok = checked_loop_run(options, &loop, &result);
    stall_watch_stop(&flat->watch);
    if (!ok) return false;
    checked_loop_print("flat-all", options, &result);
    printf(" events_per_request=%u\n", options->events_per_request);
    print_pieces(flat);
    return true;
}

bool phase_flat(const struct phase_options *options) {
    const uint64_t calls_count = options->events_count / options->events_per_request;
    if (options->peer->write_workload == NULL || calls_count == 0 || calls_count % PROGRESS_PIECES_COUNT != 0) {
        (void)fprintf(stderr, "load: --events is no multiple of %u requests, or %s stores nothing\n",
                      PROGRESS_PIECES_COUNT, options->peer->name);
        return false;
    }
    struct flat *flat = calloc(1, sizeof *flat);
    if (flat == NULL || pthread_mutex_init(&flat->lock, NULL) != 0) abort();
    flat->options = options;
    bool ok = run(flat, calls_count);
    (void)pthread_mutex_destroy(&flat->lock);
    free(flat);
    return ok;
}
