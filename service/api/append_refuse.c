/* Why an append was not committed, in words and as an AppendConflicts. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

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
    if (subject.expectation == EXPECT_REVISION && source->kind != CONFLICT_TOMBSTONE) {
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

static bool condition_set(daybook_v1_AppendConflicts *conflicts, const struct append_conflict *source,
                          upb_Arena *arena) {
    daybook_v1_ConditionConflict *conflict = daybook_v1_AppendConflicts_mutable_condition(conflicts, arena);
    if (conflict != NULL) daybook_v1_ConditionConflict_set_position(conflict, source->actual);
    return conflict != NULL;
}

static bool checkpoint_set(daybook_v1_AppendConflicts *conflicts, const struct append_request *request,
                           const struct append_conflict *source, upb_Arena *arena) {
    daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendConflicts_mutable_checkpoint(conflicts, arena);
    if (checkpoint == NULL) return false;
    const struct bytes consumer = request->checkpoint->consumer;
    daybook_v1_Checkpoint_set_consumer(checkpoint,
                                       upb_StringView_FromDataAndSize((const char *)consumer.data, consumer.size));
    daybook_v1_Checkpoint_set_position(checkpoint, source->actual);
    return true;
}

static bool conflict_add(daybook_v1_AppendConflicts *conflicts, const struct append_request *request,
                         const struct append_conflict *source, upb_Arena *arena) {
    switch (source->kind) {
    case CONFLICT_WRITE:
    case CONFLICT_CHECK:
    case CONFLICT_TOMBSTONE:
        return stream_add(conflicts, request, source, arena);
    case CONFLICT_CONDITION:
        return condition_set(conflicts, source, arena);
    case CONFLICT_CHECKPOINT:
        return checkpoint_set(conflicts, request, source, arena);
    case CONFLICT_ID:
        return event_add(conflicts, request, source, arena);
    case CONFLICT_MISSING: /* of a deletion, never of an append */
        break;
    }
    assert(!"a conflict of an append is one of the six");
    return false;
}

static size_t conflict_bytes(const struct append_request *request, const struct append_conflict *source) {
    switch (source->kind) {
    case CONFLICT_WRITE:
    case CONFLICT_CHECK:
    case CONFLICT_TOMBSTONE:
        return ERROR_CONFLICT_BYTES + conflict_subject(request, source).stream.size;
    case CONFLICT_CONDITION:
    case CONFLICT_CHECKPOINT:
    case CONFLICT_MISSING:
        return 0; /* there is one at the most, and it is always told */
    case CONFLICT_ID:
        return ERROR_CONFLICT_BYTES + UUID_TEXT_BYTES;
    }
    assert(!"a conflict of an append is one of the six");
    return 0;
}

/* As many as fit: details that are too large would not be sent at all, the reason among them. NULL without memory: the
 * error then goes without this detail. */
static const daybook_v1_AppendConflicts *conflicts_build(const struct append_request *request, upb_Arena *arena) {
    daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendConflicts_new(arena);
    size_t bytes = 0;
    for (uint32_t index = 0; conflicts != NULL && index < request->conflicts_count; index++) {
        const struct append_conflict *source = &request->conflicts[index];
        bytes += conflict_bytes(request, source);
        if (bytes > ERROR_CONFLICTS_BYTES_MAX && conflict_bytes(request, source) > 0) continue;
        if (!conflict_add(conflicts, request, source, arena)) return NULL;
    }
    return conflicts;
}

static bool has_conflict(const struct append_request *request, enum conflict_kind kind) {
    for (uint32_t index = request->conflicts_count; index > 0; index--) {
        if (request->conflicts[index - 1].kind == kind) return true;
    }
    return false;
}

/* Condition and checkpoint come after the streams. */
static uint32_t streams_count(const struct append_request *request) {
    uint32_t count = request->conflicts_count;
    while (count > 0 && request->conflicts[count - 1].kind != CONFLICT_WRITE &&
           request->conflicts[count - 1].kind != CONFLICT_CHECK) {
        count--;
    }
    return count;
}

static void revisions_explain(const struct append_request *request, struct error *ret_error) {
    const struct append_conflict *first = &request->conflicts[0];
    const uint32_t count = streams_count(request);
    error_set(ret_error, REASON_REVISION_CONFLICT,
              "%" PRIu32 " stream%s not at the revision that was expected, %s[%" PRIu32 "] is at %" PRIu64
              "%s; nothing was written; read again and decide anew",
              count, count == 1 ? " is" : "s are", first->kind == CONFLICT_CHECK ? "checks" : "writes", first->index,
              first->actual, has_conflict(request, CONFLICT_CONDITION) ? ", and the condition does not hold" : "");
    ret_error->wrong_count = count;
}

static void condition_explain(const struct append_request *request, struct error *ret_error) {
    error_set(ret_error, REASON_CONDITION_FAILED,
              "the event at position %" PRIu64 " matches the condition, which stands on position %" PRIu64
              "; nothing was written; read again and decide anew",
              request->conflicts[0].actual, request->condition->after);
}

static void checkpoint_explain(const struct append_request *request, struct error *ret_error) {
    error_set(ret_error, REASON_CHECKPOINT_STALE,
              "the consumer has come to position %" PRIu64 " already, %" PRIu64
              " is not beyond it; nothing was written; another of its processes may be at work",
              request->conflicts[0].actual, request->checkpoint->position);
}

static void ids_explain(const struct append_request *request, struct error *ret_error) {
    const struct append_conflict *first = &request->conflicts[0];
    const bool all_known = request->conflicts_count == request->events_count;
    error_set(ret_error, REASON_EVENT_ID_CONFLICT,
              "%" PRIu32 " of %" PRIu32 " event ids %s known, %s; writes[%" PRIu32 "].events[%" PRIu32
              "] is at position %" PRIu64 "; nothing was written; a new event needs a new id",
              request->conflicts_count, request->events_count, request->conflicts_count == 1 ? "is" : "are",
              all_known ? "with other content, in another stream or in another order" : "the others are new",
              first->index, first->event, first->actual);
    ret_error->wrong_count = request->conflicts_count;
}

/* Nothing else is looked at when a stream is tombstoned. */
static void tombstones_explain(const struct append_request *request, struct error *ret_error) {
    const struct append_conflict *first = &request->conflicts[0];
    const uint32_t count = request->conflicts_count;
    error_set(ret_error, REASON_STREAM_TOMBSTONED,
              "the stream of writes[%" PRIu32 "] was deleted for ever%s; nothing was written; use another name",
              first->index, count == 1 ? "" : ", and so were those of other writes");
    ret_error->wrong_count = count;
}

static void conflicts_explain(const struct append_request *request, upb_Arena *arena, struct error *ret_error) {
    assert(request->conflicts_count > 0);
    switch (request->conflicts[0].kind) {
    case CONFLICT_WRITE:
    case CONFLICT_CHECK:
        revisions_explain(request, ret_error);
        break;
    case CONFLICT_CONDITION:
        condition_explain(request, ret_error);
        break;
    case CONFLICT_CHECKPOINT:
        checkpoint_explain(request, ret_error);
        break;
    case CONFLICT_ID:
        ids_explain(request, ret_error);
        break;
    case CONFLICT_TOMBSTONE:
    case CONFLICT_MISSING:
        tombstones_explain(request, ret_error);
        break;
    }
    ret_error->conflicts = conflicts_build(request, arena);
}

void append_explain(const struct append_request *request, upb_Arena *arena, struct error *ret_error) {
    switch (request->outcome) {
    case APPEND_REVISION_CONFLICT:
    case APPEND_CONDITION_FAILED:
    case APPEND_CHECKPOINT_STALE:
    case APPEND_ID_CONFLICT:
    case APPEND_STREAM_TOMBSTONED:
    case APPEND_STREAM_NOT_FOUND:
        conflicts_explain(request, arena, ret_error);
        return;
    case APPEND_STORAGE_FULL:
        error_of_failure(ret_error, FAILURE_STORAGE_FULL);
        return;
    case APPEND_STORAGE_CORRUPT:
        error_of_failure(ret_error, FAILURE_CORRUPT);
        return;
    case APPEND_OUT_OF_MEMORY:
        error_of_failure(ret_error, FAILURE_MEMORY);
        return;
    case APPEND_STOPPED:
        error_of_failure(ret_error, FAILURE_STOPPED);
        return;
    case APPEND_EXPIRED:
        error_set(ret_error, REASON_DEADLINE_PASSED,
                  "the deadline passed before the request could be written; nothing was written");
        return;
    case APPEND_COMMITTED:
        assert(!"what was committed needs no explanation");
        return;
    case APPEND_PENDING:
    case APPEND_OUTCOME_UNKNOWN:
        error_of_failure(ret_error, FAILURE_STORAGE);
        return;
    }
}
