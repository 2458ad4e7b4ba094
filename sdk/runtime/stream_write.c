/* stream_write.c: the sending half of a stream; see stream.h.
 *
 * Written messages wait in a ring. The first writer that finds nobody sending starts; then the client's thread sends one
 * after the other as they leave, and every one that has others behind it goes with a hint that lets gRPC gather them into
 * one packet: a message costs a fraction of a system call. */
#include <assert.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice_buffer.h>

#include "sdk/runtime/codec.h"
#include "sdk/runtime/stream.h"
#include "sdk/runtime/wait.h"

/* --- Sending ------------------------------------------------------------------------------------------------------ */

/* Whether a writer that waits is woken: when half of the window is free, not for each message that leaves. */
static bool is_half_empty(const struct stream_writes *writes) {
    return writes->count <= DAYBOOK_STREAM_WRITES_MAX / 2 && writes->bytes <= DAYBOOK_STREAM_WRITES_BYTES_MAX / 2;
}

/* Takes what was sent out of the window, and looks what there is to send. True: nothing, and the sender must end. The stream
 * is locked. */
static bool look(struct daybook_stream *stream, bool *ret_close) {
    struct stream_writes *writes = stream->writes;
    assert(writes->sending && writes->count >= writes->sent_count && writes->bytes >= writes->sent_bytes);
    writes->count -= writes->sent_count;
    writes->bytes -= writes->sent_bytes;
    writes->sent_count = 0;
    writes->sent_bytes = 0;
    if (writes->failed || daybook__stream_is_over(stream)) return true;
    writes->seen_count = writes->count < STREAM_WRITES_BATCH_MAX ? writes->count : STREAM_WRITES_BATCH_MAX;
    *ret_close = writes->done && !writes->done_sent && writes->count <= 1;
    if (*ret_close) writes->done_sent = true;
    return writes->seen_count == 0 && !*ret_close;
}

/* The operation that sends the first message of the queue. */
static grpc_op take_first(struct stream_writes *writes) {
    assert(writes->seen_count > 0);
    grpc_slice slice = writes->queue[writes->first];
    writes->first = (writes->first + 1) % DAYBOOK_STREAM_WRITES_MAX;
    writes->seen_count--;
    writes->sent_count++;
    writes->sent_bytes += GRPC_SLICE_LENGTH(slice);
    /* gRPC has taken the bytes of the message before out of it. */
    grpc_slice_buffer *outgoing = &writes->outgoing->data.raw.slice_buffer;
    grpc_slice_buffer_reset_and_unref(outgoing);
    grpc_slice_buffer_add(outgoing, slice);
    return (grpc_op){
        .op = GRPC_OP_SEND_MESSAGE,
        .flags = writes->seen_count > 0 ? GRPC_WRITE_BUFFER_HINT : 0,
        .data.send_message.send_message = writes->outgoing,
    };
}

/* Sends the next message, or the end of them, or ends the sender. Only the sender; the stream is not locked, and may be gone
 * afterwards. */
static void send_next(struct daybook_stream *stream) {
    struct stream_writes *writes = stream->writes;
    bool close = false;
    bool wake = false;
    /* Also before the last one is sent that was seen: whether it is the last decides about its hint. */
    if (writes->seen_count <= 1) {
        pthread_mutex_lock(&stream->mutex);
        const bool ends = look(stream, &close);
        wake = is_half_empty(writes);
        if (ends) {
            writes->sending = false;
            pthread_cond_signal(&stream->writable);
            daybook__stream_operation_ends_unlock(stream);
            return;
        }
        pthread_mutex_unlock(&stream->mutex);
    }
    grpc_op operations[2];
    size_t count = 0;
    if (writes->seen_count > 0) operations[count++] = take_first(writes);
    if (close) operations[count++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    if (wake) pthread_cond_signal(&stream->writable);
    daybook__loop_start(stream->exchange.call, operations, count, &writes->operation);
}

/* Begins to send if nobody does, and unlocks the stream. */
static void send_unlock(struct daybook_stream *stream) {
    const bool start = !stream->writes->sending;
    if (start) {
        stream->writes->sending = true;
        daybook__stream_operation_begins(stream);
    }
    pthread_mutex_unlock(&stream->mutex);
    if (start) send_next(stream);
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static bool has_room(const struct stream_writes *writes) {
    return writes->count < DAYBOOK_STREAM_WRITES_MAX && writes->bytes < DAYBOOK_STREAM_WRITES_BYTES_MAX;
}

/* Waits for room for a message. The stream is locked. */
static daybook_write wait_room(struct daybook_stream *stream, uint32_t wait_ms) {
    struct stream_writes *writes = stream->writes;
    struct wait_deadline deadline;
    for (bool in_time = true, waited = false;; waited = true) {
        if (writes->failed || daybook__stream_is_over(stream)) return DAYBOOK_WRITE_OVER;
        if (has_room(writes)) return DAYBOOK_WRITE_TAKEN;
        if (!in_time || wait_ms == 0) return DAYBOOK_WRITE_TIMEOUT;
        assert(!daybook__loop_is_inside());
        if (!waited) deadline = daybook__wait_deadline(wait_ms);
        in_time = daybook__condition_wait(&stream->writable, &stream->mutex, &deadline);
    }
}

daybook_write daybook_stream_write(daybook_stream *stream, const void *request, uint32_t wait_ms,
                                   daybook_status *ret_status) {
    struct stream_writes *writes = stream->writes;
    assert(writes != NULL);
    grpc_slice slice;
    codec_result result = daybook__codec_encode_slice(request, stream->exchange.method->request, &slice);
    if (result != CODEC_OK) {
        daybook__exchange_refused(&stream->exchange, result, ret_status);
        return DAYBOOK_WRITE_REFUSED;
    }
    pthread_mutex_lock(&stream->mutex);
    assert(!writes->done);
    daybook_write found = wait_room(stream, wait_ms);
    if (found != DAYBOOK_WRITE_TAKEN) {
        pthread_mutex_unlock(&stream->mutex);
        grpc_slice_unref(slice);
        return found;
    }
    writes->queue[writes->last] = slice;
    writes->last = (writes->last + 1) % DAYBOOK_STREAM_WRITES_MAX;
    writes->count++;
    writes->bytes += GRPC_SLICE_LENGTH(slice);
    send_unlock(stream);
    return DAYBOOK_WRITE_TAKEN;
}

void daybook_stream_writes_done(daybook_stream *stream) {
    struct stream_writes *writes = stream->writes;
    assert(writes != NULL);
    pthread_mutex_lock(&stream->mutex);
    const bool first = !writes->done;
    writes->done = true;
    if (first && !writes->failed && !daybook__stream_is_over(stream))
        send_unlock(stream);
    else
        pthread_mutex_unlock(&stream->mutex);
}

/* --- Completions and memory --------------------------------------------------------------------------------------- */

static void send_complete(struct loop_operation *operation, bool ok) {
    struct stream_writes *writes =
        (struct stream_writes *)((char *)operation - offsetof(struct stream_writes, operation));
    struct daybook_stream *stream = writes->stream;
    if (!ok) {
        pthread_mutex_lock(&stream->mutex);
        writes->failed = true;
        pthread_cond_signal(&stream->writable);
        pthread_mutex_unlock(&stream->mutex);
        writes->seen_count = 0;
    }
    send_next(stream);
}

struct stream_writes *daybook__stream_writes_new(struct daybook_stream *stream) {
    struct stream_writes *writes = calloc(1, sizeof *writes);
    if (writes == NULL) return NULL;
    writes->stream = stream;
    writes->operation.complete = send_complete;
    writes->outgoing = grpc_raw_byte_buffer_create(NULL, 0);
    return writes;
}

void daybook__stream_writes_free(struct stream_writes *writes) {
    if (writes == NULL) return;
    assert(!writes->sending);
    for (; writes->count > 0; writes->count--) {
        grpc_slice_unref(writes->queue[writes->first]);
        writes->first = (writes->first + 1) % DAYBOOK_STREAM_WRITES_MAX;
    }
    grpc_byte_buffer_destroy(writes->outgoing);
    free(writes);
}
