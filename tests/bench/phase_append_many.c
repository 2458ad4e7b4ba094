/* One event a message, on a few open streams of appends: what the SDK's appender will do. */
#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"
#include "tests/bench/pipelined_loop.h"
#include "tests/bench/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

struct messages {
    const struct phase_options *options;
    /* Where the id stands in a message: at the same place in each, because all have the same shape. */
    size_t id_offset;
};

static void write_message(void *context, uint32_t slot, struct wire_writer *writer) {
    const struct messages *messages = context;
    const struct peer_append append = {
        .number = slot,
        .events_count = 1,
        .event_bytes = messages->options->event_bytes,
    };
    messages->options->peer->write_append(writer, &append);
}

/* A new id makes a new event. */
static void renew_message(void *context, uint64_t number, uint8_t *data, size_t size) {
    const struct messages *messages = context;
    char id[RANDOM_ID_BYTES];
    random_id(&number, id);
    assert(messages->id_offset + RANDOM_ID_BYTES - 1 <= size);
    memcpy(data + messages->id_offset, id, RANDOM_ID_BYTES - 1);
}

/* Finds where peer_write_event puts the id: the one that it makes for the first event of request 0. */
static bool find_id(struct messages *messages) {
    struct wire_writer message;
    wire_writer_init(&message);
    write_message(messages, 0, &message);
    uint64_t state = 0;
    char id[RANDOM_ID_BYTES];
    random_id(&state, id);
    const uint8_t *found = memmem(message.data, message.size, id, RANDOM_ID_BYTES - 1);
    if (found != NULL) messages->id_offset = (size_t)(found - message.data);
    wire_writer_deinit(&message);
    return found != NULL;
}

static void print_result(const struct phase_options *options, const struct pipelined_loop_result *result) {
    const double events = (double)result->answers_count;
    printf("phase=append-many peer=%s streams=%u in_flight=%u events=%" PRIu64 " events_per_second=%.0f",
           options->peer->name, options->streams_count, options->in_flight, result->answers_count,
           events * 1e9 / (double)result->elapsed_ns);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " p999_us=%" PRIu64 " max_us=%" PRIu64,
           histogram_quantile(&result->latency_us, 500), histogram_quantile(&result->latency_us, 990),
           histogram_quantile(&result->latency_us, 999), result->latency_us.value_max);
    printf(" answers_per_message=%.1f server_us=%.2f client_us=%.2f others_cores=%.2f\n",
           (double)result->answers_all_count / (double)result->answer_messages_count,
           (double)result->times.server_us / events, (double)result->times.client_us / events,
           measure_others_cores(&result->times, result->elapsed_ns));
}

bool phase_append_many(const struct phase_options *options) {
    const struct peer *peer = options->peer;
    struct messages messages = {.options = options};
    if (peer->append_many_method == NULL || options->in_flight < options->streams_count || !find_id(&messages)) {
        (void)fprintf(stderr, "load: %s has no stream of appends, or there are fewer messages than streams\n",
                      peer->name);
        return false;
    }
    const struct pipelined_loop_options loop = {
        .target = options->target,
        .method = peer->append_many_method,
        .threads_count = options->threads_count,
        .streams_count = options->streams_count,
        .in_flight = options->in_flight,
        .warmup_ns = options->warmup_ms * NS_PER_MS,
        .window_ns = options->window_ms * NS_PER_MS,
        .write_message = write_message,
        .renew_message = renew_message,
        .count_answers = peer->count_outcomes,
        .context = &messages,
        .server_pid = options->server_pid,
    };
    uint64_t head = 0;
    if (!checked_loop_head(options, &head)) return false;
    char error[CALL_ERROR_BYTES] = "";
    struct pipelined_loop_result result;
    if (!pipelined_loop_run(&loop, &result, error)) {
        (void)fprintf(stderr, "load: %s: %s\n", peer->name, error);
        return false;
    }
    if (result.answers_count == 0) {
        (void)fprintf(stderr, "load: %s: no answer came in the time measured\n", peer->name);
        return false;
    }
    if (!checked_loop_check(options, head, result.answers_all_count)) return false;
    print_result(options, &result);
    return true;
}
