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
#include "sdk/base/clock.h"
#include "sdk/runtime/attempt.h"
#include "sdk/runtime/loop.h"
#include "sdk/runtime/metadata.h"

/* The first block of a call's arena: small responses need no other. */
#define RESPONSE_ARENA_BYTES 1024

typedef enum call_state {
    CALL_RUNNING,
    CALL_PAUSING,
    CALL_WAKING,
    CALL_FINISHING,
    CALL_ENDED,
} call_state;

struct daybook_call {
    struct attempt attempt;
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

    const void *message;
    upb_Arena *arena;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;

    /* What follows is large and not set before it is used: most calls need little of it. */
    daybook_status status;
    char arena_memory[RESPONSE_ARENA_BYTES] __attribute__((aligned(16)));
};

static void call_free(struct daybook_call *call) {
    daybook__metadata_free(&call->initial_metadata);
    daybook__metadata_free(&call->trailing_metadata);
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->mutex);
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

/* Takes everything out of the exchange, which is over. */
static void take_outcome(struct daybook_call *call) {
    struct exchange *exchange = &call->attempt.exchange;
    daybook__attempt_take_response(&call->attempt, call->arena, &call->status, &call->message);
    daybook__metadata_move(&exchange->initial_metadata, &call->initial_metadata);
    daybook__metadata_move(&exchange->trailing_metadata, &call->trailing_metadata);
    daybook__exchange_close(exchange);
}

static void finish(struct daybook_call *call) {
    pthread_mutex_lock(&call->mutex);
    move(call, CALL_FINISHING);
    /* An owner that has freed the call has perhaps freed its details, too. */
    if (!call->abandoned) daybook__exchange_fill_details(&call->attempt.exchange);
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
    move(call, CALL_ENDED);
    bool abandoned = call->abandoned;
    pthread_cond_broadcast(&call->changed);
    /* From here on an owner that has not abandoned the call may free it. */
    pthread_mutex_unlock(&call->mutex);
    if (abandoned) call_free(call);
}

/* --- Attempts ----------------------------------------------------------------------------------------------------- */

/* Whether the call is made again, after a pause that begins here. Else the attempt was the last. */
static bool pause_begin(struct daybook_call *call) {
    uint32_t pause_ms = 0;
    if (!daybook__attempt_plan(&call->attempt, &call->status, &pause_ms)) return false;
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
        daybook__attempt_renew(&call->attempt);
    }
    pthread_mutex_unlock(&call->mutex);
    if (!woken) daybook__attempt_start(&call->attempt);
}

static void woken_up(struct loop_operation *operation, bool ok) {
    (void)ok;
    struct daybook_call *call = (struct daybook_call *)((char *)operation - offsetof(struct daybook_call, wake_up));
    daybook__loop_timer_stop(&call->pause);
    daybook_status_set(&call->status, DAYBOOK_CANCELLED, "cancelled before attempt %u",
                       call->attempt.retry.attempts_count + 1);
    call->attempt.exchange.details = NULL; /* What the last attempt said is not why the call ends. */
    finish(call);
}

static void attempt_complete(struct loop_operation *operation, bool ok) {
    (void)ok; /* A batch that receives the status always succeeds; the status tells the rest. */
    struct daybook_call *call =
        (struct daybook_call *)((char *)operation - offsetof(struct daybook_call, attempt.operation));
    daybook__exchange_status(&call->attempt.exchange, &call->status);
    if (!pause_begin(call)) finish(call);
}

/* Ends what goes on. The call is locked. */
static void stop(struct daybook_call *call) {
    if (call->state == CALL_RUNNING) {
        daybook__exchange_cancel(&call->attempt.exchange);
    } else if (call->state == CALL_PAUSING) {
        move(call, CALL_WAKING);
        daybook__loop_start(call->attempt.exchange.call, NULL, 0, &call->wake_up);
    }
}

static void call_cancel(struct daybook_call *call) {
    pthread_mutex_lock(&call->mutex);
    call->cancelled = true;
    stop(call);
    pthread_mutex_unlock(&call->mutex);
}

static void cancel_entry(struct client_entry *entry) {
    call_cancel((struct daybook_call *)((char *)entry - offsetof(struct daybook_call, attempt.exchange.entry)));
}

static struct daybook_call *call_new(void) {
    struct daybook_call *call = malloc(sizeof *call);
    if (call == NULL) return NULL;
    memset(call, 0, offsetof(struct daybook_call, status));
    daybook_status_clear(&call->status);
    call->arena = upb_Arena_Init(call->arena_memory, sizeof call->arena_memory, &upb_alloc_global);
    pthread_mutex_init(&call->mutex, NULL);
    daybook__clock_condition_init(&call->changed);
    call->attempt.operation.complete = attempt_complete;
    call->wake_up.complete = woken_up;
    call->pause.expire = pause_over;
    call->state = CALL_RUNNING;
    return call;
}

/* A call that cannot be started has ended, and its status says why. */
daybook_call *daybook_call_start(daybook_client *client, const daybook_method *method, const void *request,
                                 const daybook_call_options *options) {
    assert(method->kind == DAYBOOK_METHOD_UNARY);
    struct daybook_call *call = call_new();
    if (call == NULL) return NULL;
    if (daybook__attempt_open(&call->attempt, client, method, request, options, NULL, cancel_entry, &call->status)) {
        daybook__attempt_start(&call->attempt);
    } else {
        move(call, CALL_ENDED);
    }
    return call;
}

bool daybook_call_wait(daybook_call *call, uint32_t wait_ms) {
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    pthread_mutex_lock(&call->mutex);
    bool in_time = true;
    while (call->state != CALL_ENDED && !is_done_thread(call) && in_time) {
        assert(wait_ms == 0 || !daybook__loop_is_inside());
        in_time = daybook__clock_condition_wait(&call->changed, &call->mutex, until_ms);
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
    return call->attempt.retry.attempts_count;
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
    if (ended) call_free(call);
    return NULL;
}
