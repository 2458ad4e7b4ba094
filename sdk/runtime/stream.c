/* stream.c: the reading side of a server-streaming call; see daybook/stream.h.
 *
 * Two operations run beside each other: one sends the request and receives the status, and one at a time receives a
 * message. gRPC completes the first only when every message has been received or dropped, so nothing is pending any more
 * exactly when the stream is over:
 *
 *            open                  nothing is pending            gRPC's call is let go
 *   (new) --------> STREAM_RUNNING -----------------> STREAM_ENDING ----------------> STREAM_ENDED
 *
 * A received message waits in `ahead` until `next` takes it, which is also when the following one is asked for: one is
 * read ahead, never two. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "daybook/stream.h"
#include "sdk/runtime/codec.h"
#include "sdk/runtime/exchange.h"
#include "sdk/runtime/loop.h"
#include "sdk/runtime/wait.h"

typedef enum stream_state {
    STREAM_RUNNING,
    STREAM_ENDING,
    STREAM_ENDED,
} stream_state;

struct daybook_stream {
    struct exchange exchange;
    struct loop_operation exchange_operation;
    struct loop_operation message_operation;
    grpc_byte_buffer *incoming; /* gRPC's, while a message is being received */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    stream_state state;
    uint32_t operations_pending;
    bool receiving;
    bool drained; /* no message is left to receive */
    bool cancelled;
    bool status_known;
    daybook_status status;
    grpc_byte_buffer *ahead;

    /* The reader's own; no other thread touches them. */
    bool over; /* `next` has said END or ERROR, and says it ever after */
    daybook_status outcome;
    grpc_byte_buffer *current; /* what the message given out last points into */
    upb_Arena *arena;
};

/* One operation fewer is pending; it was the last when this returns true. The stream is locked. */
static bool operation_ended(struct daybook_stream *stream) {
    assert(stream->state == STREAM_RUNNING && stream->operations_pending > 0);
    stream->operations_pending--;
    if (stream->operations_pending == 0) stream->state = STREAM_ENDING;
    pthread_cond_broadcast(&stream->changed);
    return stream->state == STREAM_ENDING;
}

/* Lets go of gRPC's call and of the client. Once the stream is unlocked here, close may free it. */
static void stream_end(struct daybook_stream *stream) {
    daybook__exchange_close(&stream->exchange);
    pthread_mutex_lock(&stream->mutex);
    stream->state = STREAM_ENDED;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->mutex);
}

static void exchange_complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* A batch that receives the status always succeeds; the status tells the rest. */
    struct daybook_stream *stream =
        (struct daybook_stream *)((char *)operation - offsetof(struct daybook_stream, exchange_operation));
    pthread_mutex_lock(&stream->mutex);
    daybook__exchange_status(&stream->exchange, &stream->status);
    daybook__exchange_fill_details(&stream->exchange);
    stream->status_known = true;
    bool last = operation_ended(stream);
    pthread_mutex_unlock(&stream->mutex);
    if (last) stream_end(stream);
}

static void message_complete(struct loop_operation *operation, bool ok) {
    struct daybook_stream *stream =
        (struct daybook_stream *)((char *)operation - offsetof(struct daybook_stream, message_operation));
    pthread_mutex_lock(&stream->mutex);
    assert(stream->receiving && stream->ahead == NULL);
    stream->receiving = false;
    stream->ahead = stream->incoming;
    stream->incoming = NULL;
    if (!ok || stream->ahead == NULL) stream->drained = true;
    bool last = operation_ended(stream);
    pthread_mutex_unlock(&stream->mutex);
    if (last) stream_end(stream);
}

/* Asks for one more message. The stream is locked and its status not known, so gRPC's call is alive. */
static void receive(struct daybook_stream *stream) {
    assert(!stream->receiving && stream->ahead == NULL && !stream->status_known);
    stream->receiving = true;
    stream->operations_pending++;
    grpc_op operation = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->incoming};
    daybook__loop_start(stream->exchange.call, &operation, 1, &stream->message_operation);
}

static void start(struct daybook_stream *stream) {
    grpc_op operations[EXCHANGE_REQUEST_OPERATIONS + 1];
    daybook__exchange_request_operations(&stream->exchange, operations);
    operations[EXCHANGE_REQUEST_OPERATIONS] = daybook__exchange_status_operation(&stream->exchange);
    /* Locked, so that no completion finds the stream half started. */
    pthread_mutex_lock(&stream->mutex);
    stream->operations_pending++;
    daybook__loop_start(stream->exchange.call, operations, EXCHANGE_REQUEST_OPERATIONS + 1,
                        &stream->exchange_operation);
    receive(stream);
    pthread_mutex_unlock(&stream->mutex);
}

/* Frees a stream in which nothing is pending. */
static void stream_free(struct daybook_stream *stream) {
    if (stream->ahead != NULL) grpc_byte_buffer_destroy(stream->ahead);
    if (stream->current != NULL) grpc_byte_buffer_destroy(stream->current);
    if (stream->arena != NULL) upb_Arena_Free(stream->arena);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
    daybook__core_unref();
}

static void cancel_entry(struct client_entry *entry) {
    daybook_stream_cancel((struct daybook_stream *)((char *)entry - offsetof(struct daybook_stream, exchange.entry)));
}

daybook_stream *daybook_stream_open(daybook_client *client, const daybook_method *method, const void *request,
                                    const daybook_call_options *options, daybook_status *ret_status) {
    assert(method->kind == DAYBOOK_METHOD_SERVER_STREAMING);
    struct daybook_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a stream");
        return NULL;
    }
    /* The stream may outlive the client, with a message that is still gRPC's memory. */
    daybook__core_ref();
    pthread_mutex_init(&stream->mutex, NULL);
    daybook__condition_init(&stream->changed);
    stream->exchange_operation.complete = exchange_complete;
    stream->message_operation.complete = message_complete;
    if (!daybook__exchange_open(&stream->exchange, client, method, request, options, cancel_entry, ret_status)) {
        stream_free(stream);
        return NULL;
    }
    start(stream);
    daybook_status_clear(ret_status);
    return stream;
}

/* Says how the stream is over, now and ever after. */
static daybook_next say_over(struct daybook_stream *stream, daybook_status *ret_status) {
    assert(stream->over);
    if (ret_status != NULL) *ret_status = stream->outcome;
    return stream->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
}

/* Waits for one of the four facts; a message is moved to `current`. */
static daybook_next wait_next(struct daybook_stream *stream, uint32_t wait_ms) {
    struct wait_deadline deadline = daybook__wait_deadline(wait_ms);
    daybook_next found = DAYBOOK_NEXT_MESSAGE;
    pthread_mutex_lock(&stream->mutex);
    for (bool in_time = true;;) {
        if (stream->cancelled) {
            daybook_status_set(&stream->outcome, DAYBOOK_CANCELLED, "the stream was cancelled");
            found = DAYBOOK_NEXT_ERROR;
            break;
        }
        if (stream->ahead != NULL) {
            stream->current = stream->ahead;
            stream->ahead = NULL;
            if (!stream->drained && !stream->status_known) receive(stream);
            break;
        }
        if (stream->status_known && !stream->receiving) {
            stream->outcome = stream->status;
            found = stream->outcome.code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
            break;
        }
        if (!in_time) {
            found = DAYBOOK_NEXT_TIMEOUT;
            break;
        }
        assert(wait_ms == 0 || !daybook__loop_is_inside());
        in_time = daybook__condition_wait(&stream->changed, &stream->mutex, &deadline);
    }
    pthread_mutex_unlock(&stream->mutex);
    return found;
}

/* Forgets the message that was given out last. */
static void drop_current(struct daybook_stream *stream) {
    if (stream->current != NULL) grpc_byte_buffer_destroy(stream->current);
    if (stream->arena != NULL) upb_Arena_Free(stream->arena);
    stream->current = NULL;
    stream->arena = NULL;
}

/* Decodes `current`; a stream whose message cannot be decoded is cancelled. */
static bool decode_current(struct daybook_stream *stream, const void **ret_message) {
    stream->arena = upb_Arena_New();
    codec_result result = CODEC_NO_MEMORY;
    if (stream->arena != NULL) {
        result =
            daybook__codec_decode_alias(stream->current, stream->exchange.method->response, stream->arena, ret_message);
    }
    if (result == CODEC_OK) return true;
    daybook__exchange_malformed(&stream->exchange, daybook__codec_text(result), &stream->outcome);
    daybook_stream_cancel(stream);
    return false;
}

daybook_next daybook_stream_next(daybook_stream *stream, uint32_t wait_ms, const void **ret_message,
                                 daybook_status *ret_status) {
    if (stream->over) return say_over(stream, ret_status);
    drop_current(stream);
    daybook_next found = wait_next(stream, wait_ms);
    if (found == DAYBOOK_NEXT_TIMEOUT) return found;
    if (found == DAYBOOK_NEXT_MESSAGE && decode_current(stream, ret_message)) return found;
    stream->over = true;
    return say_over(stream, ret_status);
}

void daybook_stream_cancel(daybook_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    stream->cancelled = true;
    if (stream->state == STREAM_RUNNING) daybook__exchange_cancel(&stream->exchange);
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->mutex);
}

daybook_stream *daybook_stream_close(daybook_stream *stream) {
    if (stream == NULL) return NULL;
    assert(!daybook__loop_is_inside());
    daybook_stream_cancel(stream);
    pthread_mutex_lock(&stream->mutex);
    while (stream->state != STREAM_ENDED) {
        pthread_cond_wait(&stream->changed, &stream->mutex);
    }
    pthread_mutex_unlock(&stream->mutex);
    stream_free(stream);
    return NULL;
}
