/* `daybook stream` and `settings`: what is shown, and that a change changes what is named and nothing else. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

TestSuite(command_settings, .init = scripted_open, .fini = scripted_close);

#define SETTINGS(...) RUN(command_settings, NULL, "settings", __VA_ARGS__)

static bool is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

static void add_metadata(daybook_v1_StreamSettings *settings, const char *key, const char *value) {
    cr_assert(daybook_v1_StreamSettings_metadata_set(settings, upb_StringView_FromString(key),
                                                     upb_StringView_FromString(value), scripted.arena));
}

/* GetStream answers with a stream whose settings are 30 days, 1,000 events, revision 5 and owner=shop. */
static daybook_v1_Stream *tell_stream(void) {
    daybook_v1_GetStreamResponse *response = daybook_v1_GetStreamResponse_new(scripted.arena);
    daybook_v1_Stream *stream = daybook_v1_GetStreamResponse_mutable_stream(response, scripted.arena);
    daybook_v1_Stream_set_name(stream, upb_StringView_FromString("order-1"));
    daybook_v1_Stream_set_state(stream, daybook_v1_STREAM_STATE_ACTIVE);
    daybook_v1_Stream_set_first_revision(stream, 5);
    daybook_v1_Stream_set_last_revision(stream, 9);
    daybook_v1_Stream_set_events_count(stream, 5);
    daybook_v1_Stream_set_size_bytes(stream, 500);
    google_protobuf_Timestamp_set_seconds(daybook_v1_Stream_mutable_last_recorded_at(stream, scripted.arena), 1);
    daybook_v1_StreamSettings *settings = daybook_v1_Stream_mutable_settings(stream, scripted.arena);
    daybook_v1_StreamSettings_set_max_age_seconds(settings, 2592000);
    daybook_v1_StreamSettings_set_max_count(settings, 1000);
    daybook_v1_StreamSettings_set_truncate_before(settings, 5);
    add_metadata(settings, "owner", "shop");
    scripted_tell(STORE(GetStream), response);
    return stream;
}

/* The update answers with these settings. */
static void tell_updated(uint64_t max_count) {
    daybook_v1_UpdateStreamSettingsResponse *response = daybook_v1_UpdateStreamSettingsResponse_new(scripted.arena);
    daybook_v1_StreamSettings_set_max_count(
        daybook_v1_UpdateStreamSettingsResponse_mutable_settings(response, scripted.arena), max_count);
    scripted_tell(STORE(UpdateStreamSettings), response);
}

static const daybook_v1_StreamSettings *updated(void) {
    cr_assert_eq(scripted_requests_count(STORE(UpdateStreamSettings)), 1);
    const daybook_v1_StreamSettings *settings =
        daybook_v1_UpdateStreamSettingsRequest_settings(STORE_REQUEST(UpdateStreamSettings, 0));
    cr_assert_not_null(settings);
    return settings;
}

static void expect_metadata(const daybook_v1_StreamSettings *settings, const char *key, const char *value) {
    upb_StringView found = {NULL, 0};
    const bool there = daybook_v1_StreamSettings_metadata_get(settings, upb_StringView_FromString(key), &found);
    cr_assert_eq(there, value != NULL, "%s", key);
    if (value != NULL) cr_assert(is(found, value));
}

/* --- stream. ---------------------------------------------------------------------------------------------------------- */

Test(command_settings, a_stream_is_described) {
    (void)tell_stream();
    cr_assert_eq(RUN(command_stream, NULL, "stream", "order-1"), 0);
    cr_assert_str_eq(said.out, "stream           order-1\n"
                               "state            active\n"
                               "revision         9\n"
                               "readable         5 events from revision 5 on\n"
                               "size             500 bytes\n"
                               "first recorded   -\n"
                               "last recorded    1970-01-01T00:00:01.000Z\n"
                               "max age          30d\n"
                               "max count        1000\n"
                               "truncate before  5\n"
                               "metadata         owner=shop\n");
    cr_assert(is(daybook_v1_GetStreamRequest_stream(STORE_REQUEST(GetStream, 0)), "order-1"));
}

Test(command_settings, a_deleted_stream_has_nothing_to_read) {
    daybook_v1_Stream *stream = tell_stream();
    daybook_v1_Stream_set_state(stream, daybook_v1_STREAM_STATE_DELETED);
    daybook_v1_Stream_set_first_revision(stream, 0);
    daybook_v1_Stream_clear_settings(stream);
    cr_assert_eq(RUN(command_stream, NULL, "stream", "order-1"), 0);
    expect_words(said.out, "state            deleted\n");
    expect_words(said.out, "readable         none\n");
    expect_words(said.out, "max age          for ever\nmax count        all\ntruncate before  none\n");
}

Test(command_settings, a_stream_is_an_object_with_json) {
    (void)tell_stream();
    cr_assert_eq(RUN(command_stream, NULL, "stream", "order-1", "--json"), 0);
    expect_words(said.out, "{\"name\":\"order-1\",\"state\":\"ACTIVE\",");
    expect_words(said.out, "\"settings\":{\"max_age_seconds\":2592000,\"max_count\":1000,\"truncate_before\":5,"
                           "\"metadata\":{\"owner\":\"shop\"}}}\n");
}

Test(command_settings, a_stream_that_is_not_there_is_1) {
    scripted_tell_end(STORE(GetStream), DAYBOOK_NOT_FOUND);
    cr_assert_eq(RUN(command_stream, NULL, "stream", "order-9"), EXIT_REFUSED);
    expect_words(said.err, "NOT_FOUND");
}

Test(command_settings, a_description_of_no_stream_exits_64, .exit_code = 64) {
    (void)RUN(command_stream, NULL, "stream");
}

Test(command_settings, a_description_of_two_streams_exits_64, .exit_code = 64) {
    (void)RUN(command_stream, NULL, "stream", "a", "b");
}

/* --- settings. -------------------------------------------------------------------------------------------------------- */

Test(command_settings, without_options_they_are_shown) {
    (void)tell_stream();
    cr_assert_eq(SETTINGS("order-1"), 0);
    cr_assert_str_eq(said.out, "max age          30d\n"
                               "max count        1000\n"
                               "truncate before  5\n"
                               "metadata         owner=shop\n");
    cr_assert_eq(scripted_requests_count(STORE(UpdateStreamSettings)), 0);
    (void)tell_stream();
    cr_assert_eq(SETTINGS("order-1", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"stream\":\"order-1\",\"max_age_seconds\":2592000,\"max_count\":1000,"
                               "\"truncate_before\":5,\"metadata\":{\"owner\":\"shop\"}}\n");
}

Test(command_settings, what_is_not_named_stays) {
    (void)tell_stream();
    tell_updated(77);
    cr_assert_eq(SETTINGS("order-1", "--max-age=1d12h"), 0);
    const daybook_v1_StreamSettings *settings = updated();
    cr_assert_eq(daybook_v1_StreamSettings_max_age_seconds(settings), 129600);
    cr_assert_eq(daybook_v1_StreamSettings_max_count(settings), 1000);
    cr_assert_eq(daybook_v1_StreamSettings_truncate_before(settings), 5);
    expect_metadata(settings, "owner", "shop");
    const daybook_v1_UpdateStreamSettingsRequest *request = STORE_REQUEST(UpdateStreamSettings, 0);
    cr_assert(is(daybook_v1_UpdateStreamSettingsRequest_stream(request), "order-1"));
    cr_assert_not(daybook_v1_UpdateStreamSettingsRequest_has_expected_revision(request));
    expect_words(said.out, "max count        77\n"); /* as the server has it now */
}

Test(command_settings, everything_can_be_changed) {
    add_metadata(daybook_v1_Stream_mutable_settings(tell_stream(), scripted.arena), "team", "one");
    tell_updated(0);
    cr_assert_eq(SETTINGS("order-1", "--max-age=0", "--max-count", "7", "--truncate-before=0", "--metadata", "a=b=c",
                          "--metadata=owner=", "--remove-metadata", "team", "--expect=9"),
                 0);
    const daybook_v1_StreamSettings *settings = updated();
    cr_assert_eq(daybook_v1_StreamSettings_max_age_seconds(settings), 0);
    cr_assert_eq(daybook_v1_StreamSettings_max_count(settings), 7);
    cr_assert_eq(daybook_v1_StreamSettings_truncate_before(settings), 0);
    expect_metadata(settings, "a", "b=c");
    expect_metadata(settings, "owner", "");
    expect_metadata(settings, "team", NULL);
    const daybook_v1_UpdateStreamSettingsRequest *request = STORE_REQUEST(UpdateStreamSettings, 0);
    cr_assert(daybook_v1_UpdateStreamSettingsRequest_has_expected_revision(request));
    cr_assert_eq(daybook_v1_UpdateStreamSettingsRequest_expected_revision(request), 9);
}

Test(command_settings, a_stream_that_is_not_there_may_be_given_some) {
    scripted_tell_end(STORE(GetStream), DAYBOOK_NOT_FOUND);
    tell_updated(3);
    cr_assert_eq(SETTINGS("order-9", "--max-count=3", "--remove-metadata=none", "--json", "--expect=new"), 0);
    cr_assert_str_eq(said.out, "{\"stream\":\"order-9\",\"max_age_seconds\":0,\"max_count\":3,\"truncate_before\":0,"
                               "\"metadata\":{}}\n");
    cr_assert_eq(daybook_v1_StreamSettings_max_count(updated()), 3);
    cr_assert_str_empty(said.err);
}

Test(command_settings, a_stream_that_is_not_there_has_none_to_show) {
    scripted_tell_end(STORE(GetStream), DAYBOOK_NOT_FOUND);
    cr_assert_eq(SETTINGS("order-9"), EXIT_REFUSED);
}

Test(command_settings, nothing_is_changed_when_reading_fails) {
    scripted_tell_end(STORE(GetStream), DAYBOOK_DATA_LOSS);
    cr_assert_eq(SETTINGS("order-9", "--max-count=3"), EXIT_REFUSED);
    cr_assert_eq(scripted_requests_count(STORE(UpdateStreamSettings)), 0);
}

Test(command_settings, a_refused_change_is_1) {
    (void)tell_stream();
    scripted_tell_end(STORE(UpdateStreamSettings), DAYBOOK_ABORTED);
    cr_assert_eq(SETTINGS("order-1", "--max-count=3", "--expect=1"), EXIT_REFUSED);
    expect_words(said.err, "ABORTED");
}

Test(command_settings, of_no_stream_exits_64, .exit_code = 64) {
    (void)SETTINGS("--max-count=3");
}

Test(command_settings, an_expectation_without_a_change_exits_64, .exit_code = 64) {
    (void)SETTINGS("order-1", "--expect=3");
}

Test(command_settings, an_expectation_of_existence_exits_64, .exit_code = 64) {
    (void)SETTINGS("order-1", "--max-count=1", "--expect=exists");
}
