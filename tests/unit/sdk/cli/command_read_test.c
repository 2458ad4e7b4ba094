/* `daybook read`, `head` and `status`: what they ask, what they print, what they answer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "google/protobuf/timestamp.upb.h"
#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/recording_server.h"

TestSuite(command_read, .init = recording_open, .fini = recording_close);

#define READ(...) RUN(command_read, NULL, "read", "--server", recorded.server, __VA_ARGS__)

Test(command_read, a_read_of_everything_asks_for_everything) {
    cr_assert_eq(RUN(command_read, NULL, "read", "--server", recorded.server), 0);
    cr_assert_str_eq(said.out, "       1  order-1@1  -  Sold  \n"
                               "       2  order-1@2  -  Sold  \n");
    cr_assert_eq(daybook_v1_ReadRequest_stream(recorded.read).size, 0);
    cr_assert_not(daybook_v1_ReadRequest_has_from(recorded.read));
    cr_assert_eq(daybook_v1_ReadRequest_direction(recorded.read), daybook_v1_DIRECTION_FORWARD);
    cr_assert_eq(daybook_v1_ReadRequest_limit(recorded.read), 0);
}

Test(command_read, every_option_reaches_the_request) {
    cr_assert_eq(READ("order-1", "--from=18446744073709551615", "--limit", "7", "--backward", "--json"), 0);
    expect_words(said.out, "{\"position\":1,");
    expect_words(said.out, "\n{\"position\":2,");
    const upb_StringView stream = daybook_v1_ReadRequest_stream(recorded.read);
    cr_assert(upb_StringView_IsEqual(stream, upb_StringView_FromString("order-1")));
    cr_assert_eq(daybook_v1_ReadRequest_from(recorded.read), UINT64_MAX);
    cr_assert_eq(daybook_v1_ReadRequest_limit(recorded.read), 7);
    cr_assert_eq(daybook_v1_ReadRequest_direction(recorded.read), daybook_v1_DIRECTION_BACKWARD);
}

static void expect_names(const upb_StringView *names, size_t count, const char *first, const char *second) {
    cr_assert_eq(count, second == NULL ? 1 : 2);
    cr_assert(upb_StringView_IsEqual(names[0], upb_StringView_FromString(first)));
    if (second != NULL) cr_assert(upb_StringView_IsEqual(names[1], upb_StringView_FromString(second)));
}

Test(command_read, filters_reach_the_request) {
    cr_assert_eq(READ("--type=A", "--type=B", "--type-prefix=C", "--tag=d", "--tag", "e", "--stream=f", "--stream=g",
                      "--stream-prefix", "h-", "--from-time=2026-01-02T03:04:05.678Z"),
                 0);
    size_t count;
    const daybook_v1_Clause *const *clauses =
        daybook_v1_Filter_any_of(daybook_v1_ReadRequest_filter(recorded.read), &count);
    cr_assert_eq(count, 1);
    const upb_StringView *names = daybook_v1_Clause_types(clauses[0], &count);
    expect_names(names, count, "A", "B");
    names = daybook_v1_Clause_type_prefixes(clauses[0], &count);
    expect_names(names, count, "C", NULL);
    names = daybook_v1_Clause_tags(clauses[0], &count);
    expect_names(names, count, "d", "e");
    names = daybook_v1_Clause_streams(clauses[0], &count);
    expect_names(names, count, "f", "g");
    names = daybook_v1_Clause_stream_prefixes(clauses[0], &count);
    expect_names(names, count, "h-", NULL);
    const google_protobuf_Timestamp *time = daybook_v1_ReadRequest_from_time(recorded.read);
    cr_assert_eq(google_protobuf_Timestamp_seconds(time), 1767323045);
    cr_assert_eq(google_protobuf_Timestamp_nanos(time), 678000000);
    cr_assert_eq(daybook_v1_ReadRequest_stream(recorded.read).size, 0);
}

Test(command_read, without_filters_there_is_none) {
    cr_assert_eq(READ("order-1"), 0);
    cr_assert_not(daybook_v1_ReadRequest_has_filter(recorded.read));
}

Test(command_read, a_65th_type_exits_64, .exit_code = 64) {
    const char *arguments[70] = {"read", "--server", recorded.server};
    for (size_t index = 0; index < 65; index++) arguments[3 + index] = "--type=T";
    (void)command_run(command_read, NULL, arguments);
}

Test(command_read, a_refusal_is_1_and_told) {
    recorded.refusal = DAYBOOK_NOT_FOUND;
    cr_assert_eq(READ("order-9"), EXIT_REFUSED);
    cr_assert_str_eq(said.err, "daybook: NOT_FOUND: it is refused\n");
    cr_assert_str_eq(said.out, "");
}

Test(command_read, a_second_stream_exits_64, .exit_code = 64) {
    (void)READ("order-1", "order-2");
}

Test(command_read, a_limit_that_is_no_number_exits_64, .exit_code = 64) {
    (void)READ("--limit=-1");
}

/* --- head, status. ---------------------------------------------------------------------------------------------------- */

Test(command_read, head_prints_the_position) {
    recorded.head = UINT64_MAX;
    cr_assert_eq(RUN(command_head, NULL, "head", "--server", recorded.server), 0);
    cr_assert_str_eq(said.out, "18446744073709551615\n");
    recorded.head = 0;
    cr_assert_eq(RUN(command_head, NULL, "head", "--server", recorded.server, "--json"), 0);
    cr_assert_str_eq(said.out, "{\"head\":0,\"store_id\":\"the-store\"}\n");
}

Test(command_read, head_of_a_server_that_refuses_is_1) {
    recorded.refusal = DAYBOOK_DATA_LOSS;
    cr_assert_eq(RUN(command_head, NULL, "head", "--server", recorded.server), EXIT_REFUSED);
    expect_words(said.err, "DATA_LOSS");
}

Test(command_read, nobody_to_reach_is_69) {
    cr_assert_eq(RUN(command_head, NULL, "head", "--server", "127.0.0.1:1", "--timeout-ms=5000"), EXIT_UNREACHABLE);
    expect_words(said.err, "cannot reach 127.0.0.1:1");
}

Test(command_read, status_tells_health_head_and_store) {
    recorded.head = 5;
    cr_assert_eq(RUN(command_status, NULL, "status", "--server", recorded.server), 0);
    expect_words(said.out, "health  SERVING\nhead    5\nstore   the-store\n");
    recording_unwell();
    cr_assert_eq(RUN(command_status, NULL, "status", "--server", recorded.server), EXIT_REFUSED);
    expect_words(said.out, "health  NOT_SERVING\n");
}

Test(command_read, status_is_one_object_with_json) {
    cr_assert_eq(RUN(command_status, NULL, "status", "--server", recorded.server, "--json"), 0);
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "{\"server\":\"%s\",\"health\":\"SERVING\",\"head\":0,\"store_id\":\"the-store\"}\n",
                   recorded.server);
    cr_assert_str_eq(said.out, expected);
}
