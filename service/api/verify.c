/* Verify: one reading of all that is stored, what is wrong with it, and how far it is. */
#include <pthread.h>
#include <stdio.h>

#include "service/api/api.h"
#include "service/api/progress.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/feed/feed.h"
#include "service/store/verification.h"

/* What is found and not told yet. When it is full, the reading waits for the client. */
#define PROBLEMS_COUNT_MAX 128

struct problem_found {
    uint64_t position;
    char text[ERROR_TEXT_BYTES];
};

/* Lives in the arena of its stream. */
struct verify_call {
    const struct api *api;
    struct verification *verification;
    struct progress *progress;
    daybook_v1_VerifyResponse *response; /* filled anew for every message */
    upb_Arena *arena;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t told;
    bool is_cancelled;
    struct verification_progress reached;
    struct problem_found *problems;
    uint32_t problems_count;
    struct problem_found *telling; /* those of the message that is sent, whose texts it has views of */
};

/* On the verification's thread. */
static void problem_take(void *context, uint64_t position, const char *text) {
    struct verify_call *call = context;
    log_error("the store is damaged", "problem", text);
    pthread_mutex_lock(&call->mutex);
    while (call->problems_count == PROBLEMS_COUNT_MAX && !call->is_cancelled) {
        pthread_cond_wait(&call->told, &call->mutex);
    }
    if (!call->is_cancelled) {
        struct problem_found *problem = &call->problems[call->problems_count++];
        problem->position = position;
        (void)snprintf(problem->text, sizeof problem->text, "%s", text);
    }
    pthread_mutex_unlock(&call->mutex);
}

/* Sets the two lists; false without memory. They grow once, to their longest. */
static bool problems_set(struct verify_call *call, uint32_t count) {
    uint64_t *positions = daybook_v1_VerifyResponse_resize_corrupt_positions(call->response, count, call->arena);
    upb_StringView *texts = daybook_v1_VerifyResponse_resize_problems(call->response, count, call->arena);
    if (count > 0 && (positions == NULL || texts == NULL)) return false;
    uint32_t positions_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        const struct problem_found *problem = &call->telling[index];
        texts[index] = upb_StringView_FromString(problem->text);
        if (problem->position > 0) positions[positions_count++] = problem->position;
    }
    return daybook_v1_VerifyResponse_resize_corrupt_positions(call->response, positions_count, call->arena) != NULL ||
           positions_count == 0;
}

static void message_send(void *context, daybook_server_stream *stream, bool is_last, daybook_server_stream_sent *sent,
                         void *sent_context) {
    struct verify_call *call = context;
    (void)is_last;
    pthread_mutex_lock(&call->mutex);
    struct problem_found *found = call->problems;
    const uint32_t count = call->problems_count;
    const struct verification_progress reached = call->reached;
    call->problems = call->telling;
    call->telling = found;
    call->problems_count = 0;
    pthread_cond_signal(&call->told);
    pthread_mutex_unlock(&call->mutex);
    if (!problems_set(call, count)) log_warn("problems of a verification are told by their number alone");
    daybook_v1_VerifyResponse_set_events_checked_count(call->response, reached.events_checked_count);
    daybook_v1_VerifyResponse_set_events_count(call->response, reached.events_count);
    daybook_v1_VerifyResponse_set_problems_count(call->response, reached.found_count);
    daybook_v1_Admin_Verify_send(stream, call->response, sent, sent_context);
}

static void cancel(void *context) {
    struct verify_call *call = context;
    pthread_mutex_lock(&call->mutex);
    call->is_cancelled = true;
    pthread_cond_signal(&call->told);
    pthread_mutex_unlock(&call->mutex);
}

/* Between two steps: tells how far it is, and hears whether it is wanted. */
static bool go_on(struct verify_call *call) {
    pthread_mutex_lock(&call->mutex);
    call->reached = verification_progress(call->verification);
    const bool is_wanted = !call->is_cancelled;
    pthread_mutex_unlock(&call->mutex);
    return is_wanted && !feed_is_draining(call->api->feed);
}

static void *verify_run(void *context) {
    struct verify_call *call = context;
    bool is_done = false;
    result outcome = RESULT_OK;
    while (!failed(outcome) && !is_done) {
        outcome = verification_step(call->verification, &is_done);
        if (!go_on(call) && !failed(outcome)) outcome = failure_result(FAILURE_STOPPED);
    }
    call->verification = verification_end(call->verification);
    struct error error;
    if (failed(outcome)) error_of_failure(&error, outcome.failure);
    progress_end(call->progress, failed(outcome) ? &error : NULL);
    return NULL;
}

static struct verify_call *call_new(const struct api *api, daybook_server_stream *stream) {
    upb_Arena *arena = daybook_server_stream_arena(stream);
    struct verify_call *call = upb_Arena_Malloc(arena, sizeof *call);
    if (call == NULL) return NULL;
    *call = (struct verify_call){.api = api, .arena = arena, .response = daybook_v1_VerifyResponse_new(arena)};
    call->problems = upb_Arena_Malloc(arena, PROBLEMS_COUNT_MAX * sizeof *call->problems);
    call->telling = upb_Arena_Malloc(arena, PROBLEMS_COUNT_MAX * sizeof *call->telling);
    if (call->response == NULL || call->problems == NULL || call->telling == NULL) return NULL;
    /* Both need no end: they have nothing but their bytes. */
    pthread_mutex_init(&call->mutex, NULL);
    pthread_cond_init(&call->told, NULL);
    return call;
}

static result call_start(struct verify_call *call) {
    const struct verification_options options = {
        .store = call->api->store, .index = call->api->index, .found = problem_take, .context = call};
    TRY(verification_begin(&options, &call->verification));
    call->reached = verification_progress(call->verification);
    const result started = thread_start_detached(verify_run, call);
    if (failed(started)) call->verification = verification_end(call->verification);
    return started;
}

void api_verify(void *context, daybook_server_stream *stream, const daybook_v1_VerifyRequest *request) {
    struct error error;
    struct verify_call *call = call_new(context, stream);
    (void)request;
    if (call == NULL) {
        error_of_failure(&error, FAILURE_MEMORY);
        error_finish(stream, &error);
        return;
    }
    const struct progress_job job = {.send = message_send, .cancel = cancel, .context = call};
    call->progress = progress_open(stream, &job);
    if (call->progress == NULL) return;
    const result started = call_start(call);
    if (failed(started)) {
        error_of_failure(&error, started.failure);
        progress_refuse(call->progress, &error);
        return;
    }
    progress_started(call->progress);
}
