/* What every command shares: its options, its exit codes, how it tells what went wrong. */
#include "sdk/cli/common.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/cli/command_line.h"

static void setup(void) {
    unsetenv("DAYBOOK_SERVER");
}

static void teardown(void) {
    free(said.out);
    free(said.err);
}

TestSuite(common, .init = setup, .fini = teardown);

static struct common parsed(const char *const *arguments) {
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children};
    struct common common;
    char *argv[8] = {(char *)(uintptr_t) "head"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    argp_err_exit_status = EXIT_USAGE; /* as main does */
    common_init(&common);
    common_parse(&argp, argc, argv, &common);
    cr_assert_str_eq(argv[0], "head", "the name is given back");
    return common;
}
#define PARSED(...) parsed((const char *const[]){__VA_ARGS__, NULL})

Test(common, the_server_is_that_of_the_variable_or_the_usual_one) {
    struct common common;
    common_init(&common);
    cr_assert_str_eq(common.server, "127.0.0.1:50051");
    cr_assert_eq(common.timeout_ms, 10000);
    cr_assert_not(common.json);
    setenv("DAYBOOK_SERVER", "", 1);
    common_init(&common);
    cr_assert_str_eq(common.server, "127.0.0.1:50051");
    setenv("DAYBOOK_SERVER", "daybook:1", 1);
    common_init(&common);
    cr_assert_str_eq(common.server, "daybook:1");
    cr_assert_str_eq(PARSED("--server", "flag:2").server, "flag:2");
}

Test(common, shared_options_are_parsed) {
    const struct common common = PARSED("--timeout-ms=1", "--json");
    cr_assert_eq(common.timeout_ms, 1);
    cr_assert(common.json);
    cr_assert_eq(PARSED("--timeout-ms=86400000").timeout_ms, 86400000);
}

Test(common, a_timeout_of_0_exits_64, .exit_code = 64) {
    (void)PARSED("--timeout-ms=0");
}

Test(common, a_timeout_above_a_day_exits_64, .exit_code = 64) {
    (void)PARSED("--timeout-ms=86400001");
}

Test(common, a_timeout_that_is_no_number_exits_64, .exit_code = 64) {
    (void)PARSED("--timeout-ms=soon");
}

Test(common, an_unknown_option_exits_64, .exit_code = 64) {
    (void)PARSED("--colour");
}

Test(common, a_number_has_64_bits) {
    struct argp_state state = {0};
    cr_assert_eq(common_number(&state, "0", "--from"), 0);
    cr_assert_eq(common_number(&state, "18446744073709551615", "--from"), UINT64_MAX);
}

static int nothing(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    cr_assert(client != NULL && arena != NULL && common->timeout_ms == 10000);
    *(int *)context += 1;
    return 7;
}

Test(common, a_body_runs_once_and_its_code_is_the_answer) {
    struct common common;
    int runs = 0;
    common_init(&common);
    cr_assert_eq(common_run(&common, nothing, &runs), 7);
    cr_assert_eq(runs, 1);
}

Test(common, a_server_that_is_no_address_is_wrong_usage) {
    struct common common;
    int runs = 0;
    common_init(&common);
    common.server = "";
    capture_begin();
    const int code = common_run(&common, nothing, &runs);
    capture_end();
    cr_assert_eq(code, EXIT_USAGE);
    expect_words(said.err, "daybook: --server \"\"");
    cr_assert_eq(runs, 0);
}

/* What is said of a status, and the code for it. */
static int failure_of(const daybook_status *status) {
    struct common common;
    common_init(&common);
    capture_begin();
    const int code = common_fail(&common, status);
    capture_end();
    cr_assert_str_empty(said.out);
    return code;
}

Test(common, a_server_that_cannot_be_reached_is_named_with_what_to_do) {
    daybook_status status;
    daybook_status_set(&status, DAYBOOK_UNAVAILABLE, "connection refused");
    cr_assert_eq(failure_of(&status), EXIT_UNREACHABLE);
    expect_words(said.err, "cannot reach 127.0.0.1:50051 (connection refused)");
    expect_words(said.err, "--server or DAYBOOK_SERVER");
}

Test(common, a_refusal_is_told_by_its_reason) {
    daybook_status status;
    daybook_status_set(&status, DAYBOOK_NOT_FOUND, "the stream has no events");
    cr_assert_eq(failure_of(&status), EXIT_REFUSED);
    cr_assert_str_eq(said.err, "daybook: NOT_FOUND: the stream has no events\n");
    (void)snprintf(status.reason, sizeof status.reason, "STREAM_NOT_FOUND");
    cr_assert_eq(failure_of(&status), EXIT_REFUSED);
    cr_assert_str_eq(said.err, "daybook: STREAM_NOT_FOUND: the stream has no events\n");
}

Test(common, a_passing_refusal_says_that_a_retry_may_help) {
    daybook_status status;
    daybook_status_set(&status, DAYBOOK_UNAVAILABLE, "the server is stopping");
    (void)snprintf(status.reason, sizeof status.reason, "DRAINING");
    cr_assert_eq(failure_of(&status), EXIT_UNREACHABLE);
    expect_words(said.err, "DRAINING");
    expect_words(said.err, "may succeed when it is run again");
    daybook_status_set(&status, DAYBOOK_DEADLINE_EXCEEDED, "no answer");
    cr_assert_eq(failure_of(&status), EXIT_UNREACHABLE);
}

Test(common, no_memory_is_70) {
    capture_begin();
    const int code = common_out_of_memory();
    capture_end();
    cr_assert_eq(code, 70);
    cr_assert_str_eq(said.err, "daybook: out of memory\n");
}

Test(common, output_that_can_be_written_keeps_the_code) {
    capture_begin();
    (void)printf("x");
    const int good = common_finish(0);
    const int bad = common_finish(65);
    capture_end();
    cr_assert_eq(good, 0);
    cr_assert_eq(bad, 65);
}

Test(common, output_that_cannot_be_written_is_74) {
    capture_begin();
    FILE *captured = stdout;
    stdout = fopen("/dev/full", "w");
    (void)printf("x");
    const int code = common_finish(0);
    (void)fclose(stdout);
    stdout = captured;
    capture_end();
    cr_assert_eq(code, EXIT_OUTPUT);
    expect_words(said.err, "standard output cannot be written");
}
