/* Read: what a request selects, and every way in which it is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/base/limits.h"
#include "service/feed/feed.h"
#include "tests/unit/service/api/rooms.h"

/* Positions 1 to 6: orders 1, 2 and 3 stand at 1, 3 and 5, the others in "invoices". */
static void setup(void) {
    rooms_open();
    for (int index = 0; index < 3; index++) {
        rooms_append_one("orders", index == 1 ? "Returned" : "Sold");
        rooms_append_one("invoices", "Sent");
    }
}

TestSuite(read, .init = setup, .fini = rooms_close);

static daybook_v1_ReadRequest *request_new(void) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(rooms.arena);
    cr_assert_not_null(request);
    return request;
}

static daybook_v1_ReadRequest *request_of_orders(void) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString("orders"));
    return request;
}

/* Fails the test unless exactly these positions are read; 0 ends the list. */
static void expect_positions(const daybook_v1_ReadRequest *request, const uint64_t *positions) {
    size_t count;
    const daybook_v1_RecordedEvent **events = rooms_read(request, &count);
    for (size_t index = 0; index < count; index++) {
        cr_assert_eq(daybook_v1_RecordedEvent_position(events[index]), positions[index]);
    }
    cr_assert_eq(positions[count], 0, "%zu events were read", count);
}
#define EXPECT_POSITIONS(request, ...) expect_positions(request, (const uint64_t[]){__VA_ARGS__, 0})

static struct answer refusal_of(const daybook_v1_ReadRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_ReadRequest_serialize(request, rooms.arena, &size);
    cr_assert_not_null(encoded);
    return rooms_stream_end(METHOD_READ, upb_StringView_FromDataAndSize(encoded, size));
}

Test(read, everything_is_read_in_the_order_of_positions) {
    EXPECT_POSITIONS(request_new(), 1, 2, 3, 4, 5, 6);
}

Test(read, a_stream_is_read_in_the_order_of_revisions) {
    EXPECT_POSITIONS(request_of_orders(), 1, 3, 5);
}

Test(read, backward_is_from_new_to_old) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
    EXPECT_POSITIONS(request, 6, 5, 4, 3, 2, 1);
    request = request_of_orders();
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
    EXPECT_POSITIONS(request, 5, 3, 1);
}

Test(read, from_is_inclusive_and_a_revision_where_a_stream_is_named) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_from(request, 5);
    EXPECT_POSITIONS(request, 5, 6);
    request = request_of_orders();
    daybook_v1_ReadRequest_set_from(request, 2);
    EXPECT_POSITIONS(request, 3, 5);
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
    EXPECT_POSITIONS(request, 3, 1);
}

Test(read, from_beyond_the_end_finds_nothing_forward_and_the_last_backward) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_from(request, 7);
    expect_positions(request, (const uint64_t[]){0});
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
    EXPECT_POSITIONS(request, 6, 5, 4, 3, 2, 1);
    request = request_of_orders();
    daybook_v1_ReadRequest_set_from(request, UINT64_MAX);
    expect_positions(request, (const uint64_t[]){0});
}

Test(read, a_limit_ends_it_and_0_is_none) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_limit(request, 1);
    EXPECT_POSITIONS(request, 1);
    daybook_v1_ReadRequest_set_limit(request, 6);
    EXPECT_POSITIONS(request, 1, 2, 3, 4, 5, 6);
    daybook_v1_ReadRequest_set_limit(request, UINT64_MAX);
    EXPECT_POSITIONS(request, 1, 2, 3, 4, 5, 6);
    daybook_v1_ReadRequest_set_limit(request, 0);
    EXPECT_POSITIONS(request, 1, 2, 3, 4, 5, 6);
}

Test(read, a_filter_and_a_stream_must_both_match) {
    daybook_v1_ReadRequest *request = request_of_orders();
    daybook_v1_Filter *filter = daybook_v1_ReadRequest_mutable_filter(request, rooms.arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, rooms.arena);
    cr_assert(daybook_v1_Clause_add_types(clause, upb_StringView_FromString("Sold"), rooms.arena));
    cr_assert(daybook_v1_Clause_add_types(clause, upb_StringView_FromString("Sent"), rooms.arena));
    EXPECT_POSITIONS(request, 1, 5);
}

Test(read, a_stream_without_events_is_not_found) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString("order"));
    struct answer answer = refusal_of(request);
    answer_expect(&answer, DAYBOOK_NOT_FOUND, "STREAM_NOT_FOUND");
    answer_free(&answer);
}

Test(read, a_wrong_request_is_refused_with_every_wrong_field) {
    daybook_v1_ReadRequest *request = request_new();
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString("\n"));
    daybook_v1_ReadRequest_set_direction(request, 9);
    struct answer answer = refusal_of(request);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 2);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), "stream"));
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[1]), "direction"));
    answer_free(&answer);
}

Test(read, a_time_is_a_place_to_begin) {
    const uint64_t last = rooms_append_one("s", "Last");
    size_t count;
    const daybook_v1_RecordedEvent **events = rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    cr_assert_gt(count, 1);
    const google_protobuf_Timestamp *recorded_at = daybook_v1_RecordedEvent_recorded_at(events[count - 1]);
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(rooms.arena);
    google_protobuf_Timestamp *time = daybook_v1_ReadRequest_mutable_from_time(request, rooms.arena);
    google_protobuf_Timestamp_set_seconds(time, google_protobuf_Timestamp_seconds(recorded_at));
    google_protobuf_Timestamp_set_nanos(time, google_protobuf_Timestamp_nanos(recorded_at));
    const daybook_v1_RecordedEvent **later = rooms_read(request, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(daybook_v1_RecordedEvent_position(later[0]), last);
}

Test(read, a_drained_feed_lets_no_new_one_in) {
    feed_drain(rooms.feed);
    struct answer answer = refusal_of(request_new());
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    cr_assert_eq(answer_retry_ms(&answer), 1000);
    answer_free(&answer);
}
