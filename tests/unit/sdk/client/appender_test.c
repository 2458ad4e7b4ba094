/* An appender against servers that end, refuse, fall silent, answer out of step and vanish: each append once, in order. */
#include "daybook/appender.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/random.h"
#include "tests/unit/sdk/client/append_server.h"

#define PATIENCE_MS  60000
#define APPENDS_MANY 500
/* So few that every one of them has as many requests as it needs to come to its end. */
#define BAD_TURNS        20
#define BAD_TURN_ANSWERS 20

static struct append_server *server;
static daybook_client *client;
static daybook_appender *appender;

/* What `disconnected` has heard; on the appender's thread, read after a flush. */
static struct {
    pthread_mutex_t mutex;
    size_t count;
    daybook_status status; /* the last one */
    uint32_t retry_ms;
} losses = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    cr_assert_eq(context, &losses);
    cr_assert_gt(retry_ms, 0, "attempts without a pause are an attack");
    pthread_mutex_lock(&losses.mutex);
    losses.count++;
    losses.status = *status;
    losses.retry_ms = retry_ms;
    pthread_mutex_unlock(&losses.mutex);
}

static size_t losses_count(void) {
    pthread_mutex_lock(&losses.mutex);
    const size_t count = losses.count;
    pthread_mutex_unlock(&losses.mutex);
    return count;
}

static void client_open(uint16_t port) {
    char target[32];
    daybook_status status;
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    client = daybook_client_open(&(daybook_client_options){.target = target, .reconnect_backoff_max_ms = 100}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

/* With pauses of a few milliseconds, unless the test wants others. */
static void appender_open(daybook_appender_options options) {
    daybook_status status;
    options.disconnected = on_disconnected;
    options.context = &losses;
    if (options.backoff_max_ms == 0) options.backoff_max_ms = 5;
    if (options.timeout_ms == 0) options.timeout_ms = PATIENCE_MS;
    appender = daybook_appender_open(client, &options, &status);
    cr_assert_not_null(appender, "%s", status.message);
}

static void begin(const struct append_turn *turns, size_t count, daybook_appender_options options) {
    server = append_server_start(0, turns, count);
    client_open(append_server_port(server));
    appender_open(options);
}
#define BEGIN(options, ...)                                                                                            \
    begin((const struct append_turn[]){__VA_ARGS__},                                                                   \
          sizeof((const struct append_turn[]){__VA_ARGS__}) / sizeof(struct append_turn), options)
#define DEFAULTS ((daybook_appender_options){.timeout_ms = 0})
#define ALL_WELL                                                                                                       \
    { .answers_count = UINT32_MAX }

static void end(void) {
    daybook_appender_close(appender, 0);
    if (client != NULL) daybook_client_close(client);
    if (server != NULL) append_server_stop(server);
}

TestSuite(appender, .fini = end);

/* An event whose text is the number, in the stream. */
static daybook_write try_submit(const char *stream, uint64_t number, uint32_t wait_ms, daybook_append **ret_append,
                                daybook_status *ret_status) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Event *event = daybook_v1_Event_new(arena);
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Counted"));
    daybook_v1_Event_set_text(event, upb_StringView_FromString(text));
    const daybook_v1_Event *events[] = {event};
    const daybook_write found =
        daybook_appender_submit_events(appender, stream, events, 1, wait_ms, ret_append, ret_status);
    upb_Arena_Free(arena);
    return found;
}

static daybook_append *submit(const char *stream, uint64_t number) {
    daybook_append *append = NULL;
    daybook_status status;
    cr_assert_eq(try_submit(stream, number, PATIENCE_MS, &append, &status), DAYBOOK_WRITE_TAKEN);
    return append;
}

static void submit_all(daybook_append **ret_appends, size_t count) {
    for (size_t index = 0; index < count; index++) ret_appends[index] = submit("counter", index);
}

static void expect_status(daybook_append *append, daybook_code code, const char *reason) {
    cr_assert(daybook_append_wait(append, PATIENCE_MS));
    const daybook_status *status = daybook_append_status(append);
    cr_assert_eq(status->code, code, "%s: %s", daybook_code_name(status->code), status->message);
    cr_assert_str_eq(status->reason, reason, "%s", status->message);
}

/* All are OK, where the log has them, which has them once and in order. */
static void expect_all(daybook_append **appends, size_t count) {
    for (size_t index = 0; index < count; index++) {
        expect_status(appends[index], DAYBOOK_OK, "");
        size_t results_count;
        const daybook_v1_WriteResult *const *results =
            daybook_v1_AppendResponse_results(daybook_append_result(appends[index]), &results_count);
        cr_assert_eq(results_count, 1);
        cr_assert_eq(daybook_v1_WriteResult_first_position(results[0]), index + 1);
        cr_assert_eq(append_server_record(server, index).number, index);
        if (index > 0) {
            cr_assert_lt(strcmp(append_server_record(server, index - 1).id, append_server_record(server, index).id), 0);
        }
        daybook_append_free(appends[index]);
    }
    cr_assert_eq(append_server_count(server), count);
}

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
    begin(turns, BAD_TURNS + 1, DEFAULTS);
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
    cr_assert_eq(losses.status.code, DAYBOOK_INTERNAL);
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
