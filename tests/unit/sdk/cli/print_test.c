/* Events, times and base64 as people and programs read them. */
#include "sdk/cli/print.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "tests/unit/sdk/cli/command_line.h"

#define ID "01890a5d-ac96-774b-bcce-b302099a8057"

static upb_Arena *arena;
static daybook_v1_RecordedEvent *recorded;
static daybook_v1_Event *event;

/* An event at position 7, revision 3 of "order-1", recorded at 2026-01-02T03:04:05.678Z. */
static void setup(void) {
    arena = upb_Arena_New();
    recorded = daybook_v1_RecordedEvent_new(arena);
    event = daybook_v1_RecordedEvent_mutable_event(recorded, arena);
    cr_assert_not_null(event);
    daybook_v1_RecordedEvent_set_position(recorded, 7);
    daybook_v1_RecordedEvent_set_stream(recorded, upb_StringView_FromString("order-1"));
    daybook_v1_RecordedEvent_set_revision(recorded, 3);
    google_protobuf_Timestamp *time = daybook_v1_RecordedEvent_mutable_recorded_at(recorded, arena);
    google_protobuf_Timestamp_set_seconds(time, 1767323045);
    google_protobuf_Timestamp_set_nanos(time, 678999999);
    daybook_v1_Event_set_id(event, upb_StringView_FromString(ID));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Sold"));
}

static void teardown(void) {
    upb_Arena_Free(arena);
    free(said.out);
    free(said.err);
}

TestSuite(print, .init = setup, .fini = teardown);

static void expect_line(const char *line) {
    capture_begin();
    const bool printed = print_event(recorded, false);
    capture_end();
    cr_assert(printed);
    cr_assert_str_eq(said.out, line);
}

static json_t *printed_json(void) {
    capture_begin();
    const bool printed = print_event(recorded, true);
    capture_end();
    cr_assert(printed);
    cr_assert_eq(strchr(said.out, '\n'), said.out + strlen(said.out) - 1, "one line");
    json_t *object = json_loads(said.out, JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(object, "%s", said.out);
    return object;
}

static void expect_text(const json_t *object, const char *name, const char *expected) {
    const char *text = json_string_value(json_object_get(object, name));
    cr_assert_not_null(text, "%s", name);
    cr_assert_str_eq(text, expected);
}

static void expect_time(int64_t seconds, int32_t nanos, const char *expected) {
    char text[PRINT_TIME_BYTES];
    google_protobuf_Timestamp *time = google_protobuf_Timestamp_new(arena);
    google_protobuf_Timestamp_set_seconds(time, seconds);
    google_protobuf_Timestamp_set_nanos(time, nanos);
    print_time(time, PRINT_TIME_DIGITS_SHORT, text);
    cr_assert_str_eq(text, expected);
}

Test(print, a_time_is_rfc_3339_with_milliseconds) {
    expect_time(0, 0, "1970-01-01T00:00:00.000Z");
    expect_time(1767323045, 678999999, "2026-01-02T03:04:05.678Z");
    expect_time(951782400, 1000000, "2000-02-29T00:00:00.001Z");
    expect_time(-1, 999999999, "1969-12-31T23:59:59.999Z");
}

Test(print, a_year_has_four_digits) {
    expect_time(-62135596800, 0, "0001-01-01T00:00:00.000Z");
    expect_time(-30610224000, 0, "1000-01-01T00:00:00.000Z");
    expect_time(253402300799, 999999999, "9999-12-31T23:59:59.999Z");
}

Test(print, no_time_and_one_beyond_every_calendar_are_a_dash) {
    char text[PRINT_TIME_BYTES];
    print_time(NULL, PRINT_TIME_DIGITS_SHORT, text);
    cr_assert_str_eq(text, "-");
    expect_time(INT64_MAX, 0, "-");
}

Test(print, base64_is_that_of_rfc_4648) {
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             {"\xff\xef\xbe", "/+++"}};
    for (size_t index = 0; index < sizeof vectors / sizeof vectors[0]; index++) {
        char text[16];
        const size_t size = strlen(vectors[index][0]);
        memset(text, 'x', sizeof text);
        print_base64(vectors[index][0], size, text);
        cr_assert_str_eq(text, vectors[index][1]);
        cr_assert_eq(PRINT_BASE64_BYTES(size), strlen(text) + 1);
    }
}

/* --- For people. ------------------------------------------------------------------------------------------------------ */

Test(print, a_line_shows_place_time_type_and_payload) {
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  \n");
    daybook_v1_Event_set_text(event, upb_StringView_FromString("{\"total\":42}"));
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  {\"total\":42}\n");
    daybook_v1_Event_set_data(event, upb_StringView_FromDataAndSize("\0\0\0", 3));
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  <3 bytes>\n");
    google_protobuf_Any *any = daybook_v1_Event_mutable_message(event, arena);
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString("example.org/shop.Sold"));
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  example.org/shop.Sold\n");
}

Test(print, an_erased_event_says_so) {
    google_protobuf_Timestamp_set_seconds(
        daybook_v1_Erasure_mutable_erased_at(daybook_v1_RecordedEvent_mutable_erasure(recorded, arena), arena), 1);
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  <erased>\n");
}

static void expect_bytes(uint64_t bytes, const char *expected) {
    char text[PRINT_BYTES_BYTES];
    print_bytes(bytes, text);
    cr_assert_str_eq(text, expected);
}

Test(print, bytes_have_a_unit) {
    expect_bytes(0, "0 bytes");
    expect_bytes(1023, "1023 bytes");
    expect_bytes(1024, "1.0 KiB");
    expect_bytes(1536, "1.5 KiB");
    expect_bytes((1 << 20) - 1, "1.0 MiB");
    expect_bytes(UINT64_C(5) << 30, "5.0 GiB");
    expect_bytes(UINT64_MAX, "16.0 EiB");
}

Test(print, control_characters_are_shown_and_not_sent_to_the_terminal) {
    daybook_v1_Event_set_text(event, upb_StringView_FromString("\x1b[2J\r\n\x7f\xc2\x9b"
                                                               "2J\xc2\x80\xc2\x9f"));
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  "
                "\\x1b[2J\\x0d\\x0a\\x7f\\x9b2J\\x80\\x9f\n");
    daybook_v1_Event_set_text(event, upb_StringView_FromString("caf\xc3\xa9\xc2\xa0\xe2\x82\xac\xc2"));
    expect_line("       7  order-1@3  2026-01-02T03:04:05.678Z  Sold  caf\xc3\xa9\xc2\xa0\xe2\x82\xac\xc2\n");
}

/* --- For programs. ---------------------------------------------------------------------------------------------------- */

Test(print, an_object_has_the_fields_of_the_record) {
    daybook_v1_Event_set_text(event, upb_StringView_FromDataAndSize("a\0\"\n", 4));
    daybook_v1_Event_set_content_type(event, upb_StringView_FromString("text/plain"));
    cr_assert(daybook_v1_Event_add_tags(event, upb_StringView_FromString("a"), arena));
    cr_assert(daybook_v1_Event_add_tags(event, upb_StringView_FromString("b"), arena));
    google_protobuf_Timestamp_set_seconds(daybook_v1_Event_mutable_occurred_at(event, arena), 1);
    json_t *object = printed_json();
    cr_assert_eq(json_integer_value(json_object_get(object, "position")), 7);
    cr_assert_eq(json_integer_value(json_object_get(object, "revision")), 3);
    expect_text(object, "stream", "order-1");
    expect_text(object, "id", ID);
    expect_text(object, "type", "Sold");
    expect_text(object, "content_type", "text/plain");
    expect_text(object, "recorded_at", "2026-01-02T03:04:05.678999999Z");
    expect_text(object, "occurred_at", "1970-01-01T00:00:01.000000000Z");
    json_t *tags = json_object_get(object, "tags");
    cr_assert_eq(json_array_size(tags), 2);
    cr_assert_str_eq(json_string_value(json_array_get(tags, 1)), "b");
    expect_words(said.out, "\"text\":\"a\\u0000\\\"\\n\"");
    json_decref(object);
}

Test(print, what_is_not_set_is_left_out_but_lists_are_there) {
    json_t *object = printed_json();
    static const char *const absent[] = {"text", "data", "message", "content_type", "occurred_at"};
    for (size_t index = 0; index < 5; index++) cr_assert_null(json_object_get(object, absent[index]));
    cr_assert(json_is_array(json_object_get(object, "tags")));
    cr_assert(json_is_object(json_object_get(object, "metadata")));
    json_decref(object);
}

Test(print, data_and_messages_are_base64) {
    daybook_v1_Event_set_data(event, upb_StringView_FromDataAndSize("\0\xff", 2));
    json_t *object = printed_json();
    expect_text(object, "data", "AP8=");
    json_decref(object);
    google_protobuf_Any *any = daybook_v1_Event_mutable_message(event, arena);
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString("example.org/shop.Sold"));
    google_protobuf_Any_set_value(any, upb_StringView_FromString("foobar"));
    object = printed_json();
    expect_text(json_object_get(object, "message"), "type_url", "example.org/shop.Sold");
    expect_text(json_object_get(object, "message"), "value", "Zm9vYmFy");
    json_decref(object);
}

Test(print, metadata_of_the_longest_key_is_whole) {
    char key[256];
    memset(key, 'k', 255);
    key[255] = '\0';
    cr_assert(daybook_v1_Event_metadata_set(event, upb_StringView_FromString(key), upb_StringView_FromString("value"),
                                            arena));
    cr_assert(
        daybook_v1_Event_metadata_set(event, upb_StringView_FromString("empty"), upb_StringView_FromString(""), arena));
    json_t *object = printed_json();
    json_t *metadata = json_object_get(object, "metadata");
    cr_assert_eq(json_object_size(metadata), 2);
    expect_text(metadata, key, "value");
    expect_text(metadata, "empty", "");
    json_decref(object);
}

Test(print, an_erasure_has_its_time_and_digest) {
    static const char digest[32] = "\x01\xff";
    daybook_v1_Erasure *erasure = daybook_v1_RecordedEvent_mutable_erasure(recorded, arena);
    google_protobuf_Timestamp_set_seconds(daybook_v1_Erasure_mutable_erased_at(erasure, arena), 1);
    daybook_v1_Erasure_set_digest_sha256(erasure, upb_StringView_FromDataAndSize(digest, sizeof digest));
    json_t *object = printed_json();
    json_t *printed = json_object_get(object, "erasure");
    expect_text(printed, "erased_at", "1970-01-01T00:00:01.000000000Z");
    expect_text(printed, "digest_sha256", "01ff000000000000000000000000000000000000000000000000000000000000");
    json_decref(object);
}

Test(print, json_has_no_control_characters_either) {
    daybook_v1_Event_set_text(event, upb_StringView_FromString("\x1b[2J\x7f\xc2\x9b"
                                                               "2J caf\xc3\xa9\xc2\xa0"));
    json_t *object = printed_json();
    expect_text(object, "text",
                "\x1b[2J\x7f\xc2\x9b"
                "2J caf\xc3\xa9\xc2\xa0");
    expect_words(said.out, "\"text\":\"\\u001B[2J\\u007f\\u009b2J caf\xc3\xa9\xc2\xa0\"");
    json_decref(object);
}
