/* UpdateStreamSettings, DeleteStream and EraseEvents: what is asked, and what has become of it. */
#include <stdlib.h>

#include "service/api/change.h"
#include "service/api/errors.h"
#include "service/api/stream_metadata.h"
#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/feed/feed.h"
#include "service/retention/retention.h"

/* Where erasures are told of; they are about events, not about a stream. */
#define ERASURES_STREAM "$erasures"

static struct bytes bytes_of_view(upb_StringView view) {
    return bytes_of(view.data, view.size);
}

/* --- UpdateStreamSettings ------------------------------------------------------------------------------------------- */

static void settings_answer(struct append_request *request) {
    struct change_call *change = request->context;
    if (request->outcome != APPEND_COMMITTED) {
        change_refuse(change, change->change.stream);
        return;
    }
    retention_wake(change->api->retention);
    upb_Arena *arena = daybook_server_call_arena(change->call);
    daybook_v1_UpdateStreamSettingsResponse *response = daybook_v1_UpdateStreamSettingsResponse_new(arena);
    const daybook_v1_UpdateStreamSettingsRequest *message = change->message;
    /* The message is the call's own: nobody else sees the change. */
    daybook_v1_StreamSettings *settings =
        (daybook_v1_StreamSettings *)(uintptr_t)daybook_v1_UpdateStreamSettingsRequest_settings(message);
    if (settings == NULL) settings = daybook_v1_StreamSettings_new(arena);
    if (response == NULL || settings == NULL) {
        error_fail_failure(change->call, FAILURE_MEMORY);
        return;
    }
    daybook_v1_StreamSettings_set_truncate_before(settings, change->change.truncate_before);
    daybook_v1_UpdateStreamSettingsResponse_set_settings(response, settings);
    daybook_v1_EventStore_UpdateStreamSettings_reply(change->call, response);
}

static bool settings_fill(struct change_call *change, const daybook_v1_UpdateStreamSettingsRequest *message,
                          upb_Arena *arena) {
    const daybook_v1_StreamSettings *settings = daybook_v1_UpdateStreamSettingsRequest_settings(message);
    const struct bytes stream = bytes_of_view(daybook_v1_UpdateStreamSettingsRequest_stream(message));
    change->check = change_expectation(stream, daybook_v1_UpdateStreamSettingsRequest_has_expected_revision(message),
                                       daybook_v1_UpdateStreamSettingsRequest_expected_revision(message));
    change->request.checks = &change->check;
    change->request.checks_count = 1;
    change->change =
        (struct append_stream_change){.kind = STREAM_CHANGE_SETTINGS, .stream = stream, .term = change->check.term};
    change->request.change = &change->change;
    change->request.size_bytes = stream.size;
    if (settings == NULL) return true;
    change->change.max_age_seconds = daybook_v1_StreamSettings_max_age_seconds(settings);
    change->change.max_count = daybook_v1_StreamSettings_max_count(settings);
    change->change.truncate_before = daybook_v1_StreamSettings_truncate_before(settings);
    if (failed(stream_metadata_encode(settings, arena, &change->change.metadata))) return false;
    change->request.size_bytes += change->change.metadata.size;
    return true;
}

void api_update_stream_settings(void *context, daybook_server_call *call,
                                const daybook_v1_UpdateStreamSettingsRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_settings(&validation, request);
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    struct change_call *change = change_new(context, call, request, settings_answer);
    if (change == NULL) return;
    if (!settings_fill(change, request, daybook_server_call_arena(call))) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    change_submit(change);
}

/* --- DeleteStream --------------------------------------------------------------------------------------------------- */

static void delete_answer(struct append_request *request) {
    struct change_call *change = request->context;
    if (request->outcome != APPEND_COMMITTED) {
        change_refuse(change, change->change.stream);
        return;
    }
    retention_wake(change->api->retention);
    daybook_v1_DeleteStreamResponse *response =
        daybook_v1_DeleteStreamResponse_new(daybook_server_call_arena(change->call));
    if (response == NULL) {
        error_fail_failure(change->call, FAILURE_MEMORY);
        return;
    }
    daybook_v1_DeleteStreamResponse_set_position(response, change->result.last_position);
    daybook_v1_DeleteStreamResponse_set_revision(response, change->result.last_revision);
    daybook_v1_EventStore_DeleteStream_reply(change->call, response);
}

void api_delete_stream(void *context, daybook_server_call *call, const daybook_v1_DeleteStreamRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_delete(&validation, request);
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    struct change_call *change = change_new(context, call, request, delete_answer);
    if (change == NULL) return;
    const bool tombstone = daybook_v1_DeleteStreamRequest_tombstone(request);
    const struct bytes stream = bytes_of_view(daybook_v1_DeleteStreamRequest_stream(request));
    if (!change_tell(change, stream, tombstone ? "$StreamTombstoned" : "$StreamDeleted",
                     "daybook.v1.DeleteStreamRequest", &daybook_v1_DeleteStreamRequest_msginit)) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    change->check = change_expectation(stream, daybook_v1_DeleteStreamRequest_has_expected_revision(request),
                                       daybook_v1_DeleteStreamRequest_expected_revision(request));
    change->write.expectation = change->check.expectation;
    change->write.expected_revision = change->check.expected_revision;
    change->change = (struct append_stream_change){.kind = tombstone ? STREAM_CHANGE_TOMBSTONE : STREAM_CHANGE_DELETE,
                                                   .stream = stream,
                                                   .term = change->check.term};
    change->request.change = &change->change;
    change_submit(change);
}

/* --- EraseEvents ---------------------------------------------------------------------------------------------------- */

static void erase_answer(struct append_request *request) {
    struct change_call *change = request->context;
    if (request->outcome != APPEND_COMMITTED) {
        change_refuse(change, change->write.stream);
        return;
    }
    daybook_v1_EraseEventsResponse *response =
        daybook_v1_EraseEventsResponse_new(daybook_server_call_arena(change->call));
    if (response == NULL) {
        error_fail_failure(change->call, FAILURE_MEMORY);
        return;
    }
    const uint32_t erased_count = change->rewrite.rewritten_count;
    daybook_v1_EraseEventsResponse_set_erased_count(response, erased_count);
    if (erased_count > 0) daybook_v1_EraseEventsResponse_set_position(response, change->result.last_position);
    daybook_v1_EventStore_EraseEvents_reply(change->call, response);
}

static int position_compare(const void *left, const void *right) {
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static bool positions_fill(struct change_call *change, const daybook_v1_EraseEventsRequest *message, upb_Arena *arena) {
    size_t count;
    const uint64_t *positions = daybook_v1_EraseEventsRequest_positions(message, &count);
    change->positions = upb_Arena_Malloc(arena, count * sizeof *positions);
    if (change->positions == NULL) return false;
    memcpy(change->positions, positions, count * sizeof *positions);
    qsort(change->positions, count, sizeof *positions, position_compare);
    change->rewrite = (struct append_rewrite){
        .kind = REWRITE_ERASE, .positions = change->positions, .positions_count = (uint32_t)count};
    change->request.rewrite = &change->rewrite;
    /* Each may be the only event of a page that is written for it. */
    change->request.size_bytes += count * REWRITE_BYTES_TYPICAL;
    return true;
}

void api_erase_events(void *context, daybook_server_call *call, const daybook_v1_EraseEventsRequest *request) {
    const struct api *api = context;
    struct validation validation;
    validation_init(&validation);
    validate_erase(&validation, request, feed_head(api->feed));
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    struct change_call *change = change_new(api, call, request, erase_answer);
    if (change == NULL) return;
    if (!positions_fill(change, request, daybook_server_call_arena(call)) ||
        !change_tell(change, bytes_of_text(ERASURES_STREAM), "$EventsErased", "daybook.v1.EraseEventsRequest",
                     &daybook_v1_EraseEventsRequest_msginit)) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    change_submit(change);
}
