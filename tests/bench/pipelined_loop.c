#include "tests/bench/pipelined_loop.h"

#include <assert.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000u
/* Messages that the transport gathers before it writes. */
#define GATHERED_COUNT 32u

enum step { STEP_BEGIN, STEP_SEND, STEP_RECEIVE, STEP_CLOSE, STEP_STATUS, STEPS_COUNT };

struct stream;

/* The tag of a completion: one of each kind may be under way. */
struct stream_step {
    struct stream *stream;
    enum step step;
};

struct slot {
    struct wire_writer message;
    uint64_t sent_ns;
};

/* Slots are used in turn, and answers come in the order of the messages: the oldest slot in flight is the next answered. */
struct stream {
    struct worker *worker;
    struct stream_step steps[STEPS_COUNT];
    grpc_call *call;
    struct call_status status;
    struct slot *slots;
    uint32_t slots_count;
    uint32_t slot_next;
    uint32_t slot_oldest;
    uint32_t in_flight;
    uint64_t sent_count;
    /* What is being sent or received; NULL: nothing. */
    grpc_byte_buffer *sending;
    grpc_byte_buffer *received;
    bool open;
    bool closing;
    bool ended;
};

struct worker {
    const struct pipelined_loop_options *options;
    uint64_t begin_ns;
    uint64_t end_ns;
    pthread_t thread;
    struct connection connection;
    grpc_completion_queue *queue;
    struct stream *streams;
    uint32_t streams_count;
    /* Completions that are still to come. */
    uint32_t pending;
    uint64_t number_next;
    uint64_t number_step;
    uint64_t answers_count;
    uint64_t answers_all_count;
    uint64_t answer_messages_count;
    struct histogram latency_us;
    bool failed;
    char error[CALL_ERROR_BYTES];
};

static void fail(struct worker *worker, const char *error) {
    if (!worker->failed) (void)snprintf(worker->error, sizeof worker->error, "%s", error);
    worker->failed = true;
}

static void start_batch(struct stream *stream, const grpc_op *ops, size_t ops_count, enum step step) {
    grpc_call_error error = grpc_call_start_batch(stream->call, ops, ops_count, &stream->steps[step], NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
    stream->worker->pending++;
}

static void stream_begin(struct stream *stream) {
    struct worker *worker = stream->worker;
    stream->call = grpc_channel_create_registered_call(
        worker->connection.channel, NULL, GRPC_PROPAGATE_DEFAULTS, worker->queue,
        connection_method(&worker->connection, worker->options->method), gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    const grpc_op begin = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    start_batch(stream, &begin, 1, STEP_BEGIN);
    const grpc_op receive[] = {
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &stream->status.initial_metadata},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->received},
    };
    start_batch(stream, receive, 2, STEP_RECEIVE);
}

/* Sends the next message, made new. Its bytes are free: the message that had them has been answered. */
static void send_next(struct stream *stream) {
    struct worker *worker = stream->worker;
    struct slot *slot = &stream->slots[stream->slot_next];
    stream->slot_next = (stream->slot_next + 1) % stream->slots_count;
    stream->in_flight++;
    stream->sent_count++;
    worker->options->renew_message(worker->options->context, worker->number_next, slot->message.data,
                                   slot->message.size);
    worker->number_next += worker->number_step;
    slot->sent_ns = measure_now_ns();

    grpc_slice bytes = grpc_slice_from_static_buffer(slot->message.data, slot->message.size);
    stream->sending = grpc_raw_byte_buffer_create(&bytes, 1);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = stream->sending};
    /* Never on the last that the window allows: it would wait for a message that waits for its answer. */
    const bool gather = stream->sent_count % GATHERED_COUNT != 0 && stream->in_flight < stream->slots_count;
    if (gather) op.flags = GRPC_WRITE_BUFFER_HINT;
    start_batch(stream, &op, 1, STEP_SEND);
}

static void close_sending(struct stream *stream) {
    stream->closing = true;
    const grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    start_batch(stream, &op, 1, STEP_CLOSE);
}

/* Does what may be done now: the next message, or the end. */
static void pump(struct stream *stream, uint64_t now_ns) {
    if (!stream->open || stream->sending != NULL || stream->closing || stream->ended) return;
    if (stream->worker->failed || now_ns >= stream->worker->end_ns)
        close_sending(stream);
    else if (stream->in_flight < stream->slots_count)
        send_next(stream);
}

/* Counts the answers in a message. */
static void take_answers(struct stream *stream, grpc_byte_buffer *message, uint64_t now_ns) {
    struct worker *worker = stream->worker;
    grpc_byte_buffer_reader reader;
    uint64_t count = 0;
    bool ok = grpc_byte_buffer_reader_init(&reader, message) != 0;
    if (ok) {
        grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
        ok = worker->options->count_answers(GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), &count);
        grpc_slice_unref(bytes);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    if (!ok) fail(worker, "an answer refuses a message, or is not protobuf");
    if (count > stream->in_flight) fail(worker, "more answers than messages");
    if (worker->failed) return;

    const bool counts = now_ns >= worker->begin_ns && now_ns < worker->end_ns;
    for (uint64_t i = 0; i < count; i++) {
        const struct slot *slot = &stream->slots[stream->slot_oldest];
        stream->slot_oldest = (stream->slot_oldest + 1) % stream->slots_count;
        if (counts) histogram_record(&worker->latency_us, (now_ns - slot->sent_ns) / 1000);
    }
    stream->in_flight -= (uint32_t)count;
    worker->answer_messages_count++;
    worker->answers_all_count += count;
    if (counts) worker->answers_count += count;
}

static void receive_next(struct stream *stream, uint64_t now_ns) {
    if (stream->received != NULL) {
        take_answers(stream, stream->received, now_ns);
        grpc_byte_buffer_destroy(stream->received);
        stream->received = NULL;
        grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->received};
        start_batch(stream, &op, 1, STEP_RECEIVE);
        return;
    }
    stream->ended = true;
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &stream->status.trailing_metadata;
    op.data.recv_status_on_client.status = &stream->status.code;
    op.data.recv_status_on_client.status_details = &stream->status.details;
    start_batch(stream, &op, 1, STEP_STATUS);
}

static void take_status(struct stream *stream) {
    char error[CALL_ERROR_BYTES];
    const struct call_status *status = &stream->status;
    (void)snprintf(error, sizeof error, "gRPC status %d after %u answers too few: %.*s", (int)status->code,
                   stream->in_flight, (int)GRPC_SLICE_LENGTH(status->details),
                   (const char *)GRPC_SLICE_START_PTR(status->details));
    if (status->code != GRPC_STATUS_OK || stream->in_flight > 0 || !stream->closing) fail(stream->worker, error);
}

static void take_completion(struct stream *stream, enum step step, bool success, uint64_t now_ns) {
    switch (step) {
    case STEP_BEGIN:
        stream->open = success;
        break;
    case STEP_SEND:
        grpc_byte_buffer_destroy(stream->sending);
        stream->sending = NULL;
        if (!success) stream->open = false;
        break;
    case STEP_RECEIVE:
        receive_next(stream, now_ns);
        break;
    case STEP_STATUS:
        take_status(stream);
        break;
    default:
        break;
    }
}

static void *worker_main(void *context) {
    struct worker *worker = context;
    for (uint32_t i = 0; i < worker->streams_count; i++) stream_begin(&worker->streams[i]);
    while (worker->pending > 0) {
        grpc_event event = grpc_completion_queue_next(worker->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        assert(event.type == GRPC_OP_COMPLETE);
        worker->pending--;
        const struct stream_step *step = event.tag;
        const uint64_t now_ns = measure_now_ns();
        take_completion(step->stream, step->step, event.success != 0, now_ns);
        pump(step->stream, now_ns);
    }
    return NULL;
}

/* The share of `index` when `total` is dealt out to `count`. */
static uint32_t share(uint32_t total, uint32_t count, uint32_t index) {
    return total / count + (index < total % count ? 1u : 0u);
}

static void stream_init(struct stream *stream, struct worker *worker, uint32_t slots_count, uint32_t slot_first) {
    *stream = (struct stream){.worker = worker, .slots_count = slots_count};
    for (uint32_t step = 0; step < STEPS_COUNT; step++)
        stream->steps[step] = (struct stream_step){.stream = stream, .step = (enum step)step};
    stream->status.details = grpc_empty_slice();
    grpc_metadata_array_init(&stream->status.initial_metadata);
    grpc_metadata_array_init(&stream->status.trailing_metadata);
    stream->slots = calloc(slots_count, sizeof *stream->slots);
    if (stream->slots == NULL) abort();
    for (uint32_t i = 0; i < slots_count; i++) {
        wire_writer_init(&stream->slots[i].message);
        worker->options->write_message(worker->options->context, slot_first + i, &stream->slots[i].message);
    }
}

static void stream_deinit(struct stream *stream) {
    if (stream->call != NULL) grpc_call_unref(stream->call);
    grpc_slice_unref(stream->status.details);
    grpc_metadata_array_destroy(&stream->status.initial_metadata);
    grpc_metadata_array_destroy(&stream->status.trailing_metadata);
}

static bool worker_init(struct worker *worker, const struct pipelined_loop_options *options, uint32_t index,
                        uint32_t workers_count, uint32_t *slot_first, char ret_error[CALL_ERROR_BYTES]) {
    *worker = (struct worker){.options = options, .number_next = index, .number_step = workers_count};
    if (!connection_open(&worker->connection, options->target, CONNECT_TIMEOUT_MS)) {
        (void)snprintf(ret_error, CALL_ERROR_BYTES, "no connection to %s in %u ms", options->target,
                       CONNECT_TIMEOUT_MS);
        return false;
    }
    worker->queue = grpc_completion_queue_create_for_next(NULL);
    worker->streams_count = share(options->streams_count, workers_count, index);
    worker->streams = calloc(worker->streams_count, sizeof *worker->streams);
    if (worker->streams == NULL) abort();
    const uint32_t slots_count = options->in_flight / options->streams_count;
    for (uint32_t i = 0; i < worker->streams_count; i++) {
        stream_init(&worker->streams[i], worker, slots_count, *slot_first);
        *slot_first += slots_count;
    }
    histogram_init(&worker->latency_us);
    return true;
}

static void worker_deinit(struct worker *worker) {
    for (uint32_t i = 0; i < worker->streams_count; i++) stream_deinit(&worker->streams[i]);
    connection_queue_free(worker->queue);
    connection_close(&worker->connection);
    for (uint32_t i = 0; i < worker->streams_count; i++) {
        struct stream *stream = &worker->streams[i];
        for (uint32_t slot = 0; slot < stream->slots_count; slot++) wire_writer_deinit(&stream->slots[slot].message);
        free(stream->slots);
    }
    free(worker->streams);
}

static void run_workers(struct worker *workers, uint32_t workers_count, struct pipelined_loop_result *result) {
    const struct pipelined_loop_options *options = workers[0].options;
    const uint64_t begin_ns = measure_now_ns() + options->warmup_ns;
    const uint64_t end_ns = begin_ns + options->window_ns;
    for (uint32_t i = 0; i < workers_count; i++) {
        workers[i].begin_ns = begin_ns;
        workers[i].end_ns = end_ns;
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) abort();
    }
    measure_wait_until_ns(begin_ns);
    const struct measure_times begin = measure_times_now(options->server_pid);
    measure_wait_until_ns(end_ns);
    result->times = measure_times_since(&begin, options->server_pid);
    result->elapsed_ns = options->window_ns;
    for (uint32_t i = 0; i < workers_count; i++) (void)pthread_join(workers[i].thread, NULL);
}

bool pipelined_loop_run(const struct pipelined_loop_options *options, struct pipelined_loop_result *ret_result,
                        char ret_error[CALL_ERROR_BYTES]) {
    assert(options->threads_count > 0 && options->threads_count <= PIPELINED_LOOP_THREADS_MAX);
    assert(options->streams_count > 0 && options->streams_count <= PIPELINED_LOOP_STREAMS_MAX);
    assert(options->in_flight >= options->streams_count && options->in_flight <= PIPELINED_LOOP_IN_FLIGHT_MAX);
    assert(options->window_ns > 0);

    const uint32_t wanted =
        options->threads_count < options->streams_count ? options->threads_count : options->streams_count;
    struct worker *workers = calloc(wanted, sizeof *workers);
    if (workers == NULL) abort();
    uint32_t workers_count = 0;
    uint32_t slot_first = 0;
    while (workers_count < wanted &&
           worker_init(&workers[workers_count], options, workers_count, wanted, &slot_first, ret_error))
        workers_count++;

    bool ok = workers_count == wanted;
    if (ok) {
        *ret_result = (struct pipelined_loop_result){0};
        histogram_init(&ret_result->latency_us);
        run_workers(workers, workers_count, ret_result);
    }
    for (uint32_t i = 0; i < workers_count; i++) {
        struct worker *worker = &workers[i];
        if (ok && worker->failed) memcpy(ret_error, worker->error, sizeof worker->error);
        if (workers_count == wanted) {
            ok = ok && !worker->failed;
            histogram_merge(&ret_result->latency_us, &worker->latency_us);
            ret_result->answers_count += worker->answers_count;
            ret_result->answers_all_count += worker->answers_all_count;
            ret_result->answer_messages_count += worker->answer_messages_count;
        }
        worker_deinit(worker);
    }
    free(workers);
    return ok;
}
