/* server_call.c: one unary call: the request comes with the call, one batch answers and ends it.
 *
 *   arrived ──decode, dispatch──► with the handler ──reply or fail──► [command, from another thread]
 *                                                                        │
 *                     slot back ◄──batch complete── answering ◄──────────┘
 *
 * The batch also hears how the call has ended. Of a call that is watched, a batch of its own hears that, from the watch on;
 * the slot goes back when both have completed.
 */
#include "sdk/runtime/server_call.h"

#include <assert.h>
#include <string.h>

#include "sdk/runtime/server_context.h"

struct daybook_server_call {
    struct server_rpc rpc;
    struct loop_operation ended;
    struct loop_operation closed; /* of a watched call */
    struct server_command answer;
    daybook_server_call_cancelled *on_cancelled; /* NULL: not watched */
    void *on_cancelled_context;
    bool is_half_complete; /* of a watched call: one of its two batches has completed */
    grpc_byte_buffer *response;
    daybook_server_call *parked_next;
    atomic_bool answered;
    _Alignas(16) unsigned char block[];
};

#define BLOCK_BYTES (DAYBOOK__SLOT_BYTES - sizeof(struct daybook_server_call))

#define CALL_OF(member, name)                                                                                          \
    ((daybook_server_call *)(void *)((char *)(member)-offsetof(struct daybook_server_call, name)))

static void free_call(daybook_server_call *call) {
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    daybook__server_rpc_free(&call->rpc);
}

/* Of a watched call: frees it when its other batch has completed, too. */
static void complete_half(daybook_server_call *call) {
    if (call->is_half_complete)
        free_call(call);
    else
        call->is_half_complete = true;
}

static void complete_answer(struct loop_operation *operation, bool ok) {
    (void)ok; /* Whether the answer has left shows in the rpc's `cancelled`. */
    daybook_server_call *call = CALL_OF(operation, ended);
    if (call->on_cancelled == NULL)
        free_call(call);
    else
        complete_half(call);
}

/* A reply of another thread is carried out by this one, so the call is there until the callback has returned. */
static void complete_close(struct loop_operation *operation, bool ok) {
    assert(ok); /* gRPC reports this one always as a success. */
    daybook_server_call *call = CALL_OF(operation, closed);
    daybook__server_rpc_hear_close(&call->rpc);
    bool is_answered = atomic_load_explicit(&call->answered, memory_order_relaxed);
    if (call->rpc.cancelled != 0 && !is_answered) call->on_cancelled(call, call->on_cancelled_context);
    complete_half(call);
}

/* Everything that is left to do in one batch: it completes when the client has it all, or has gone. */
static void start_answer(daybook_server_call *call) {
    grpc_op operations[4];
    size_t count = 0;
    operations[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (call->rpc.headers.items != NULL) daybook__server_rpc_fill_headers(&call->rpc, &operations[0]);
    if (call->response != NULL) {
        operations[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->response};
    }
    operations[count++] = daybook__server_rpc_end_operation(&call->rpc);
    if (call->on_cancelled == NULL) operations[count++] = daybook__server_rpc_close_operation(&call->rpc);
    daybook__loop_start(call->rpc.arrival.call, operations, count, &call->ended);
}

static void run_answer(struct server_command *command) {
    start_answer(CALL_OF(command, answer));
}

static void answer(daybook_server_call *call) {
    struct server_queue *queue = call->rpc.arrival.queue;
    if (daybook__server_queue_is_inside(queue))
        start_answer(call);
    else
        daybook__server_queue_post(queue, call->rpc.arrival.call, &call->answer);
}

/* NULL without memory: the call is then cancelled, which reaches its client as the status that is given here. */
static daybook_server_call *new_call(const struct server_arrival *arrival) {
    daybook_server_call *call = daybook__server_queue_take_slot(arrival->queue);
    if (call == NULL) {
        daybook__server_rpc_drop(arrival);
        return NULL;
    }
    daybook__server_rpc_init(&call->rpc, arrival, call->block, BLOCK_BYTES);
    call->ended.complete = complete_answer;
    call->closed.complete = complete_close;
    call->answer.run = run_answer;
    call->response = NULL;
    call->on_cancelled = NULL;
    call->is_half_complete = false;
    atomic_init(&call->answered, false);
    return call;
}

void daybook__server_call_start(const struct server_arrival *arrival) {
    daybook_server_call *call = new_call(arrival);
    if (call == NULL) return;
    const void *request = NULL;
    if (!daybook__server_rpc_decode(&call->rpc, &request)) {
        start_answer(call);
        return;
    }
    const struct server_method *method = arrival->method;
    if (!method->method->dispatch_call(method->handlers, method->context, call, request)) {
        daybook__server_rpc_set_error(&call->rpc, DAYBOOK_UNIMPLEMENTED, "%s is not implemented", method->method->path);
        start_answer(call);
    }
}

void daybook__server_call_refuse(const struct server_arrival *arrival, const char *path, size_t path_size) {
    daybook_server_call *call = new_call(arrival);
    if (call == NULL) return;
    daybook__server_rpc_set_error(&call->rpc, DAYBOOK_UNIMPLEMENTED, "%.*s is not served here", (int)path_size, path);
    start_answer(call);
}

/* --- Calls that come while the server drains ---------------------------------------------------------------------- */

static void refuse_draining(daybook_server_call *call) {
    daybook__server_rpc_set_error(&call->rpc, DAYBOOK_UNAVAILABLE, "the server is draining");
    answer(call);
}

void daybook__server_call_park(const struct server_arrival *arrival) {
    daybook_server_call *call = new_call(arrival);
    if (call == NULL) return;
    struct daybook_server *server = arrival->queue->server;
    pthread_mutex_lock(&server->mutex);
    bool is_released = server->parking.is_released;
    if (!is_released) {
        call->parked_next = server->parking.calls;
        server->parking.calls = call;
        server->parking.count++;
    }
    pthread_mutex_unlock(&server->mutex);
    if (is_released) refuse_draining(call);
}

void daybook__server_call_release_parked(struct daybook_server *server) {
    pthread_mutex_lock(&server->mutex);
    server->parking.is_released = true;
    daybook_server_call *call = server->parking.calls;
    server->parking.calls = NULL;
    pthread_mutex_unlock(&server->mutex);
    while (call != NULL) {
        daybook_server_call *next = call->parked_next;
        refuse_draining(call);
        call = next;
    }
}

/* --- What handlers call ------------------------------------------------------------------------------------------- */

void daybook_server_call_reply(daybook_server_call *call, const void *response) {
    bool answered_before = atomic_exchange_explicit(&call->answered, true, memory_order_relaxed);
    assert(!answered_before);
    const daybook_method *method = call->rpc.arrival.method->method;
    codec_result result = daybook__codec_encode(response, method->response, &call->response);
    if (result != CODEC_OK) daybook__server_rpc_set_response_error(&call->rpc, "the response", result);
    answer(call);
}

void daybook_server_call_fail(daybook_server_call *call, daybook_code code, const char *message, const void *details,
                              size_t details_size) {
    assert(code != DAYBOOK_OK);
    bool answered_before = atomic_exchange_explicit(&call->answered, true, memory_order_relaxed);
    assert(!answered_before);
    daybook__server_rpc_set_end(&call->rpc, code, message, message == NULL ? 0 : strlen(message), details,
                                details_size);
    answer(call);
}

void daybook_server_call_watch(daybook_server_call *call, daybook_server_call_cancelled *cancelled, void *context) {
    assert(cancelled != NULL && call->on_cancelled == NULL && !atomic_load(&call->answered));
    assert(daybook__server_queue_is_inside(call->rpc.arrival.queue));
    call->on_cancelled = cancelled;
    call->on_cancelled_context = context;
    grpc_op operation = daybook__server_rpc_close_operation(&call->rpc);
    daybook__loop_start(call->rpc.arrival.call, &operation, 1, &call->closed);
}

daybook_server_context *daybook_server_call_context(daybook_server_call *call) {
    return daybook__server_context_of(&call->rpc);
}

upb_Arena *daybook_server_call_arena(daybook_server_call *call) {
    return call->rpc.arena;
}

uint64_t daybook_server_call_remaining_ms(const daybook_server_call *call) {
    return daybook__server_rpc_remaining_ms(&call->rpc);
}
