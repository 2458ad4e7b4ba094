/* stream_write.c: the sending half of a stream; see stream.h.
 *
 * A message is gRPC's as soon as it is written; the next one waits until gRPC has put it into its buffer for the connection,
 * which is at once unless the server does not read. */
#include <assert.h>

#include <grpc/byte_buffer.h>

#include "sdk/runtime/codec.h"
#include "sdk/runtime/stream.h"

static void outgoing_drop(struct daybook_stream *stream) {
    if (stream->outgoing != NULL) grpc_byte_buffer_destroy(stream->outgoing);
    stream->outgoing = NULL;
}

void daybook__stream_writes_deinit(struct daybook_stream *stream) {
    outgoing_drop(stream);
}

/* Waits until the message that is being sent, if any, has left. False: it takes longer. */
static bool wait_sent(struct daybook_stream *stream, uint32_t wait_ms) {
    if (!stream->sending.pending) return true;
    bool ok = false;
    if (!daybook__stream_pluck(stream, &stream->sending, daybook__pluck_deadline(wait_ms), &ok)) return false;
    outgoing_drop(stream);
    if (!ok) stream->writes_failed = true;
    return true;
}

/* Waits until the message before this one has left. */
static daybook_write wait_room(struct daybook_stream *stream, uint32_t wait_ms) {
    if (!wait_sent(stream, wait_ms)) return DAYBOOK_WRITE_TIMEOUT;
    const bool cancelled = atomic_load_explicit(&stream->cancelled, memory_order_acquire);
    return stream->writes_failed || cancelled ? DAYBOOK_WRITE_OVER : DAYBOOK_WRITE_TAKEN;
}

static daybook_write write_one(struct daybook_stream *stream, const void *request, uint32_t wait_ms, uint32_t flags,
                               daybook_status *ret_status) {
    assert(daybook__client_streams(stream->exchange.method) && !stream->closing.pending);
    assert(wait_ms == 0 || !daybook__loop_is_inside());
    const daybook_write room = wait_room(stream, wait_ms);
    if (room != DAYBOOK_WRITE_TAKEN) return room;
    codec_result result = daybook__codec_encode(request, stream->exchange.method->request, &stream->outgoing);
    if (result != CODEC_OK) {
        daybook__exchange_refused(&stream->exchange, result, ret_status);
        return DAYBOOK_WRITE_REFUSED;
    }
    const grpc_op operation = {
        .op = GRPC_OP_SEND_MESSAGE,
        .flags = flags,
        .data.send_message.send_message = stream->outgoing,
    };
    daybook__stream_start(stream, &stream->sending, &operation, 1);
    /* Most often it has left already; looking now, while it travels, costs nobody time. */
    (void)wait_sent(stream, 0);
    return DAYBOOK_WRITE_TAKEN;
}

daybook_write daybook_stream_write(daybook_stream *stream, const void *request, uint32_t wait_ms,
                                   daybook_status *ret_status) {
    return write_one(stream, request, wait_ms, 0, ret_status);
}

daybook_write daybook_stream_write_more(daybook_stream *stream, const void *request, uint32_t wait_ms,
                                        daybook_status *ret_status) {
    return write_one(stream, request, wait_ms, GRPC_WRITE_BUFFER_HINT, ret_status);
}

void daybook_stream_writes_done(daybook_stream *stream) {
    assert(daybook__client_streams(stream->exchange.method));
    if (stream->closing.pending || stream->writes_failed) return;
    /* After a message that still waits for the server gRPC keeps the order. */
    const grpc_op operation = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    daybook__stream_start(stream, &stream->closing, &operation, 1);
}
