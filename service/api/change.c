#include "service/api/change.h"

#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event.upb.h"
#include "google/protobuf/any.upb.h"
#include "service/api/append.h"
#include "service/api/deadline.h"
#include "service/api/errors.h"
#include "service/base/uuid.h"
#include "service/commit/sequencer.h"

struct change_call *change_new(const struct api *api, daybook_server_call *call, const void *message,
                               void (*done)(struct append_request *request)) {
    struct change_call *change = upb_Arena_Malloc(daybook_server_call_arena(call), sizeof *change);
    if (change == NULL) {
        error_fail_failure(call, FAILURE_MEMORY);
        return NULL;
    }
    *change = (struct change_call){.api = api, .call = call, .message = message};
    change->request = (struct append_request){
        .results = &change->result, .conflicts = change->conflicts, .done = done, .context = change};
    return change;
}

static bool payload_set(daybook_v1_Event *event, const struct change_call *change, const char *message_name,
                        const upb_MiniTable *layout, upb_Arena *arena) {
    google_protobuf_Any *any = daybook_v1_Event_mutable_message(event, arena);
    const size_t url_size = sizeof "type.googleapis.com/" + strlen(message_name);
    char *url = upb_Arena_Malloc(arena, url_size);
    char *data;
    size_t size;
    if (any == NULL || url == NULL ||
        upb_Encode(change->message, layout, 0, arena, &data, &size) != kUpb_EncodeStatus_Ok) {
        return false;
    }
    (void)snprintf(url, url_size, "type.googleapis.com/%s", message_name);
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString(url));
    google_protobuf_Any_set_value(any, upb_StringView_FromDataAndSize(data, size));
    return true;
}

/* A new id: nobody can have used it before. */
static bool id_set(daybook_v1_Event *event, struct append_event *ret_event, upb_Arena *arena) {
    char *id = upb_Arena_Malloc(arena, UUID_TEXT_BYTES);
    if (id == NULL) return false;
    const struct uuid uuid = uuid_new();
    uuid_format(&uuid, id);
    ret_event->id = bytes_of(id, UUID_TEXT_BYTES);
    ret_event->id_term = term_of(TERM_EVENT_ID, ret_event->id);
    ret_event->id_is_new = true;
    daybook_v1_Event_set_id(event, upb_StringView_FromDataAndSize(id, UUID_TEXT_BYTES));
    return true;
}

bool change_tell(struct change_call *change, struct bytes stream, const char *type, const char *message_name,
                 const upb_MiniTable *layout) {
    upb_Arena *arena = daybook_server_call_arena(change->call);
    daybook_v1_Event *event = daybook_v1_Event_new(arena);
    if (event == NULL || !id_set(event, &change->event, arena)) return false;
    daybook_v1_Event_set_type(event, upb_StringView_FromString(type));
    if (!payload_set(event, change, message_name, layout, arena)) return false;
    char *data;
    size_t size;
    if (upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) !=
        kUpb_EncodeStatus_Ok) {
        return false;
    }
    change->event.encoded = bytes_of(data, size);
    change->write = (struct append_write){
        .stream = stream, .term = term_of(TERM_STREAM, stream), .events = &change->event, .events_count = 1};
    change->request.writes = &change->write;
    change->request.writes_count = 1;
    change->request.events_count = 1;
    change->request.size_bytes += size + stream.size;
    return true;
}

struct append_check change_expectation(struct bytes stream, bool has_revision, uint64_t revision) {
    return (struct append_check){.stream = stream,
                                 .term = term_of(TERM_STREAM, stream),
                                 .expectation = has_revision ? EXPECT_REVISION : EXPECT_ANY,
                                 .expected_revision = revision};
}

void change_submit(struct change_call *change) {
    change->request.deadline_ns = deadline_of(daybook_server_call_remaining_ms(change->call));
    const result queued = sequencer_submit(change->api->sequencer, &change->request);
    if (!failed(queued)) return;
    struct error error;
    error_of_queue(&error, queued.failure);
    error_fail(change->call, &error);
}

static const daybook_v1_AppendConflicts *conflict_of(const struct change_call *change, struct bytes stream,
                                                     upb_Arena *arena) {
    daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendConflicts_new(arena);
    daybook_v1_StreamConflict *conflict =
        conflicts == NULL ? NULL : daybook_v1_AppendConflicts_add_streams(conflicts, arena);
    if (conflict == NULL) return NULL;
    daybook_v1_StreamConflict_set_field(conflict, upb_StringView_FromString("expected_revision"));
    daybook_v1_StreamConflict_set_stream(conflict,
                                         upb_StringView_FromDataAndSize((const char *)stream.data, stream.size));
    daybook_v1_StreamConflict_set_expected_revision(conflict, change->check.expected_revision);
    daybook_v1_StreamConflict_set_actual_revision(conflict, change->conflicts[0].actual);
    return conflicts;
}

void change_refuse(const struct change_call *change, struct bytes stream) {
    struct error error;
    switch (change->request.outcome) {
    case APPEND_REVISION_CONFLICT:
        error_set(&error, REASON_REVISION_CONFLICT,
                  "the stream is at revision %" PRIu64 ", not at %" PRIu64 "; nothing was changed",
                  change->conflicts[0].actual, change->check.expected_revision);
        error.conflicts = conflict_of(change, stream, daybook_server_call_arena(change->call));
        break;
    case APPEND_STREAM_TOMBSTONED:
        error_set(&error, REASON_STREAM_TOMBSTONED, "the stream was deleted for ever; nothing was changed");
        break;
    case APPEND_STREAM_NOT_FOUND:
        error_of_failure(&error, FAILURE_NOT_FOUND);
        break;
    default:
        append_explain(&change->request, daybook_server_call_arena(change->call), &error);
        break;
    }
    error_fail(change->call, &error);
}
