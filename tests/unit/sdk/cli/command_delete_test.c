/* `daybook delete` and `erase`: what they ask the person, what they ask the server, what they tell. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

TestSuite(command_delete, .init = scripted_open, .fini = scripted_close);

#define DELETE(...) RUN(command_delete, "", "delete", __VA_ARGS__)
#define ERASE(...)  RUN(command_erase, "", "erase", __VA_ARGS__)

static void tell_deleted(void) {
    daybook_v1_DeleteStreamResponse *response = daybook_v1_DeleteStreamResponse_new(scripted.arena);
    daybook_v1_DeleteStreamResponse_set_position(response, 50);
    daybook_v1_DeleteStreamResponse_set_revision(response, 8);
    scripted_tell(STORE(DeleteStream), response);
}

static void tell_erased(uint32_t count, uint64_t position) {
    daybook_v1_EraseEventsResponse *response = daybook_v1_EraseEventsResponse_new(scripted.arena);
    daybook_v1_EraseEventsResponse_set_erased_count(response, count);
    daybook_v1_EraseEventsResponse_set_position(response, position);
    scripted_tell(STORE(EraseEvents), response);
}

/* Runs a command whose standard input is a terminal on which somebody types this. */
static int typed_run(command *run, const char *typed, const char *const *arguments) {
    struct terminal terminal;
    FILE *real_in = stdin;
    terminal_open(&terminal);
    cr_assert_eq(write(terminal.master, typed, strlen(typed)), (ssize_t)strlen(typed));
    stdin = terminal.slave;
    const int code = command_run(run, NULL, arguments);
    stdin = real_in;
    terminal_close(&terminal);
    return code;
}
#define TYPED(run, typed, ...) typed_run(run, typed, (const char *const[]){__VA_ARGS__, NULL})

/* --- delete. ---------------------------------------------------------------------------------------------------------- */

Test(command_delete, a_stream_is_deleted_and_where_that_stands_told) {
    tell_deleted();
    cr_assert_eq(DELETE("order-1", "--yes"), 0);
    cr_assert_str_eq(said.out, "order-1@8 is deleted at position 50\n");
    const daybook_v1_DeleteStreamRequest *request = STORE_REQUEST(DeleteStream, 0);
    cr_assert(
        upb_StringView_IsEqual(daybook_v1_DeleteStreamRequest_stream(request), upb_StringView_FromString("order-1")));
    cr_assert_not(daybook_v1_DeleteStreamRequest_has_expected_revision(request));
    cr_assert_not(daybook_v1_DeleteStreamRequest_tombstone(request));
}

Test(command_delete, options_reach_the_request) {
    tell_deleted();
    cr_assert_eq(DELETE("order-1", "--yes", "--tombstone", "--expect=7", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"stream\":\"order-1\",\"position\":50,\"revision\":8,\"tombstone\":true}\n");
    const daybook_v1_DeleteStreamRequest *request = STORE_REQUEST(DeleteStream, 0);
    cr_assert_eq(daybook_v1_DeleteStreamRequest_expected_revision(request), 7);
    cr_assert(daybook_v1_DeleteStreamRequest_tombstone(request));
}

Test(command_delete, without_a_terminal_and_yes_nothing_is_sent) {
    cr_assert_eq(DELETE("order-1"), EXIT_USAGE);
    expect_words(said.err, "give --yes");
    cr_assert_eq(RUN(command_delete, "yes\n", "delete", "order-1"), EXIT_USAGE);
    cr_assert_eq(scripted.requests_count, 0);
}

Test(command_delete, on_a_terminal_yes_goes_on) {
    static const char *const yes[] = {"yes\n", "y\n", "YES\n"};
    for (size_t index = 0; index < 3; index++) {
        tell_deleted();
        cr_assert_eq(TYPED(command_delete, yes[index], "delete", "order-1\a", "--tombstone"), 0);
        expect_words(said.err, "Delete all events of the stream \"order-1\\x07\" and use up its name for ever?");
        expect_words(said.out, "tombstoned at position 50");
        cr_assert_eq(scripted_requests_count(STORE(DeleteStream)), index + 1);
    }
}

Test(command_delete, on_a_terminal_anything_else_does_nothing) {
    static const char *const no[] = {"no\n", "\n", "yesterday\n", "\x04"};
    for (size_t index = 0; index < 4; index++) {
        cr_assert_eq(TYPED(command_delete, no[index], "delete", "order-1"), EXIT_REFUSED);
        expect_words(said.err, "nothing was done");
    }
    cr_assert_eq(scripted.requests_count, 0);
}

Test(command_delete, a_refusal_is_1) {
    scripted_tell_end(STORE(DeleteStream), DAYBOOK_FAILED_PRECONDITION);
    cr_assert_eq(DELETE("order-1", "--yes"), EXIT_REFUSED);
    expect_words(said.err, "FAILED_PRECONDITION");
}

Test(command_delete, of_no_stream_exits_64, .exit_code = 64) {
    (void)DELETE("--yes");
}

Test(command_delete, of_two_streams_exits_64, .exit_code = 64) {
    (void)DELETE("a", "b", "--yes");
}

Test(command_delete, an_expectation_of_existence_exits_64, .exit_code = 64) {
    (void)DELETE("a", "--yes", "--expect=exists");
}

/* --- erase. ----------------------------------------------------------------------------------------------------------- */

Test(command_delete, events_are_erased) {
    tell_erased(2, 51);
    cr_assert_eq(ERASE("3", "18446744073709551615", "--yes"), 0);
    cr_assert_str_eq(said.out, "2 of 2 events erased, told at position 51\n");
    size_t count;
    const uint64_t *positions = daybook_v1_EraseEventsRequest_positions(STORE_REQUEST(EraseEvents, 0), &count);
    cr_assert_eq(count, 2);
    cr_assert(positions[0] == 3 && positions[1] == UINT64_MAX);
}

Test(command_delete, what_was_gone_before_is_told) {
    tell_erased(0, 0);
    cr_assert_eq(ERASE("3", "--yes"), 0);
    cr_assert_str_eq(said.out, "0 of 1 events erased; the others were gone before\n");
    tell_erased(1, 60);
    cr_assert_eq(ERASE("3", "4", "--yes", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"erased_count\":1,\"position\":60}\n");
}

Test(command_delete, erasing_asks_too) {
    cr_assert_eq(ERASE("3"), EXIT_USAGE);
    cr_assert_eq(TYPED(command_erase, "no\n", "erase", "3"), EXIT_REFUSED);
    expect_words(said.err, "Erase the event at position 3?");
    tell_erased(2, 51);
    cr_assert_eq(TYPED(command_erase, "yes\n", "erase", "3", "4"), 0);
    expect_words(said.err, "Erase 2 events?");
}

Test(command_delete, a_refused_erasure_is_1) {
    scripted_tell_end(STORE(EraseEvents), DAYBOOK_INVALID_ARGUMENT);
    cr_assert_eq(ERASE("3", "--yes"), EXIT_REFUSED);
}

Test(command_delete, an_erasure_of_nothing_exits_64, .exit_code = 64) {
    (void)ERASE("--yes");
}

Test(command_delete, a_position_that_is_no_number_exits_64, .exit_code = 64) {
    (void)ERASE("first", "--yes");
}
