/* The way back of an Append: what was decided, as a response or an error. */
#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "service/api/append.h"
#include "service/api/errors.h"
#include "service/base/uuid.h"

/* The stream that a conflict is about, whichever list it stands in. */
static struct append_check conflict_subject(const struct append_request *request,
                                            const struct append_conflict *conflict) {
    if (conflict->kind == CONFLICT_CHECK) return request->checks[conflict->index];
    const struct append_write *write = &request->writes[conflict->index];
    return (struct append_check){
        .stream = write->stream, .expectation = write->expectation, .expected_revision = write->expected_revision};
}

static bool stream_add(daybook_v1_AppendConflicts *conflicts, const struct append_request *request,
                       const struct append_conflict *source, upb_Arena *arena) {
    daybook_v1_StreamConflict *conflict = daybook_v1_AppendConflicts_add_streams(conflicts, arena);
    char *field = upb_Arena_Malloc(arena, ERROR_FIELD_BYTES);
    if (conflict == NULL || field == NULL) return false;
    (void)snprintf(field, ERROR_FIELD_BYTES, "%s[%" PRIu32 "]", source->kind == CONFLICT_CHECK ? "checks" : "writes",
                   source->index);
    const struct append_check subject = conflict_subject(request, source);
    daybook_v1_StreamConflict_set_field(conflict, upb_StringView_FromString(field));
    daybook_v1_StreamConflict_set_stream(
        conflict, upb_StringView_FromDataAndSize((const char *)subject.stream.data, subject.stream.size));
    if (subject.expectation == EXPECT_REVISION) {
        daybook_v1_StreamConflict_set_expected_revision(conflict, subject.expected_revision);
    }
    daybook_v1_StreamConflict_set_actual_revision(conflict, source->actual);
    return true;
}

static const struct append_event *event_of(const struct append_request *request, const struct append_conflict *source) {
    return &request->writes[source->index].events[source->event];
}

static bool event_add(daybook_v1_AppendConflicts *conflicts, const struct append_request *request,
                      const struct append_conflict *source, upb_Arena *arena) {
    daybook_v1_EventIdConflict *conflict = daybook_v1_AppendConflicts_add_events(conflicts, arena);
    char *field = upb_Arena_Malloc(arena, ERROR_FIELD_BYTES);
    if (conflict == NULL || field == NULL) return false;
    (void)snprintf(field, ERROR_FIELD_BYTES, "writes[%" PRIu32 "].events[%" PRIu32 "]", source->index, source->event);
    const struct bytes id = event_of(request, source)->id;
    daybook_v1_EventIdConflict_set_field(conflict, upb_StringView_FromString(field));
    daybook_v1_EventIdConflict_set_id(conflict, upb_StringView_FromDataAndSize((const char *)id.data, id.size));
    daybook_v1_EventIdConflict_set_position(conflict, source->actual);
    return true;
}

static size_t name_bytes(const struct append_request *request, const struct append_conflict *source) {
    return source->kind == CONFLICT_ID ? UUID_TEXT_BYTES : conflict_subject(request, source).stream.size;
}

/* As many as fit: details that are too large would not be sent at all, the reason among them. NULL without memory: the
 * error then goes without this detail. */
static const daybook_v1_AppendConflicts *conflicts_build(const struct append_request *request, upb_Arena *arena) {
    daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendConflicts_new(arena);
    size_t bytes = 0;
    for (uint32_t index = 0; conflicts != NULL && index < request->conflicts_count; index++) {
        const struct append_conflict *source = &request->conflicts[index];
        bytes += ERROR_CONFLICT_BYTES + name_bytes(request, source);
        if (bytes > ERROR_CONFLICTS_BYTES_MAX) break;
        const bool added = source->kind == CONFLICT_ID ? event_add(conflicts, request, source, arena)
                                                       : stream_add(conflicts, request, source, arena);
        if (!added) return NULL;
    }
    return conflicts;
}

static void revision_conflict_fail(struct append_call *append, upb_Arena *arena) {
    const struct append_request *request = &append->request;
    struct error error;
    error_set(&error, REASON_REVISION_CONFLICT,
              "%" PRIu32 " stream%s not at the revision that was expected, %s[%" PRIu32 "] is at %" PRIu64
              "; nothing was written; read again and decide anew",
              request->conflicts_count, request->conflicts_count == 1 ? " is" : "s are",
              request->conflicts[0].kind == CONFLICT_CHECK ? "checks" : "writes", request->conflicts[0].index,
              request->conflicts[0].actual);
    error.wrong_count = request->conflicts_count;
    error.conflicts = conflicts_build(request, arena);
    error_fail(append->call, &error);
}

static void id_conflict_fail(struct append_call *append, upb_Arena *arena) {
    const struct append_request *request = &append->request;
    const struct append_conflict *first = &request->conflicts[0];
    const bool all_known = request->conflicts_count == request->events_count;
    struct error error;
    error_set(&error, REASON_EVENT_ID_CONFLICT,
              "%" PRIu32 " of %" PRIu32 " event ids %s known, %s; writes[%" PRIu32 "].events[%" PRIu32
              "] is at position %" PRIu64 "; nothing was written; a new event needs a new id",
              request->conflicts_count, request->events_count, request->conflicts_count == 1 ? "is" : "are",
              all_known ? "with other content, in another stream or in another order" : "the others are new",
              first->index, first->event, first->actual);
    error.wrong_count = request->conflicts_count;
    error.conflicts = conflicts_build(request, arena);
    error_fail(append->call, &error);
}

static void committed_reply(struct append_call *append, upb_Arena *arena) {
    const struct append_request *request = &append->request;
    daybook_v1_AppendResponse *response = daybook_v1_AppendResponse_new(arena);
    for (uint32_t index = 0; response != NULL && index < request->writes_count; index++) {
        daybook_v1_WriteResult *written = daybook_v1_AppendResponse_add_results(response, arena);
        if (written == NULL) {
            response = NULL;
            break;
        }
        daybook_v1_WriteResult_set_first_revision(written, request->results[index].first_revision);
        daybook_v1_WriteResult_set_last_revision(written, request->results[index].last_revision);
        daybook_v1_WriteResult_set_first_position(written, request->results[index].first_position);
        daybook_v1_WriteResult_set_last_position(written, request->results[index].last_position);
    }
    if (response != NULL) daybook_v1_AppendResponse_set_replayed(response, request->replayed);
    if (response == NULL) {
        /* It is committed, but there is no memory to say so. */
        error_fail_failure(append->call, FAILURE_STORAGE);
        return;
    }
    daybook_v1_EventStore_Append_reply(append->call, response);
}

void append_answer(struct append_request *request) {
    struct append_call *append = request->context;
    upb_Arena *arena = daybook_server_call_arena(append->call);
    switch (request->outcome) {
    case APPEND_COMMITTED:
        committed_reply(append, arena);
        return;
    case APPEND_REVISION_CONFLICT:
        revision_conflict_fail(append, arena);
        return;
    case APPEND_ID_CONFLICT:
        id_conflict_fail(append, arena);
        return;
    case APPEND_STORAGE_FULL:
        error_fail_failure(append->call, FAILURE_STORAGE_FULL);
        return;
    case APPEND_STORAGE_CORRUPT:
        error_fail_failure(append->call, FAILURE_CORRUPT);
        return;
    case APPEND_OUT_OF_MEMORY:
        error_fail_failure(append->call, FAILURE_MEMORY);
        return;
    case APPEND_STOPPED:
        error_fail_failure(append->call, FAILURE_STOPPED);
        return;
    case APPEND_PENDING:
    case APPEND_OUTCOME_UNKNOWN:
        error_fail_failure(append->call, FAILURE_STORAGE);
        return;
    }
}
