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
    struct server_answer untaken;                /* listed while the answer is on its way */
    daybook_server_call_cancelled *on_cancelled; /* NULL: not watched */
    void *on_cancelled_context;
    size_t request_bytes;  /* what the call counts for in the server's load */
    bool is_half_complete; /* of a watched call: one of its two batches has completed */
    grpc_byte_buffer *response;
    daybook_server_call *parked_next;
    atomic_bool answered;
    _Alignas(16) unsigned char block[];
};

#define BLOCK_BYTES (DAYBOOK__SLOT_BYTES - sizeof(struct daybook_server_call))

#define CALL_OF(member, name)                                                                                          \
    ((daybook_server_call *)(void *)((char *)(member)-offsetof(struct daybook_server_call, name)))

/* --- What all unary calls together hold --------------------------------------------------------------------------- */

static void load_add(struct server_load *load, size_t request_bytes) {
    atomic_fetch_add_explicit(&load->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&load->bytes, request_bytes, memory_order_relaxed);
}

static void load_remove(struct server_load *load, size_t request_bytes) {
    atomic_fetch_sub_explicit(&load->calls, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&load->bytes, request_bytes, memory_order_relaxed);
}

/* With a call that has been added already. */
static bool is_overloaded(struct server_load *load) {
    const uint64_t calls = atomic_load_explicit(&load->calls, memory_order_relaxed);
    if (calls > load->calls_max) return true;
    return calls > 1 && atomic_load_explicit(&load->bytes, memory_order_relaxed) > load->bytes_max;
}

static void free_call(daybook_server_call *call) {
    daybook__server_answers_remove(&call->rpc.arrival.queue->answers, &call->untaken);
    load_remove(&call->rpc.arrival.queue->server->load, call->request_bytes);
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
    const size_t response_bytes = call->response == NULL ? 0 : grpc_byte_buffer_length(call->response);
    daybook__server_answers_add(&call->rpc.arrival.queue->answers, &call->untaken, call->rpc.arrival.call,
                                daybook_server_call_memory_bytes(call) + response_bytes);
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
    call->request_bytes = arrival->request == NULL ? 0 : grpc_byte_buffer_length(arrival->request);
    load_add(&arrival->queue->server->load, call->request_bytes);
    call->ended.complete = complete_answer;
    call->closed.complete = complete_close;
    call->answer.run = run_answer;
    call->response = NULL;
    call->on_cancelled = NULL;
    call->is_half_complete = false;
    call->untaken.is_listed = false;
    atomic_init(&call->answered, false);
    return call;
}

/* What nobody will read need not wait for the end of its call. */
static void drop_request(daybook_server_call *call) {
    if (call->rpc.arrival.request != NULL) grpc_byte_buffer_destroy(call->rpc.arrival.request);
    call->rpc.arrival.request = NULL;
}

/* google.rpc.Status: { code: 8, details: [Any of google.rpc.RetryInfo { retry_delay { nanos: 100000000 } }] }. */
static const char overload_details[] =
    "\x08\x08\x1a\x33\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x07\x0a\x05"
    "\x10\x80\xc2\xd7\x2f";

static void refuse_overloaded(daybook_server_call *call) {
    static const char message[] = "the server has as many calls as it may hold; retry later";
    atomic_fetch_add_explicit(&call->rpc.arrival.queue->server->load.refused_count, 1, memory_order_relaxed);
    drop_request(call);
    daybook__server_rpc_set_end(&call->rpc, DAYBOOK_RESOURCE_EXHAUSTED, message, sizeof message - 1, overload_details,
                                sizeof overload_details - 1);
    start_answer(call);
}

/* False: the call has its answer. Whoever asks for health must hear of it under any load, and holds nothing. */
static bool admit(daybook_server_call *call) {
    struct daybook_server *server = call->rpc.arrival.queue->server;
    const struct server_method *method = call->rpc.arrival.method;
    if (method >= server->methods + server->methods_added_count) return true;
    if (is_overloaded(&server->load)) {
        refuse_overloaded(call);
        return false;
    }
    if (server->admit == NULL || server->admit(server->admit_context, call, method->method, call->request_bytes)) {
        return true;
    }
    assert(atomic_load_explicit(&call->answered, memory_order_relaxed));
    drop_request(call);
    return false;
}

void daybook__server_call_start(const struct server_arrival *arrival) {
    daybook_server_call *call = new_call(arrival);
    if (call == NULL || !admit(call)) return;
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

uint64_t daybook_server_call_memory_bytes(const daybook_server_call *call) {
    return DAYBOOK__SLOT_BYTES + call->request_bytes + call->rpc.memory.taken_bytes;
}

uint64_t daybook_server_call_remaining_ms(const daybook_server_call *call) {
    return daybook__server_rpc_remaining_ms(&call->rpc);
}
