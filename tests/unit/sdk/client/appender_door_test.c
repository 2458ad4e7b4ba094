/* An appender's door: bounds, completions, flush, close, and what submit refuses. */
#include "daybook/appender.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/client/appender_fixture.h"

TestSuite(appender_door, .fini = fixture_end);

/* --- Bounds. ---------------------------------------------------------------------------------------------------------- */

static void expect_full(void) {
    daybook_append *append = NULL;
    daybook_status status;
    cr_assert_eq(try_submit("counter", 99, 0, &append, &status), DAYBOOK_WRITE_TIMEOUT);
    cr_assert_eq(try_submit("counter", 99, 5, &append, &status), DAYBOOK_WRITE_TIMEOUT);
    cr_assert_null(append);
}

Test(appender_door, so_many_are_in_flight_and_no_more) {
    BEGIN(((daybook_appender_options){.in_flight_max = 3}), {.answers_count = 1, .fault = APPEND_FAULT_HOLD});
    daybook_append *appends[4];
    submit_all(appends, 4); /* the first one makes room for the last one */
    cr_assert(daybook_append_wait(appends[0], PATIENCE_MS));
    expect_full();
    cr_assert_not(daybook_append_wait(appends[1], 0));
    appender = daybook_appender_close(appender, 0);
    for (size_t index = 1; index < 4; index++) expect_status(appends[index], DAYBOOK_CANCELLED, "OUTCOME_UNKNOWN");
    for (size_t index = 0; index < 4; index++) daybook_append_free(appends[index]);
}

Test(appender_door, so_many_bytes_are_in_flight_but_one_may_be_larger) {
    BEGIN(((daybook_appender_options){.in_flight_bytes_max = 1}), ALL_WELL);
    daybook_append *appends[10];
    submit_all(appends, 10);
    expect_all(appends, 10);
}

Test(appender_door, one_in_flight_keeps_the_order_through_refusals) {
    BEGIN(((daybook_appender_options){.in_flight_max = 1}), {.answers_count = 1,
                                                             .fault = APPEND_FAULT_REFUSE_ONCE,
                                                             .refusals_count = 2,
                                                             .code = DAYBOOK_RESOURCE_EXHAUSTED,
                                                             .reason = "STORAGE_FULL",
                                                             .retry_ms = 1});
    daybook_append *appends[10];
    submit_all(appends, 10);
    expect_all(appends, 10);
}

/* --- What is submitted. ----------------------------------------------------------------------------------------------- */

Test(appender_door, ids_of_the_program_stay_and_the_request_is_copied) {
    static const char id[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    BEGIN(DEFAULTS, ALL_WELL);
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    for (int write = 0; write < 2; write++) {
        daybook_v1_Write *added = daybook_v1_AppendRequest_add_writes(request, arena);
        daybook_v1_Write_set_stream(added, upb_StringView_FromString("several"));
        daybook_v1_Event_set_id(daybook_v1_Write_add_events(added, arena),
                                upb_StringView_FromString(write == 0 ? id : ""));
    }
    daybook_append *append;
    daybook_status status;
    cr_assert_eq(daybook_appender_submit(appender, request, PATIENCE_MS, &append, &status), DAYBOOK_WRITE_TAKEN);
    size_t count;
    cr_assert_eq(
        daybook_v1_Event_id(daybook_v1_Write_events(daybook_v1_AppendRequest_writes(request, &count)[1], &count)[0])
            .size,
        0, "the program's request is not touched");
    upb_Arena_Free(arena);
    expect_status(append, DAYBOOK_OK, "");
    cr_assert_str_eq(append_server_record(server, 0).id, id);
    (void)daybook_v1_AppendResponse_results(daybook_append_result(append), &count);
    cr_assert_eq(count, 2);
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(daybook_append_request(append), &count);
    const upb_StringView given = daybook_v1_Event_id(daybook_v1_Write_events(writes[1], &count)[0]);
    cr_assert(upb_StringView_IsEqual(given, upb_StringView_FromString(append_server_record(server, 1).id)));
    daybook_append_free(append);
}

static void expect_refused(upb_StringView text) {
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Event *event = daybook_v1_Event_new(arena);
    daybook_v1_Event_set_text(event, text);
    const daybook_v1_Event *events[] = {event};
    daybook_append *append = NULL;
    daybook_status status;
    cr_assert_eq(daybook_appender_submit_events(appender, "counter", events, 1, 0, &append, &status),
                 DAYBOOK_WRITE_REFUSED);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_null(append);
    upb_Arena_Free(arena);
}

Test(appender_door, what_cannot_be_sent_is_refused_and_harms_nobody) {
    BEGIN(DEFAULTS, ALL_WELL);
    char *text = calloc(1, DAYBOOK_APPEND_BYTES_MAX);
    cr_assert_not_null(text);
    expect_refused(upb_StringView_FromDataAndSize(text, DAYBOOK_APPEND_BYTES_MAX));
    free(text);
    expect_refused(upb_StringView_FromString("\xff"));
    daybook_append *append = submit("counter", 0);
    expect_all(&append, 1);
}

Test(appender_door, an_option_out_of_range_is_refused) {
    client_open(1);
    daybook_status status;
    const daybook_appender_options options = {.timeout_ms = UINT32_MAX};
    cr_assert_null(daybook_appender_open(client, &options, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    appender = daybook_appender_open(client, NULL, &status);
    cr_assert_not_null(appender);
}

/* --- Completions. ----------------------------------------------------------------------------------------------------- */

#define CHAIN_LENGTH 20

/* Each completion submits the next append, and frees its own. */
struct chain {
    uint64_t number;
    pthread_t thread;
};

static void on_link(daybook_append *append, void *context) {
    struct chain *chain = context;
    cr_assert_eq(daybook_append_status(append)->code, DAYBOOK_OK);
    cr_assert_not(daybook_append_wait(append, 0), "its completion has not returned");
    if (chain->number > 2) cr_assert(pthread_equal(chain->thread, pthread_self()), "one thread runs them");
    chain->thread = pthread_self();
    daybook_append_free(append);
    if (chain->number == CHAIN_LENGTH) return;
    daybook_status status;
    cr_assert_eq(try_submit("counter", chain->number++, 0, &append, &status), DAYBOOK_WRITE_TAKEN);
    daybook_append_on_done(append, on_link, chain);
}

Test(appender_door, completions_may_submit_and_free) {
    BEGIN(DEFAULTS, ALL_WELL);
    static struct chain chain = {.number = 1};
    daybook_append *append = NULL;
    daybook_status status;
    cr_assert_eq(try_submit("counter", 0, 0, &append, &status), DAYBOOK_WRITE_TAKEN);
    /* The first one runs here, if its append has ended meanwhile. */
    daybook_append_on_done(append, on_link, &chain);
    while (append_server_count(server) < CHAIN_LENGTH) cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
    cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
}

static void on_counted(daybook_append *append, void *context) {
    (void)append;
    ++*(int *)context;
}

Test(appender_door, a_completion_runs_at_once_when_the_append_has_ended_and_never_when_it_is_freed) {
    BEGIN(DEFAULTS, {.answers_count = 1, .fault = APPEND_FAULT_HOLD});
    int count = 0;
    daybook_append *ended = submit("counter", 0);
    cr_assert(daybook_append_wait(ended, PATIENCE_MS));
    daybook_append_on_done(ended, on_counted, &count);
    cr_assert_eq(count, 1);
    daybook_append_free(ended);
    daybook_append *freed = submit("counter", 1);
    daybook_append_on_done(freed, on_counted, &count);
    daybook_append_free(freed);
    append_server_wait_requests(server, 2);
    appender = daybook_appender_close(appender, 0);
    cr_assert_eq(count, 1);
}

/* --- The end. --------------------------------------------------------------------------------------------------------- */

Test(appender_door, flush_waits_for_everything_and_no_longer_than_it_may) {
    BEGIN(DEFAULTS, {.answers_count = 5, .fault = APPEND_FAULT_HOLD});
    cr_assert(daybook_appender_flush(appender, 0), "nothing is in flight");
    daybook_append *appends[6];
    submit_all(appends, 5);
    cr_assert(daybook_appender_flush(appender, PATIENCE_MS));
    for (size_t index = 0; index < 5; index++) cr_assert(daybook_append_wait(appends[index], 0));
    appends[5] = submit("counter", 5);
    cr_assert_not(daybook_appender_flush(appender, 5));
    for (size_t index = 0; index < 6; index++) daybook_append_free(appends[index]);
}

Test(appender_door, close_flushes_first) {
    BEGIN(DEFAULTS, {.answers_count = 10, .swallowed_count = 1, .code = DAYBOOK_UNAVAILABLE}, ALL_WELL);
    daybook_append *appends[100];
    submit_all(appends, 100);
    appender = daybook_appender_close(appender, PATIENCE_MS);
    expect_all(appends, 100);
}

Test(appender_door, close_ends_what_was_never_sent_as_not_written) {
    BEGIN(DEFAULTS, ALL_WELL);
    append_server_fail_head(server, DAYBOOK_UNAVAILABLE);
    daybook_append *append = submit("counter", 0);
    while (losses_count() == 0) cr_assert_not(daybook_append_wait(append, 1));
    appender = daybook_appender_close(appender, 0);
    expect_status(append, DAYBOOK_CANCELLED, "");
    daybook_append_free(append);
    cr_assert_eq(append_server_count(server), 0);
}

Test(appender_door, an_appender_that_was_never_used_is_closed_at_once) {
    BEGIN(DEFAULTS, ALL_WELL);
    appender = daybook_appender_close(appender, DAYBOOK_TIMEOUT_NONE);
    cr_assert_null(appender);
    cr_assert_eq(append_server_calls_count(server), 0);
}
