/* Reindex: a rebuild of the index that goes on for as long as somebody asks for it.
 *
 * A thread of the call's own does the work, because handlers must not block; it tells the client how far it has come while
 * it works and waits for it only at the end: appends may be waiting for the rebuild, never for the client. A client that goes,
 * and a daemon that drains, end the rebuild; the index is as it was then. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/api/api.h"
#include "service/api/errors.h"
#include "service/base/clock.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/feed/feed.h"
#include "service/store/index_rebuild.h"

#define PROGRESS_INTERVAL_NS 250000000

struct reindex {
    const struct api *api;
    daybook_server_stream *stream;
    atomic_bool is_cancelled;
    int64_t told_ns; /* when the client was told last; the thread's */
    pthread_mutex_t mutex;
    pthread_cond_t sent;
    bool is_sending; /* guarded by mutex */
};

static void error_of_rebuild(struct error *ret_error, enum failure failure) {
    switch (failure) {
    case FAILURE_STORAGE_FULL:
        error_set(ret_error, REASON_STORAGE_FULL,
                  "no space is left on the server's disk for a second index beside the first, which is as it was");
        return;
    case FAILURE_STORAGE:
    case FAILURE_INPUT:
        error_set(ret_error, REASON_OUTCOME_UNKNOWN,
                  "the index cannot be rebuilt and is as it was; see the server's log");
        return;
    default:
        error_of_failure(ret_error, failure);
        return;
    }
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct reindex *reindex = context;
    (void)stream;
    (void)ok; /* the client has gone: `cancelled` says so, too */
    pthread_mutex_lock(&reindex->mutex);
    reindex->is_sending = false;
    pthread_cond_signal(&reindex->sent);
    pthread_mutex_unlock(&reindex->mutex);
}

static bool sending_begin(struct reindex *reindex) {
    pthread_mutex_lock(&reindex->mutex);
    const bool is_free = !reindex->is_sending;
    reindex->is_sending = true;
    pthread_mutex_unlock(&reindex->mutex);
    return is_free;
}

static void sending_wait(struct reindex *reindex) {
    pthread_mutex_lock(&reindex->mutex);
    while (reindex->is_sending) pthread_cond_wait(&reindex->sent, &reindex->mutex);
    pthread_mutex_unlock(&reindex->mutex);
}

/* Skips one when the client has not taken the last yet. */
static void progress_send(struct reindex *reindex, const struct index_rebuild *rebuild,
                          daybook_v1_ReindexResponse *response) {
    if (!sending_begin(reindex)) return;
    const struct index_rebuild_progress progress = index_rebuild_progress(rebuild);
    daybook_v1_ReindexResponse_set_position(response, progress.position);
    daybook_v1_ReindexResponse_set_head(response, progress.head);
    reindex->told_ns = clock_monotonic_ns();
    daybook_v1_Admin_Reindex_send(reindex->stream, response, on_sent, reindex);
}

static bool must_stop(const struct reindex *reindex) {
    return atomic_load(&reindex->is_cancelled) || feed_is_draining(reindex->api->feed);
}

static result steps(struct reindex *reindex, struct index_rebuild *rebuild, daybook_v1_ReindexResponse *response) {
    bool is_switched = false;
    progress_send(reindex, rebuild, response);
    while (!is_switched) {
        if (must_stop(reindex)) return failure_result(FAILURE_STOPPED);
        TRY(index_rebuild_step(rebuild, &is_switched));
        if (clock_monotonic_ns() - reindex->told_ns >= PROGRESS_INTERVAL_NS) progress_send(reindex, rebuild, response);
    }
    sending_wait(reindex);
    progress_send(reindex, rebuild, response);
    sending_wait(reindex);
    return RESULT_OK;
}

static result rebuild_all(struct reindex *reindex) {
    daybook_v1_ReindexResponse *response = daybook_v1_ReindexResponse_new(daybook_server_stream_arena(reindex->stream));
    if (response == NULL) return failure_result(FAILURE_MEMORY);
    struct index_rebuild *rebuild;
    struct problem problem = {.text = ""};
    const result begun = index_rebuild_begin(reindex->api->index, reindex->api->store, &rebuild, &problem);
    if (failed(begun)) {
        log_warn("the index is not rebuilt", "reason", problem.text);
        return begun;
    }
    const result outcome = steps(reindex, rebuild, response);
    index_rebuild_end(rebuild);
    return outcome;
}

static void *reindex_run(void *context) {
    struct reindex *reindex = context;
    const result outcome = rebuild_all(reindex);
    /* With the finish the stream may close, and `reindex` be gone. */
    if (!failed(outcome)) {
        daybook_server_stream_finish(reindex->stream, DAYBOOK_OK, "", NULL, 0);
        return NULL;
    }
    struct error error;
    error_of_rebuild(&error, outcome.failure);
    error_finish(reindex->stream, &error);
    return NULL;
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    struct reindex *reindex = context;
    (void)stream;
    atomic_store(&reindex->is_cancelled, true);
}

static void on_closed(void *context) {
    struct reindex *reindex = context;
    pthread_cond_destroy(&reindex->sent);
    pthread_mutex_destroy(&reindex->mutex);
    free(reindex);
}

static const daybook_server_stream_events stream_events = {.cancelled = on_cancelled, .closed = on_closed};

void api_reindex(void *context, daybook_server_stream *stream, const daybook_v1_ReindexRequest *request) {
    (void)request;
    struct error error;
    struct reindex *reindex = calloc(1, sizeof *reindex);
    if (reindex == NULL) {
        error_of_failure(&error, FAILURE_MEMORY);
        error_finish(stream, &error);
        return;
    }
    reindex->api = context;
    reindex->stream = stream;
    pthread_mutex_init(&reindex->mutex, NULL);
    pthread_cond_init(&reindex->sent, NULL);
    daybook_server_stream_watch(stream, &stream_events, reindex);
    /* Nobody joins it: the server is not closed before its stream has ended. */
    const result started = thread_start_detached(reindex_run, reindex);
    if (!failed(started)) return;
    error_of_failure(&error, started.failure);
    error_finish(stream, &error);
}
