/* appender_receive.c: the thread that opens rounds, reads answers and ends appends; see appender.h. */
#include "sdk/client/appender.h"

#include <assert.h>

#define PROBE_TIMEOUT_MS 5000

/* --- The end of appends ---------------------------------------------------------------------------------------------- */

static struct daybook_append *first_of(struct daybook_appender *appender) {
    pthread_mutex_lock(&appender->mutex);
    struct daybook_append *append = appender->first;
    pthread_mutex_unlock(&appender->mutex);
    return append;
}

/* Between rounds. */
static void give_up(struct daybook_appender *appender, struct daybook_append *append, const daybook_status *why) {
    daybook__append_give_up(append, why);
    daybook__appender_end(appender, append);
}

/* Those that are there now: what a completion submits is tried anew. */
static void give_up_all(struct daybook_appender *appender, const daybook_status *why) {
    pthread_mutex_lock(&appender->mutex);
    const uint64_t last = appender->numbers_count;
    pthread_mutex_unlock(&appender->mutex);
    for (;;) {
        struct daybook_append *append = first_of(appender);
        if (append == NULL || append->number > last) return;
        give_up(appender, append, why);
    }
}

/* --- A round --------------------------------------------------------------------------------------------------------- */

/* Asks the server whether it is there, so that nothing is sent into the void: what was never sent is known not to be
 * appended. */
static void probe(struct daybook_appender *appender, int64_t deadline_ms, daybook_status *ret_status) {
    const uint32_t left_ms = daybook__clock_until_ms(deadline_ms);
    const daybook_call_options options = {
        .timeout_ms = left_ms == 0                 ? 1
                      : left_ms < PROBE_TIMEOUT_MS ? left_ms
                                                   : PROBE_TIMEOUT_MS,
        .retry = &(daybook_retry_options){.attempts_max = 1},
    };
    upb_Arena *arena = upb_Arena_New();
    const daybook_v1_HeadRequest *request = arena == NULL ? NULL : daybook_v1_HeadRequest_new(arena);
    daybook_call *call = request == NULL ? NULL : daybook_v1_EventStore_Head_start(appender->client, request, &options);
    if (arena != NULL) upb_Arena_Free(arena);
    if (call == NULL) {
        daybook_status_set(ret_status, DAYBOOK_UNAVAILABLE, "no memory for a call");
        return;
    }
    pthread_mutex_lock(&appender->mutex);
    appender->probe = call;
    if (appender->abandoning) daybook_call_cancel(call);
    pthread_mutex_unlock(&appender->mutex);
    const bool ended = daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE);
    assert(ended);
    pthread_mutex_lock(&appender->mutex);
    appender->probe = NULL;
    pthread_mutex_unlock(&appender->mutex);
    *ret_status = *daybook_call_status(call);
    daybook_call_free(call);
}

/* Hands the stream to the sender. False: `ret_status` says why there is none. */
static bool round_begin(struct daybook_appender *appender, daybook_status *ret_status) {
    daybook_status_clear(&appender->refusal);
    daybook_v1_EventStore_AppendMany_stream *stream =
        daybook_v1_EventStore_AppendMany_open(appender->client, NULL, ret_status);
    if (stream == NULL) {
        ret_status->retryable = true; /* there is no memory for it: the options are not wrong */
        return false;
    }
    pthread_mutex_lock(&appender->mutex);
    appender->stream = stream;
    appender->send_next = appender->first;
    appender->answer_next = appender->first;
    appender->half_close = appender->closing;
    appender->half_closed = false;
    if (appender->abandoning) daybook_v1_EventStore_AppendMany_cancel(stream);
    pthread_cond_signal(&appender->sendable);
    pthread_mutex_unlock(&appender->mutex);
    return true;
}

/* Takes the stream from the sender and closes it. What was sent and has no answer is in doubt, unless the server does not even
 * know the method. */
static void round_end(struct daybook_appender *appender, const daybook_status *status) {
    daybook_v1_EventStore_AppendMany_stream *stream = appender->stream;
    daybook_v1_EventStore_AppendMany_cancel(stream);
    pthread_mutex_lock(&appender->mutex);
    appender->half_closed = true;
    while (appender->sending) pthread_cond_wait(&appender->work, &appender->mutex);
    for (struct daybook_append *append = appender->answer_next; append != appender->send_next; append = append->next) {
        if (status->code != DAYBOOK_UNIMPLEMENTED) append->doubtful = true;
    }
    appender->stream = NULL;
    appender->send_next = NULL;
    appender->answer_next = NULL;
    pthread_mutex_unlock(&appender->mutex);
    daybook_v1_EventStore_AppendMany_close(stream);
}

/* --- Answers --------------------------------------------------------------------------------------------------------- */

/* The append that the next outcome is for; NULL: none is due. */
static struct daybook_append *answer_due(struct daybook_appender *appender) {
    pthread_mutex_lock(&appender->mutex);
    struct daybook_append *append = appender->answer_next;
    if (append == appender->send_next) append = NULL;
    if (append != NULL) appender->answer_next = append->next;
    pthread_mutex_unlock(&appender->mutex);
    return append;
}

/* It stays where it is in the list, and the round ends as soon as everything is answered that was sent behind it. */
static void refusal_take(struct daybook_appender *appender, const daybook_status *refusal) {
    if (appender->refusal.code == DAYBOOK_OK || appender->refusal.retry_delay_ms < refusal->retry_delay_ms) {
        appender->refusal = *refusal;
    }
    pthread_mutex_lock(&appender->mutex);
    appender->half_close = true;
    pthread_cond_signal(&appender->sendable);
    pthread_mutex_unlock(&appender->mutex);
}

/* False: the answers are not those to what was sent. */
static bool response_take(struct daybook_appender *appender, const daybook_v1_AppendManyResponse *response) {
    size_t count;
    const daybook_v1_AppendOutcome *const *outcomes = daybook_v1_AppendManyResponse_outcomes(response, &count);
    for (size_t index = 0; index < count; index++) {
        struct daybook_append *append = answer_due(appender);
        if (append == NULL) return false;
        switch (daybook__append_take(append, outcomes[index])) {
        case APPEND_DECIDED:
            daybook__backoff_reset(&appender->backoff);
            daybook__appender_end(appender, append);
            break;
        case APPEND_AGAIN:
            refusal_take(appender, &append->status);
            break;
        case APPEND_MALFORMED:
            append->doubtful = true;
            return false;
        }
    }
    return true;
}

/* When the first append's time is up. One that comes while the list is empty has no less than the whole time. */
static int64_t listen_until_ms(struct daybook_appender *appender) {
    const struct daybook_append *first = first_of(appender);
    return first == NULL ? daybook__clock_after_ms(appender->timeout_ms) : first->deadline_ms;
}

/* Reads answers until the round is over, and says how. OK: in good order. */
static void listen(struct daybook_appender *appender, daybook_status *ret_status) {
    for (;;) {
        const daybook_v1_AppendManyResponse *response;
        const int64_t until_ms = listen_until_ms(appender);
        switch (daybook_v1_EventStore_AppendMany_next(appender->stream, daybook__clock_until_ms(until_ms), &response,
                                                      ret_status)) {
        case DAYBOOK_NEXT_MESSAGE:
            if (response_take(appender, response)) continue;
            daybook_status_set(ret_status, DAYBOOK_INTERNAL, "the server's answers are not those to what was sent");
            ret_status->retryable = true;
            return;
        case DAYBOOK_NEXT_TIMEOUT:
            if (listen_until_ms(appender) > daybook__clock_now_ms()) continue;
            daybook_status_set(ret_status, DAYBOOK_DEADLINE_EXCEEDED, "the server has not answered for %u ms",
                               appender->timeout_ms);
            return;
        case DAYBOOK_NEXT_END:
        case DAYBOOK_NEXT_ERROR:
            return;
        }
    }
}

/* --- The thread ------------------------------------------------------------------------------------------------------ */

static void retry_plan(struct daybook_appender *appender, const daybook_status *status) {
    const uint32_t retry_ms = daybook__backoff_pause_ms(&appender->backoff, status->retry_delay_ms);
    appender->retry_at_ms = daybook__clock_after_ms(retry_ms);
    if (appender->disconnected != NULL) appender->disconnected(status, retry_ms, appender->context);
}

static void play_round(struct daybook_appender *appender, int64_t deadline_ms) {
    daybook_status status;
    probe(appender, deadline_ms, &status);
    if (status.code == DAYBOOK_OK && round_begin(appender, &status)) {
        listen(appender, &status);
        if (appender->refusal.code != DAYBOOK_OK)
            status = appender->refusal;
        else if (status.code == DAYBOOK_OK)
            daybook_status_set(&status, DAYBOOK_UNAVAILABLE, "the server has ended the call");
        round_end(appender, &status);
    }
    pthread_mutex_lock(&appender->mutex);
    const bool closing = appender->closing;
    pthread_mutex_unlock(&appender->mutex);
    if (closing) return;
    if (daybook__backoff_is_passing(&status))
        retry_plan(appender, &status);
    else
        give_up_all(appender, &status);
}

/* What the receiver does next, between rounds; locked, and not when it returns. False: nothing, any more. */
static bool step_unlock(struct daybook_appender *appender) {
    struct daybook_append *first = appender->first;
    const bool over = appender->abandoning || (appender->closing && first == NULL);
    if (over || first == NULL) {
        if (!over) pthread_cond_wait(&appender->work, &appender->mutex);
        pthread_mutex_unlock(&appender->mutex);
        return !over;
    }
    const int64_t deadline_ms = first->deadline_ms;
    const int64_t now_ms = daybook__clock_now_ms();
    if (deadline_ms > now_ms && appender->retry_at_ms > now_ms) {
        const int64_t until_ms = appender->retry_at_ms < deadline_ms ? appender->retry_at_ms : deadline_ms;
        (void)daybook__clock_condition_wait(&appender->work, &appender->mutex, until_ms);
        pthread_mutex_unlock(&appender->mutex);
        return true;
    }
    pthread_mutex_unlock(&appender->mutex);
    if (deadline_ms > now_ms) {
        play_round(appender, deadline_ms);
        return true;
    }
    daybook_status late;
    daybook_status_set(&late, DAYBOOK_DEADLINE_EXCEEDED, "no outcome within %u ms", appender->timeout_ms);
    give_up(appender, first, &late);
    return true;
}

void *daybook__appender_receive(void *context) {
    struct daybook_appender *appender = context;
    do {
        pthread_mutex_lock(&appender->mutex);
    } while (step_unlock(appender));
    daybook_status closed;
    daybook_status_set(&closed, DAYBOOK_CANCELLED, "the appender was closed");
    give_up_all(appender, &closed);
    pthread_mutex_lock(&appender->mutex);
    appender->over = true;
    pthread_cond_broadcast(&appender->quiet);
    pthread_cond_broadcast(&appender->sendable);
    pthread_mutex_unlock(&appender->mutex);
    return NULL;
}
