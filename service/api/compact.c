/* Compact: one compaction of the log, and how far it is. */
#include "service/api/api.h"
#include "service/api/progress.h"
#include "service/commit/compactor.h"

/* Lives in the arena of its stream. */
struct compact_call {
    struct compactor *compactor;
    struct progress *progress;
    daybook_v1_CompactResponse *response; /* filled anew for every message */
    struct compaction_progress last;
};

static void error_of_compaction(struct error *ret_error, enum failure failure, const struct problem *problem) {
    switch (failure) {
    case FAILURE_BUSY:
        error_set(ret_error, REASON_OPERATION_RUNNING, "a compaction is running already; wait for its end");
        return;
    case FAILURE_STORAGE_FULL:
        error_set(
            ret_error, REASON_STORAGE_FULL,
            "no space is left for a copy of the log beside it: the log is as it was; make space and compact again");
        return;
    case FAILURE_CORRUPT:
        error_set(ret_error, REASON_STORAGE_CORRUPT,
                  "a stored event is damaged (a checksum is wrong): the log is as it was; restore from a backup");
        return;
    case FAILURE_MEMORY:
    case FAILURE_LIMIT:
        error_set(ret_error, REASON_OUT_OF_MEMORY, "%s: the log is as it was",
                  problem->text[0] != '\0' ? problem->text
                                           : "the server has no memory for a compaction now; retry later");
        return;
    case FAILURE_STOPPED:
        error_set(ret_error, REASON_DRAINING, "the server is stopping: the log is as it was; compact again");
        return;
    default:
        error_set(ret_error, REASON_OUTCOME_UNKNOWN, "the server's disk failed (%s) under the copy; see its log",
                  failure_name(failure));
        return;
    }
}

static void message_send(void *context, daybook_server_stream *stream, bool is_last, daybook_server_stream_sent *sent,
                         void *sent_context) {
    struct compact_call *call = context;
    const struct compaction_progress progress = is_last ? call->last : compactor_progress(call->compactor);
    daybook_v1_CompactResponse_set_events_copied_count(call->response, progress.events_copied_count);
    daybook_v1_CompactResponse_set_events_count(call->response, progress.events_count);
    if (is_last) daybook_v1_CompactResponse_set_reclaimed_bytes(call->response, progress.reclaimed_bytes);
    daybook_v1_Admin_Compact_send(stream, call->response, sent, sent_context);
}

static void cancel(void *context) {
    struct compact_call *call = context;
    compactor_cancel(call->compactor, call);
}

/* On the compactor's thread. */
static void compaction_ended(void *context, const struct compactor_end *end) {
    struct compact_call *call = context;
    if (end->failure == FAILURE_NONE) {
        call->last = end->progress;
        progress_end(call->progress, NULL);
        return;
    }
    struct error error;
    error_of_compaction(&error, end->failure, &end->problem);
    progress_end(call->progress, &error);
}

void api_compact(void *context, daybook_server_stream *stream, const daybook_v1_CompactRequest *request) {
    const struct api *api = context;
    upb_Arena *arena = daybook_server_stream_arena(stream);
    struct compact_call *call = upb_Arena_Malloc(arena, sizeof *call);
    daybook_v1_CompactResponse *response = daybook_v1_CompactResponse_new(arena);
    struct error error;
    (void)request;
    if (call == NULL || response == NULL) {
        error_of_failure(&error, FAILURE_MEMORY);
        error_finish(stream, &error);
        return;
    }
    const struct progress_job job = {.send = message_send, .cancel = cancel, .context = call};
    *call = (struct compact_call){.compactor = api->compactor, .response = response};
    call->progress = progress_open(stream, &job);
    if (call->progress == NULL) return;
    const result started = compactor_start(api->compactor, compaction_ended, call);
    if (failed(started)) {
        const struct problem none = {0};
        error_of_compaction(&error, started.failure, &none);
        progress_refuse(call->progress, &error);
        return;
    }
    progress_started(call->progress);
}
