/* An appender against servers that end, refuse, fall silent, answer out of step and vanish: each append once, in order. */
#include "daybook/appender.h"

#include <criterion/criterion.h>

#include "tests/support/random.h"
#include "tests/unit/sdk/client/appender_fixture.h"

#define APPENDS_MANY 500
/* So few that every one of them has as many requests as it needs to come to its end. */
#define BAD_TURNS        20
#define BAD_TURN_ANSWERS 20

TestSuite(appender, .fini = fixture_end);

/* --- Each append once, in order. ------------------------------------------------------------------------------------- */

Test(appender, what_is_submitted_is_appended_in_order_with_ascending_ids) {
    BEGIN(DEFAULTS, ALL_WELL);
    daybook_append *appends[APPENDS_MANY];
    submit_all(appends, APPENDS_MANY);
    expect_all(appends, APPENDS_MANY);
    cr_assert_eq(append_server_calls_count(server), 1);
    cr_assert_eq(append_server_requests_count(server), APPENDS_MANY);
}

Test(appender, calls_that_end_lose_nothing_and_repeat_nothing) {
    struct random random = random_start("appender");
    static const daybook_code codes[] = {DAYBOOK_OK, DAYBOOK_UNAVAILABLE, DAYBOOK_CANCELLED, DAYBOOK_DEADLINE_EXCEEDED};
    struct append_turn turns[BAD_TURNS + 1];
    for (size_t index = 0; index < BAD_TURNS; index++) {
        turns[index] = (struct append_turn){.answers_count = (uint32_t)random_below(&random, BAD_TURN_ANSWERS),
                                            .swallowed_count = (uint32_t)random_below(&random, BAD_TURN_ANSWERS),
                                            .code = codes[random_below(&random, 4)]};
    }
    turns[BAD_TURNS] = (struct append_turn)ALL_WELL;
    fixture_begin(turns, BAD_TURNS + 1, DEFAULTS);
    daybook_append *appends[APPENDS_MANY];
    submit_all(appends, APPENDS_MANY);
    expect_all(appends, APPENDS_MANY);
    cr_assert_eq(append_server_calls_count(server), BAD_TURNS + 1);
    cr_assert_geq(losses_count(), BAD_TURNS);
}

Test(appender, an_append_that_was_committed_and_not_answered_has_its_first_result) {
    BEGIN(DEFAULTS, {.swallowed_count = 1, .code = DAYBOOK_UNAVAILABLE}, ALL_WELL);
    daybook_append *first = submit("counter", 0);
    append_server_wait_requests(server, 1);
    daybook_append *second = submit("counter", 1);
    cr_assert(daybook_append_wait(first, PATIENCE_MS));
    cr_assert(daybook_v1_AppendResponse_replayed(daybook_append_result(first)));
    cr_assert_eq(daybook_append_attempts_count(first), 2);
    expect_all((daybook_append *[]){first, second}, 2);
}

/* --- Refusals. ------------------------------------------------------------------------------------------------------- */

Test(appender, passing_refusals_are_resolved_with_the_same_ids) {
    BEGIN(DEFAULTS,
          {.answers_count = 2,
           .fault = APPEND_FAULT_REFUSE_ONCE,
           .refusals_count = 1,
           .code = DAYBOOK_UNAVAILABLE,
           .reason = "OUTCOME_UNKNOWN",
           .retry_ms = 1,
           .commits_refused = true},
          {.fault = APPEND_FAULT_REFUSE_ONCE,
           .refusals_count = 3,
           .code = DAYBOOK_RESOURCE_EXHAUSTED,
           .reason = "QUEUE_FULL",
           .retry_ms = 1},
          ALL_WELL);
    daybook_append *appends[20];
    for (size_t index = 0; index < 2; index++) appends[index] = submit("counter", index);
    cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
    appends[2] = submit("counter", 2);
    cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
    cr_assert(daybook_v1_AppendResponse_replayed(daybook_append_result(appends[2])));
    for (size_t index = 3; index < 20; index++) appends[index] = submit("counter", index);
    expect_all(appends, 20);
    cr_assert_geq(losses_count(), 2);
}

Test(appender, a_refusal_that_stays_is_one_outcome_and_holds_back_nothing) {
    BEGIN(DEFAULTS, ALL_WELL);
    daybook_append *refused = submit("refused", 1);
    daybook_append *invalid = submit("invalid", 2);
    daybook_append *good = submit("counter", 0);
    expect_status(refused, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert_str_eq(daybook_append_status(refused)->message, APPEND_SERVER_TEXT);
    cr_assert_not(daybook_append_status(refused)->retryable);
    cr_assert_null(daybook_append_result(refused));
    size_t count;
    const daybook_v1_StreamConflict *const *conflicts =
        daybook_v1_AppendConflicts_streams(daybook_append_conflicts(refused), &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(conflicts[0]), 7);
    expect_status(invalid, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_eq(daybook_append_status(invalid)->field_violations_count, 1);
    cr_assert_str_eq(daybook_append_status(invalid)->field_violations[0].field, "writes[0].events[0].type");
    cr_assert_str_eq(daybook_append_status(invalid)->field_violations[0].description, "is empty");
    expect_all(&good, 1);
    daybook_append_free(refused);
    daybook_append_free(invalid);
    cr_assert_eq(append_server_calls_count(server), 1);
}

/* --- Servers that do not keep to the protocol. ----------------------------------------------------------------------- */

static void expect_recovery_from(enum append_fault fault) {
    BEGIN(DEFAULTS, {.answers_count = 3, .fault = fault}, ALL_WELL);
    daybook_append *appends[20];
    submit_all(appends, 20);
    expect_all(appends, 20);
    cr_assert_eq(append_server_calls_count(server), 2);
    cr_assert_eq(losses_count(), 1);
}

Test(appender, an_outcome_that_is_none_is_not_taken_for_one) {
    expect_recovery_from(APPEND_FAULT_EMPTY);
    cr_assert_eq(losses_last().code, DAYBOOK_INTERNAL);
}

Test(appender, an_error_that_is_none_is_not_taken_for_one) {
    expect_recovery_from(APPEND_FAULT_NO_ERROR);
}

Test(appender, a_success_without_its_results_is_not_taken_for_one) {
    expect_recovery_from(APPEND_FAULT_TOO_FEW);
}

Test(appender, an_answer_too_many_ends_the_call) {
    BEGIN(DEFAULTS, {.fault = APPEND_FAULT_TWICE}, ALL_WELL);
    daybook_append *first = submit("counter", 0);
    cr_assert(daybook_append_wait(first, PATIENCE_MS));
    while (losses_count() == 0) cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
    daybook_append *second = submit("counter", 1);
    expect_all((daybook_append *[]){first, second}, 2);
    cr_assert_eq(append_server_calls_count(server), 2);
}

/* --- Time. ------------------------------------------------------------------------------------------------------------ */

Test(appender, an_append_that_nobody_answers_ends_with_an_unknown_outcome) {
    BEGIN(((daybook_appender_options){.timeout_ms = 200}), {.swallowed_count = 1, .fault = APPEND_FAULT_HOLD});
    daybook_append *append = submit("counter", 0);
    expect_status(append, DAYBOOK_DEADLINE_EXCEEDED, "OUTCOME_UNKNOWN");
    cr_assert(daybook_append_status(append)->retryable);
    cr_assert_null(daybook_append_result(append));
    cr_assert_eq(append_server_count(server), 1, "it was committed");
    daybook_append_free(append);
}

Test(appender, what_was_never_sent_is_known_not_to_be_written) {
    server = append_server_start(0, &(struct append_turn)ALL_WELL, 1);
    const uint16_t port = append_server_port(server);
    append_server_stop(server);
    server = NULL;
    client_open(port);
    appender_open((daybook_appender_options){.timeout_ms = 200});
    daybook_append *append = submit("counter", 0);
    expect_status(append, DAYBOOK_DEADLINE_EXCEEDED, "");
    cr_assert_eq(daybook_append_attempts_count(append), 0);
    daybook_append_free(append);
    cr_assert_gt(losses_count(), 0);
}

Test(appender, a_refusal_that_does_not_pass_in_time_is_the_outcome) {
    BEGIN(((daybook_appender_options){.timeout_ms = 200}), {.fault = APPEND_FAULT_REFUSE_ONCE,
                                                            .refusals_count = UINT32_MAX,
                                                            .code = DAYBOOK_RESOURCE_EXHAUSTED,
                                                            .reason = "STORAGE_FULL",
                                                            .retry_ms = 1});
    daybook_append *append = submit("counter", 0);
    expect_status(append, DAYBOOK_RESOURCE_EXHAUSTED, "STORAGE_FULL");
    cr_assert_gt(daybook_append_attempts_count(append), 1);
    daybook_append_free(append);
}

Test(appender, a_server_that_comes_back_gets_everything) {
    BEGIN(DEFAULTS, {.fault = APPEND_FAULT_HOLD});
    daybook_append *appends[50];
    submit_all(appends, 50);
    append_server_wait_requests(server, 50);
    const uint16_t port = append_server_port(server);
    append_server_stop(server);
    server = append_server_start(port, &(struct append_turn)ALL_WELL, 1);
    expect_all(appends, 50);
}

Test(appender, a_server_that_refuses_for_good_is_the_outcome_of_everything_at_once) {
    BEGIN(DEFAULTS, ALL_WELL);
    append_server_fail_head(server, DAYBOOK_PERMISSION_DENIED);
    daybook_append *append = submit("counter", 0);
    expect_status(append, DAYBOOK_PERMISSION_DENIED, "");
    daybook_append_free(append);
    append_server_fail_head(server, DAYBOOK_OK);
    append = submit("counter", 0);
    expect_all(&append, 1);
}

Test(appender, a_server_without_the_method_has_written_nothing) {
    BEGIN(DEFAULTS, {.code = DAYBOOK_UNIMPLEMENTED}, {.code = DAYBOOK_UNAUTHENTICATED});
    daybook_append *append = submit("counter", 0);
    expect_status(append, DAYBOOK_UNIMPLEMENTED, "");
    daybook_append_free(append);
    append = submit("counter", 0);
    expect_status(append, DAYBOOK_UNAUTHENTICATED, "OUTCOME_UNKNOWN");
    daybook_append_free(append);
}
