/* call.c: one unary call as a future; see daybook/call.h.
 *
 *            start                 completion                    done has returned
 *   (new) --------> CALL_RUNNING -------------> CALL_FINISHING -------------------> CALL_ENDED
 *     |                                                                                 ^
 *     +---------------------------------------------------------------------------------+  nothing could be sent
 *
 * The status and the response are written while FINISHING, by the one thread that runs the completion, and never again.
 * A call that its owner frees early is freed by the completion; otherwise by the owner. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/call.h"
#include "sdk/runtime/codec.h"
#include "sdk/runtime/exchange.h"
#include "sdk/runtime/loop.h"
#include "sdk/runtime/metadata.h"
#include "sdk/runtime/status.h"
#include "sdk/runtime/wait.h"

/* The first block of a call's arena: small responses need no other. */
#define RESPONSE_ARENA_BYTES 1024

typedef enum call_state {
    CALL_RUNNING,
    CALL_FINISHING,
    CALL_ENDED,
} call_state;

struct daybook_call {
    struct exchange exchange;
    struct loop_operation operation;
    grpc_byte_buffer *response;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    call_state state;
    bool abandoned; /* freed by its owner before it ended */
    daybook_call_done *done;
    void *done_context;
    bool done_runs;
    pthread_t done_thread; /* the thread of `done`, while it runs */

    daybook_status status;
    const void *message;
    upb_Arena *arena;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
};

/* A call with an arena of its own, as futures are. */
struct future {
    struct daybook_call call;
    char memory[RESPONSE_ARENA_BYTES] __attribute__((aligned(16)));
};

static void call_deinit(struct daybook_call *call) {
    daybook__metadata_free(&call->initial_metadata);
    daybook__metadata_free(&call->trailing_metadata);
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->mutex);
}

static void future_free(struct daybook_call *call) {
    call_deinit(call);
    upb_Arena_Free(call->arena);
    free(call);
}

/* Whether the calling thread is inside the call's `done`. The call is locked. */
static bool is_done_thread(const struct daybook_call *call) {
    return call->done_runs && pthread_equal(call->done_thread, pthread_self());
}

/* Takes the outcome out of the exchange, which is over. */
static void take_outcome(struct daybook_call *call) {
    struct exchange *exchange = &call->exchange;
    daybook__exchange_status(exchange, &call->status);
    if (call->status.code == DAYBOOK_OK && call->response == NULL) {
        daybook__exchange_malformed(exchange, "is missing, though the status is OK", &call->status);
    } else if (call->status.code == DAYBOOK_OK) {
        codec_result result =
            daybook__codec_decode(call->response, exchange->method->response, call->arena, &call->message);
        if (result != CODEC_OK) daybook__exchange_malformed(exchange, daybook__codec_text(result), &call->status);
    }
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    call->response = NULL;
    daybook__metadata_move(&exchange->initial_metadata, &call->initial_metadata);
    daybook__metadata_move(&exchange->trailing_metadata, &call->trailing_metadata);
    daybook__exchange_close(exchange);
}

static void complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* A batch that receives the status always succeeds; the status tells the rest. */
    struct daybook_call *call = (struct daybook_call *)((char *)operation - offsetof(struct daybook_call, operation));
    pthread_mutex_lock(&call->mutex);
    assert(call->state == CALL_RUNNING);
    call->state = CALL_FINISHING;
    /* An owner that has freed the call has perhaps freed its details, too. */
    if (!call->abandoned) daybook__exchange_fill_details(&call->exchange);
    pthread_mutex_unlock(&call->mutex);

    take_outcome(call);

    pthread_mutex_lock(&call->mutex);
    if (call->done != NULL && !call->abandoned) {
        call->done_runs = true;
        call->done_thread = pthread_self();
        pthread_mutex_unlock(&call->mutex);
        call->done(call, call->done_context);
        pthread_mutex_lock(&call->mutex);
        call->done_runs = false;
    }
    call->state = CALL_ENDED;
    bool abandoned = call->abandoned;
    pthread_cond_broadcast(&call->changed);
    /* From here on an owner that has not abandoned the call may free it. */
    pthread_mutex_unlock(&call->mutex);
    if (abandoned) future_free(call);
}

static void call_cancel(struct daybook_call *call) {
    pthread_mutex_lock(&call->mutex);
    if (call->state == CALL_RUNNING) daybook__exchange_cancel(&call->exchange);
    pthread_mutex_unlock(&call->mutex);
}

static void cancel_entry(struct client_entry *entry) {
    call_cancel((struct daybook_call *)((char *)entry - offsetof(struct daybook_call, exchange.entry)));
}

/* Initialises a zeroed call and starts it; when that fails the call has ended and its status says why. */
static void call_init(struct daybook_call *call, daybook_client *client, const daybook_method *method,
                      const void *request, const daybook_call_options *options) {
    assert(method->kind == DAYBOOK_METHOD_UNARY);
    pthread_mutex_init(&call->mutex, NULL);
    daybook__condition_init(&call->changed);
    call->operation.complete = complete;
    call->state = CALL_RUNNING;
    if (!daybook__exchange_open(&call->exchange, client, method, request, options, cancel_entry, &call->status)) {
        call->state = CALL_ENDED;
        return;
    }
    grpc_op operations[EXCHANGE_REQUEST_OPERATIONS + 2];
    daybook__exchange_request_operations(&call->exchange, operations);
    operations[EXCHANGE_REQUEST_OPERATIONS] = (grpc_op){
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &call->response,
    };
    operations[EXCHANGE_REQUEST_OPERATIONS + 1] = daybook__exchange_status_operation(&call->exchange);
    daybook__loop_start(call->exchange.call, operations, EXCHANGE_REQUEST_OPERATIONS + 2, &call->operation);
}

daybook_call *daybook_call_start(daybook_client *client, const daybook_method *method, const void *request,
                                 const daybook_call_options *options) {
    struct future *future = calloc(1, sizeof *future);
    if (future == NULL) return NULL;
    future->call.arena = upb_Arena_Init(future->memory, sizeof future->memory, &upb_alloc_global);
    call_init(&future->call, client, method, request, options);
    return &future->call;
}

bool daybook_call_wait(daybook_call *call, uint32_t wait_ms) {
    struct wait_deadline deadline = daybook__wait_deadline(wait_ms);
    pthread_mutex_lock(&call->mutex);
    bool in_time = true;
    while (call->state != CALL_ENDED && !is_done_thread(call) && in_time) {
        assert(wait_ms == 0 || !daybook__loop_is_inside());
        in_time = daybook__condition_wait(&call->changed, &call->mutex, &deadline);
    }
    bool ended = call->state == CALL_ENDED || is_done_thread(call);
    pthread_mutex_unlock(&call->mutex);
    return ended;
}

void daybook_call_on_done(daybook_call *call, daybook_call_done *done, void *context) {
    assert(done != NULL);
    pthread_mutex_lock(&call->mutex);
    assert(call->done == NULL);
    call->done = done;
    call->done_context = context;
    bool ended = call->state == CALL_ENDED;
    pthread_mutex_unlock(&call->mutex);
    if (ended) done(call, context);
}

void daybook_call_cancel(daybook_call *call) {
    call_cancel(call);
}

/* Asserts that the call has ended, or is about to and tells its `done`. */
static void assert_ended(const daybook_call *call) {
    pthread_mutex_t *mutex = (pthread_mutex_t *)&call->mutex;
    pthread_mutex_lock(mutex);
    assert(call->state == CALL_ENDED || is_done_thread(call));
    pthread_mutex_unlock(mutex);
}

const daybook_status *daybook_call_status(const daybook_call *call) {
    assert_ended(call);
    return &call->status;
}

const void *daybook_call_result(const daybook_call *call) {
    assert_ended(call);
    return call->message;
}

const daybook_metadata *daybook_call_initial_metadata(const daybook_call *call) {
    assert_ended(call);
    return daybook__metadata_view(&call->initial_metadata);
}

const daybook_metadata *daybook_call_trailing_metadata(const daybook_call *call) {
    assert_ended(call);
    return daybook__metadata_view(&call->trailing_metadata);
}

daybook_call *daybook_call_free(daybook_call *call) {
    if (call == NULL) return NULL;
    pthread_mutex_lock(&call->mutex);
    /* A `done` that runs on another thread is let return, so that none runs after this. */
    while (call->done_runs && !is_done_thread(call)) {
        pthread_cond_wait(&call->changed, &call->mutex);
    }
    bool ended = call->state == CALL_ENDED;
    call->abandoned = true;
    if (call->state == CALL_RUNNING) daybook__exchange_cancel(&call->exchange);
    pthread_mutex_unlock(&call->mutex);
    if (ended) future_free(call);
    return NULL;
}

bool daybook_call_unary(daybook_client *client, const daybook_method *method, const void *request,
                        const daybook_call_options *options, upb_Arena *arena, const void **ret_response,
                        daybook_status *ret_status) {
    assert(!daybook__loop_is_inside());
    struct daybook_call call = {.arena = arena};
    call_init(&call, client, method, request, options);
    bool ended = daybook_call_wait(&call, DAYBOOK_TIMEOUT_NONE);
    assert(ended);
    bool ok = call.status.code == DAYBOOK_OK;
    if (ok) *ret_response = call.message;
    daybook__status_copy(&call.status, ret_status);
    call_deinit(&call);
    return ok;
}
