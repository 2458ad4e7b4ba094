/* `daybook append`: what becomes of its arguments and of its standard input. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/recording_server.h"

TestSuite(command_append, .init = recording_open, .fini = recording_close);

#define APPEND(input, ...) RUN(command_append, input, "append", "--server", recorded.server, __VA_ARGS__)

static bool is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

/* Lines {"n":0} to {"n":count-1}. */
static char *lines_new(size_t count) {
    enum { LINE_BYTES_MAX = 32 };
    char *lines = malloc(count * LINE_BYTES_MAX + 1);
    cr_assert_not_null(lines);
    size_t used = 0;
    for (size_t index = 0; index < count; index++) {
        used += (size_t)snprintf(lines + used, LINE_BYTES_MAX, "{\"n\":%zu}\n", index);
    }
    return lines;
}

Test(command_append, an_event_is_recorded_and_its_place_told) {
    cr_assert_eq(APPEND(NULL, "order-1", "Placed", "{\"total\":42}", "--tag=a", "--tag", "b"), 0);
    cr_assert_str_eq(said.out, "position 1, order-1@1\n");
    cr_assert_eq(recorded.appends_count, 1);
    cr_assert(is(daybook_v1_Write_stream(recorded_write(0)), "order-1"));
    const daybook_v1_Event *event = recorded_event(0, 0);
    cr_assert(is(daybook_v1_Event_type(event), "Placed"));
    cr_assert(is(daybook_v1_Event_text(event), "{\"total\":42}"));
    cr_assert(is(daybook_v1_Event_content_type(event), "application/json"));
    size_t count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &count);
    cr_assert_eq(count, 2);
    cr_assert(is(tags[0], "a") && is(tags[1], "b"));
}

Test(command_append, an_event_may_have_no_payload) {
    cr_assert_eq(APPEND(NULL, "order-1", "Placed"), 0);
    const daybook_v1_Event *event = recorded_event(0, 0);
    cr_assert_eq(daybook_v1_Event_payload_case(event), daybook_v1_Event_payload_NOT_SET);
    cr_assert(is(daybook_v1_Event_content_type(event), ""));
}

Test(command_append, any_text_goes_with_text) {
    cr_assert_eq(APPEND(NULL, "order-1", "Noted", "{oops", "--text"), 0);
    cr_assert(is(daybook_v1_Event_text(recorded_event(0, 0)), "{oops"));
    cr_assert(is(daybook_v1_Event_content_type(recorded_event(0, 0)), ""));
}

Test(command_append, what_is_no_json_is_65_and_not_sent) {
    cr_assert_eq(APPEND(NULL, "order-1", "Placed", "{oops"), EXIT_DATA);
    expect_words(said.err, "the payload: no JSON");
    expect_words(said.err, "--text takes any text");
    cr_assert_eq(recorded.appends_count, 0);
}

Test(command_append, json_is_one_object_a_line) {
    cr_assert_eq(APPEND(NULL, "order-1", "Placed", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"first_position\":1,\"last_position\":1,\"last_revision\":1,\"replayed\":false}\n");
}

Test(command_append, a_refusal_is_1_and_told) {
    recorded.refusal = DAYBOOK_INVALID_ARGUMENT;
    cr_assert_eq(APPEND(NULL, "order-1", "Placed"), EXIT_REFUSED);
    expect_words(said.err, "INVALID_ARGUMENT: it is refused");
    cr_assert_str_eq(said.out, "");
}

/* --- Lines of standard input. ----------------------------------------------------------------------------------------- */

Test(command_append, every_line_is_an_event) {
    cr_assert_eq(APPEND("{\"n\":1}\n\n{\"n\":2}\r\n3", "s", "T", "-"), 0);
    cr_assert_str_eq(said.out, "3 events appended to s\n");
    cr_assert_eq(recorded.appends_count, 1);
    cr_assert(is(daybook_v1_Event_text(recorded_event(0, 0)), "{\"n\":1}"));
    cr_assert(is(daybook_v1_Event_text(recorded_event(0, 1)), "{\"n\":2}"));
    cr_assert(is(daybook_v1_Event_text(recorded_event(0, 2)), "3"));
}

Test(command_append, no_line_is_no_request) {
    cr_assert_eq(APPEND("\n", "s", "T", "-"), 0);
    cr_assert_str_eq(said.out, "0 events appended to s\n");
    cr_assert_eq(recorded.appends_count, 0);
}

Test(command_append, lines_are_sent_in_batches_of_500) {
    static const size_t counts[] = {499, 500, 501, 1234};
    for (size_t index = 0; index < 4; index++) {
        recorded.appends_count = 0;
        recorded.head = 0;
        char *lines = lines_new(counts[index]);
        cr_assert_eq(APPEND(lines, "s", "T", "-"), 0);
        free(lines);
        cr_assert_eq(recorded.head, counts[index]);
        cr_assert_eq(recorded.appends_count, (counts[index] + 499) / 500);
        for (size_t event = 0; event < counts[index]; event++) {
            char expected[32];
            (void)snprintf(expected, sizeof expected, "{\"n\":%zu}", event);
            cr_assert(is(daybook_v1_Event_text(recorded_event(event / 500, event % 500)), expected));
        }
    }
}

Test(command_append, long_lines_make_smaller_batches) {
    enum { LINES_COUNT = 10, LINE_BYTES = 1000000 };
    char *lines = malloc(LINES_COUNT * (LINE_BYTES + 1) + 1);
    cr_assert_not_null(lines);
    for (size_t index = 0; index < LINES_COUNT; index++) {
        memset(lines + index * (LINE_BYTES + 1), 'x', LINE_BYTES);
        lines[(index + 1) * (LINE_BYTES + 1) - 1] = '\n';
    }
    lines[LINES_COUNT * (LINE_BYTES + 1)] = '\0';
    cr_assert_eq(APPEND(lines, "s", "T", "-", "--text"), 0);
    free(lines);
    cr_assert_eq(recorded.head, LINES_COUNT);
    cr_assert_eq(recorded.appends_count, 2); /* 5 lines are the first that have 4 MiB */
}

Test(command_append, a_bad_line_is_65_and_what_came_before_it_stays) {
    char *lines = lines_new(502);
    memcpy(strstr(lines, "{\"n\":501}"), "{oops   }", 9);
    cr_assert_eq(APPEND(lines, "s", "T", "-"), EXIT_DATA);
    free(lines);
    expect_words(said.err, "line 502 of standard input: no JSON");
    cr_assert_str_eq(said.out, "501 events appended to s\n");
    cr_assert_eq(recorded.head, 501);
}

Test(command_append, a_batch_that_is_refused_is_the_last) {
    recorded.appends_count_max = 1;
    char *lines = lines_new(1400);
    cr_assert_eq(APPEND(lines, "s", "T", "-", "--json"), EXIT_REFUSED);
    free(lines);
    expect_words(said.err, "RESOURCE_EXHAUSTED: it is refused");
    cr_assert_str_eq(said.out, "{\"appended\":500}\n");
}

/* --- Wrong usage. ----------------------------------------------------------------------------------------------------- */

Test(command_append, 64_tags_are_taken) {
    char tags[64][16];
    const char *arguments[70] = {"append", "--server", recorded.server, "s", "T"};
    for (size_t index = 0; index < 64; index++) (void)snprintf(tags[index], sizeof tags[index], "--tag=%zu", index);
    for (size_t index = 0; index < 64; index++) arguments[5 + index] = tags[index];
    cr_assert_eq(command_run(command_append, NULL, arguments), 0);
    size_t count;
    (void)daybook_v1_Event_tags(recorded_event(0, 0), &count);
    cr_assert_eq(count, 64);
}

Test(command_append, a_65th_tag_exits_64, .exit_code = 64) {
    const char *arguments[80] = {"append", "--server", recorded.server, "s", "T"};
    for (size_t index = 0; index < 65; index++) arguments[5 + index] = "--tag=t";
    (void)command_run(command_append, NULL, arguments);
}

Test(command_append, without_a_type_it_exits_64, .exit_code = 64) {
    (void)APPEND(NULL, "order-1");
}

Test(command_append, a_fourth_argument_exits_64, .exit_code = 64) {
    (void)APPEND(NULL, "order-1", "T", "{}", "more");
}
