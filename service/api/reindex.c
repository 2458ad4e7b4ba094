/* Reindex: a rebuild of the index that goes on for as long as somebody asks for it.
 *
 * A thread of the call's own does the work, because handlers must not block; it never waits for the client, because appends may
 * be waiting for it. A client that goes, and a daemon that drains, end the rebuild; the index is as it was then. */
#include <stdatomic.h>

#include "service/api/api.h"
#include "service/api/errors.h"
#include "service/api/progress.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/feed/feed.h"
#include "service/store/index_rebuild.h"

/* Lives in the arena of its stream. */
struct reindex {
    const struct api *api;
    struct progress *progress;
    daybook_v1_ReindexResponse *response; /* filled anew for every message */
    atomic_bool is_cancelled;
    _Atomic uint64_t position;
    _Atomic uint64_t head;
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

static void message_send(void *context, daybook_server_stream *stream, bool is_last, daybook_server_stream_sent *sent,
                         void *sent_context) {
    struct reindex *reindex = context;
    (void)is_last;
    daybook_v1_ReindexResponse_set_position(reindex->response, atomic_load(&reindex->position));
    daybook_v1_ReindexResponse_set_head(reindex->response, atomic_load(&reindex->head));
    daybook_v1_Admin_Reindex_send(stream, reindex->response, sent, sent_context);
}

static void cancel(void *context) {
    struct reindex *reindex = context;
    atomic_store(&reindex->is_cancelled, true);
}

static result steps(struct reindex *reindex, struct index_rebuild *rebuild) {
    for (bool is_switched = false; !is_switched;) {
        if (atomic_load(&reindex->is_cancelled) || feed_is_draining(reindex->api->feed)) {
            return failure_result(FAILURE_STOPPED);
        }
        TRY(index_rebuild_step(rebuild, &is_switched));
        const struct index_rebuild_progress progress = index_rebuild_progress(rebuild);
        atomic_store(&reindex->position, progress.position);
        atomic_store(&reindex->head, progress.head);
    }
    return RESULT_OK;
}

static result rebuild_all(struct reindex *reindex) {
    struct index_rebuild *rebuild;
    struct problem problem = {.text = ""};
    const result begun = index_rebuild_begin(reindex->api->index, reindex->api->store, &rebuild, &problem);
    if (failed(begun)) {
        log_warn("the index is not rebuilt", "reason", problem.text);
        return begun;
    }
    const result outcome = steps(reindex, rebuild);
    index_rebuild_end(rebuild);
    return outcome;
}

static void *reindex_run(void *context) {
    struct reindex *reindex = context;
    const result outcome = rebuild_all(reindex);
    struct error error;
    if (failed(outcome)) error_of_rebuild(&error, outcome.failure);
    progress_end(reindex->progress, failed(outcome) ? &error : NULL);
    return NULL;
}

void api_reindex(void *context, daybook_server_stream *stream, const daybook_v1_ReindexRequest *request) {
    upb_Arena *arena = daybook_server_stream_arena(stream);
    struct reindex *reindex = upb_Arena_Malloc(arena, sizeof *reindex);
    daybook_v1_ReindexResponse *response = daybook_v1_ReindexResponse_new(arena);
    struct error error;
    (void)request;
    if (reindex == NULL || response == NULL) {
        error_of_failure(&error, FAILURE_MEMORY);
        error_finish(stream, &error);
        return;
    }
    const struct api *api = context;
    *reindex = (struct reindex){.api = api, .response = response, .head = feed_head(api->feed)};
    const struct progress_job job = {.send = message_send, .cancel = cancel, .context = reindex};
    reindex->progress = progress_open(stream, &job);
    if (reindex->progress == NULL) return;
    /* Nobody joins it: the server is not closed before its stream has ended. */
    const result started = thread_start_detached(reindex_run, reindex);
    if (failed(started)) {
        error_of_failure(&error, started.failure);
        progress_refuse(reindex->progress, &error);
        return;
    }
    progress_started(reindex->progress);
}
