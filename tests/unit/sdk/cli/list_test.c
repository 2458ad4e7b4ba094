/* `daybook streams`, `types`, `tags` and `consumers`: what they ask for, page after page, and what they print. */
#include "sdk/cli/list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

TestSuite(list, .init = scripted_open, .fini = scripted_close);

static bool is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

static void set_time(google_protobuf_Timestamp *time) {
    google_protobuf_Timestamp_set_seconds(time, 1767323045);
    google_protobuf_Timestamp_set_nanos(time, 678000000);
}

/* --- streams. --------------------------------------------------------------------------------------------------------- */

static daybook_v1_Stream *add_stream(daybook_v1_ListStreamsResponse *page, const char *name, uint64_t revision) {
    daybook_v1_Stream *stream = daybook_v1_ListStreamsResponse_add_streams(page, scripted.arena);
    daybook_v1_Stream_set_name(stream, upb_StringView_FromString(name));
    daybook_v1_Stream_set_state(stream, daybook_v1_STREAM_STATE_ACTIVE);
    daybook_v1_Stream_set_first_revision(stream, 1);
    daybook_v1_Stream_set_last_revision(stream, revision);
    daybook_v1_Stream_set_events_count(stream, revision);
    daybook_v1_Stream_set_size_bytes(stream, revision * 1536);
    set_time(daybook_v1_Stream_mutable_last_recorded_at(stream, scripted.arena));
    return stream;
}

static daybook_v1_ListStreamsResponse *tell_streams(const char *next_token) {
    daybook_v1_ListStreamsResponse *page = daybook_v1_ListStreamsResponse_new(scripted.arena);
    daybook_v1_ListStreamsResponse_set_next_page_token(page, upb_StringView_FromString(next_token));
    scripted_tell(STORE(ListStreams), page);
    return page;
}

Test(list, streams_are_a_line_each) {
    daybook_v1_ListStreamsResponse *page = tell_streams("");
    (void)add_stream(page, "order-1", 1);
    daybook_v1_Stream_set_state(add_stream(page, "order\x1b[2J", 2), daybook_v1_STREAM_STATE_TOMBSTONED);
    daybook_v1_Stream_set_state(add_stream(page, "order-3", 3), 99);
    cr_assert_eq(RUN(command_streams, NULL, "streams"), 0);
    cr_assert_str_eq(said.out, "2026-01-02T03:04:05.678Z  order-1@1  1 event  1.5 KiB\n"
                               "2026-01-02T03:04:05.678Z  order\\x1b[2J@2  2 events  3.0 KiB  tombstoned\n"
                               "2026-01-02T03:04:05.678Z  order-3@3  3 events  4.5 KiB  unknown\n");
    cr_assert_str_empty(said.err);
    const daybook_v1_ListStreamsRequest *request = STORE_REQUEST(ListStreams, 0);
    cr_assert(is(daybook_v1_ListStreamsRequest_prefix(request), ""));
    cr_assert(is(daybook_v1_ListStreamsRequest_page_token(request), ""));
    cr_assert_eq(daybook_v1_ListStreamsRequest_order(request), daybook_v1_STREAM_ORDER_NAME);
    cr_assert_eq(daybook_v1_ListStreamsRequest_page_size(request), 1000);
}

Test(list, streams_with_json_have_every_field) {
    daybook_v1_Stream *stream = add_stream(tell_streams(""), "order-1", 7);
    daybook_v1_StreamSettings *settings = daybook_v1_Stream_mutable_settings(stream, scripted.arena);
    daybook_v1_StreamSettings_set_max_count(settings, UINT64_MAX);
    cr_assert(daybook_v1_StreamSettings_metadata_set(settings, upb_StringView_FromString("owner"),
                                                     upb_StringView_FromString("shop"), scripted.arena));
    cr_assert_eq(RUN(command_streams, NULL, "streams", "--json"), 0);
    cr_assert_str_eq(said.out,
                     "{\"name\":\"order-1\",\"state\":\"ACTIVE\",\"first_revision\":1,\"last_revision\":7,"
                     "\"events_count\":7,\"size_bytes\":10752,\"last_recorded_at\":\"2026-01-02T03:04:05.678000000Z\","
                     "\"settings\":{\"max_age_seconds\":0,\"max_count\":\"18446744073709551615\",\"truncate_before\":0,"
                     "\"metadata\":{\"owner\":\"shop\"}}}\n");
}

Test(list, options_reach_every_page) {
    (void)add_stream(tell_streams("one"), "order-1", 1);
    (void)add_stream(tell_streams("two"), "order-2", 1);
    (void)add_stream(tell_streams(""), "order-3", 1);
    cr_assert_eq(RUN(command_streams, NULL, "streams", "order-", "--order=last-change", "--limit", "1500"), 0);
    static const char *const tokens[] = {"", "one", "two"};
    cr_assert_eq(scripted_requests_count(STORE(ListStreams)), 3);
    for (size_t index = 0; index < 3; index++) {
        const daybook_v1_ListStreamsRequest *request = STORE_REQUEST(ListStreams, index);
        cr_assert(is(daybook_v1_ListStreamsRequest_prefix(request), "order-"));
        cr_assert(is(daybook_v1_ListStreamsRequest_page_token(request), tokens[index]));
        cr_assert_eq(daybook_v1_ListStreamsRequest_order(request), daybook_v1_STREAM_ORDER_LAST_CHANGE);
        cr_assert_eq(daybook_v1_ListStreamsRequest_page_size(request), 1000);
    }
    expect_words(said.out, "order-1@1");
    expect_words(said.out, "order-3@1");
}

Test(list, a_limit_asks_for_no_more_and_ends_early) {
    daybook_v1_ListStreamsResponse *page = tell_streams("one");
    for (int index = 0; index < 3; index++) (void)add_stream(page, "s", 1);
    page = tell_streams("two");
    for (int index = 0; index < 2; index++) (void)add_stream(page, "s", 1);
    cr_assert_eq(RUN(command_streams, NULL, "streams", "--limit=5"), 0);
    cr_assert_eq(scripted_requests_count(STORE(ListStreams)), 2);
    cr_assert_eq(daybook_v1_ListStreamsRequest_page_size(STORE_REQUEST(ListStreams, 0)), 5);
    cr_assert_eq(daybook_v1_ListStreamsRequest_page_size(STORE_REQUEST(ListStreams, 1)), 2);
}

Test(list, an_empty_page_is_not_the_last_one) {
    (void)tell_streams("one");
    (void)add_stream(tell_streams(""), "order-1", 1);
    cr_assert_eq(RUN(command_streams, NULL, "streams"), 0);
    expect_words(said.out, "order-1@1");
}

Test(list, pages_before_a_refusal_stay) {
    (void)add_stream(tell_streams("one"), "order-1", 1);
    scripted_tell_end(STORE(ListStreams), DAYBOOK_INVALID_ARGUMENT);
    cr_assert_eq(RUN(command_streams, NULL, "streams"), EXIT_REFUSED);
    expect_words(said.out, "order-1@1");
    expect_words(said.err, "INVALID_ARGUMENT: it is refused");
}

Test(list, a_server_that_goes_in_circles_is_left) {
    for (int index = 0; index < 3; index++) (void)tell_streams("again");
    cr_assert_eq(RUN(command_streams, NULL, "streams"), EXIT_REFUSED);
    expect_words(said.err, "the same page again and again");
    cr_assert_eq(scripted_requests_count(STORE(ListStreams)), 2);
}

Test(list, an_older_daemon_is_told_of) {
    cr_assert_eq(RUN(command_streams, NULL, "streams"), EXIT_REFUSED);
    expect_words(said.err, "UNIMPLEMENTED");
    expect_words(said.err, "it is older than this command");
}

Test(list, another_order_exits_64, .exit_code = 64) {
    (void)RUN(command_streams, NULL, "streams", "--order=size");
}

Test(list, a_second_prefix_exits_64, .exit_code = 64) {
    (void)RUN(command_streams, NULL, "streams", "a", "b");
}

/* --- types, tags. ----------------------------------------------------------------------------------------------------- */

static void fill(daybook_v1_NameCount *name, const char *text, uint64_t count, uint64_t position) {
    daybook_v1_NameCount_set_name(name, upb_StringView_FromString(text));
    daybook_v1_NameCount_set_events_count(name, count);
    daybook_v1_NameCount_set_last_position(name, position);
}

static void tell_types(const char *name, const char *next_token) {
    daybook_v1_ListTypesResponse *page = daybook_v1_ListTypesResponse_new(scripted.arena);
    fill(daybook_v1_ListTypesResponse_add_types(page, scripted.arena), name, 12, 34);
    daybook_v1_ListTypesResponse_set_next_page_token(page, upb_StringView_FromString(next_token));
    scripted_tell(STORE(ListTypes), page);
}

Test(list, types_have_counts) {
    tell_types("OrderPlaced", "more");
    tell_types("Order\nPaid", "");
    cr_assert_eq(RUN(command_types, NULL, "types", "Order"), 0);
    cr_assert_str_eq(said.out, "        12  OrderPlaced  last at 34\n"
                               "        12  Order\\x0aPaid  last at 34\n");
    cr_assert(is(daybook_v1_ListTypesRequest_prefix(STORE_REQUEST(ListTypes, 0)), "Order"));
    cr_assert_eq(daybook_v1_ListTypesRequest_page_size(STORE_REQUEST(ListTypes, 0)), 1000);
    cr_assert(is(daybook_v1_ListTypesRequest_page_token(STORE_REQUEST(ListTypes, 1)), "more"));
}

Test(list, types_are_objects_with_json) {
    tell_types("OrderPlaced", "");
    cr_assert_eq(RUN(command_types, NULL, "types", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"name\":\"OrderPlaced\",\"events_count\":12,\"last_position\":34}\n");
}

static void tell_tags(const char *name, const char *next_token) {
    daybook_v1_ListTagsResponse *page = daybook_v1_ListTagsResponse_new(scripted.arena);
    fill(daybook_v1_ListTagsResponse_add_tags(page, scripted.arena), name, 1, 2);
    daybook_v1_ListTagsResponse_set_next_page_token(page, upb_StringView_FromString(next_token));
    scripted_tell(STORE(ListTags), page);
}

Test(list, tags_have_counts) {
    tell_tags("customer:7", "more");
    tell_tags("customer:8", "");
    cr_assert_eq(RUN(command_tags, NULL, "tags", "--limit=2", "customer:"), 0);
    cr_assert_str_eq(said.out, "         1  customer:7  last at 2\n"
                               "         1  customer:8  last at 2\n");
    cr_assert(is(daybook_v1_ListTagsRequest_prefix(STORE_REQUEST(ListTags, 1)), "customer:"));
    cr_assert_eq(daybook_v1_ListTagsRequest_page_size(STORE_REQUEST(ListTags, 1)), 1);
    cr_assert(is(daybook_v1_ListTagsRequest_page_token(STORE_REQUEST(ListTags, 1)), "more"));
}

Test(list, tags_are_objects_with_json) {
    tell_tags("a\"b", "");
    cr_assert_eq(RUN(command_tags, NULL, "tags", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"name\":\"a\\\"b\",\"events_count\":1,\"last_position\":2}\n");
}

/* --- consumers. ------------------------------------------------------------------------------------------------------- */

static void tell_consumer(const char *name, const char *next_token) {
    daybook_v1_ListCheckpointsResponse *page = daybook_v1_ListCheckpointsResponse_new(scripted.arena);
    daybook_v1_GetCheckpointResponse *stored = daybook_v1_ListCheckpointsResponse_add_checkpoints(page, scripted.arena);
    daybook_v1_Checkpoint *checkpoint = daybook_v1_GetCheckpointResponse_mutable_checkpoint(stored, scripted.arena);
    daybook_v1_Checkpoint_set_consumer(checkpoint, upb_StringView_FromString(name));
    daybook_v1_Checkpoint_set_position(checkpoint, 42);
    set_time(daybook_v1_GetCheckpointResponse_mutable_recorded_at(stored, scripted.arena));
    daybook_v1_ListCheckpointsResponse_set_next_page_token(page, upb_StringView_FromString(next_token));
    scripted_tell(STORE(ListCheckpoints), page);
}

Test(list, consumers_have_positions_and_times) {
    tell_consumer("billing", "more");
    tell_consumer("shipping\a", "");
    cr_assert_eq(RUN(command_consumers, NULL, "consumers"), 0);
    cr_assert_str_eq(said.out, "      42  2026-01-02T03:04:05.678Z  billing\n"
                               "      42  2026-01-02T03:04:05.678Z  shipping\\x07\n");
    cr_assert(is(daybook_v1_ListCheckpointsRequest_page_token(STORE_REQUEST(ListCheckpoints, 1)), "more"));
}

Test(list, consumers_are_objects_with_json) {
    tell_consumer("billing", "");
    cr_assert_eq(RUN(command_consumers, NULL, "consumers", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"consumer\":\"billing\",\"position\":42,"
                               "\"recorded_at\":\"2026-01-02T03:04:05.678000000Z\"}\n");
}

Test(list, consumers_take_no_prefix, .exit_code = 64) {
    (void)RUN(command_consumers, NULL, "consumers", "bill");
}
