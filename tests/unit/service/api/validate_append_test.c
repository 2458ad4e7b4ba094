/* The writes and checks of an append: counts, expectations, paths. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "service/base/limits.h"
#include "tests/unit/service/api/validations.h"

TestSuite(validate_append, .init = validations_open, .fini = validations_close);

static daybook_v1_StreamCheck *check_add(daybook_v1_AppendRequest *request, const char *stream) {
    daybook_v1_StreamCheck *check = daybook_v1_AppendRequest_add_checks(request, validations_arena);
    cr_assert_not_null(check);
    daybook_v1_StreamCheck_set_stream(check, text(stream));
    return check;
}

/* A request of `writes_count` writes with `events_count` events each, every write to a stream of its own. */
static daybook_v1_AppendRequest *request_of(size_t writes_count, size_t events_count) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    cr_assert_not_null(request);
    for (size_t index = 0; index < writes_count; index++) {
        daybook_v1_Write *write = write_add(request, "orders");
        for (size_t event = 0; event < events_count; event++) event_add(write, "T");
    }
    return request;
}

Test(validate_append, the_smallest_request_is_good) {
    expect_append_good(request_new());
}

Test(validate_append, a_request_without_writes_is_refused) {
    const daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    expect_append_refused(request, REASON_INVALID_FIELD, "writes", "at least one write");
}

Test(validate_append, checks_alone_are_no_append) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    daybook_v1_StreamCheck_set_stream_exists(check_add(request, "orders"), true);
    expect_append_refused(request, REASON_INVALID_FIELD, "writes", "is empty");
}

Test(validate_append, a_write_without_events_is_refused) {
    daybook_v1_AppendRequest *request = request_new();
    write_add(request, "empty");
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[1].events", "at least one event");
}

Test(validate_append, the_stream_of_every_write_is_a_name) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Write *second = write_add(request, "");
    event_add(second, "T");
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[1].stream", "missing");
    daybook_v1_Write_set_stream(second, text_of('s', 255));
    expect_append_good(request);
    daybook_v1_Write_set_stream(second, text_of('s', 256));
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[1].stream", "256 bytes");
    daybook_v1_Write_set_stream(second, text("order\x7f"));
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[1].stream", "control character");
}

Test(validate_append, 1024_writes_are_good_and_1025_too_many) {
    cr_assert_eq(REQUEST_WRITES_COUNT_MAX, 1024);
    expect_append_good(request_of(1023, 1));
    expect_append_good(request_of(1024, 1));
    expect_append_refused(request_of(1025, 1), REASON_TOO_MANY_WRITES, "writes", "1025 entries; at most 1024");
}

Test(validate_append, 1024_events_are_good_and_1025_too_many) {
    cr_assert_eq(REQUEST_EVENTS_COUNT_MAX, 1024);
    expect_append_good(request_of(1, 1023));
    expect_append_good(request_of(1, 1024));
    expect_append_refused(request_of(1, 1025), REASON_TOO_MANY_EVENTS, "writes", "1025 events in all; at most 1024");
}

Test(validate_append, events_are_counted_over_all_writes) {
    expect_append_good(request_of(32, 32));
    expect_append_refused(request_of(33, 32), REASON_TOO_MANY_EVENTS, "writes", "1056 events");
}

Test(validate_append, every_wrong_field_of_every_write_is_noted) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    event_add(write_add(request, ""), "");
    daybook_v1_Write *second = write_add(request, "good");
    event_add(second, "T");
    daybook_v1_Event_set_id(event_add(second, "T"), text("no-uuid"));
    write_add(request, "a\tb");
    check_add(request, "nobody");
    const struct validation validation = validation_of_append(request);
    expect_violation(&validation, "writes[0].stream", "missing");
    expect_violation(&validation, "writes[0].events[0].type", "missing");
    expect_violation(&validation, "writes[1].events[1].id", "UUID");
    expect_violation(&validation, "writes[2].stream", "control character");
    expect_violation(&validation, "writes[2].events", "empty");
    expect_violation(&validation, "checks[0]", "expects nothing");
    cr_assert_eq(validation.error.violations_count, 6);
    cr_assert_eq(validation.error.reason, REASON_INVALID_FIELD);
    cr_assert_str_eq(validation.error.message, "writes[0].stream is missing; 1 to 255 bytes are needed");
}

/* --- Expectations. ---------------------------------------------------------------------------------------------------- */

Test(validate_append, a_write_may_expect_a_revision_or_a_stream) {
    daybook_v1_AppendRequest *revision = request_new();
    daybook_v1_Write_set_expected_revision(write_of(revision), 0);
    expect_append_good(revision);
    daybook_v1_Write_set_expected_revision(write_of(revision), UINT64_MAX);
    expect_append_good(revision);
    daybook_v1_AppendRequest *stream = request_new();
    daybook_v1_Write_set_stream_exists(write_of(stream), true);
    expect_append_good(stream);
}

Test(validate_append, a_write_expects_one_thing_not_two) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Write_set_expected_revision(write_of(request), 0);
    daybook_v1_Write_set_stream_exists(write_of(request), true);
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[0]", "both");
}

Test(validate_append, a_stream_may_be_written_several_times) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Write_set_expected_revision(write_of(request), 0);
    event_add(write_add(request, "invoices"), "T");
    event_add(write_add(request, "orders"), "T");
    expect_append_good(request);
}

Test(validate_append, only_the_first_write_to_a_stream_may_expect) {
    daybook_v1_AppendRequest *request = request_new();
    event_add(write_add(request, "invoices"), "T");
    daybook_v1_Write *third = write_add(request, "orders");
    event_add(third, "T");
    daybook_v1_Write_set_expected_revision(third, 1);
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[2]", "writes[0] writes to already");
    daybook_v1_Write_clear_expected_revision(third);
    daybook_v1_Write_set_stream_exists(third, true);
    expect_append_refused(request, REASON_INVALID_FIELD, "writes[2]", "first write");
}

Test(validate_append, streams_are_told_apart_by_their_whole_names) {
    daybook_v1_AppendRequest *request = request_new();
    static const char *const names[] = {"orders-", "order", "Orders", "orderz"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        daybook_v1_Write *write = write_add(request, names[index]);
        event_add(write, "T");
        daybook_v1_Write_set_expected_revision(write, 0);
    }
    expect_append_good(request);
}

/* --- Checks. ---------------------------------------------------------------------------------------------------------- */

Test(validate_append, a_check_expects_exactly_one_thing) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_StreamCheck *check = check_add(request, "stock");
    expect_append_refused(request, REASON_INVALID_FIELD, "checks[0]", "expects nothing");
    daybook_v1_StreamCheck_set_expected_revision(check, 0);
    expect_append_good(request);
    daybook_v1_StreamCheck_set_stream_exists(check, true);
    expect_append_refused(request, REASON_INVALID_FIELD, "checks[0]", "both");
    daybook_v1_StreamCheck_clear_expected_revision(check);
    expect_append_good(request);
}

Test(validate_append, the_stream_of_every_check_is_a_name) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_StreamCheck_set_stream_exists(check_add(request, "stock"), true);
    daybook_v1_StreamCheck *second = check_add(request, "");
    daybook_v1_StreamCheck_set_stream_exists(second, true);
    expect_append_refused(request, REASON_INVALID_FIELD, "checks[1].stream", "missing");
    daybook_v1_StreamCheck_set_stream(second, text_of('s', 255));
    expect_append_good(request);
    daybook_v1_StreamCheck_set_stream(second, text_of('s', 256));
    expect_append_refused(request, REASON_INVALID_FIELD, "checks[1].stream", "256 bytes");
}

Test(validate_append, 1024_checks_are_good_and_1025_too_many) {
    cr_assert_eq(REQUEST_CHECKS_COUNT_MAX, 1024);
    daybook_v1_AppendRequest *request = request_new();
    for (int index = 0; index < 1024; index++) {
        daybook_v1_StreamCheck_set_expected_revision(check_add(request, "stock"), 7);
    }
    expect_append_good(request);
    daybook_v1_StreamCheck_set_expected_revision(check_add(request, "stock"), 7);
    expect_append_refused(request, REASON_TOO_MANY_CHECKS, "checks", "1025 entries; at most 1024");
}

/* A request of two writes whose events have these ids; NULL: none. */
static daybook_v1_AppendRequest *request_with_ids(const char *first, const char *second) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    cr_assert_not_null(request);
    daybook_v1_Event *events[] = {event_add(write_add(request, "a"), "T"), event_add(write_add(request, "b"), "T")};
    if (first != NULL) daybook_v1_Event_set_id(events[0], text(first));
    if (second != NULL) daybook_v1_Event_set_id(events[1], text(second));
    return request;
}

Test(validate_append, an_id_is_given_once_in_a_request) {
    const char *const id = "01890a5d-ac96-774b-bcce-b302099a8057";
    expect_append_good(request_with_ids(id, "01890a5d-ac96-774b-bcce-b302099a8058"));
    expect_append_good(request_with_ids(id, NULL));
    expect_append_good(request_with_ids(NULL, NULL));
    expect_append_refused(request_with_ids(id, id), REASON_INVALID_FIELD, "writes[1].events[0].id",
                          "also that of writes[0].events[0]");
    expect_append_refused(request_with_ids(id, "01890A5D-AC96-774B-BCCE-B302099A8057"), REASON_INVALID_FIELD,
                          "writes[1].events[0].id", "also that of writes[0].events[0]");
}

static daybook_v1_Clause *condition_add(daybook_v1_AppendRequest *request, uint64_t after) {
    daybook_v1_Condition *condition = daybook_v1_AppendRequest_mutable_condition(request, validations_arena);
    daybook_v1_Condition_set_after(condition, after);
    daybook_v1_Filter *filter = daybook_v1_Condition_mutable_none_match(condition, validations_arena);
    return daybook_v1_Filter_add_any_of(filter, validations_arena);
}

Test(validate_append, a_condition_needs_a_name_in_every_clause) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Clause *clause = condition_add(request, 0);
    expect_append_refused(request, REASON_INVALID_FIELD, "condition.none_match.any_of[0]", "no field set");
    daybook_v1_Clause_add_type_prefixes(clause, text("Order"), validations_arena);
    daybook_v1_Clause_add_stream_prefixes(clause, text("order-"), validations_arena);
    expect_append_refused(request, REASON_INVALID_FIELD, "condition.none_match.any_of[0]", "prefixes alone");
    daybook_v1_Clause_add_streams(clause, text("order-1"), validations_arena);
    expect_append_good(request);
    daybook_v1_Clause_add_tags(clause, text("tag\n"), validations_arena);
    expect_append_refused(request, REASON_INVALID_FIELD, "condition.none_match.any_of[0].tags[0]", "control character");
}

Test(validate_append, a_condition_without_clauses_is_about_every_event) {
    daybook_v1_AppendRequest *request = request_new();
    cr_assert_not_null(daybook_v1_AppendRequest_mutable_condition(request, validations_arena));
    expect_append_good(request);
}

Test(validate_append, a_condition_stands_on_a_position_that_there_is) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Clause_add_types(condition_add(request, VALIDATIONS_HEAD), text("T"), validations_arena);
    expect_append_good(request);
    daybook_v1_Condition_set_after(daybook_v1_AppendRequest_mutable_condition(request, validations_arena),
                                   VALIDATIONS_HEAD + 1);
    expect_append_refused(request, REASON_INVALID_FIELD, "condition.after",
                          "is 101, beyond the head; positions up to 100");
}

Test(validate_append, a_checkpoint_has_a_consumer_and_a_position_that_there_is) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_mutable_checkpoint(request, validations_arena);
    daybook_v1_Checkpoint_set_position(checkpoint, VALIDATIONS_HEAD);
    expect_append_refused(request, REASON_INVALID_FIELD, "checkpoint.consumer", "missing");
    daybook_v1_Checkpoint_set_consumer(checkpoint, text("inventory"));
    expect_append_good(request);
    daybook_v1_Checkpoint_set_position(checkpoint, 0);
    expect_append_refused(request, REASON_INVALID_FIELD, "checkpoint.position",
                          "is 0; a position from 1 to the head, 100");
    daybook_v1_Checkpoint_set_position(checkpoint, VALIDATIONS_HEAD + 1);
    expect_append_refused(request, REASON_INVALID_FIELD, "checkpoint.position", "is 101");
}
