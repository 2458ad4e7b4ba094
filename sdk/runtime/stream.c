/* stream.c: how a stream begins and ends; see stream.h. */
#include "sdk/runtime/stream.h"

#include <assert.h>
#include <stdlib.h>

#include "sdk/runtime/metadata.h"

void daybook__stream_start(struct daybook_stream *stream, struct stream_operation *operation, const grpc_op *batch,
                           size_t batch_count) {
    assert(!operation->pending);
    operation->pending = true;
    daybook__loop_start(stream->exchange.call, batch, batch_count, &operation->operation);
}

bool daybook__stream_pluck(struct daybook_stream *stream, struct stream_operation *operation, gpr_timespec deadline,
                           bool *ret_ok) {
    assert(operation->pending);
    if (!daybook__pluck(stream->queue, &operation->operation, deadline, ret_ok)) return false;
    operation->pending = false;
    return true;
}

/* Frees a stream in which nothing is pending. */
static void stream_free(struct daybook_stream *stream) {
    daybook__stream_reads_deinit(stream);
    daybook__stream_writes_deinit(stream);
    daybook__pluck_close(stream->queue);
    free(stream);
    daybook__core_unref();
}

static void cancel_entry(struct client_entry *entry) {
    daybook_stream_cancel((struct daybook_stream *)((char *)entry - offsetof(struct daybook_stream, exchange.entry)));
}

/* Everything that is known when the stream begins goes in one batch, with the wait for the status. */
static void start(struct daybook_stream *stream) {
    struct exchange *exchange = &stream->exchange;
    grpc_op operations[4];
    size_t count = 0;
    operations[count++] = daybook__exchange_headers_operation(exchange);
    if (exchange->request != NULL) {
        operations[count++] =
            (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = exchange->request};
        operations[count++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    }
    operations[count++] = daybook__exchange_status_operation(exchange);
    daybook__stream_start(stream, &stream->ending, operations, count);
    const grpc_op heading = daybook__exchange_metadata_operation(exchange);
    daybook__stream_start(stream, &stream->heading, &heading, 1);
    daybook__stream_receive(stream);
}

daybook_stream *daybook_stream_open(daybook_client *client, const daybook_method *method, const void *request,
                                    const daybook_call_options *options, daybook_status *ret_status) {
    assert(method->kind != DAYBOOK_METHOD_UNARY);
    struct daybook_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a stream");
        return NULL;
    }
    /* The stream may outlive the client. */
    daybook__core_ref();
    stream->queue = daybook__pluck_open();
    if (!daybook__exchange_open(&stream->exchange, client, method, request, options, stream->queue, cancel_entry,
                                ret_status)) {
        stream_free(stream);
        return NULL;
    }
    start(stream);
    daybook_status_clear(ret_status);
    return stream;
}

const daybook_metadata *daybook_stream_initial_metadata(daybook_stream *stream) {
    const bool known = atomic_load_explicit(&stream->initial_metadata_known, memory_order_acquire);
    return known ? daybook__metadata_view(&stream->exchange.initial_metadata) : NULL;
}

const daybook_metadata *daybook_stream_trailing_metadata(daybook_stream *stream) {
    return stream->has_trailing_metadata ? daybook__metadata_view(&stream->exchange.trailing_metadata) : NULL;
}

void daybook_stream_cancel(daybook_stream *stream) {
    atomic_store_explicit(&stream->cancelled, true, memory_order_release);
    daybook__exchange_cancel(&stream->exchange);
}

daybook_stream *daybook_stream_close(daybook_stream *stream) {
    if (stream == NULL) return NULL;
    assert(!daybook__loop_is_inside());
    daybook_stream_cancel(stream);
    struct stream_operation *const operations[] = {&stream->heading, &stream->receiving, &stream->sending,
                                                   &stream->closing, &stream->ending};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        bool ok = false;
        const bool ended = !operations[i]->pending ||
                           daybook__stream_pluck(stream, operations[i], gpr_inf_future(GPR_CLOCK_MONOTONIC), &ok);
        assert(ended);
    }
    daybook__exchange_close(&stream->exchange);
    stream_free(stream);
    return NULL;
}
