/* server_stream_receive.c: messages of a client that streams, one at a time. */
#include <assert.h>

#include "sdk/runtime/server_stream_private.h"

void daybook__server_stream_run_receive(struct server_command *command) {
    daybook_server_stream *stream = STREAM_OF(command, receive);
    grpc_op operation = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->incoming};
    daybook__loop_start(stream->rpc.arrival.call, &operation, 1, &stream->received);
}

/* Nothing is decoded after a message that was none. NULL: there is no message. */
static const void *decode_incoming(daybook_server_stream *stream, grpc_byte_buffer *incoming, upb_Arena *arena) {
    if (incoming == NULL || stream->request_fault != CODEC_OK) return NULL;
    const upb_MiniTable *table = stream->rpc.arrival.method->method->request;
    const void *request = NULL;
    stream->request_fault = stream->incoming_arena != NULL
                                ? daybook__codec_decode(incoming, table, arena, &request)
                                : daybook__codec_decode_alias(incoming, table, arena, &request);
    return request;
}

void daybook__server_stream_complete_receive(struct loop_operation *operation, bool ok) {
    daybook_server_stream *stream = STREAM_OF(operation, received);
    grpc_byte_buffer *incoming = stream->incoming;
    stream->incoming = NULL;
    upb_Arena *own = NULL;
    struct server_memory memory;
    if (stream->incoming_arena == NULL) {
        daybook__server_memory_init(&memory);
        daybook__server_memory_begin_decode(&memory, stream->rpc.arrival.queue->server);
        own = upb_Arena_Init(stream->message_block, DAYBOOK__MESSAGE_BLOCK_BYTES, &memory.alloc);
    }
    const void *request = NULL;
    if (ok) request = decode_incoming(stream, incoming, own != NULL ? own : stream->incoming_arena);
    if (own != NULL) daybook__server_memory_end_decode(&memory);
    atomic_store(&stream->receiving, false);
    stream->on_received(stream, request, stream->on_received_context);
    if (own != NULL) upb_Arena_Free(own);
    if (incoming != NULL) grpc_byte_buffer_destroy(incoming);
    daybook__server_stream_close_when_done(stream);
}

void daybook_server_stream_receive_into(daybook_server_stream *stream, upb_Arena *arena,
                                        daybook_server_stream_received *received, void *context) {
    assert(received != NULL && !atomic_load(&stream->finishing));
    bool receiving_before = atomic_exchange(&stream->receiving, true);
    assert(!receiving_before);
    stream->incoming_arena = arena;
    stream->on_received = received;
    stream->on_received_context = context;
    struct server_queue *queue = stream->rpc.arrival.queue;
    if (daybook__server_queue_is_inside(queue))
        daybook__server_stream_run_receive(&stream->receive);
    else
        daybook__server_queue_post(queue, stream->rpc.arrival.call, &stream->receive);
}

void daybook_server_stream_receive(daybook_server_stream *stream, daybook_server_stream_received *received,
                                   void *context) {
    daybook_server_stream_receive_into(stream, NULL, received, context);
}
