/* From the wire to the sequencer's request: checks, ids, terms and the bytes that will be stored. */
#include <inttypes.h>

#include "service/api/append.h"
#include "service/api/filters.h"
#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/base/uuid.h"
#include "service/feed/feed.h"

static struct bytes bytes_of_view(upb_StringView view) {
    return bytes_of(view.data, view.size);
}

/* Stored ids are lower case, and always there. The message is the call's own: nobody else sees the change. */
static bool id_assign(daybook_v1_Event *event, struct append_event *ret_event, upb_Arena *arena) {
    upb_StringView id = daybook_v1_Event_id(event);
    struct uuid uuid;
    /* A given id was validated; a missing one is made here, before the log, because apply must not know chance. */
    ret_event->id_is_new = id.size == 0 || failed(uuid_parse(bytes_of_view(id), &uuid));
    if (ret_event->id_is_new) uuid = uuid_new();
    char text[UUID_TEXT_BYTES];
    uuid_format(&uuid, text);
    if (id.size != sizeof text || memcmp(id.data, text, sizeof text) != 0) {
        char *copy = upb_Arena_Malloc(arena, sizeof text);
        if (copy == NULL) return false;
        memcpy(copy, text, sizeof text);
        id = upb_StringView_FromDataAndSize(copy, sizeof text);
        daybook_v1_Event_set_id(event, id);
    }
    ret_event->id = bytes_of_view(id);
    ret_event->id_term = term_of(TERM_EVENT_ID, ret_event->id);
    return true;
}

/* Encodes an event once, for the log and for every reader. Deterministic, so that equal events have equal bytes. */
static enum failure event_encode(const daybook_v1_Event *message, struct append_event *ret_event, upb_Arena *arena) {
    daybook_v1_Event *event = (daybook_v1_Event *)(uintptr_t)message;
    if (!id_assign(event, ret_event, arena)) return FAILURE_MEMORY;
    char *data;
    size_t size;
    if (upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) !=
        kUpb_EncodeStatus_Ok) {
        return FAILURE_MEMORY;
    }
    ret_event->encoded = bytes_of(data, size);
    return FAILURE_NONE;
}

static enum failure write_fill(const daybook_v1_Write *message, struct append_write *ret_write, upb_Arena *arena) {
    size_t count;
    const daybook_v1_Event *const *messages = daybook_v1_Write_events(message, &count);
    struct append_event *events = upb_Arena_Malloc(arena, count * sizeof *events);
    if (events == NULL) return FAILURE_MEMORY;
    for (size_t index = 0; index < count; index++) {
        const enum failure failure = event_encode(messages[index], &events[index], arena);
        if (failure != FAILURE_NONE) return failure;
    }
    const struct bytes stream = bytes_of_view(daybook_v1_Write_stream(message));
    *ret_write = (struct append_write){.stream = stream,
                                       .term = term_of(TERM_STREAM, stream),
                                       .expectation = daybook_v1_Write_has_expected_revision(message) ? EXPECT_REVISION
                                                      : daybook_v1_Write_stream_exists(message)       ? EXPECT_EXISTS
                                                                                                      : EXPECT_ANY,
                                       .expected_revision = daybook_v1_Write_expected_revision(message),
                                       .events = events,
                                       .events_count = (uint32_t)count};
    return FAILURE_NONE;
}

static enum failure writes_fill(const daybook_v1_AppendRequest *message, struct append_request *request,
                                upb_Arena *arena) {
    size_t count;
    const daybook_v1_Write *const *messages = daybook_v1_AppendRequest_writes(message, &count);
    struct append_write *writes = upb_Arena_Malloc(arena, count * sizeof *writes);
    struct append_result *results = upb_Arena_Malloc(arena, count * sizeof *results);
    if (writes == NULL || results == NULL) return FAILURE_MEMORY;
    for (size_t index = 0; index < count; index++) {
        const enum failure failure = write_fill(messages[index], &writes[index], arena);
        if (failure != FAILURE_NONE) return failure;
        request->events_count += writes[index].events_count;
        for (uint32_t event = 0; event < writes[index].events_count; event++) {
            request->size_bytes += writes[index].events[event].encoded.size + writes[index].stream.size;
        }
    }
    request->writes = writes;
    request->writes_count = (uint32_t)count;
    request->results = results;
    return FAILURE_NONE;
}

static enum failure checks_fill(const daybook_v1_AppendRequest *message, struct append_request *request,
                                upb_Arena *arena) {
    size_t count;
    const daybook_v1_StreamCheck *const *messages = daybook_v1_AppendRequest_checks(message, &count);
    struct append_check *checks = upb_Arena_Malloc(arena, count * sizeof *checks);
    struct append_conflict *conflicts =
        upb_Arena_Malloc(arena, (count + request->events_count + 2) * sizeof *conflicts);
    if (checks == NULL || conflicts == NULL) return FAILURE_MEMORY;
    for (size_t index = 0; index < count; index++) {
        const struct bytes stream = bytes_of_view(daybook_v1_StreamCheck_stream(messages[index]));
        const bool has_revision = daybook_v1_StreamCheck_has_expected_revision(messages[index]);
        checks[index] =
            (struct append_check){.stream = stream,
                                  .term = term_of(TERM_STREAM, stream),
                                  .expectation = has_revision ? EXPECT_REVISION : EXPECT_EXISTS,
                                  .expected_revision = daybook_v1_StreamCheck_expected_revision(messages[index])};
    }
    request->checks = checks;
    request->checks_count = (uint32_t)count;
    request->conflicts = conflicts;
    return FAILURE_NONE;
}

static enum failure condition_fill(const daybook_v1_AppendRequest *message, struct append *append, upb_Arena *arena) {
    const daybook_v1_Condition *condition = daybook_v1_AppendRequest_condition(message);
    if (condition == NULL) return FAILURE_NONE;
    const result compiled = filter_compile(daybook_v1_Condition_none_match(condition), arena, &append->filter);
    if (failed(compiled)) return compiled.failure;
    append->condition =
        (struct append_condition){.filter = append->filter, .after = daybook_v1_Condition_after(condition)};
    append->request.condition = &append->condition;
    return FAILURE_NONE;
}

static void checkpoint_fill(const daybook_v1_AppendRequest *message, struct append *append) {
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_checkpoint(message);
    if (checkpoint == NULL) return;
    append->checkpoint =
        (struct append_checkpoint){.consumer = bytes_of_view(daybook_v1_Checkpoint_consumer(checkpoint)),
                                   .position = daybook_v1_Checkpoint_position(checkpoint)};
    append->request.checkpoint = &append->checkpoint;
}

/* The size of an event is known once it is encoded: its stored form is what the limit is about. */
static void validate_sizes(struct validation *validation, const struct append_request *request,
                           uint64_t event_bytes_max) {
    for (uint32_t write = 0; write < request->writes_count; write++) {
        for (uint32_t event = 0; event < request->writes[write].events_count; event++) {
            const size_t size = request->writes[write].events[event].encoded.size;
            if (size <= event_bytes_max) continue;
            const struct field parent = field_at(NULL, "writes", write);
            const struct field field = field_at(&parent, "events", event);
            violation_add(validation, REASON_EVENT_TOO_LARGE, &field,
                          "has %zu encoded bytes; at most %" PRIu64 " are allowed", size, event_bytes_max);
        }
    }
}

/* Only condition and checkpoint are about the head. */
static uint64_t head_for(const struct api *api, const daybook_v1_AppendRequest *message) {
    const bool asks =
        daybook_v1_AppendRequest_has_condition(message) || daybook_v1_AppendRequest_has_checkpoint(message);
    return asks ? feed_head(api->feed) : 0;
}

static enum failure append_fill(const daybook_v1_AppendRequest *message, upb_Arena *arena, struct append *append) {
    enum failure failure = writes_fill(message, &append->request, arena);
    if (failure == FAILURE_NONE) failure = checks_fill(message, &append->request, arena);
    return failure;
}

/* A request is in memory as it came, as messages, and encoded; its arena's last block is half empty on average. */
static uint64_t memory_bytes(const struct append_request *request) {
    return REQUEST_MEMORY_BYTES + 3 * request->size_bytes + (uint64_t)request->events_count * EVENT_MEMORY_BYTES;
}

bool append_init(struct append *append, const struct api *api, const daybook_v1_AppendRequest *message,
                 upb_Arena *arena, struct error *ret_error) {
    struct validation validation __attribute__((uninitialized)); /* 3 KiB, filled when something is wrong */
    validation_init(&validation);
    validate_append(&validation, message, head_for(api, message));
    enum failure failure = FAILURE_NONE;
    *append = (struct append){0};
    if (!validation.failed) failure = append_fill(message, arena, append);
    if (!validation.failed && failure == FAILURE_NONE) {
        validate_sizes(&validation, &append->request, api->event_bytes_max);
    }
    if (validation.failed) {
        *ret_error = validation.error;
        return false;
    }
    append->request.memory_bytes = memory_bytes(&append->request);
    if (failure == FAILURE_NONE) {
        checkpoint_fill(message, append);
        failure = condition_fill(message, append, arena);
    }
    if (failure != FAILURE_NONE) error_of_failure(ret_error, failure);
    return failure == FAILURE_NONE;
}

void append_deinit(struct append *append) {
    append->filter = filter_free(append->filter);
}
