/* peer_core: the benchmark's calls as one writes them by hand on gRPC core's C API, with the same messages of upb.
 *
 * Blocking calls and streams pluck their completions on the calling thread, each from a queue of its own, as gRPC's C++ does;
 * futures are driven from one queue. Ownership: everything is freed by the function that makes it. Threads: as the modes. */
#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/sdk/bench.upb.h"
#include "tests/bench/sdk/meter.h"

const char *const peer_name = "core";

#define CALL_SECONDS 5

struct peer {
    const struct meter_task *task;
    grpc_channel *channel;
    upb_Arena *arena;
    const daybook_bench_Message *request;
};

static grpc_call *call_create(const struct peer *peer, grpc_completion_queue *queue, const char *path, bool is_stream) {
    const gpr_timespec deadline =
        is_stream ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                  : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(CALL_SECONDS, GPR_TIMESPAN));
    return grpc_channel_create_call(peer->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                    grpc_slice_from_static_string(path), NULL, deadline, NULL);
}

static grpc_byte_buffer *encode(const daybook_bench_Message *message) {
    upb_Arena *arena = upb_Arena_New();
    size_t size = 0;
    const char *bytes = daybook_bench_Message_serialize(message, arena, &size);
    assert(bytes != NULL);
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, size);
    upb_Arena_Free(arena);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/* Decodes a message and looks at it. Takes the buffer. */
static uint64_t decode(const struct peer *peer, grpc_byte_buffer *buffer) {
    assert(buffer != NULL);
    grpc_byte_buffer_reader reader;
    (void)grpc_byte_buffer_reader_init(&reader, buffer);
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    upb_Arena *arena = upb_Arena_New();
    const daybook_bench_Message *message =
        daybook_bench_Message_parse((const char *)GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice), arena);
    assert(message != NULL);
    const uint64_t count = daybook_bench_Message_count(message);
    assert(count > 0 || daybook_bench_Message_payload(message).size == peer->task->payload_bytes);
    upb_Arena_Free(arena);
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return count;
}

static void start(grpc_call *call, const grpc_op *operations, size_t count, void *tag) {
    const grpc_call_error error = grpc_call_start_batch(call, operations, count, tag, NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

/* Waits on the calling thread for one completion of a queue. */
static bool pluck(grpc_completion_queue *queue, void *tag) {
    return grpc_completion_queue_pluck(queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).success != 0;
}

/* --- unary -------------------------------------------------------------------------------------------------------- */

struct unary {
    const struct peer *peer;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice text;
};

static void unary_start(struct unary *unary, const struct peer *peer, grpc_completion_queue *queue) {
    *unary = (struct unary){.peer = peer, .request = encode(peer->request)};
    grpc_metadata_array_init(&unary->initial);
    grpc_metadata_array_init(&unary->trailing);
    unary->call = call_create(peer, queue, "/daybook.bench.Bench/Echo", false);
    const grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = unary->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &unary->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &unary->response},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &unary->trailing,
                                        .status = &unary->code,
                                        .status_details = &unary->text}},
    };
    start(unary->call, operations, sizeof operations / sizeof operations[0], unary);
}

static void unary_end(struct unary *unary) {
    if (unary->code != GRPC_STATUS_OK) meter_fail("unary call", "it has failed");
    (void)decode(unary->peer, unary->response);
    grpc_byte_buffer_destroy(unary->request);
    grpc_slice_unref(unary->text);
    grpc_metadata_array_destroy(&unary->initial);
    grpc_metadata_array_destroy(&unary->trailing);
    grpc_call_unref(unary->call);
}

struct caller {
    const struct peer *peer;
    unsigned lane;
    pthread_t thread;
};

static void queue_free(grpc_completion_queue *queue) {
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
}

static void *call_main(void *context) {
    const struct caller *caller = context;
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    while (!meter_is_over()) {
        struct unary unary;
        unary_start(&unary, caller->peer, queue);
        (void)pluck(queue, &unary);
        unary_end(&unary);
        meter_add(caller->lane, 1);
    }
    queue_free(queue);
    return NULL;
}

static void run_blocking(const struct peer *peer) {
    struct caller callers[METER_LANES_MAX];
    for (unsigned i = 0; i < peer->task->threads_count; i++) {
        callers[i] = (struct caller){.peer = peer, .lane = i};
        if (pthread_create(&callers[i].thread, NULL, call_main, &callers[i]) != 0) meter_fail("thread", "no memory");
    }
    for (unsigned i = 0; i < peer->task->threads_count; i++) (void)pthread_join(callers[i].thread, NULL);
}

static void run_future(const struct peer *peer) {
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    struct unary *calls = calloc(peer->task->in_flight, sizeof *calls);
    assert(calls != NULL);
    for (uint32_t i = 0; i < peer->task->in_flight; i++) unary_start(&calls[i], peer, queue);
    for (uint32_t open = peer->task->in_flight; open > 0;) {
        grpc_event event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct unary *unary = event.tag;
        unary_end(unary);
        meter_add(0, 1);
        if (meter_is_over())
            open--;
        else
            unary_start(unary, peer, queue);
    }
    free(calls);
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type != GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(queue);
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

struct stream {
    const struct peer *peer;
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice text;
};

/* Opens a stream; `request` is sent at once, with the client's end, when there is one. Takes it. */
static void stream_open(struct stream *stream, const struct peer *peer, const char *path, grpc_byte_buffer *request) {
    *stream = (struct stream){.peer = peer, .queue = grpc_completion_queue_create_for_pluck(NULL)};
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    stream->call = call_create(peer, stream->queue, path, true);
    const grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                            .data.recv_status_on_client = {.trailing_metadata = &stream->trailing,
                                                           .status = &stream->code,
                                                           .status_details = &stream->text}};
    start(stream->call, &status, 1, stream);
    const grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    start(stream->call, operations, request == NULL ? 1 : 3, &stream->call);
    (void)pluck(stream->queue, &stream->call);
    const grpc_op headers = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                             .data.recv_initial_metadata.recv_initial_metadata = &stream->initial};
    start(stream->call, &headers, 1, &stream->initial);
    if (request != NULL) grpc_byte_buffer_destroy(request);
}

static void stream_close(struct stream *stream) {
    (void)grpc_call_cancel(stream->call, NULL);
    (void)pluck(stream->queue, &stream->initial);
    (void)pluck(stream->queue, stream);
    grpc_slice_unref(stream->text);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_call_unref(stream->call);
    queue_free(stream->queue);
}

static uint64_t stream_read(struct stream *stream) {
    grpc_byte_buffer *message = NULL;
    const grpc_op operation = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &message};
    start(stream->call, &operation, 1, &message);
    if (!pluck(stream->queue, &message) || message == NULL) meter_fail("stream", "it is over");
    return decode(stream->peer, message);
}

/* `flags`: GRPC_WRITE_BUFFER_HINT when another message follows at once. */
static void stream_write(struct stream *stream, uint32_t flags) {
    grpc_byte_buffer *message = encode(stream->peer->request);
    const grpc_op operation = {.op = GRPC_OP_SEND_MESSAGE, .flags = flags, .data.send_message.send_message = message};
    start(stream->call, &operation, 1, &message);
    if (!pluck(stream->queue, &message)) meter_fail("stream", "it is over");
    grpc_byte_buffer_destroy(message);
}

static void run_pull(const struct peer *peer) {
    struct stream stream;
    stream_open(&stream, peer, "/daybook.bench.Bench/Pull", encode(peer->request));
    while (!meter_is_over()) {
        (void)stream_read(&stream);
        meter_add(0, 1);
    }
    stream_close(&stream);
}

static void run_push(const struct peer *peer) {
    struct stream stream;
    stream_open(&stream, peer, "/daybook.bench.Bench/Push", NULL);
    uint64_t count = 0;
    while (!meter_is_over()) {
        count++;
        stream_write(&stream, count % 32 == 0 ? 0 : GRPC_WRITE_BUFFER_HINT);
        meter_add(0, 1);
    }
    const grpc_op end = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    start(stream.call, &end, 1, &stream.call);
    (void)pluck(stream.queue, &stream.call);
    if (stream_read(&stream) != count) meter_fail("push", "messages were lost");
    stream_close(&stream);
}

static void run_talk(const struct peer *peer) {
    struct stream stream;
    stream_open(&stream, peer, "/daybook.bench.Bench/Talk", NULL);
    while (!meter_is_over()) {
        stream_write(&stream, 0);
        (void)stream_read(&stream);
        meter_add(0, 1);
    }
    stream_close(&stream);
}

void peer_run(const struct meter_task *task) {
    static const struct {
        const char *mode;
        void (*run)(const struct peer *peer);
    } modes[] = {
        {"blocking", run_blocking}, {"future", run_future}, {"pull", run_pull}, {"push", run_push}, {"talk", run_talk},
    };
    grpc_init();
    struct peer peer = {.task = task, .arena = upb_Arena_New()};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    peer.channel = grpc_channel_create(task->target, credentials, NULL);
    grpc_channel_credentials_release(credentials);
    daybook_bench_Message *request = daybook_bench_Message_new(peer.arena);
    daybook_bench_Message_set_payload(request, upb_StringView_FromDataAndSize(task->payload, task->payload_bytes));
    peer.request = request;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].mode, task->mode) == 0) modes[i].run(&peer);
    }
    grpc_channel_destroy(peer.channel);
    upb_Arena_Free(peer.arena);
    grpc_shutdown_blocking();
}
