/* One event: its id, names, counts and times, each at its limits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/base/limits.h"
#include "tests/unit/service/api/validations.h"

TestSuite(validate_event, .init = validations_open, .fini = validations_close);

#define ID "01890a5d-ac96-774b-bcce-b302099a8057"

static void expect_event_good(const daybook_v1_Event *event) {
    struct validation validation;
    const struct field field = field_of(NULL, "event");
    validation_init(&validation);
    validate_event(&validation, &field, event);
    expect_good(&validation);
}

static void expect_event_refused(const daybook_v1_Event *event, enum reason reason, const char *field_name,
                                 const char *words) {
    struct validation validation;
    const struct field field = field_of(NULL, "event");
    validation_init(&validation);
    validate_event(&validation, &field, event);
    expect_only(&validation, reason, field_name, words);
}

static daybook_v1_Event *event_new(void) {
    daybook_v1_Event *event = daybook_v1_Event_new(validations_arena);
    cr_assert_not_null(event);
    daybook_v1_Event_set_type(event, text("T"));
    return event;
}

/* Another name for each number, of `size` bytes. */
static upb_StringView numbered(size_t number, size_t size) {
    char *name = upb_Arena_Malloc(validations_arena, size + 1);
    cr_assert_not_null(name);
    snprintf(name, size + 1, "%0*zu", (int)size, number);
    return upb_StringView_FromDataAndSize(name, size);
}

static void tag_add(daybook_v1_Event *event, upb_StringView tag) {
    cr_assert(daybook_v1_Event_add_tags(event, tag, validations_arena));
}

static void metadata_set(daybook_v1_Event *event, upb_StringView key, upb_StringView value) {
    cr_assert(daybook_v1_Event_metadata_set(event, key, value, validations_arena));
}

Test(validate_event, a_type_is_all_it_needs) {
    expect_event_good(event_new());
}

Test(validate_event, the_type_is_a_name) {
    daybook_v1_Event *event = event_new();
    daybook_v1_Event_set_type(event, text(""));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.type", "missing");
    daybook_v1_Event_set_type(event, text_of('t', 255));
    expect_event_good(event);
    daybook_v1_Event_set_type(event, text_of('t', 256));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.type", "256 bytes");
    daybook_v1_Event_set_type(event, text("Sold\r"));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.type", "control character");
}

Test(validate_event, an_id_is_a_uuid_or_left_out) {
    daybook_v1_Event *event = event_new();
    static const char *const good[] = {"", ID, "01890A5D-AC96-774B-BCCE-B302099A8057",
                                       "00000000-0000-0000-0000-000000000000"};
    for (size_t index = 0; index < sizeof good / sizeof good[0]; index++) {
        daybook_v1_Event_set_id(event, text(good[index]));
        expect_event_good(event);
    }
    static const char *const bad[] = {"x",
                                      "01890a5d-ac96-774b-bcce-b302099a805",
                                      "01890a5d-ac96-774b-bcce-b302099a80570",
                                      "01890a5d-ac96-774b-bcce-b302099a805g",
                                      "01890a5d_ac96-774b-bcce-b302099a8057",
                                      "01890a5d-ac96-774b-bcceb-302099a8057",
                                      "01890a5dac96774bbcceb302099a8057",
                                      "{1890a5d-ac96-774b-bcce-b302099a805}",
                                      " " ID,
                                      ID " "};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        daybook_v1_Event_set_id(event, text(bad[index]));
        expect_event_refused(event, REASON_INVALID_FIELD, "event.id", "UUID");
    }
}

Test(validate_event, 64_tags_are_good_and_65_too_many) {
    cr_assert_eq(TAGS_COUNT_MAX, 64);
    daybook_v1_Event *event = event_new();
    for (size_t count = 1; count <= 64; count++) {
        tag_add(event, numbered(count, 255));
        if (count >= 63) expect_event_good(event);
    }
    tag_add(event, numbered(65, 255));
    expect_event_refused(event, REASON_TOO_MANY_TAGS, "event.tags", "65 entries; at most 64");
}

Test(validate_event, every_tag_is_a_name) {
    daybook_v1_Event *event = event_new();
    tag_add(event, text("good"));
    tag_add(event, text(""));
    tag_add(event, text_of('x', 256));
    tag_add(event, text("a\x1f"));
    struct validation validation;
    const struct field field = field_of(NULL, "event");
    validation_init(&validation);
    validate_event(&validation, &field, event);
    expect_violation(&validation, "event.tags[1]", "missing");
    expect_violation(&validation, "event.tags[2]", "256 bytes");
    expect_violation(&validation, "event.tags[3]", "control character");
    cr_assert_eq(validation.error.violations_count, 3);
}

Test(validate_event, a_tag_may_stand_once) {
    daybook_v1_Event *event = event_new();
    tag_add(event, text("b"));
    tag_add(event, text("a"));
    tag_add(event, text("ab"));
    tag_add(event, text("B"));
    expect_event_good(event);
    tag_add(event, text("a"));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.tags", "twice");
}

Test(validate_event, 64_metadata_entries_are_good_and_65_too_many) {
    cr_assert_eq(METADATA_COUNT_MAX, 64);
    daybook_v1_Event *event = event_new();
    for (size_t count = 1; count <= 64; count++) {
        metadata_set(event, numbered(count, 255), text(""));
        if (count >= 63) expect_event_good(event);
    }
    metadata_set(event, numbered(65, 255), text(""));
    expect_event_refused(event, REASON_TOO_MANY_METADATA, "event.metadata", "65 entries; at most 64");
}

Test(validate_event, a_metadata_key_is_a_name) {
    static const struct {
        const char *key;
        const char *words;
    } bad[] = {{"", "missing"}, {"trace\nparent", "control character"}};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        daybook_v1_Event *event = event_new();
        metadata_set(event, text(bad[index].key), text("v"));
        expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata.key", bad[index].words);
    }
    daybook_v1_Event *event = event_new();
    metadata_set(event, text_of('k', 256), text("v"));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata.key", "256 bytes");
}

Test(validate_event, a_metadata_value_has_up_to_8192_bytes_of_anything) {
    cr_assert_eq(METADATA_VALUE_BYTES_MAX, 8192);
    daybook_v1_Event *event = event_new();
    metadata_set(event, text("empty"), text(""));
    metadata_set(event, text("lines"), text("a\nb\tc\x01"));
    metadata_set(event, text("long"), text_of('v', 8192));
    expect_event_good(event);
    metadata_set(event, text("long"), text_of('v', 8193));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata.value", "8193 bytes; at most 8192");
}

/* The decoder lets any bytes pass in a map: they would break every reader that decodes their event. */
Test(validate_event, metadata_is_utf8) {
    static const char *const bad[] = {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        daybook_v1_Event *event = event_new();
        metadata_set(event, text(bad[index]), text("v"));
        expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata.key", "not valid UTF-8");
        event = event_new();
        metadata_set(event, text("k"), text(bad[index]));
        expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata.value", "not valid UTF-8");
    }
    daybook_v1_Event *event = event_new();
    metadata_set(event, text("caf\xc3\xa9"), text("\xf0\x9f\x93\x94"));
    expect_event_good(event);
}

/* An event of these bytes. They end with a type of 32 bytes, so that nothing of interest is near the end, where this upb
 * may abort (sdk/runtime/codec.c). */
static const daybook_v1_Event *event_parsed(const char *fields, size_t size) {
    char bytes[128];
    memcpy(bytes, fields, size);
    memcpy(bytes + size, "\x12\x20ttttttttttttttttttttttttttttttttt", 34);
    const daybook_v1_Event *event = daybook_v1_Event_parse(bytes, size + 34, validations_arena);
    cr_assert_not_null(event);
    return event;
}

/* The decoder takes such an entry for an unknown field of the event, and every reader for metadata. */
Test(validate_event, an_entry_of_metadata_has_no_unknown_fields) {
    static const char hidden[] = "\x42\x08\x0a\x01\n\x12\x01v\x18\x01"; /* a key that is a control character */
    const daybook_v1_Event *event = event_parsed(hidden, sizeof hidden - 1);
    cr_assert_eq(daybook_v1_Event_metadata_size(event), 0);
    expect_event_refused(event, REASON_INVALID_FIELD, "event.metadata", "unknown fields");
}

Test(validate_event, unknown_fields_of_the_event_itself_are_kept) {
    static const char unknown[] = "\x42\x06\x0a\x01k\x12\x01v"
                                  "\xa2\x06\x03"
                                  "abc"; /* an entry that is good, and a field 100 */
    const daybook_v1_Event *event = event_parsed(unknown, sizeof unknown - 1);
    cr_assert_eq(daybook_v1_Event_metadata_size(event), 1);
    expect_event_good(event);
}

Test(validate_event, a_content_type_may_be_left_out_but_not_be_wrong) {
    daybook_v1_Event *event = event_new();
    daybook_v1_Event_set_content_type(event, text_of('c', 255));
    expect_event_good(event);
    daybook_v1_Event_set_content_type(event, text_of('c', 256));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.content_type", "256 bytes");
    daybook_v1_Event_set_content_type(event, text("text/\x02"));
    expect_event_refused(event, REASON_INVALID_FIELD, "event.content_type", "control character");
}

Test(validate_event, the_payload_is_nobodys_business) {
    daybook_v1_Event *event = event_new();
    daybook_v1_Event_set_text(event, text("any\x01\x02\n text"));
    expect_event_good(event);
    daybook_v1_Event_set_data(event, upb_StringView_FromDataAndSize("\xff\x00\xfe", 3));
    expect_event_good(event);
    cr_assert_not_null(daybook_v1_Event_mutable_message(event, validations_arena));
    expect_event_good(event);
}

Test(validate_event, it_occurred_between_the_years_1_and_9999) {
    static const struct {
        int64_t seconds;
        int32_t nanos;
        bool good;
    } times[] = {
        {0, 0, true},
        {-62135596800, 0, true},
        {-62135596801, 0, false},
        {-62135596801, 999999999, false},
        {253402300799, 999999999, true},
        {253402300800, 0, false},
        {INT64_MIN, 0, false},
        {INT64_MAX, 0, false},
        {1, 999999999, true},
        {1, 1000000000, false},
        {1, -1, false},
        {1, INT32_MIN, false},
    };
    daybook_v1_Event *event = event_new();
    google_protobuf_Timestamp *time = daybook_v1_Event_mutable_occurred_at(event, validations_arena);
    for (size_t index = 0; index < sizeof times / sizeof times[0]; index++) {
        google_protobuf_Timestamp_set_seconds(time, times[index].seconds);
        google_protobuf_Timestamp_set_nanos(time, times[index].nanos);
        if (times[index].good) {
            expect_event_good(event);
        } else {
            expect_event_refused(event, REASON_INVALID_FIELD, "event.occurred_at", "nanos from 0 to 999999999");
        }
    }
}

Test(validate_event, everything_that_is_wrong_is_noted_at_once) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Event *event = event_of(request);
    daybook_v1_Event_set_id(event, text("x"));
    daybook_v1_Event_set_type(event, text(""));
    tag_add(event, text(""));
    daybook_v1_Event_set_content_type(event, text("\n"));
    metadata_set(event, text(""), text_of('v', 9000));
    google_protobuf_Timestamp_set_nanos(daybook_v1_Event_mutable_occurred_at(event, validations_arena), -1);
    const struct validation validation = validation_of_append(request);
    expect_violation(&validation, "writes[0].events[0].id", "UUID");
    expect_violation(&validation, "writes[0].events[0].type", "missing");
    expect_violation(&validation, "writes[0].events[0].tags[0]", "missing");
    expect_violation(&validation, "writes[0].events[0].content_type", "control character");
    expect_violation(&validation, "writes[0].events[0].metadata.key", "missing");
    expect_violation(&validation, "writes[0].events[0].metadata.value", "9000 bytes");
    expect_violation(&validation, "writes[0].events[0].occurred_at", "no time");
    cr_assert_eq(validation.error.violations_count, 7);
}
