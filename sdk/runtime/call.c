/* call.c: one unary call as a future; see daybook/call.h.
 *
 *            start                the last attempt              done has returned
 *   (new) --------> CALL_RUNNING -----------------> CALL_FINISHING -------------> CALL_ENDED
 *                   |   |     ^                           ^                           ^
 *                   |   |     | the pause                 | its completion            |
 *                   |   v     | is over                   |                           |
 *                   |  CALL_PAUSING ------------> CALL_WAKING                         |
 *                   |          cancel, free, the client's close                       |
 *                   +-----------------------------------------------------------------+
 *                                       nothing could be sent
 *
 * Every attempt completes on one thread, that of its loop, which alone starts and stops the pause's timer; who ends a pause
 * from elsewhere posts an empty batch to it, the wake-up. That thread writes the status while the call is RUNNING or WAKING
 * and nobody reads it, and the response while it is FINISHING; neither changes again.
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
#include "sdk/runtime/options.h"
#include "sdk/runtime/retry.h"
#include "sdk/runtime/status.h"
#include "sdk/runtime/wait.h"

/* The first block of a call's arena: small responses need no other. */
#define RESPONSE_ARENA_BYTES 1024

#define PUSHBACK_KEY "grpc-retry-pushback-ms"

typedef enum call_state {
    CALL_RUNNING,
    CALL_PAUSING,
    CALL_WAKING,
    CALL_FINISHING,
    CALL_ENDED,
} call_state;

struct daybook_call {
    struct exchange exchange;
    struct loop_operation operation; /* an attempt */
    grpc_byte_buffer *response;

    struct retry retry;
    struct timer pause;
    struct loop_operation wake_up;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    call_state state;
    bool cancelled;
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

/* The call is locked, or nobody else knows it yet. */
static void move(struct daybook_call *call, call_state state) {
    static const unsigned allowed[] = {
        [CALL_RUNNING] = 1u << CALL_PAUSING | 1u << CALL_FINISHING | 1u << CALL_ENDED,
        [CALL_PAUSING] = 1u << CALL_RUNNING | 1u << CALL_WAKING,
        [CALL_WAKING] = 1u << CALL_FINISHING,
        [CALL_FINISHING] = 1u << CALL_ENDED,
        [CALL_ENDED] = 0,
    };
    assert((allowed[call->state] & 1u << state) != 0);
    call->state = state;
}

/* --- The end ------------------------------------------------------------------------------------------------------ */

static void response_drop(struct daybook_call *call) {
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    call->response = NULL;
}

/* Takes the response out of the exchange, which is over, when the status says that there is one. */
static void take_response(struct daybook_call *call) {
    struct exchange *exchange = &call->exchange;
    if (call->status.code == DAYBOOK_OK && call->response == NULL) {
        daybook__exchange_malformed(exchange, "is missing, though the status is OK", &call->status);
    } else if (call->status.code == DAYBOOK_OK) {
        codec_result result =
            daybook__codec_decode(call->response, exchange->method->response, call->arena, &call->message);
        if (result != CODEC_OK) daybook__exchange_malformed(exchange, daybook__codec_text(result), &call->status);
    }
    response_drop(call);
    daybook__metadata_move(&exchange->initial_metadata, &call->initial_metadata);
    daybook__metadata_move(&exchange->trailing_metadata, &call->trailing_metadata);
    daybook__exchange_close(exchange);
}

static void finish(struct daybook_call *call) {
    pthread_mutex_lock(&call->mutex);
    move(call, CALL_FINISHING);
    /* An owner that has freed the call has perhaps freed its details, too. */
    if (!call->abandoned) daybook__exchange_fill_details(&call->exchange);
    pthread_mutex_unlock(&call->mutex);

    take_response(call);

    pthread_mutex_lock(&call->mutex);
    if (call->done != NULL && !call->abandoned) {
        call->done_runs = true;
        call->done_thread = pthread_self();
        pthread_mutex_unlock(&call->mutex);
        call->done(call, call->done_context);
        pthread_mutex_lock(&call->mutex);
        call->done_runs = false;
    }
    move(call, CALL_ENDED);
    bool abandoned = call->abandoned;
    pthread_cond_broadcast(&call->changed);
    /* From here on an owner that has not abandoned the call may free it. */
    pthread_mutex_unlock(&call->mutex);
    if (abandoned) future_free(call);
}

/* --- Attempts ----------------------------------------------------------------------------------------------------- */

static void attempt(struct daybook_call *call) {
    call->retry.attempts_count++;
    grpc_op operations[EXCHANGE_REQUEST_OPERATIONS + 2];
    daybook__exchange_request_operations(&call->exchange, operations);
    operations[EXCHANGE_REQUEST_OPERATIONS] = (grpc_op){
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &call->response,
    };
    operations[EXCHANGE_REQUEST_OPERATIONS + 1] = daybook__exchange_status_operation(&call->exchange);
    daybook__loop_start(call->exchange.call, operations, EXCHANGE_REQUEST_OPERATIONS + 2, &call->operation);
}

/* Whether the call is made again, after a pause that begins here. Else the attempt was the last. */
static bool pause_begin(struct daybook_call *call) {
    struct retry_pushback pushback = {.kind = RETRY_PUSHBACK_NONE};
    const grpc_slice *trailer = daybook__exchange_trailer(&call->exchange, PUSHBACK_KEY);
    if (trailer != NULL) {
        pushback =
            daybook__retry_pushback_parse((const char *)GRPC_SLICE_START_PTR(*trailer), GRPC_SLICE_LENGTH(*trailer));
    }
    uint32_t pause_ms = 0;
    if (!daybook__retry_plan(&call->retry, &call->status, &pushback, daybook__exchange_left_ms(&call->exchange),
                             &pause_ms)) {
        return false;
    }
    pthread_mutex_lock(&call->mutex);
    const bool wanted = !call->cancelled && !call->abandoned;
    if (wanted) {
        move(call, CALL_PAUSING);
        daybook__loop_timer_start(&call->pause, pause_ms);
    }
    pthread_mutex_unlock(&call->mutex);
    return wanted;
}

static void pause_over(struct timer *timer) {
    struct daybook_call *call = (struct daybook_call *)((char *)timer - offsetof(struct daybook_call, pause));
    pthread_mutex_lock(&call->mutex);
    /* Who woke the call a moment before has posted the completion that ends it. */
    const bool woken = call->state == CALL_WAKING;
    if (!woken) {
        move(call, CALL_RUNNING);
        response_drop(call);
        daybook__exchange_renew(&call->exchange);
    }
    pthread_mutex_unlock(&call->mutex);
    if (!woken) attempt(call);
}

static void woken_up(struct loop_operation *operation, bool ok) {
    (void)ok;
    struct daybook_call *call = (struct daybook_call *)((char *)operation - offsetof(struct daybook_call, wake_up));
    daybook__loop_timer_stop(&call->pause);
    daybook_status_set(&call->status, DAYBOOK_CANCELLED, "cancelled before attempt %u", call->retry.attempts_count + 1);
    call->exchange.details = NULL; /* What the last attempt said is not why the call ends. */
    finish(call);
}

static void attempt_complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* A batch that receives the status always succeeds; the status tells the rest. */
    struct daybook_call *call = (struct daybook_call *)((char *)operation - offsetof(struct daybook_call, operation));
    daybook__exchange_status(&call->exchange, &call->status);
    if (call->status.code != DAYBOOK_OK && call->retry.is_safe && pause_begin(call)) return;
    finish(call);
}

/* Ends what goes on. The call is locked. */
static void stop(struct daybook_call *call) {
    if (call->state == CALL_RUNNING) {
        daybook__exchange_cancel(&call->exchange);
    } else if (call->state == CALL_PAUSING) {
        move(call, CALL_WAKING);
        daybook__loop_start(call->exchange.call, NULL, 0, &call->wake_up);
    }
}

static void call_cancel(struct daybook_call *call) {
    pthread_mutex_lock(&call->mutex);
    call->cancelled = true;
    stop(call);
    pthread_mutex_unlock(&call->mutex);
}

static void cancel_entry(struct client_entry *entry) {
    call_cancel((struct daybook_call *)((char *)entry - offsetof(struct daybook_call, exchange.entry)));
}

/* Whose options hold for retries, and whether any may be made. */
static bool retry_init(struct retry *retry, const daybook_client *client, const daybook_method *method,
                       const daybook_call_options *options, daybook_status *ret_status) {
    const bool has_own = options != NULL && options->retry != NULL;
    retry->options = has_own ? *options->retry : *daybook__client_retry(client);
    retry->is_safe =
        method->idempotency != DAYBOOK_IDEMPOTENCY_UNKNOWN || (options != NULL && options->idempotent != 0);
    if (has_own && !daybook__retry_options_resolve(&retry->options, ret_status)) return false;
    if (retry->options.attempts_max == 1) retry->is_safe = false;
    return true;
}

/* Initialises a zeroed call and starts it; when that fails the call has ended and its status says why. */
static void call_init(struct daybook_call *call, daybook_client *client, const daybook_method *method,
                      const void *request, const daybook_call_options *options) {
    assert(method->kind == DAYBOOK_METHOD_UNARY);
    pthread_mutex_init(&call->mutex, NULL);
    daybook__condition_init(&call->changed);
    call->operation.complete = attempt_complete;
    call->wake_up.complete = woken_up;
    call->pause.expire = pause_over;
    call->state = CALL_RUNNING;
    if (!retry_init(&call->retry, client, method, options, &call->status)) {
        move(call, CALL_ENDED);
        return;
    }
    if (!daybook__exchange_open(&call->exchange, client, method, request, options, cancel_entry, &call->status)) {
        move(call, CALL_ENDED);
        return;
    }
    if (call->retry.is_safe) {
        /* Clients whose calls fail at the same time must not come again at the same time. */
        call->retry.random = (uintptr_t)call ^ (uint64_t)call->exchange.deadline.tv_nsec;
        daybook__exchange_keep_request(&call->exchange);
    }
    attempt(call);
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

uint32_t daybook_call_attempts_count(const daybook_call *call) {
    assert_ended(call);
    return call->retry.attempts_count;
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
    stop(call);
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
