/* `daybook trace`: how it finds the events, what it says beside them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

static void setup(void) {
    scripted_open();
    setenv("LC_ALL", "C.UTF-8", 1);
}

TestSuite(command_trace, .init = setup, .fini = scripted_close);

#define TRACE(...) RUN(command_trace, NULL, "trace", __VA_ARGS__)

static daybook_v1_ReadResponse *response;

static void read_begin(void) {
    response = daybook_v1_ReadResponse_new(scripted.arena);
}

static void read_event(uint64_t position, const char *id, const char *correlation, const char *cause) {
    daybook_v1_RecordedEvent *recorded = daybook_v1_ReadResponse_add_events(response, scripted.arena);
    daybook_v1_Event *event = daybook_v1_RecordedEvent_mutable_event(recorded, scripted.arena);
    daybook_v1_RecordedEvent_set_position(recorded, position);
    daybook_v1_RecordedEvent_set_revision(recorded, 1);
    daybook_v1_RecordedEvent_set_stream(recorded, upb_StringView_FromString("s"));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("T"));
    daybook_v1_Event_set_id(event, upb_StringView_FromString(id));
    if (correlation != NULL) {
        cr_assert(daybook_v1_Event_metadata_set(event, upb_StringView_FromString("correlation_id"),
                                                upb_StringView_FromString(correlation), scripted.arena));
    }
    if (cause != NULL) {
        cr_assert(daybook_v1_Event_metadata_set(event, upb_StringView_FromString("causation_id"),
                                                upb_StringView_FromString(cause), scripted.arena));
    }
}

static void read_part(void) {
    scripted_tell(STORE(Read), response);
    read_begin();
}

static void read_end(void) {
    scripted_tell(STORE(Read), response);
    scripted_tell_end(STORE(Read), DAYBOOK_OK);
}

static void read_nothing(void) {
    scripted_tell_end(STORE(Read), DAYBOOK_OK);
}

static void expect_tag_request(size_t index, const char *tag) {
    size_t count;
    const daybook_v1_ReadRequest *request = STORE_REQUEST(Read, index);
    cr_assert(daybook_v1_ReadRequest_has_filter(request));
    const daybook_v1_Clause *const *clauses = daybook_v1_Filter_any_of(daybook_v1_ReadRequest_filter(request), &count);
    cr_assert_eq(count, 1);
    const upb_StringView *tags = daybook_v1_Clause_tags(clauses[0], &count);
    cr_assert_eq(count, 1);
    cr_assert(upb_StringView_IsEqual(tags[0], upb_StringView_FromString(tag)));
    cr_assert_eq(daybook_v1_ReadRequest_direction(request), daybook_v1_DIRECTION_FORWARD);
}

static void expect_scan_request(size_t index) {
    const daybook_v1_ReadRequest *request = STORE_REQUEST(Read, index);
    cr_assert_not(daybook_v1_ReadRequest_has_filter(request));
    cr_assert_eq(daybook_v1_ReadRequest_limit(request), 0);
    cr_assert_eq(daybook_v1_ReadRequest_direction(request), daybook_v1_DIRECTION_FORWARD);
}

Test(command_trace, events_with_the_tag_are_found_by_it) {
    read_begin();
    read_event(3, "a", NULL, NULL); /* the tag is enough */
    read_part();
    read_event(9, "b", "checkout-7", "a");
    read_end();
    cr_assert_eq(TRACE("checkout-7"), 0);
    cr_assert_str_eq(said.out, "       3      +0.000s  T  s@1\n"
                               "       9      +0.000s  └─ T  s@1\n");
    expect_words(said.err, "found by the tag correlation:checkout-7; with --scan also events without it");
    cr_assert_eq(scripted_requests_count(STORE(Read)), 1);
    expect_tag_request(0, "correlation:checkout-7");
    cr_assert_eq(daybook_v1_ReadRequest_limit(STORE_REQUEST(Read, 0)), 10001);
}

static void read_history(void) {
    read_begin();
    read_event(1, "other", "checkout-6", NULL);
    read_event(2, "checkout-7", NULL, NULL); /* its own id */
    read_part();
    read_event(3, "b", "checkout-7", "checkout-7");
    read_event(4, "c", NULL, "b"); /* caused by one, but of another correlation */
    read_event(5, "d", "checkout-7", "b");
    read_end();
}

Test(command_trace, without_a_tag_every_event_is_read) {
    read_nothing();
    read_history();
    cr_assert_eq(TRACE("checkout-7"), 0);
    cr_assert_str_eq(said.out, "       2      +0.000s  T  s@1\n"
                               "       3      +0.000s  └─ T  s@1\n"
                               "       5      +0.000s     └─ T  s@1\n");
    cr_assert_str_eq(said.err, "daybook: no event has the tag correlation:checkout-7; every event is read for its "
                               "metadata\n");
    expect_tag_request(0, "correlation:checkout-7");
    expect_scan_request(1);
}

Test(command_trace, scan_asks_for_no_tag) {
    read_history();
    cr_assert_eq(TRACE("checkout-7", "--scan", "--json"), 0);
    expect_words(said.out, "\"position\":2,");
    expect_words(said.out, "\"position\":5,");
    cr_assert_str_empty(said.err);
    cr_assert_eq(scripted_requests_count(STORE(Read)), 1);
    expect_scan_request(0);
}

Test(command_trace, an_id_that_is_too_long_for_a_tag_is_scanned_for) {
    char id[300];
    memset(id, 'x', 244); /* with "correlation:" one byte too many */
    id[244] = '\0';
    read_begin();
    read_event(1, "a", id, NULL);
    read_end();
    cr_assert_eq(TRACE(id), 0);
    cr_assert_eq(scripted_requests_count(STORE(Read)), 1);
    expect_scan_request(0);
}

Test(command_trace, nothing_found_is_1) {
    read_nothing();
    read_nothing();
    cr_assert_eq(TRACE("checkout\x1b[2J"), EXIT_REFUSED);
    expect_words(said.err, "no event has the correlation_id, or the id, checkout\\x1b[2J\n");
    cr_assert_str_empty(said.out);
}

Test(command_trace, more_than_the_limit_is_said) {
    read_begin();
    for (uint64_t position = 1; position <= 3; position++) read_event(position, "a", NULL, NULL);
    read_part();
    read_end();
    cr_assert_eq(TRACE("checkout-7", "--limit=2"), 0);
    expect_words(said.err, "there are more; these are the first 2, --limit keeps more of them");
    expect_words(said.out, "       2 ");
    cr_assert_null(strstr(said.out, "       3 "));
    cr_assert_eq(daybook_v1_ReadRequest_limit(STORE_REQUEST(Read, 0)), 3);
}

Test(command_trace, exactly_the_limit_is_not_more) {
    read_begin();
    for (uint64_t position = 1; position <= 2; position++) read_event(position, "a", NULL, NULL);
    read_end();
    cr_assert_eq(TRACE("checkout-7", "--limit=2"), 0);
    cr_assert_null(strstr(said.err, "there are more"));
}

Test(command_trace, in_another_locale_ascii_is_drawn) {
    setenv("LC_ALL", "C", 1);
    read_begin();
    read_event(3, "a", NULL, NULL);
    read_event(9, "b", NULL, "a");
    read_end();
    cr_assert_eq(TRACE("checkout-7"), 0);
    expect_words(said.out, "  `- T  s@1\n");
}

Test(command_trace, a_read_that_fails_is_1_and_draws_nothing) {
    read_begin();
    read_event(3, "a", NULL, NULL);
    scripted_tell(STORE(Read), response);
    scripted_tell_end(STORE(Read), DAYBOOK_DATA_LOSS);
    cr_assert_eq(TRACE("checkout-7"), EXIT_REFUSED);
    expect_words(said.err, "DATA_LOSS");
    cr_assert_str_empty(said.out);
}

Test(command_trace, of_no_id_exits_64, .exit_code = 64) {
    (void)RUN(command_trace, NULL, "trace");
}

Test(command_trace, of_an_empty_id_exits_64, .exit_code = 64) {
    (void)TRACE("");
}

Test(command_trace, of_two_ids_exits_64, .exit_code = 64) {
    (void)TRACE("a", "b");
}

Test(command_trace, a_limit_of_0_exits_64, .exit_code = 64) {
    (void)TRACE("a", "--limit=0");
}
