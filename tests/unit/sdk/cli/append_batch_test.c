/* What must hold for an append, and its metadata: from the options to the request. */
#include "sdk/cli/append.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/recording_server.h"

TestSuite(append_batch, .init = recording_open, .fini = recording_close);

#define APPEND(...) RUN(command_append, NULL, "append", "--server", recorded.server, "order-1", "Placed", __VA_ARGS__)

static bool is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

static void expect_expectation(size_t append, bool exists, bool has_revision, uint64_t revision) {
    const daybook_v1_Write *write = recorded_write(append);
    cr_assert_eq(daybook_v1_Write_stream_exists(write), exists);
    cr_assert_eq(daybook_v1_Write_has_expected_revision(write), has_revision);
    cr_assert_eq(daybook_v1_Write_expected_revision(write), revision);
}

Test(append_batch, without_options_nothing_must_hold) {
    cr_assert_eq(RUN(command_append, NULL, "append", "--server", recorded.server, "order-1", "Placed"), 0);
    expect_expectation(0, false, false, 0);
    cr_assert_not(daybook_v1_AppendRequest_has_condition(recorded.appends[0]));
    cr_assert_not(daybook_v1_AppendRequest_has_checkpoint(recorded.appends[0]));
    size_t count;
    (void)daybook_v1_AppendRequest_checks(recorded.appends[0], &count);
    cr_assert_eq(count, 0);
    cr_assert_eq(daybook_v1_Event_metadata_size(recorded_event(0, 0)), 0);
    cr_assert_eq(daybook_v1_Event_id(recorded_event(0, 0)).size, 0);
}

Test(append_batch, the_stream_may_be_expected_in_four_ways) {
    cr_assert_eq(APPEND("--expect=any"), 0);
    expect_expectation(0, false, false, 0);
    cr_assert_eq(APPEND("--expect=exists"), 0);
    expect_expectation(1, true, false, 0);
    cr_assert_eq(APPEND("--expect=new"), 0);
    expect_expectation(2, false, true, 0);
    cr_assert_eq(APPEND("--expect=7"), 0);
    expect_expectation(3, false, true, 7);
}

Test(append_batch, a_condition_has_a_clause_for_each_option) {
    cr_assert_eq(APPEND("--if-none=type=A,tag=x", "--if-none", "stream-prefix=order-,tag=a\\,b", "--after=42"), 0);
    const daybook_v1_Condition *condition = daybook_v1_AppendRequest_condition(recorded.appends[0]);
    cr_assert_eq(daybook_v1_Condition_after(condition), 42);
    size_t count;
    const daybook_v1_Clause *const *clauses =
        daybook_v1_Filter_any_of(daybook_v1_Condition_none_match(condition), &count);
    cr_assert_eq(count, 2);
    cr_assert(is(daybook_v1_Clause_types(clauses[0], &count)[0], "A"));
    cr_assert(is(daybook_v1_Clause_tags(clauses[0], &count)[0], "x"));
    cr_assert(is(daybook_v1_Clause_stream_prefixes(clauses[1], &count)[0], "order-"));
    cr_assert(is(daybook_v1_Clause_tags(clauses[1], &count)[0], "a,b"));
}

Test(append_batch, a_condition_is_about_all_events_unless_told) {
    cr_assert_eq(APPEND("--if-none=type=A"), 0);
    cr_assert_eq(daybook_v1_Condition_after(daybook_v1_AppendRequest_condition(recorded.appends[0])), 0);
}

Test(append_batch, other_streams_may_be_checked) {
    cr_assert_eq(APPEND("--check=a@1@7", "--check=b@new", "--check", "c@exists"), 0);
    size_t count;
    const daybook_v1_StreamCheck *const *checks = daybook_v1_AppendRequest_checks(recorded.appends[0], &count);
    cr_assert_eq(count, 3);
    cr_assert(is(daybook_v1_StreamCheck_stream(checks[0]), "a@1"));
    cr_assert_eq(daybook_v1_StreamCheck_expected_revision(checks[0]), 7);
    cr_assert(daybook_v1_StreamCheck_has_expected_revision(checks[1]));
    cr_assert_eq(daybook_v1_StreamCheck_expected_revision(checks[1]), 0);
    cr_assert(daybook_v1_StreamCheck_stream_exists(checks[2]));
    cr_assert_not(daybook_v1_StreamCheck_has_expected_revision(checks[2]));
}

Test(append_batch, a_checkpoint_goes_along) {
    cr_assert_eq(APPEND("--checkpoint=billing@42"), 0);
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_checkpoint(recorded.appends[0]);
    cr_assert(is(daybook_v1_Checkpoint_consumer(checkpoint), "billing"));
    cr_assert_eq(daybook_v1_Checkpoint_position(checkpoint), 42);
}

static void expect_metadata(const daybook_v1_Event *event, const char *key, const char *value) {
    upb_StringView found;
    cr_assert(daybook_v1_Event_metadata_get(event, upb_StringView_FromString(key), &found), "%s", key);
    cr_assert(is(found, value));
}

Test(append_batch, an_event_has_its_metadata_and_id) {
    cr_assert_eq(APPEND("--metadata=a=b=c", "--metadata", "empty=", "--correlation-id=checkout-7", "--causation-id=x",
                        "--id=01890a5d-ac96-774b-bcce-b302099a8057"),
                 0);
    const daybook_v1_Event *event = recorded_event(0, 0);
    cr_assert_eq(daybook_v1_Event_metadata_size(event), 4);
    expect_metadata(event, "a", "b=c");
    expect_metadata(event, "empty", "");
    expect_metadata(event, "correlation_id", "checkout-7");
    expect_metadata(event, "causation_id", "x");
    cr_assert(is(daybook_v1_Event_id(event), "01890a5d-ac96-774b-bcce-b302099a8057"));
}

Test(append_batch, every_line_has_the_metadata) {
    cr_assert_eq(RUN(command_append, "1\n2\n", "append", "--server", recorded.server, "s", "T", "-", "--metadata=a=b"),
                 0);
    expect_metadata(recorded_event(0, 0), "a", "b");
    expect_metadata(recorded_event(0, 1), "a", "b");
}

#define WRONG(name, ...)                                                                                               \
    Test(append_batch, name##_exits_64, .exit_code = 64) {                                                             \
        (void)APPEND(__VA_ARGS__);                                                                                     \
    }
WRONG(another_expectation, "--expect=old")
WRONG(a_clause_that_is_none, "--if-none=OrderPlaced")
WRONG(after_without_a_condition, "--after=7")
WRONG(a_check_of_a_stream_that_may_be_anywhere, "--check=a@any")
WRONG(a_check_without_a_revision, "--check=a")
WRONG(a_checkpoint_without_a_number, "--checkpoint=billing@new")
WRONG(metadata_without_a_value, "--metadata=a")
WRONG(an_id_for_lines, "-", "--id=01890a5d-ac96-774b-bcce-b302099a8057")
WRONG(an_expectation_for_lines, "-", "--expect=new")
WRONG(a_condition_for_lines, "-", "--if-none=type=A")
WRONG(a_check_for_lines, "-", "--check=a@1")
WRONG(a_checkpoint_for_lines, "-", "--checkpoint=billing@1")
