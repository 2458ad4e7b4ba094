/* stream_read.c: the receiving half of a stream; see stream.h.
 *
 * Where the server alone streams, the next message is asked for as soon as one has come: one is received while the reader
 * looks at another. Where the client streams, too, what it says next goes first, and the next message is asked for when
 * somebody wants it.
 * Never is more than one received, which is how a reader that pauses makes the server pause. */
#include <assert.h>

#include <grpc/byte_buffer.h>

#include "sdk/runtime/codec.h"
#include "sdk/runtime/status.h"
#include "sdk/runtime/stream.h"

void daybook__stream_receive(struct daybook_stream *stream) {
    const grpc_op operation = {
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &stream->incoming,
    };
    daybook__stream_start(stream, &stream->receiving, &operation, 1);
}

/* Forgets the message that was given out last. */
static void drop_current(struct daybook_stream *stream) {
    if (stream->arena != NULL) upb_Arena_Free(stream->arena);
    if (stream->current != NULL) grpc_byte_buffer_destroy(stream->current);
    stream->arena = NULL;
    stream->current = NULL;
    stream->message = NULL;
}

void daybook__stream_reads_deinit(struct daybook_stream *stream) {
    drop_current(stream);
    if (stream->incoming != NULL) grpc_byte_buffer_destroy(stream->incoming);
}

/* Notes how the stream is over, now and ever after. */
static daybook_next end(struct daybook_stream *stream) {
    stream->over = true;
    return stream->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
}

static daybook_next end_cancelled(struct daybook_stream *stream) {
    daybook_status_set(&stream->outcome, DAYBOOK_CANCELLED, "the stream was cancelled");
    return end(stream);
}

/* Ends a stream whose server does not keep to the method: from now on it is INTERNAL. */
static daybook_next end_malformed(struct daybook_stream *stream, const char *text) {
    daybook__exchange_malformed(&stream->exchange, text, &stream->outcome);
    daybook_stream_cancel(stream);
    return end(stream);
}

/* Ends a stream with a message that cannot be decoded. */
static daybook_next end_undecoded(struct daybook_stream *stream, codec_result result) {
    daybook__exchange_undecoded(&stream->exchange, result, &stream->outcome);
    daybook_stream_cancel(stream);
    return end(stream);
}

static bool is_cancelled(const struct daybook_stream *stream) {
    return atomic_load_explicit(&stream->cancelled, memory_order_acquire);
}

/* Waits for the status, after the last message. */
static daybook_next wait_end(struct daybook_stream *stream, gpr_timespec deadline) {
    bool ok = false; /* A batch that receives the status always succeeds; the status tells the rest. */
    if (!daybook__stream_pluck(stream, &stream->ending, deadline, &ok)) return DAYBOOK_NEXT_TIMEOUT;
    daybook__exchange_status(&stream->exchange, &stream->outcome);
    daybook__exchange_fill_details(&stream->exchange);
    stream->has_trailing_metadata = true;
    return is_cancelled(stream) ? end_cancelled(stream) : end(stream);
}

/* Waits for one of the four facts; the bytes of a message are moved to `ret_buffer`. */
static daybook_next wait_next(struct daybook_stream *stream, gpr_timespec deadline, grpc_byte_buffer **ret_buffer) {
    if (is_cancelled(stream)) return end_cancelled(stream);
    bool ok = false;
    if (stream->heading.pending) {
        if (!daybook__stream_pluck(stream, &stream->heading, deadline, &ok)) return DAYBOOK_NEXT_TIMEOUT;
        atomic_store_explicit(&stream->initial_metadata_known, true, memory_order_release);
    }
    if (stream->drained) return wait_end(stream, deadline);
    if (!stream->receiving.pending) daybook__stream_receive(stream);
    if (!daybook__stream_pluck(stream, &stream->receiving, deadline, &ok)) return DAYBOOK_NEXT_TIMEOUT;
    if (is_cancelled(stream)) return end_cancelled(stream);
    if (!ok || stream->incoming == NULL) {
        stream->drained = true;
        return wait_end(stream, deadline);
    }
    *ret_buffer = stream->incoming;
    stream->incoming = NULL;
    if (!daybook__client_streams(stream->exchange.method)) daybook__stream_receive(stream);
    return DAYBOOK_NEXT_MESSAGE;
}

/* Decodes `current`. False: it is no message, and the stream is over. */
static bool decode_current(struct daybook_stream *stream) {
    stream->arena = upb_Arena_Init(stream->arena_memory, sizeof stream->arena_memory, &upb_alloc_global);
    codec_result result = daybook__codec_decode_alias(stream->current, stream->exchange.method->response, stream->arena,
                                                      &stream->message);
    if (result == CODEC_OK) return true;
    stream->message = NULL;
    (void)end_undecoded(stream, result);
    return false;
}

daybook_next daybook_stream_next(daybook_stream *stream, uint32_t wait_ms, const void **ret_message,
                                 daybook_status *ret_status) {
    assert(wait_ms == 0 || !daybook__loop_is_inside());
    if (!stream->over) {
        drop_current(stream);
        daybook_next found = wait_next(stream, daybook__pluck_deadline(wait_ms), &stream->current);
        if (found == DAYBOOK_NEXT_TIMEOUT) return found;
        if (found == DAYBOOK_NEXT_MESSAGE && decode_current(stream)) {
            *ret_message = stream->message;
            return found;
        }
    }
    daybook__status_copy(&stream->outcome, ret_status);
    return stream->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
}

/* Waits for the response, and then for the status. False: it takes longer. */
static bool wait_finish(struct daybook_stream *stream, gpr_timespec deadline) {
    while (!stream->over) {
        grpc_byte_buffer *received = NULL;
        daybook_next found = wait_next(stream, deadline, &received);
        if (found == DAYBOOK_NEXT_TIMEOUT) return false;
        if (found == DAYBOOK_NEXT_MESSAGE && stream->message == NULL) {
            stream->current = received;
            (void)decode_current(stream);
        } else if (found == DAYBOOK_NEXT_MESSAGE) {
            grpc_byte_buffer_destroy(received);
            (void)end_malformed(stream, "is followed by a second one");
        } else if (found == DAYBOOK_NEXT_END && stream->message == NULL) {
            (void)end_malformed(stream, "is missing, though the status is OK");
        }
    }
    return true;
}

daybook_next daybook_stream_finish(daybook_stream *stream, uint32_t wait_ms, const void **ret_response,
                                   daybook_status *ret_status) {
    assert(stream->exchange.method->kind == DAYBOOK_METHOD_CLIENT_STREAMING);
    assert(wait_ms == 0 || !daybook__loop_is_inside());
    daybook_stream_writes_done(stream);
    if (!wait_finish(stream, daybook__pluck_deadline(wait_ms))) return DAYBOOK_NEXT_TIMEOUT;
    daybook__status_copy(&stream->outcome, ret_status);
    if (stream->outcome.code != DAYBOOK_OK) return DAYBOOK_NEXT_ERROR;
    *ret_response = stream->message;
    return DAYBOOK_NEXT_MESSAGE;
}
