/* stream.c: how a stream begins and ends; see stream.h. */
#include "sdk/runtime/stream.h"

#include <assert.h>
#include <stdlib.h>

#include "sdk/runtime/metadata.h"
#include "sdk/runtime/wait.h"

#define OWNER(operation, member)                                                                                       \
    ((struct daybook_stream *)((char *)(operation)-offsetof(struct daybook_stream, member)))

/* --- What is pending ---------------------------------------------------------------------------------------------- */

bool daybook__stream_is_over(const struct daybook_stream *stream) {
    return stream->cancelled || stream->status_known;
}

void daybook__stream_operation_begins(struct daybook_stream *stream) {
    assert(stream->state == STREAM_RUNNING && !stream->status_known);
    stream->operations_pending++;
}

void daybook__stream_operation_ends_unlock(struct daybook_stream *stream) {
    assert(stream->state == STREAM_RUNNING && stream->operations_pending > 0);
    stream->operations_pending--;
    const bool last = stream->operations_pending == 0;
    if (last) stream->state = STREAM_ENDING;
    pthread_mutex_unlock(&stream->mutex);
    if (!last) return;
    daybook__exchange_close(&stream->exchange);
    pthread_mutex_lock(&stream->mutex);
    stream->state = STREAM_ENDED;
    pthread_cond_broadcast(&stream->readable);
    /* Once the stream is unlocked here, close may free it. */
    pthread_mutex_unlock(&stream->mutex);
}

void daybook__stream_note_initial_metadata(struct daybook_stream *stream) {
    daybook__metadata_move(&stream->exchange.initial_metadata, &stream->initial_metadata);
    stream->initial_metadata_known = true;
}

static void opening_complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* Without metadata when the call has failed before any came. */
    struct daybook_stream *stream = OWNER(operation, opening);
    pthread_mutex_lock(&stream->mutex);
    daybook__stream_note_initial_metadata(stream);
    pthread_cond_broadcast(&stream->readable);
    daybook__stream_operation_ends_unlock(stream);
}

static void ending_complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* A batch that receives the status always succeeds; the status tells the rest. */
    struct daybook_stream *stream = OWNER(operation, ending);
    pthread_mutex_lock(&stream->mutex);
    daybook__exchange_status(&stream->exchange, &stream->status);
    daybook__exchange_fill_details(&stream->exchange);
    daybook__metadata_move(&stream->exchange.trailing_metadata, &stream->trailing_metadata);
    stream->status_known = true;
    pthread_cond_broadcast(&stream->readable);
    pthread_cond_broadcast(&stream->writable);
    daybook__stream_operation_ends_unlock(stream);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* Sends the request and waits for the status in one; the first message brings the initial metadata with it. */
static void start_with_request(struct daybook_stream *stream) {
    grpc_op operations[] = {
        daybook__exchange_headers_operation(&stream->exchange),
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = stream->exchange.request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        daybook__exchange_status_operation(&stream->exchange),
    };
    daybook__stream_operation_begins(stream);
    daybook__loop_start(stream->exchange.call, operations, sizeof operations / sizeof operations[0], &stream->ending);
}

/* Sends the headers at once; the server may answer with its own before it has seen a message. */
static void start_with_headers(struct daybook_stream *stream) {
    grpc_op opening[] = {
        daybook__exchange_headers_operation(&stream->exchange),
        daybook__exchange_metadata_operation(&stream->exchange),
    };
    grpc_op ending = daybook__exchange_status_operation(&stream->exchange);
    daybook__stream_operation_begins(stream);
    daybook__stream_operation_begins(stream);
    daybook__loop_start(stream->exchange.call, opening, sizeof opening / sizeof opening[0], &stream->opening);
    daybook__loop_start(stream->exchange.call, &ending, 1, &stream->ending);
}

/* Frees a stream in which nothing is pending. */
static void stream_free(struct daybook_stream *stream) {
    daybook__stream_reads_deinit(&stream->reads);
    daybook__stream_writes_free(stream->writes);
    daybook__metadata_free(&stream->initial_metadata);
    daybook__metadata_free(&stream->trailing_metadata);
    pthread_cond_destroy(&stream->readable);
    pthread_cond_destroy(&stream->writable);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
    daybook__core_unref();
}

static void cancel_entry(struct client_entry *entry) {
    daybook_stream_cancel(OWNER(entry, exchange.entry));
}

/* A stream of which nothing was started. NULL without memory. */
static struct daybook_stream *stream_new(const daybook_method *method) {
    struct daybook_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    /* The stream may outlive the client, with a message that is still gRPC's memory. */
    daybook__core_ref();
    pthread_mutex_init(&stream->mutex, NULL);
    daybook__condition_init(&stream->readable);
    daybook__condition_init(&stream->writable);
    stream->opening.complete = opening_complete;
    stream->ending.complete = ending_complete;
    if (!daybook__client_streams(method)) return stream;
    stream->writes = daybook__stream_writes_new(stream);
    if (stream->writes != NULL) return stream;
    stream_free(stream);
    return NULL;
}

daybook_stream *daybook_stream_open(daybook_client *client, const daybook_method *method, const void *request,
                                    const daybook_call_options *options, daybook_status *ret_status) {
    assert(method->kind != DAYBOOK_METHOD_UNARY);
    struct daybook_stream *stream = stream_new(method);
    if (stream == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a stream");
        return NULL;
    }
    if (!daybook__exchange_open(&stream->exchange, client, method, request, options, cancel_entry, ret_status)) {
        stream_free(stream);
        return NULL;
    }
    /* Locked, so that no completion finds the stream half started. */
    pthread_mutex_lock(&stream->mutex);
    if (stream->writes == NULL)
        start_with_request(stream);
    else
        start_with_headers(stream);
    daybook__stream_reads_start(stream);
    pthread_mutex_unlock(&stream->mutex);
    daybook_status_clear(ret_status);
    return stream;
}

/* --- Everything else ---------------------------------------------------------------------------------------------- */

const daybook_metadata *daybook_stream_initial_metadata(daybook_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    const bool known = stream->initial_metadata_known;
    pthread_mutex_unlock(&stream->mutex);
    return known ? daybook__metadata_view(&stream->initial_metadata) : NULL;
}

const daybook_metadata *daybook_stream_trailing_metadata(daybook_stream *stream) {
    return stream->reads.has_trailing_metadata ? daybook__metadata_view(&stream->trailing_metadata) : NULL;
}

void daybook_stream_cancel(daybook_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    stream->cancelled = true;
    if (stream->state == STREAM_RUNNING) daybook__exchange_cancel(&stream->exchange);
    pthread_cond_broadcast(&stream->readable);
    pthread_cond_broadcast(&stream->writable);
    pthread_mutex_unlock(&stream->mutex);
}

daybook_stream *daybook_stream_close(daybook_stream *stream) {
    if (stream == NULL) return NULL;
    assert(!daybook__loop_is_inside());
    daybook_stream_cancel(stream);
    pthread_mutex_lock(&stream->mutex);
    while (stream->state != STREAM_ENDED) {
        pthread_cond_wait(&stream->readable, &stream->mutex);
    }
    pthread_mutex_unlock(&stream->mutex);
    stream_free(stream);
    return NULL;
}
