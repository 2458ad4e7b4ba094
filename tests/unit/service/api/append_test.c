/* Append from the wire to the disk and back. */
#include <criterion/criterion.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/base/limits.h"
#include "service/base/uuid.h"
#include "tests/unit/service/api/rooms.h"

TestSuite(append, .init = rooms_open, .fini = rooms_close);

#define ID_UPPER "01890A5D-AC96-774B-BCCE-B302099A8057"
#define ID_LOWER "01890a5d-ac96-774b-bcce-b302099a8057"

static upb_StringView text(const char *terminated) {
    return upb_StringView_FromString(terminated);
}

/* The one event of the store. */
static const daybook_v1_Event *only_event(void) {
    size_t count;
    const daybook_v1_RecordedEvent **events = rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    cr_assert_eq(count, 1);
    return daybook_v1_RecordedEvent_event(events[0]);
}

/* Fails the test unless nothing at all was written, and the next append is good. */
static void expect_nothing_written(void) {
    cr_assert_eq(rooms_head(), 0);
    cr_assert_eq(rooms_append_one("still-alive", "T"), 1);
}

Test(append, results_tell_where_the_events_of_each_write_went) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Write *first = rooms_write(request, "orders");
    rooms_event(first, "A");
    rooms_event(first, "B");
    rooms_event(rooms_write(request, "invoices"), "C");
    rooms_event(rooms_write(request, "orders"), "D");
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(rooms_append(request), &count);
    static const uint64_t expected[][4] = {{1, 2, 1, 2}, {1, 1, 3, 3}, {3, 3, 4, 4}};
    cr_assert_eq(count, 3);
    for (size_t index = 0; index < count; index++) {
        cr_assert_eq(daybook_v1_WriteResult_first_revision(results[index]), expected[index][0]);
        cr_assert_eq(daybook_v1_WriteResult_last_revision(results[index]), expected[index][1]);
        cr_assert_eq(daybook_v1_WriteResult_first_position(results[index]), expected[index][2]);
        cr_assert_eq(daybook_v1_WriteResult_last_position(results[index]), expected[index][3]);
    }
    cr_assert_eq(rooms_head(), 4);
}

Test(append, an_id_in_upper_case_is_stored_in_lower_case) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event_set_id(rooms_event(rooms_write(request, "s"), "T"), text(ID_UPPER));
    rooms_append(request);
    cr_assert(answer_text_is(daybook_v1_Event_id(only_event()), ID_LOWER));
}

Test(append, an_id_that_is_given_is_kept) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event_set_id(rooms_event(rooms_write(request, "s"), "T"), text(ID_LOWER));
    rooms_append(request);
    cr_assert(answer_text_is(daybook_v1_Event_id(only_event()), ID_LOWER));
}

Test(append, every_event_without_an_id_gets_one_of_its_own) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Write *write = rooms_write(request, "s");
    for (int index = 0; index < 3; index++) rooms_event(write, "T");
    rooms_append(request);
    size_t count;
    const daybook_v1_RecordedEvent **events = rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    cr_assert_eq(count, 3);
    struct uuid ids[3];
    for (size_t index = 0; index < 3; index++) {
        const upb_StringView id = daybook_v1_Event_id(daybook_v1_RecordedEvent_event(events[index]));
        cr_assert_not(failed(uuid_parse(bytes_of(id.data, id.size), &ids[index])));
        cr_assert_eq(ids[index].bytes[6] >> 4, 7, "a UUIDv7 is promised");
        for (size_t before = 0; before < index; before++) {
            cr_assert_neq(memcmp(&ids[before], &ids[index], sizeof ids[0]), 0);
        }
    }
}

Test(append, everything_of_an_event_is_stored) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event *event = rooms_event(rooms_write(request, "s"), "Sold");
    daybook_v1_Event_set_id(event, text(ID_LOWER));
    daybook_v1_Event_set_data(event, upb_StringView_FromDataAndSize("\x00\xff\x80", 3));
    daybook_v1_Event_set_content_type(event, text("application/octet-stream"));
    cr_assert(daybook_v1_Event_add_tags(event, text("product:1"), rooms.arena));
    cr_assert(daybook_v1_Event_add_tags(event, text("customer:2"), rooms.arena));
    cr_assert(daybook_v1_Event_metadata_set(event, text("causation_id"), text("x"), rooms.arena));
    google_protobuf_Timestamp_set_seconds(daybook_v1_Event_mutable_occurred_at(event, rooms.arena), -5);
    rooms_append(request);
    size_t sent_size;
    size_t stored_size;
    char *sent;
    char *stored;
    upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, rooms.arena, &sent, &sent_size);
    upb_Encode(only_event(), &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, rooms.arena, &stored,
               &stored_size);
    cr_assert_eq(sent_size, stored_size);
    cr_assert_eq(memcmp(sent, stored, sent_size), 0);
}

/* --- Refused: nothing is written. ------------------------------------------------------------------------------------- */

Test(append, a_wrong_field_refuses_the_whole_request) {
    daybook_v1_AppendRequest *request = rooms_request();
    rooms_event(rooms_write(request, "good"), "T");
    rooms_event(rooms_write(request, "good"), "");
    struct answer answer = rooms_refused(request);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), "writes[1].events[0].type"));
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1"));
    answer_free(&answer);
    expect_nothing_written();
}

/* The encoded event may have 1,048,576 bytes: its id (2 + 36), its type (2 + 1) and its data (1 + 3 + payload) here. */
#define EVENT_BYTES_BESIDE_DATA 45

static daybook_v1_AppendRequest *request_of_event_bytes(size_t size) {
    const size_t payload_bytes = size - EVENT_BYTES_BESIDE_DATA;
    char *payload = upb_Arena_Malloc(rooms.arena, payload_bytes);
    cr_assert_not_null(payload);
    memset(payload, 'x', payload_bytes);
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event_set_data(rooms_event(rooms_write(request, "s"), "T"),
                              upb_StringView_FromDataAndSize(payload, payload_bytes));
    return request;
}

Test(append, an_encoded_event_has_up_to_1048576_bytes_with_its_id) {
    cr_assert_eq(EVENT_BYTES_MAX_DEFAULT, 1048576);
    rooms_append(request_of_event_bytes(1048575));
    rooms_append(request_of_event_bytes(1048576));
    struct answer answer = rooms_refused(request_of_event_bytes(1048577));
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "EVENT_TOO_LARGE");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), "writes[0].events[0]"));
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_description(violations[0]),
                             "has 1048577 encoded bytes; at most 1048576 are allowed"));
    answer_free(&answer);
    cr_assert_eq(rooms_head(), 2);
}

Test(append, the_limit_of_an_event_is_the_one_that_was_set) {
    rooms.api.event_bytes_max = 2000;
    rooms_append(request_of_event_bytes(1999));
    /* A payload of this size has a length of two bytes instead of three. */
    rooms_append(request_of_event_bytes(2001));
    struct answer answer = rooms_refused(request_of_event_bytes(2002));
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "EVENT_TOO_LARGE");
    cr_assert_not_null(strstr(answer.status.message, "2001 encoded bytes; at most 2000"));
    answer_free(&answer);
    cr_assert_eq(rooms_head(), 2);
}

Test(append, a_revision_that_was_not_expected_refuses_the_whole_request) {
    rooms_append_one("orders", "T");
    daybook_v1_AppendRequest *request = rooms_request();
    rooms_event(rooms_write(request, "good"), "T");
    daybook_v1_Write *second = rooms_write(request, "orders");
    rooms_event(second, "T");
    daybook_v1_Write_set_expected_revision(second, 0);
    struct answer answer = rooms_refused(request);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    size_t count;
    const daybook_v1_StreamConflict *const *conflicts = daybook_v1_AppendConflicts_streams(answer.conflicts, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(daybook_v1_StreamConflict_field(conflicts[0]), "writes[1]"));
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(conflicts[0]), 1);
    answer_free(&answer);
    cr_assert_eq(rooms_head(), 1);
    daybook_v1_Write_set_expected_revision(second, 1);
    rooms_append(request);
    cr_assert_eq(rooms_head(), 3);
}

Test(append, every_kind_of_expectation_reaches_the_decision) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Write *write = rooms_write(request, "unknown");
    rooms_event(write, "T");
    daybook_v1_Write_set_stream_exists(write, true);
    daybook_v1_StreamCheck *exists = daybook_v1_AppendRequest_add_checks(request, rooms.arena);
    daybook_v1_StreamCheck_set_stream(exists, text("nobody"));
    daybook_v1_StreamCheck_set_stream_exists(exists, true);
    daybook_v1_StreamCheck *revision = daybook_v1_AppendRequest_add_checks(request, rooms.arena);
    daybook_v1_StreamCheck_set_stream(revision, text("nobody"));
    daybook_v1_StreamCheck_set_expected_revision(revision, 5);
    daybook_v1_StreamCheck *good = daybook_v1_AppendRequest_add_checks(request, rooms.arena);
    daybook_v1_StreamCheck_set_stream(good, text("nobody"));
    daybook_v1_StreamCheck_set_expected_revision(good, 0);
    struct answer answer = rooms_refused(request);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    size_t count;
    const daybook_v1_StreamConflict *const *conflicts = daybook_v1_AppendConflicts_streams(answer.conflicts, &count);
    static const char *const fields[] = {"writes[0]", "checks[0]", "checks[1]"};
    cr_assert_eq(count, 3);
    for (size_t index = 0; index < count; index++) {
        cr_assert(answer_text_is(daybook_v1_StreamConflict_field(conflicts[index]), fields[index]));
    }
    answer_free(&answer);
    expect_nothing_written();
}

/* A request by a consumer that has come to a position. */
static daybook_v1_AppendRequest *request_at(const char *consumer, uint64_t position) {
    daybook_v1_AppendRequest *request = rooms_request();
    rooms_event(rooms_write(request, "stock"), "StockReserved");
    daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_mutable_checkpoint(request, rooms.arena);
    daybook_v1_Checkpoint_set_consumer(checkpoint, text(consumer));
    daybook_v1_Checkpoint_set_position(checkpoint, position);
    return request;
}

Test(append, a_checkpoint_only_goes_forward) {
    rooms_append_one("order", "OrderPlaced");
    rooms_append(request_at("inventory", 1));
    struct answer stale = rooms_refused(request_at("inventory", 1));
    answer_expect(&stale, DAYBOOK_ABORTED, "CHECKPOINT_STALE");
    const daybook_v1_Checkpoint *stored = daybook_v1_AppendConflicts_checkpoint(stale.conflicts);
    cr_assert_not_null(stored);
    cr_assert(answer_text_is(daybook_v1_Checkpoint_consumer(stored), "inventory"));
    cr_assert_eq(daybook_v1_Checkpoint_position(stored), 1);
    answer_free(&stale);
    rooms_append(request_at("inventory", 2));
    rooms_append(request_at("mail", 1));
    cr_assert_eq(rooms_head(), 4);
}

Test(append, a_checkpoint_is_at_a_position_that_there_is) {
    struct answer beyond = rooms_refused(request_at("inventory", 1));
    answer_expect(&beyond, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_not_null(strstr(beyond.status.message, "checkpoint.position is 1"), "%s", beyond.status.message);
    answer_free(&beyond);
    expect_nothing_written();
}

/* A request to "order" that must not happen when there is a "customer:7" after a position. */
static daybook_v1_AppendRequest *request_unless(uint64_t after) {
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event *event = rooms_event(rooms_write(request, "order"), "OrderPlaced");
    cr_assert(daybook_v1_Event_add_tags(event, upb_StringView_FromString("customer:7"), rooms.arena));
    daybook_v1_Condition *condition = daybook_v1_AppendRequest_mutable_condition(request, rooms.arena);
    daybook_v1_Filter *filter = daybook_v1_Condition_mutable_none_match(condition, rooms.arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, rooms.arena);
    cr_assert(daybook_v1_Clause_add_tags(clause, upb_StringView_FromString("customer:7"), rooms.arena));
    daybook_v1_Condition_set_after(condition, after);
    return request;
}

Test(append, a_condition_holds_once) {
    rooms_append(request_unless(0));
    struct answer refused = rooms_refused(request_unless(0));
    answer_expect(&refused, DAYBOOK_ABORTED, "CONDITION_FAILED");
    const daybook_v1_ConditionConflict *conflict = daybook_v1_AppendConflicts_condition(refused.conflicts);
    cr_assert_not_null(conflict);
    cr_assert_eq(daybook_v1_ConditionConflict_position(conflict), 1);
    answer_free(&refused);
    rooms_append(request_unless(1));
    cr_assert_eq(rooms_head(), 2);
}

Test(append, a_condition_on_a_position_that_there_is_not) {
    struct answer beyond = rooms_refused(request_unless(3));
    answer_expect(&beyond, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_not_null(strstr(beyond.status.message, "beyond the head"), "%s", beyond.status.message);
    answer_free(&beyond);
    expect_nothing_written();
}
