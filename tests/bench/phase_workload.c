/* The realistic load (workload.h), with or without a condition on each append. */
#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)

/* What the requests of a phase depend on. */
struct source {
    const struct phase_options *options;
    /* The head before the phase: events are numbered from here, so that every id is new. */
    uint64_t head;
};

/* A condition as a service has it that decides on what it has read: nothing of this type has happened to this customer
 * since. `answered_count` tells a position that the head has surely reached, a moment ago. It never conflicts: events of
 * the types it asks for are not appended while it is measured. */
static struct peer_condition make_condition(const struct source *source, uint64_t number, uint64_t answered_count,
                                            char ret_tag[WORKLOAD_NAME_BYTES]) {
    const struct workload *workload = &source->options->workload;
    uint64_t state = ~number;
    workload_customer(random_below(&state, workload->customers_count), ret_tag);
    const uint32_t others_count = WORKLOAD_TYPES_COUNT - workload->types_count;
    const char *type = workload_type(workload->types_count + random_below(&state, others_count));
    return (struct peer_condition){
        .none_match = {.tag = ret_tag, .type = type},
        .after = source->head + answered_count * source->options->events_per_request,
    };
}

static void write_request(void *context, uint64_t number, uint64_t answered_count, struct wire_writer *writer) {
    const struct source *source = context;
    const struct phase_options *options = source->options;
    const uint64_t event_number = source->head + number * options->events_per_request;
    if (!options->conditional) {
        options->peer->write_workload(writer, &options->workload, event_number, options->events_per_request, NULL);
        return;
    }
    char tag[WORKLOAD_NAME_BYTES];
    const struct peer_condition condition = make_condition(source, number, answered_count, tag);
    options->peer->write_workload(writer, &options->workload, event_number, options->events_per_request, &condition);
}

static bool check(const struct phase_options *options) {
    if (options->peer->write_workload == NULL) {
        (void)fprintf(stderr, "load: %s stores nothing\n", options->peer->name);
        return false;
    }
    if (options->conditional && options->workload.types_count == WORKLOAD_TYPES_COUNT) {
        (void)fprintf(stderr, "load: conditions need types that no event has (--types)\n");
        return false;
    }
    return true;
}

static bool run_phase(const char *phase, const struct phase_options *options, uint64_t window_ns, uint64_t calls_max) {
    struct source source = {.options = options};
    if (!check(options) || !checked_loop_head(options, &source.head)) return false;
    const struct closed_loop_options loop = {
        .target = options->target,
        .method = options->peer->append_method,
        .write_request = write_request,
        .context = &source,
        .threads_count = options->threads_count,
        .in_flight = options->in_flight,
        .warmup_ns = window_ns > 0 ? options->warmup_ms * NS_PER_MS : 0,
        .window_ns = window_ns,
        .calls_max = calls_max,
        .server_pid = options->server_pid,
    };
    struct closed_loop_result result;
    if (!checked_loop_run(options, &loop, &result)) return false;
    checked_loop_print(phase, options, &result);
    printf(" events_per_request=%u conditional=%d head=%" PRIu64 "\n", options->events_per_request,
           options->conditional ? 1 : 0, source.head);
    return true;
}

bool phase_workload(const struct phase_options *options) {
    return run_phase("workload", options, options->window_ms * NS_PER_MS, 0);
}

bool phase_workload_fill(const struct phase_options *options) {
    if (options->events_count % options->events_per_request != 0) {
        (void)fprintf(stderr, "load: %" PRIu64 " events are no whole number of requests of %u\n", options->events_count,
                      options->events_per_request);
        return false;
    }
    return run_phase("workload-fill", options, 0, options->events_count / options->events_per_request);
}
