/* call_blocking.c: a unary call whose thread waits for it; see daybook/call.h.
 *
 * The thread plucks the completion itself, from a queue that the client lends it. Another one may only cancel the call: when it
 * closes the client. */
#include <assert.h>
#include <pthread.h>

#include "daybook/call.h"
#include "sdk/base/clock.h"
#include "sdk/runtime/attempt.h"
#include "sdk/runtime/pluck.h"
#include "sdk/runtime/status.h"

struct blocking_call {
    struct attempt attempt;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool cancelled;
};

static void cancel_entry(struct client_entry *entry) {
    struct blocking_call *call =
        (struct blocking_call *)((char *)entry - offsetof(struct blocking_call, attempt.exchange.entry));
    pthread_mutex_lock(&call->mutex);
    call->cancelled = true;
    daybook__exchange_cancel(&call->attempt.exchange);
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

/* Lets the pause pass. False: the call was cancelled. */
static bool pause_and_renew(struct blocking_call *call, uint32_t pause_ms) {
    const int64_t until_ms = daybook__clock_after_ms(pause_ms);
    pthread_mutex_lock(&call->mutex);
    while (!call->cancelled && daybook__clock_condition_wait(&call->changed, &call->mutex, until_ms)) {
    }
    const bool goes_on = !call->cancelled;
    if (goes_on) daybook__attempt_renew(&call->attempt);
    pthread_mutex_unlock(&call->mutex);
    return goes_on;
}

/* Makes attempts until one is the last. */
static void run(struct blocking_call *call, grpc_completion_queue *queue, daybook_status *status) {
    struct attempt *attempt = &call->attempt;
    for (uint32_t pause_ms = 0;;) {
        daybook__attempt_start(attempt);
        bool ok = false; /* A batch that receives the status always succeeds; the status tells the rest. */
        const bool completed = daybook__pluck(queue, &attempt->operation, gpr_inf_future(GPR_CLOCK_MONOTONIC), &ok);
        assert(completed);
        daybook__exchange_status(&attempt->exchange, status);
        if (!daybook__attempt_plan(attempt, status, &pause_ms)) return;
        if (pause_and_renew(call, pause_ms)) continue;
        daybook_status_set(status, DAYBOOK_CANCELLED, "cancelled before attempt %u", attempt->retry.attempts_count + 1);
        attempt->exchange.details = NULL; /* What the last attempt said is not why the call ends. */
        return;
    }
}

bool daybook_call_unary(daybook_client *client, const daybook_method *method, const void *request,
                        const daybook_call_options *options, upb_Arena *arena, const void **ret_response,
                        daybook_status *ret_status) {
    assert(method->kind == DAYBOOK_METHOD_UNARY && !daybook__loop_is_inside());
    daybook_status own;
    daybook_status *status = ret_status == NULL ? &own : ret_status;
    struct blocking_call call = {.cancelled = false};
    pthread_mutex_init(&call.mutex, NULL);
    daybook__clock_condition_init(&call.changed);
    grpc_completion_queue *queue = daybook__client_take_queue(client);
    const bool opened =
        daybook__attempt_open(&call.attempt, client, method, request, options, queue, cancel_entry, status);
    const void *message = NULL;
    if (opened) {
        run(&call, queue, status);
        daybook__exchange_fill_details(&call.attempt.exchange);
        daybook__attempt_take_response(&call.attempt, arena, status, &message);
    }
    daybook__client_give_queue(client, queue);
    if (opened) daybook__exchange_close(&call.attempt.exchange); /* The client may be gone afterwards. */
    pthread_cond_destroy(&call.changed);
    pthread_mutex_destroy(&call.mutex);
    if (message == NULL) return false;
    *ret_response = message;
    return true;
}
