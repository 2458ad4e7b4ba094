/* Appends by chance, and their bytes. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "tests/model/api_append.h"
#include "tests/support/events.h"

#define PAYLOAD_BYTES_MAX  600
#define REQUEST_BYTES_ROOM 65536

/* Fields of daybook.v1. */
enum { FIELD_REQUEST_WRITES = 1, FIELD_WRITE_EVENTS = 4 };

/* --- Events. ------------------------------------------------------------------------------------------------------------- */

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static const char *id_make(struct api_world *world) {
    char text[REFERENCE_ID_BYTES + 1];
    const uint64_t number = ++world->ids_count;
    (void)snprintf(text, sizeof text, "%08" PRIx64 "-abcd-4fff-bfff-%012" PRIx64, number * 2654435761u % 0xffffffffu,
                   number);
    return reference_text(world->reference, text, REFERENCE_ID_BYTES);
}

static void payload_set(struct api_world *world, daybook_v1_Event *event, upb_Arena *arena) {
    char *text = upb_Arena_Malloc(arena, PAYLOAD_BYTES_MAX);
    const size_t size = api_below(world, api_one_in(world, 8) ? PAYLOAD_BYTES_MAX : 60);
    for (size_t index = 0; index < size; index++) text[index] = (char)(' ' + api_below(world, 95));
    const upb_StringView payload = upb_StringView_FromDataAndSize(text, size);
    if (api_one_in(world, 2)) {
        daybook_v1_Event_set_text(event, payload);
    } else {
        daybook_v1_Event_set_data(event, payload);
    }
}

static void extras_set(struct api_world *world, daybook_v1_Event *event, upb_Arena *arena) {
    if (api_one_in(world, 4)) daybook_v1_Event_set_content_type(event, view("application/json"));
    if (api_one_in(world, 4))
        cr_assert(daybook_v1_Event_metadata_set(event, view("correlation_id"), view("c-1"), arena));
    if (api_one_in(world, 4)) cr_assert(daybook_v1_Event_metadata_set(event, view("a"), view(""), arena));
    if (api_one_in(world, 4)) {
        google_protobuf_Timestamp_set_seconds(daybook_v1_Event_mutable_occurred_at(event, arena),
                                              (int64_t)api_below(world, 2000000000));
    }
}

/* Encodes as the daemon stores it, around what is fixed about the event. */
static void event_fill(struct api_world *world, struct reference_new_event *event) {
    upb_Arena *arena = world->reference->arena;
    daybook_v1_Event *message = daybook_v1_Event_new(arena);
    if (event->id != NULL) daybook_v1_Event_set_id(message, view(event->id));
    daybook_v1_Event_set_type(message, view(event->type));
    for (uint32_t tag = 0; tag < event->tags_count; tag++) {
        cr_assert(daybook_v1_Event_add_tags(message, view(event->tags[tag]), arena));
    }
    if (!api_one_in(world, 8)) payload_set(world, message, arena);
    extras_set(world, message, arena);
    char *data;
    size_t size;
    cr_assert_eq(upb_Encode(message, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size),
                 kUpb_EncodeStatus_Ok);
    event->encoded = bytes_of(data, size);
}

struct reference_new_event api_event_make(struct api_world *world) {
    struct reference_new_event event = {.type = reference_types[api_below(world, REFERENCE_TYPES_COUNT)]};
    if (!api_one_in(world, 4)) event.id = id_make(world);
    const uint64_t first = api_below(world, REFERENCE_TAGS_COUNT);
    event.tags_count = (uint32_t)api_below(world, REFERENCE_TAGS_MAX + 1);
    for (uint32_t tag = 0; tag < event.tags_count; tag++) {
        event.tags[tag] = reference_tags[(first + tag * 3) % REFERENCE_TAGS_COUNT]; /* each once: 3 and 8 are coprime */
    }
    event_fill(world, &event);
    return event;
}

void api_event_change(struct api_world *world, struct reference_new_event *event) {
    event->type = reference_types[api_below(world, REFERENCE_TYPES_COUNT)];
    event_fill(world, event);
}

/* --- Appends. ------------------------------------------------------------------------------------------------------------ */

static struct reference_expectation expectation_make(struct api_world *world, bool expects) {
    struct reference_expectation expectation = {.stream = (uint32_t)api_below(world, REFERENCE_STREAMS_COUNT)};
    if (!expects) return expectation;
    const uint64_t revision = world->reference->streams[expectation.stream].revision;
    expectation.expects = api_one_in(world, 4) ? EXPECTS_STREAM : EXPECTS_REVISION;
    expectation.revision = api_one_in(world, 6) ? 0 : api_one_in(world, 6) ? revision + 1 : revision;
    return expectation;
}

/* Only the first write to a stream may expect something. */
static bool is_written(const struct reference_append *append, uint32_t stream) {
    for (uint32_t write = 0; write < append->writes_count; write++) {
        if (append->writes[write].expectation.stream == stream) return true;
    }
    return false;
}

static void write_make(struct api_world *world, struct reference_append *append) {
    struct reference_write write = {.expectation = expectation_make(world, api_one_in(world, 3))};
    if (is_written(append, write.expectation.stream)) write.expectation.expects = EXPECTS_NOTHING;
    write.events_count = 1 + (uint32_t)(api_one_in(world, 3) ? api_below(world, REFERENCE_WRITE_EVENTS_MAX) : 0);
    for (uint32_t event = 0; event < write.events_count; event++) write.events[event] = api_event_make(world);
    append->writes[append->writes_count++] = write;
}

struct reference_append api_append_make(struct api_world *world) {
    struct reference_append append = {0};
    const uint64_t head = world->reference->head;
    uint64_t writes_count = 1 + (api_one_in(world, 3) ? api_below(world, REFERENCE_WRITES_MAX) : 0);
    while (writes_count-- > 0) write_make(world, &append);
    if (api_one_in(world, 6)) {
        append.checks_count = 1 + (uint32_t)api_below(world, REFERENCE_CHECKS_MAX);
        for (uint32_t check = 0; check < append.checks_count; check++) {
            append.checks[check] = expectation_make(world, true);
        }
    }
    if (api_one_in(world, 4)) {
        append.has_condition = true;
        append.none_match = api_filter(world, true);
        append.after =
            api_one_in(world, 4) ? api_below(world, head + 1) : head - api_below(world, head < 20 ? head + 1 : 20);
    }
    if (head > 0 && api_one_in(world, 6)) {
        append.consumer = reference_consumers[api_below(world, REFERENCE_CONSUMERS_COUNT)];
        append.checkpoint = api_one_in(world, 2) ? head : 1 + api_below(world, head);
    }
    return append;
}

/* --- Bytes. -------------------------------------------------------------------------------------------------------------- */

static uint8_t *message_write(uint8_t *out, const void *message, const upb_MiniTable *layout, upb_Arena *arena) {
    char *data;
    size_t size;
    cr_assert_eq(upb_Encode(message, layout, 0, arena, &data, &size), kUpb_EncodeStatus_Ok);
    memcpy(out, data, size);
    return out + size;
}

/* An id may be sent in upper case; the event stays the same. */
static uint8_t *event_write(struct api_world *world, uint8_t *out, const struct reference_new_event *event) {
    uint8_t *end = event_field_write(out, FIELD_WRITE_EVENTS, event->encoded);
    if (event->id == NULL || !api_one_in(world, 8)) return end;
    /* It is the first field of the encoded event: 0a 24 and its characters. */
    uint8_t *id = end - event->encoded.size + 2;
    for (size_t index = 0; index < REFERENCE_ID_BYTES; index++) id[index] = (uint8_t)toupper(id[index]);
    return end;
}

static uint8_t *write_write(struct api_world *world, uint8_t *out, const struct reference_write *write) {
    const struct reference_expectation *expectation = &write->expectation;
    daybook_v1_Write *message = daybook_v1_Write_new(world->arena);
    daybook_v1_Write_set_stream(message, view(reference_streams[expectation->stream]));
    if (expectation->expects == EXPECTS_REVISION) {
        daybook_v1_Write_set_expected_revision(message, expectation->revision);
    }
    daybook_v1_Write_set_stream_exists(message, expectation->expects == EXPECTS_STREAM);
    uint8_t *buffer = upb_Arena_Malloc(world->arena, REQUEST_BYTES_ROOM);
    uint8_t *end = message_write(buffer, message, &daybook_v1_Write_msginit, world->arena);
    for (uint32_t event = 0; event < write->events_count; event++) end = event_write(world, end, &write->events[event]);
    return event_field_write(out, FIELD_REQUEST_WRITES, bytes_of(buffer, (size_t)(end - buffer)));
}

static void checks_add(struct api_world *world, const struct reference_append *append,
                       daybook_v1_AppendRequest *message) {
    for (uint32_t index = 0; index < append->checks_count; index++) {
        const struct reference_expectation *expectation = &append->checks[index];
        daybook_v1_StreamCheck *check = daybook_v1_AppendRequest_add_checks(message, world->arena);
        daybook_v1_StreamCheck_set_stream(check, view(reference_streams[expectation->stream]));
        if (expectation->expects == EXPECTS_REVISION) {
            daybook_v1_StreamCheck_set_expected_revision(check, expectation->revision);
        }
        daybook_v1_StreamCheck_set_stream_exists(check, expectation->expects == EXPECTS_STREAM);
    }
}

upb_StringView api_append_encode(struct api_world *world, const struct reference_append *append) {
    daybook_v1_AppendRequest *message = daybook_v1_AppendRequest_new(world->arena);
    checks_add(world, append, message);
    if (append->has_condition) {
        daybook_v1_Condition *condition = daybook_v1_AppendRequest_mutable_condition(message, world->arena);
        daybook_v1_Condition_set_none_match(condition, api_filter_message(world, &append->none_match));
        daybook_v1_Condition_set_after(condition, append->after);
    }
    if (append->consumer != NULL) {
        daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_mutable_checkpoint(message, world->arena);
        daybook_v1_Checkpoint_set_consumer(checkpoint, view(append->consumer));
        daybook_v1_Checkpoint_set_position(checkpoint, append->checkpoint);
    }
    /* Encoded messages that follow each other are one message. */
    uint8_t *buffer = upb_Arena_Malloc(world->arena, REQUEST_BYTES_ROOM);
    uint8_t *end = message_write(buffer, message, &daybook_v1_AppendRequest_msginit, world->arena);
    for (uint32_t write = 0; write < append->writes_count; write++) {
        end = write_write(world, end, &append->writes[write]);
    }
    cr_assert_lt(end - buffer, REQUEST_BYTES_ROOM);
    return upb_StringView_FromDataAndSize((const char *)buffer, (size_t)(end - buffer));
}
