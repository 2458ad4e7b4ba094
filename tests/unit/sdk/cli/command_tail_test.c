/* `daybook tail`: where it begins, what it asks for, what it prints. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

/* Answers with one event; then the subscription is refused for good, which ends the command. */
static void tell_subscription(void) {
    daybook_v1_SubscribeResponse *response = daybook_v1_SubscribeResponse_new(scripted.arena);
    daybook_v1_RecordedEvent *recorded = daybook_v1_SubscribeResponse_add_events(response, scripted.arena);
    daybook_v1_RecordedEvent_set_position(recorded, 5);
    daybook_v1_RecordedEvent_set_revision(recorded, 1);
    daybook_v1_RecordedEvent_set_stream(recorded, upb_StringView_FromString("order-1"));
    daybook_v1_Event_set_type(daybook_v1_RecordedEvent_mutable_event(recorded, scripted.arena),
                              upb_StringView_FromString("Sold"));
    scripted_tell(STORE(Subscribe), response);
    scripted_tell_end(STORE(Subscribe), DAYBOOK_INVALID_ARGUMENT);
}

static void setup(void) {
    scripted_open();
    tell_subscription();
}

TestSuite(command_tail, .init = setup, .fini = scripted_close, .timeout = 60);

static const daybook_v1_SubscribeRequest *tail(const char *const *arguments) {
    cr_assert_eq(command_run(command_tail, NULL, arguments), EXIT_REFUSED);
    cr_assert_str_eq(said.out, "       5  order-1@1  -  Sold  \n");
    expect_words(said.err, "INVALID_ARGUMENT: it is refused");
    return STORE_REQUEST(Subscribe, 0);
}
#define TAIL(...) tail((const char *const[]){"tail", __VA_ARGS__, NULL})

static const daybook_v1_Clause *clause_of(const daybook_v1_SubscribeRequest *request) {
    size_t count;
    cr_assert(daybook_v1_SubscribeRequest_has_filter(request));
    const daybook_v1_Clause *const *clauses =
        daybook_v1_Filter_any_of(daybook_v1_SubscribeRequest_filter(request), &count);
    cr_assert_eq(count, 1);
    return clauses[0];
}

static void expect_name(const upb_StringView *names, size_t count, const char *expected) {
    cr_assert_eq(count, 1);
    cr_assert(upb_StringView_IsEqual(names[0], upb_StringView_FromString(expected)));
}

Test(command_tail, it_begins_with_the_next_event_of_all) {
    const daybook_v1_SubscribeRequest *request = tail((const char *const[]){"tail", NULL});
    cr_assert(daybook_v1_SubscribeRequest_has_end(request));
    cr_assert_not(daybook_v1_SubscribeRequest_has_filter(request));
}

Test(command_tail, from_end_is_the_same) {
    cr_assert(daybook_v1_SubscribeRequest_has_end(TAIL("--from-end")));
}

Test(command_tail, it_may_begin_after_a_position) {
    cr_assert_eq(daybook_v1_SubscribeRequest_after(TAIL("--after=18446744073709551615")), UINT64_MAX);
}

Test(command_tail, it_may_begin_with_the_first_event) {
    const daybook_v1_SubscribeRequest *request = TAIL("--beginning");
    cr_assert(daybook_v1_SubscribeRequest_has_after(request));
    cr_assert_eq(daybook_v1_SubscribeRequest_after(request), 0);
}

Test(command_tail, it_may_begin_where_a_consumer_is) {
    daybook_v1_GetCheckpointResponse *stored = daybook_v1_GetCheckpointResponse_new(scripted.arena);
    daybook_v1_Checkpoint_set_position(daybook_v1_GetCheckpointResponse_mutable_checkpoint(stored, scripted.arena), 42);
    scripted_tell(STORE(GetCheckpoint), stored);
    cr_assert_eq(daybook_v1_SubscribeRequest_after(TAIL("--consumer", "billing")), 42);
    cr_assert(upb_StringView_IsEqual(daybook_v1_GetCheckpointRequest_consumer(STORE_REQUEST(GetCheckpoint, 0)),
                                     upb_StringView_FromString("billing")));
}

Test(command_tail, a_consumer_that_is_not_there_is_1) {
    scripted_tell_end(STORE(GetCheckpoint), DAYBOOK_NOT_FOUND);
    cr_assert_eq(RUN(command_tail, NULL, "tail", "--consumer=billing"), EXIT_REFUSED);
    expect_words(said.err, "NOT_FOUND");
    cr_assert_eq(scripted_requests_count(STORE(Subscribe)), 0);
}

Test(command_tail, filters_reach_the_request) {
    size_t count;
    const daybook_v1_Clause *clause =
        clause_of(TAIL("--type=A", "--type-prefix=B", "--tag=c", "--stream=d", "--stream-prefix=e"));
    const upb_StringView *names = daybook_v1_Clause_types(clause, &count);
    expect_name(names, count, "A");
    names = daybook_v1_Clause_type_prefixes(clause, &count);
    expect_name(names, count, "B");
    names = daybook_v1_Clause_tags(clause, &count);
    expect_name(names, count, "c");
    names = daybook_v1_Clause_streams(clause, &count);
    expect_name(names, count, "d");
    names = daybook_v1_Clause_stream_prefixes(clause, &count);
    expect_name(names, count, "e");
}

Test(command_tail, a_stream_is_a_filter) {
    size_t count;
    const upb_StringView *streams = daybook_v1_Clause_streams(clause_of(TAIL("order-1", "--type=A")), &count);
    expect_name(streams, count, "order-1");
}

Test(command_tail, prefix_is_the_former_name_of_stream_prefix) {
    size_t count;
    const upb_StringView *prefixes = daybook_v1_Clause_stream_prefixes(clause_of(TAIL("--prefix=order-")), &count);
    expect_name(prefixes, count, "order-");
}

Test(command_tail, two_beginnings_exit_64, .exit_code = 64) {
    (void)TAIL("--after=1", "--consumer=billing");
}

Test(command_tail, a_stream_and_a_prefix_exit_64, .exit_code = 64) {
    (void)TAIL("order-1", "--stream-prefix=order-");
}
