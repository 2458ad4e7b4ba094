/* stream_read.c: the receiving half of a stream; see stream.h.
 *
 * Messages wait in `ahead` until the reader takes them. While one waits that is large, or many, no further one is asked for,
 * which is how a reader that pauses makes the server pause. While they are few and small the client's thread asks for the
 * next as soon as it has one: a reader that keeps up does not wait for each of them. */
#include <assert.h>

#include <grpc/byte_buffer.h>

#include "sdk/runtime/codec.h"
#include "sdk/runtime/stream.h"
#include "sdk/runtime/wait.h"

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/* Starts what is counted already. */
static void receive(struct daybook_stream *stream, bool with_metadata) {
    grpc_op operations[2] = {{
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &stream->reads.incoming,
    }};
    if (with_metadata) operations[1] = daybook__exchange_metadata_operation(&stream->exchange);
    daybook__loop_start(stream->exchange.call, operations, with_metadata ? 2 : 1, &stream->reads.operation);
}

/* Whether the client's thread asks for one more at once. */
static bool may_go_on(const struct stream_reads *reads) {
    return reads->ahead_count == 0 ||
           (reads->ahead_count < DAYBOOK_STREAM_READS_MAX && reads->ahead_bytes < DAYBOOK_STREAM_READS_BYTES_MAX);
}

/* Whether the reader asks for one more. Later, so that it does not do so for every message of a server that is faster. */
static bool may_resume(const struct stream_reads *reads) {
    return reads->ahead_count == 0 || (reads->ahead_count <= DAYBOOK_STREAM_READS_MAX / 2 &&
                                       reads->ahead_bytes <= DAYBOOK_STREAM_READS_BYTES_MAX / 2);
}

static void receive_complete(struct loop_operation *operation, bool ok) {
    struct daybook_stream *stream =
        (struct daybook_stream *)((char *)operation - offsetof(struct daybook_stream, reads.operation));
    struct stream_reads *reads = &stream->reads;
    pthread_mutex_lock(&stream->mutex);
    assert(reads->receiving && reads->ahead_count < DAYBOOK_STREAM_READS_MAX);
    /* Where the client streams they have come by themselves. */
    if (!stream->initial_metadata_known && stream->writes == NULL) daybook__stream_note_initial_metadata(stream);
    if (reads->incoming != NULL) {
        reads->ahead[(reads->ahead_first + reads->ahead_count) % DAYBOOK_STREAM_READS_MAX] = reads->incoming;
        reads->ahead_count++;
        reads->ahead_bytes += reads->incoming->data.raw.slice_buffer.length;
    }
    if (!ok || reads->incoming == NULL) reads->drained = true;
    reads->incoming = NULL;
    reads->receiving = !reads->drained && !daybook__stream_is_over(stream) && may_go_on(reads);
    if (!reads->receiving) {
        pthread_cond_signal(&stream->readable);
        daybook__stream_operation_ends_unlock(stream);
        return;
    }
    /* The operation that has ended goes on as the next one, which keeps the stream. */
    pthread_mutex_unlock(&stream->mutex);
    receive(stream, false);
    pthread_cond_signal(&stream->readable);
}

void daybook__stream_reads_start(struct daybook_stream *stream) {
    stream->reads.operation.complete = receive_complete;
    stream->reads.receiving = true;
    daybook__stream_operation_begins(stream);
    receive(stream, stream->writes == NULL);
}

/* Takes the message that waits longest. The stream is locked. */
static grpc_byte_buffer *take_ahead(struct stream_reads *reads) {
    assert(reads->ahead_count > 0);
    grpc_byte_buffer *taken = reads->ahead[reads->ahead_first];
    reads->ahead_first = (reads->ahead_first + 1) % DAYBOOK_STREAM_READS_MAX;
    reads->ahead_count--;
    reads->ahead_bytes -= taken->data.raw.slice_buffer.length;
    return taken;
}

void daybook__stream_reads_deinit(struct stream_reads *reads) {
    while (reads->ahead_count > 0) grpc_byte_buffer_destroy(take_ahead(reads));
    if (reads->current != NULL) grpc_byte_buffer_destroy(reads->current);
    if (reads->arena != NULL) upb_Arena_Free(reads->arena);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* Looks for one of END, ERROR and MESSAGE, whose bytes are moved to `ret_buffer`; TIMEOUT: there is none yet. The stream is
 * locked; `ret_resume` says that a receive was counted and is to be started when it no longer is. */
static daybook_next look(struct daybook_stream *stream, grpc_byte_buffer **ret_buffer, bool *ret_resume) {
    struct stream_reads *reads = &stream->reads;
    const bool cancelled = stream->cancelled;
    if (!cancelled && reads->ahead_count > 0 && stream->initial_metadata_known) {
        *ret_buffer = take_ahead(reads);
        *ret_resume = !reads->receiving && !reads->drained && !daybook__stream_is_over(stream) && may_resume(reads);
        if (*ret_resume) {
            reads->receiving = true;
            daybook__stream_operation_begins(stream);
        }
        return DAYBOOK_NEXT_MESSAGE;
    }
    if (!cancelled && (!stream->status_known || reads->receiving || !stream->initial_metadata_known)) {
        return DAYBOOK_NEXT_TIMEOUT;
    }
    reads->over = true;
    reads->has_trailing_metadata = stream->status_known;
    if (cancelled)
        daybook_status_set(&reads->outcome, DAYBOOK_CANCELLED, "the stream was cancelled");
    else
        reads->outcome = stream->status;
    return reads->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
}

/* How long a reader waits; the clock is not looked at before it does. */
struct patience {
    uint32_t wait_ms;
    bool begun;
    struct wait_deadline deadline;
};

/* Waits for one of the four facts. */
static daybook_next wait_next(struct daybook_stream *stream, struct patience *patience, grpc_byte_buffer **ret_buffer) {
    bool resume = false;
    pthread_mutex_lock(&stream->mutex);
    daybook_next found = look(stream, ret_buffer, &resume);
    for (bool in_time = patience->wait_ms > 0; found == DAYBOOK_NEXT_TIMEOUT && in_time;) {
        assert(!daybook__loop_is_inside());
        if (!patience->begun) patience->deadline = daybook__wait_deadline(patience->wait_ms);
        patience->begun = true;
        in_time = daybook__condition_wait(&stream->readable, &stream->mutex, &patience->deadline);
        found = look(stream, ret_buffer, &resume);
    }
    pthread_mutex_unlock(&stream->mutex);
    if (resume) receive(stream, false);
    return found;
}

/* Forgets the message that was given out last. */
static void drop_current(struct stream_reads *reads) {
    if (reads->arena != NULL) upb_Arena_Free(reads->arena);
    if (reads->current != NULL) grpc_byte_buffer_destroy(reads->current);
    reads->arena = NULL;
    reads->current = NULL;
    reads->message = NULL;
}

/* Ends a stream whose server does not keep to the method: from now on it is INTERNAL. */
static void end_malformed(struct daybook_stream *stream, const char *text) {
    daybook__exchange_malformed(&stream->exchange, text, &stream->reads.outcome);
    stream->reads.over = true;
    stream->reads.has_trailing_metadata = false;
    daybook_stream_cancel(stream);
}

/* Decodes `current`. False: it is no message, and the stream is over. */
static bool decode_current(struct daybook_stream *stream) {
    struct stream_reads *reads = &stream->reads;
    reads->arena = upb_Arena_Init(reads->arena_memory, sizeof reads->arena_memory, &upb_alloc_global);
    codec_result result =
        daybook__codec_decode_alias(reads->current, stream->exchange.method->response, reads->arena, &reads->message);
    if (result != CODEC_OK) end_malformed(stream, daybook__codec_text(result));
    return result == CODEC_OK;
}

daybook_next daybook_stream_next(daybook_stream *stream, uint32_t wait_ms, const void **ret_message,
                                 daybook_status *ret_status) {
    struct stream_reads *reads = &stream->reads;
    struct patience patience = {.wait_ms = wait_ms};
    if (!reads->over) {
        drop_current(reads);
        daybook_next found = wait_next(stream, &patience, &reads->current);
        if (found == DAYBOOK_NEXT_TIMEOUT) return found;
        if (found == DAYBOOK_NEXT_MESSAGE && decode_current(stream)) {
            *ret_message = reads->message;
            return found;
        }
    }
    if (ret_status != NULL) *ret_status = reads->outcome;
    return reads->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
}

/* Waits for the response, and then for the status. False: it takes longer. */
static bool wait_finish(struct daybook_stream *stream, uint32_t wait_ms) {
    struct stream_reads *reads = &stream->reads;
    struct patience patience = {.wait_ms = wait_ms};
    while (!reads->over) {
        grpc_byte_buffer *received = NULL;
        daybook_next found = wait_next(stream, &patience, &received);
        if (found == DAYBOOK_NEXT_TIMEOUT) return false;
        if (found != DAYBOOK_NEXT_MESSAGE) {
            if (found == DAYBOOK_NEXT_END && reads->message == NULL) {
                daybook__exchange_malformed(&stream->exchange, "is missing, though the status is OK", &reads->outcome);
            }
        } else if (reads->message == NULL) {
            reads->current = received;
            if (!decode_current(stream)) reads->message = NULL;
        } else {
            grpc_byte_buffer_destroy(received);
            end_malformed(stream, "is followed by a second one");
        }
    }
    return true;
}

daybook_next daybook_stream_finish(daybook_stream *stream, uint32_t wait_ms, const void **ret_response,
                                   daybook_status *ret_status) {
    assert(stream->exchange.method->kind == DAYBOOK_METHOD_CLIENT_STREAMING);
    struct stream_reads *reads = &stream->reads;
    daybook_stream_writes_done(stream);
    if (!wait_finish(stream, wait_ms)) return DAYBOOK_NEXT_TIMEOUT;
    if (ret_status != NULL) *ret_status = reads->outcome;
    if (reads->outcome.code != DAYBOOK_OK) return DAYBOOK_NEXT_ERROR;
    *ret_response = reads->message;
    return DAYBOOK_NEXT_MESSAGE;
}
