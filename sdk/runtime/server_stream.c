/* server_stream.c: streams of every kind: one message in flight each way, and one end.
 *
 * All of it happens on the queue's thread: send, receive and finish leave a command there when they are called on another
 * thread, and a post always. gRPC allows one operation of each kind in flight, so a stream has one command and one operation
 * of each.
 *
 *            finish, nothing being sent
 *   OPEN ─────────────────────────────────► ENDING ──the status has left──► ENDED ──nothing in flight──► CLOSED
 *    │ finish while a message is being sent   ▲                                                     (slot back)
 *    └──────────────► FINISHING ──it has left─┘
 *
 * Beside that, the client's end of the call (`over`) may come in any state: in OPEN it means that the client has gone,
 * which the handler hears as `cancelled`; later it is the normal close. What was asked of a stream that the client has
 * left fails by itself, so that a cancelled stream takes the same way. A reply is a finish whose batch carries one last
 * message.
 */
#include "sdk/runtime/server_stream.h"

#include <assert.h>
#include <string.h>

#include <grpc/slice.h>

#include "sdk/runtime/server_context.h"
#include "sdk/runtime/server_stream_private.h"

#define MAY_MOVE_TO(state) (1u << (state))

static const unsigned moves_allowed[STREAM_STATES_COUNT] = {
    [STREAM_OPEN] = MAY_MOVE_TO(STREAM_FINISHING) | MAY_MOVE_TO(STREAM_ENDING),
    [STREAM_FINISHING] = MAY_MOVE_TO(STREAM_ENDING),
    [STREAM_ENDING] = MAY_MOVE_TO(STREAM_ENDED),
    [STREAM_ENDED] = MAY_MOVE_TO(STREAM_CLOSED),
};

#define BLOCK_BYTES (DAYBOOK__SLOT_BYTES - sizeof(struct daybook_server_stream))

static void move(daybook_server_stream *stream, enum stream_state next) {
    assert((moves_allowed[stream->state] & MAY_MOVE_TO(next)) != 0);
    stream->state = next;
}

static void start_batch(daybook_server_stream *stream, const grpc_op *operations, size_t count,
                        struct loop_operation *operation) {
    daybook__loop_start(stream->rpc.arrival.call, operations, count, operation);
}

/* Adds the initial metadata to the first batch that sends. */
static size_t add_headers(daybook_server_stream *stream, grpc_op *operations, size_t count) {
    if (stream->headers_sent) return count;
    stream->headers_sent = true;
    daybook__server_rpc_close_headers(&stream->rpc);
    operations[count] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    daybook__server_rpc_fill_headers(&stream->rpc, &operations[count]);
    return count + 1;
}

static size_t add_outgoing(daybook_server_stream *stream, grpc_op *operations, size_t count) {
    operations[count] = (grpc_op){
        .op = GRPC_OP_SEND_MESSAGE,
        .flags = stream->outgoing_flags,
        .data.send_message.send_message = stream->outgoing,
    };
    return count + 1;
}

static void drop_outgoing(daybook_server_stream *stream) {
    if (stream->outgoing != NULL) grpc_byte_buffer_destroy(stream->outgoing);
    stream->outgoing = NULL;
    stream->outgoing_flags = 0;
}

void daybook__server_stream_close_when_done(daybook_server_stream *stream) {
    if (stream->state != STREAM_ENDED || !stream->is_over) return;
    if (atomic_load(&stream->sending) || atomic_load(&stream->receiving) || atomic_load(&stream->posting)) return;
    move(stream, STREAM_CLOSED);
    if (stream->events.closed != NULL) stream->events.closed(stream->events_context);
    daybook__server_rpc_free(&stream->rpc);
}

/* --- The end ------------------------------------------------------------------------------------------------------ */

static void set_response_error(daybook_server_stream *stream, codec_result fault) {
    daybook__server_rpc_set_response_error(&stream->rpc, "a response", fault);
}

/* What is still outgoing when nothing is being sent is the message of a reply. It goes with the end only where that is OK. */
static void start_end(daybook_server_stream *stream) {
    move(stream, STREAM_ENDING);
    if (stream->request_fault != CODEC_OK)
        daybook__server_rpc_set_codec_error(&stream->rpc, stream->request_fault);
    else if (stream->response_fault != CODEC_OK)
        set_response_error(stream, stream->response_fault);
    grpc_op operations[3];
    size_t count = add_headers(stream, operations, 0);
    if (stream->outgoing != NULL && stream->rpc.code == DAYBOOK_OK) count = add_outgoing(stream, operations, count);
    operations[count++] = daybook__server_rpc_end_operation(&stream->rpc);
    start_batch(stream, operations, count, &stream->ended);
}

static void run_finish(struct server_command *command) {
    daybook_server_stream *stream = STREAM_OF(command, finish);
    if (atomic_load(&stream->sending))
        move(stream, STREAM_FINISHING);
    else
        start_end(stream);
}

static void complete_end(struct loop_operation *operation, bool ok) {
    (void)ok; /* Whether the status has left shows in the rpc's `cancelled`. */
    daybook_server_stream *stream = STREAM_OF(operation, ended);
    drop_outgoing(stream);
    move(stream, STREAM_ENDED);
    daybook__server_stream_close_when_done(stream);
}

static void complete_over(struct loop_operation *operation, bool ok) {
    assert(ok); /* gRPC reports this one always as a success. */
    daybook_server_stream *stream = STREAM_OF(operation, over);
    stream->is_over = true;
    daybook__server_rpc_hear_close(&stream->rpc);
    if (stream->state == STREAM_OPEN && !atomic_load(&stream->finishing) && stream->events.cancelled != NULL) {
        stream->events.cancelled(stream, stream->events_context);
    }
    daybook__server_stream_close_when_done(stream);
}

/* From here on the handler may ask nothing more of the stream. */
static void begin_finish(daybook_server_stream *stream) {
    bool finished_before = atomic_exchange(&stream->finishing, true);
    assert(!finished_before);
}

static void finish(daybook_server_stream *stream) {
    struct server_queue *queue = stream->rpc.arrival.queue;
    if (daybook__server_queue_is_inside(queue))
        run_finish(&stream->finish);
    else
        daybook__server_queue_post(queue, stream->rpc.arrival.call, &stream->finish);
}

void daybook_server_stream_finish(daybook_server_stream *stream, daybook_code code, const char *message,
                                  const void *details, size_t details_size) {
    begin_finish(stream);
    daybook__server_rpc_set_end(&stream->rpc, code, message, message == NULL ? 0 : strlen(message), details,
                                details_size);
    finish(stream);
}

void daybook_server_stream_reply(daybook_server_stream *stream, const void *response) {
    begin_finish(stream);
    assert(!atomic_load(&stream->sending));
    codec_result result =
        daybook__codec_encode(response, stream->rpc.arrival.method->method->response, &stream->outgoing);
    if (result == CODEC_OK)
        daybook__server_rpc_set_end(&stream->rpc, DAYBOOK_OK, NULL, 0, NULL, 0);
    else
        set_response_error(stream, result);
    finish(stream);
}

/* A buffer of gRPC's around bytes that stay where they are. */
static grpc_byte_buffer *wrap(daybook_bytes encoded) {
    assert(encoded.release != NULL && encoded.size <= INT32_MAX);
    grpc_slice slice =
        grpc_slice_new_with_user_data((void *)encoded.data, encoded.size, encoded.release, encoded.context);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

void daybook_server_stream_reply_bytes(daybook_server_stream *stream, daybook_bytes encoded) {
    begin_finish(stream);
    assert(!atomic_load(&stream->sending));
    stream->outgoing = wrap(encoded);
    daybook__server_rpc_set_end(&stream->rpc, DAYBOOK_OK, NULL, 0, NULL, 0);
    finish(stream);
}

/* --- Messages to the client --------------------------------------------------------------------------------------- */

static void message_has_left(daybook_server_stream *stream, bool ok) {
    atomic_store(&stream->sending, false);
    stream->on_sent(stream, ok, stream->on_sent_context);
    if (stream->state == STREAM_FINISHING) start_end(stream);
    daybook__server_stream_close_when_done(stream);
}

static void run_send(struct server_command *command) {
    daybook_server_stream *stream = STREAM_OF(command, send);
    assert(stream->state == STREAM_OPEN || stream->state == STREAM_FINISHING);
    if (stream->outgoing == NULL) {
        stream->response_fault = stream->outgoing_result;
        message_has_left(stream, false);
        return;
    }
    grpc_op operations[2];
    size_t count = add_headers(stream, operations, 0);
    /* The headers complete when they are written alone: with a message that is held back they would wait for ever. */
    if (count > 0) stream->outgoing_flags = 0;
    count = add_outgoing(stream, operations, count);
    start_batch(stream, operations, count, &stream->sent);
}

static void complete_send(struct loop_operation *operation, bool ok) {
    daybook_server_stream *stream = STREAM_OF(operation, sent);
    drop_outgoing(stream);
    message_has_left(stream, ok);
}

/* A message that could not be encoded takes the way over the queue even on its thread: `sent` must not run inside the
 * call that it answers. */
static void send_outgoing(daybook_server_stream *stream) {
    struct server_queue *queue = stream->rpc.arrival.queue;
    if (daybook__server_queue_is_inside(queue) && stream->outgoing != NULL)
        run_send(&stream->send);
    else
        daybook__server_queue_post(queue, stream->rpc.arrival.call, &stream->send);
}

static void begin_send(daybook_server_stream *stream, daybook_server_stream_sent *sent, void *context) {
    assert(sent != NULL && !atomic_load(&stream->finishing));
    bool sending_before = atomic_exchange(&stream->sending, true);
    assert(!sending_before);
    daybook__server_rpc_close_headers(&stream->rpc);
    stream->on_sent = sent;
    stream->on_sent_context = context;
}

static void send_message(daybook_server_stream *stream, const void *response, uint32_t flags,
                         daybook_server_stream_sent *sent, void *context) {
    begin_send(stream, sent, context);
    stream->outgoing_flags = flags;
    stream->outgoing_result =
        daybook__codec_encode(response, stream->rpc.arrival.method->method->response, &stream->outgoing);
    send_outgoing(stream);
}

void daybook_server_stream_send(daybook_server_stream *stream, const void *response, daybook_server_stream_sent *sent,
                                void *context) {
    send_message(stream, response, 0, sent, context);
}

void daybook_server_stream_send_more(daybook_server_stream *stream, const void *response,
                                     daybook_server_stream_sent *sent, void *context) {
    send_message(stream, response, GRPC_WRITE_BUFFER_HINT, sent, context);
}

void daybook_server_stream_send_bytes(daybook_server_stream *stream, daybook_bytes encoded,
                                      daybook_server_stream_sent *sent, void *context) {
    begin_send(stream, sent, context);
    stream->outgoing = wrap(encoded);
    send_outgoing(stream);
}

/* --- Posts of other threads --------------------------------------------------------------------------------------- */

static void run_post(struct server_command *command) {
    daybook_server_stream *stream = STREAM_OF(command, post);
    daybook_server_stream_posted *posted = stream->on_posted;
    void *context = stream->on_posted_context;
    atomic_store(&stream->posting, false);
    posted(stream, context);
    daybook__server_stream_close_when_done(stream);
}

void daybook_server_stream_post(daybook_server_stream *stream, daybook_server_stream_posted *posted, void *context) {
    assert(posted != NULL && !atomic_load(&stream->finishing));
    bool posting_before = atomic_exchange(&stream->posting, true);
    assert(!posting_before);
    stream->on_posted = posted;
    stream->on_posted_context = context;
    daybook__server_queue_post(stream->rpc.arrival.queue, stream->rpc.arrival.call, &stream->post);
}

/* --- The beginning ------------------------------------------------------------------------------------------------ */

static bool client_streams(const daybook_method *method) {
    return method->kind == DAYBOOK_METHOD_CLIENT_STREAMING || method->kind == DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING;
}

static daybook_server_stream *new_stream(const struct server_arrival *arrival) {
    daybook_server_stream *stream = daybook__server_queue_take_slot(arrival->queue);
    if (stream == NULL) {
        daybook__server_rpc_drop(arrival);
        return NULL;
    }
    memset(stream, 0, offsetof(struct daybook_server_stream, message_block));
    daybook__server_rpc_init(&stream->rpc, arrival, stream->block, BLOCK_BYTES);
    stream->state = STREAM_OPEN;
    stream->send.run = run_send;
    stream->receive.run = daybook__server_stream_run_receive;
    stream->post.run = run_post;
    stream->finish.run = run_finish;
    stream->over.complete = complete_over;
    stream->sent.complete = complete_send;
    stream->received.complete = daybook__server_stream_complete_receive;
    stream->ended.complete = complete_end;
    return stream;
}

/* Asks for the client's end, when the handler has returned. A client that streams gets the headers then, as some libraries
 * hold back its messages until it has them; where the server streams alone they travel with its first message. */
static void start_over(daybook_server_stream *stream) {
    grpc_op operations[2] = {daybook__server_rpc_close_operation(&stream->rpc)};
    size_t count = 1;
    if (client_streams(stream->rpc.arrival.method->method)) count = add_headers(stream, operations, count);
    start_batch(stream, operations, count, &stream->over);
}

static void end_by_runtime(daybook_server_stream *stream) {
    atomic_store(&stream->finishing, true);
    start_end(stream);
}

static void run_handler(daybook_server_stream *stream) {
    const struct server_method *method = stream->rpc.arrival.method;
    const void *request = NULL;
    if (!client_streams(method->method) && !daybook__server_rpc_decode(&stream->rpc, &request)) {
        end_by_runtime(stream);
        return;
    }
    stream->is_starting = true;
    bool is_implemented = method->method->dispatch_stream(method->handlers, method->context, stream, request);
    stream->is_starting = false;
    if (is_implemented) return;
    daybook__server_rpc_set_error(&stream->rpc, DAYBOOK_UNIMPLEMENTED, "%s is not implemented", method->method->path);
    end_by_runtime(stream);
}

/* The stream is there until its client's end has been heard, whatever the handler does. */
void daybook__server_stream_start(const struct server_arrival *arrival) {
    daybook_server_stream *stream = new_stream(arrival);
    if (stream == NULL) return;
    run_handler(stream);
    start_over(stream);
}

void daybook_server_stream_watch(daybook_server_stream *stream, const daybook_server_stream_events *events,
                                 void *context) {
    assert(stream->is_starting && daybook__server_queue_is_inside(stream->rpc.arrival.queue));
    assert(stream->events.cancelled == NULL && stream->events.closed == NULL);
    stream->events = *events;
    stream->events_context = context;
}

daybook_server_context *daybook_server_stream_context(daybook_server_stream *stream) {
    return daybook__server_context_of(&stream->rpc);
}

upb_Arena *daybook_server_stream_arena(daybook_server_stream *stream) {
    return stream->rpc.arena;
}

uint64_t daybook_server_stream_remaining_ms(const daybook_server_stream *stream) {
    return daybook__server_rpc_remaining_ms(&stream->rpc);
}
