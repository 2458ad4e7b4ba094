/* Our writer and reader against upb's, which read the same message: daybook.v1.RecordedEvent. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.upb.h"
#include "google/protobuf/timestamp.upb.h"
#include "sdk/runtime/codec.h"
#include "service/base/limits.h"
#include "service/record/chunk.h"
#include "service/record/record.h"
#include "tests/support/random.h"

#define ROUNDS_COUNT  5000
#define RECORDS_COUNT 300

static upb_StringView view(struct bytes bytes) {
    return upb_StringView_FromDataAndSize((const char *)bytes.data, bytes.size);
}

static bool is(upb_StringView text, struct bytes bytes) {
    return bytes_equal(bytes_of(text.data, text.size), bytes);
}

/* Printable, because upb checks that text is UTF-8. */
static struct bytes random_name(struct random *random, upb_Arena *arena) {
    const size_t size = 1 + random_below(random, random_below(random, 4) == 0 ? NAME_BYTES_MAX : 20);
    uint8_t *text = upb_Arena_Malloc(arena, size);
    for (size_t index = 0; index < size; index++) text[index] = (uint8_t)(' ' + random_below(random, 95));
    return bytes_of(text, size);
}

struct expected {
    uint64_t position;
    struct bytes stream;
    uint64_t revision;
    int64_t recorded_ns;
    struct bytes id;
    struct bytes type;
    struct bytes tags[TAGS_COUNT_MAX];
    uint32_t tags_count;
};

static daybook_v1_Event *random_event(struct random *random, upb_Arena *arena, struct expected *expected) {
    static const char id[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    daybook_v1_Event *event = daybook_v1_Event_new(arena);
    expected->id = bytes_of(id, sizeof id - 1);
    expected->type = random_name(random, arena);
    expected->tags_count = (uint32_t)random_below(random, random_below(random, 4) == 0 ? TAGS_COUNT_MAX + 1 : 3);
    daybook_v1_Event_set_id(event, view(expected->id));
    daybook_v1_Event_set_type(event, view(expected->type));
    for (uint32_t tag = 0; tag < expected->tags_count; tag++) {
        expected->tags[tag] = random_name(random, arena);
        cr_assert(daybook_v1_Event_add_tags(event, view(expected->tags[tag]), arena));
    }
    const struct bytes payload = random_name(random, arena);
    if (random_below(random, 2) == 0) daybook_v1_Event_set_data(event, view(payload));
    if (random_below(random, 3) == 0) daybook_v1_Event_set_text(event, view(payload));
    if (random_below(random, 3) == 0) daybook_v1_Event_set_content_type(event, view(payload));
    if (random_below(random, 3) == 0) {
        cr_assert(daybook_v1_Event_metadata_set(event, view(payload), view(expected->type), arena));
    }
    if (random_below(random, 3) == 0) {
        google_protobuf_Timestamp_set_seconds(daybook_v1_Event_mutable_occurred_at(event, arena),
                                              (int64_t)random_next(random));
    }
    return event;
}

/* The same record by upb and by us; ours is returned. */
static struct bytes random_record(struct random *random, upb_Arena *arena, uint64_t position,
                                  struct expected *ret_expected) {
    struct expected *expected = ret_expected;
    daybook_v1_RecordedEvent *recorded = daybook_v1_RecordedEvent_new(arena);
    daybook_v1_Event *event = random_event(random, arena, expected);
    expected->position = position;
    expected->stream = random_name(random, arena);
    expected->revision = 1 + (random_next(random) >> random_below(random, 64)) / 2;
    expected->recorded_ns = (int64_t)(random_next(random) >> (2 + random_below(random, 62)));
    if (random_below(random, 4) == 0) expected->recorded_ns -= expected->recorded_ns % 1000000000;
    daybook_v1_RecordedEvent_set_position(recorded, position);
    daybook_v1_RecordedEvent_set_stream(recorded, view(expected->stream));
    daybook_v1_RecordedEvent_set_revision(recorded, expected->revision);
    google_protobuf_Timestamp *time = daybook_v1_RecordedEvent_mutable_recorded_at(recorded, arena);
    google_protobuf_Timestamp_set_seconds(time, expected->recorded_ns / 1000000000);
    google_protobuf_Timestamp_set_nanos(time, (int32_t)(expected->recorded_ns % 1000000000));
    daybook_v1_RecordedEvent_set_event(recorded, event);
    size_t theirs_size = 0;
    size_t event_size = 0;
    const char *theirs = daybook_v1_RecordedEvent_serialize(recorded, arena, &theirs_size);
    const char *event_bytes = daybook_v1_Event_serialize(event, arena, &event_size);
    cr_assert(theirs != NULL && event_bytes != NULL);

    const struct record record = {
        .position = position,
        .stream = expected->stream,
        .revision = expected->revision,
        .recorded_ns = expected->recorded_ns,
        .event = bytes_of(event_bytes, event_size),
    };
    uint8_t *ours = upb_Arena_Malloc(arena, record_size(&record));
    cr_assert_eq(record_write(&record, ours), ours + record_size(&record));
    const struct bytes encoded = bytes_of(ours, record_size(&record));
    cr_assert(bytes_equal(encoded, bytes_of(theirs, theirs_size)), "byte for byte what upb writes");
    return encoded;
}

static void expect_equal(const daybook_v1_RecordedEvent *recorded, const struct expected *expected) {
    const google_protobuf_Timestamp *time = daybook_v1_RecordedEvent_recorded_at(recorded);
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    cr_assert(time != NULL && event != NULL);
    cr_assert_eq(daybook_v1_RecordedEvent_position(recorded), expected->position);
    cr_assert_eq(daybook_v1_RecordedEvent_revision(recorded), expected->revision);
    cr_assert(is(daybook_v1_RecordedEvent_stream(recorded), expected->stream));
    cr_assert_eq(google_protobuf_Timestamp_seconds(time) * 1000000000 + google_protobuf_Timestamp_nanos(time),
                 expected->recorded_ns);
    cr_assert(is(daybook_v1_Event_type(event), expected->type));
}

Test(record_protobuf, records_are_what_upb_writes_and_reads) {
    struct random random = random_start("record_protobuf");
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        upb_Arena *arena = upb_Arena_New();
        struct expected expected = {0};
        const uint64_t position = 1 + (random_next(&random) >> random_below(&random, 64)) / 2;
        const struct bytes encoded = random_record(&random, arena, position, &expected);
        const daybook_v1_RecordedEvent *parsed =
            daybook_v1_RecordedEvent_parse((const char *)encoded.data, encoded.size, arena);
        cr_assert_not_null(parsed);
        expect_equal(parsed, &expected);

        struct record record;
        struct event_fields fields;
        cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
        cr_assert_eq(record.recorded_ns, expected.recorded_ns);
        cr_assert_eq(record_event_fields(record.event, &fields).failure, FAILURE_NONE);
        cr_assert(bytes_equal(fields.id, expected.id));
        cr_assert(bytes_equal(fields.type, expected.type));
        cr_assert_eq(fields.tags_count, expected.tags_count);
        for (uint32_t tag = 0; tag < fields.tags_count; tag++) {
            cr_assert(bytes_equal(fields.tags[tag], expected.tags[tag]));
        }
        upb_Arena_Free(arena);
    }
}

Test(record_protobuf, a_framed_chunk_is_a_response) {
    struct random random = random_start("record_protobuf");
    static struct expected expected[RECORDS_COUNT];
    upb_Arena *arena = upb_Arena_New();
    struct chunk *chunk = NULL;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < RECORDS_COUNT; index++) {
        const struct bytes encoded = random_record(&random, arena, 1000 + index, &expected[index]);
        cr_assert_eq(chunk_append_encoded(chunk, 1000 + index, encoded).failure, FAILURE_NONE);
    }
    const uint32_t first = (uint32_t)random_below(&random, RECORDS_COUNT);
    const uint32_t count = 1 + (uint32_t)random_below(&random, RECORDS_COUNT - first);
    const struct bytes framed = chunk_framed(chunk, first, count);
    const daybook_v1_ReadResponse *response =
        daybook_v1_ReadResponse_parse((const char *)framed.data, framed.size, arena);
    cr_assert_not_null(response);
    size_t events_count = 0;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(response, &events_count);
    cr_assert_eq(events_count, count);
    for (uint32_t index = 0; index < count; index++) expect_equal(events[index], &expected[first + index]);
    chunk_unref(chunk);
    upb_Arena_Free(arena);
}

/* Whether an event that upb accepts keeps the limits of event_fields. */
static bool within_limits(const daybook_v1_Event *event) {
    size_t tags_count = 0;
    const size_t id_size = daybook_v1_Event_id(event).size;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &tags_count);
    bool within = (id_size == 0 || id_size == 36) && daybook_v1_Event_type(event).size <= NAME_BYTES_MAX &&
                  tags_count <= TAGS_COUNT_MAX;
    for (size_t tag = 0; tag < tags_count; tag++) within = within && tags[tag].size <= NAME_BYTES_MAX;
    return within;
}

/* What the API edge lets in must never look damaged later, and must look the same to both. */
Test(record_protobuf, damaged_events_that_upb_accepts_are_read_alike) {
    struct random random = random_start("record_protobuf");
    uint32_t accepted_count = 0;
    for (uint32_t round = 0; round < ROUNDS_COUNT * 4; round++) {
        upb_Arena *arena = upb_Arena_New();
        struct expected expected = {0};
        size_t size = 0;
        char *bytes = daybook_v1_Event_serialize(random_event(&random, arena, &expected), arena, &size);
        for (uint32_t flip = 0; flip < 1 + round % 3; flip++)
            bytes[random_below(&random, size)] = (char)random_next(&random);
        const void *event = NULL;
        (void)!daybook__codec_decode_bytes(bytes, size, &daybook_v1_Event_msginit, arena, &event);
        if (event != NULL && within_limits(event)) {
            struct event_fields fields;
            size_t tags_count = 0;
            const upb_StringView *tags = daybook_v1_Event_tags(event, &tags_count);
            cr_assert_eq(record_event_fields(bytes_of(bytes, size), &fields).failure, FAILURE_NONE, "round %u", round);
            cr_assert(is(daybook_v1_Event_id(event), fields.id) && is(daybook_v1_Event_type(event), fields.type));
            cr_assert_eq(fields.tags_count, tags_count);
            for (size_t tag = 0; tag < tags_count; tag++) cr_assert(is(tags[tag], fields.tags[tag]));
            accepted_count++;
        }
        upb_Arena_Free(arena);
    }
    cr_assert_gt(accepted_count, ROUNDS_COUNT / 2, "damage that nobody accepts would prove little");
}
