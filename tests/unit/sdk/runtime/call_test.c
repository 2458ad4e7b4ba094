/* Unary calls: blocking and as futures, and how they end. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/echo_fixture.h"

#define CALLS_CANCELLED 1000
#define CALLERS         8
#define CALLS_A_CALLER  200

static struct echo_fixture fixture;

static void setup(void) {
    fixture = echo_fixture_open();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(call, .init = setup, .fini = teardown, .timeout = 60);

static void wait_end(daybook_call *call) {
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
}

/* --- The blocking form ------------------------------------------------------------------------------------------- */

static bool unary(const struct echo_script *script, const daybook_call_options *options, const void **response,
                  daybook_status *status) {
    return daybook_call_unary(fixture.client, &ECHO_CALL, echo_request(&fixture, script), options, fixture.arena,
                              response, status);
}

Test(call, unary_answers_into_the_callers_arena) {
    static const size_t sizes[] = {0, 1, 200, 16384, 1000000, 4000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct echo_script script = {.text = "hello", .payload_bytes = sizes[i], .count = 1};
        const void *request = echo_request(&fixture, &script);
        const void *response = NULL;
        daybook_status status = {.code = DAYBOOK_UNKNOWN};
        cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL, request, NULL, fixture.arena, &response, &status),
                  "%s", status.message);
        cr_assert_eq(status.code, DAYBOOK_OK);
        cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_text(response), upb_StringView_FromString("hello")));
        cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_payload(response),
                                         daybook_test_EchoRequest_payload(request)));
    }
}

Test(call, unary_reports_reason_and_retry) {
    struct echo_script script = {
        .code = DAYBOOK_RESOURCE_EXHAUSTED,
        .message = "the queue is full: caf\xc3\xa9 100%\n",
        .details = echo_details(&fixture, "QUEUE_FULL", 250),
    };
    const void *untouched = &script;
    const void *response = untouched;
    daybook_status status;
    cr_assert_not(unary(&script, NULL, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(status.message, "the queue is full: caf\xc3\xa9 100%\n");
    cr_assert_str_eq(status.reason, "QUEUE_FULL");
    cr_assert(status.retryable);
    cr_assert_eq(status.retry_delay_ms, 250);
    cr_assert_eq(response, untouched, "a failed call has no response");
}

Test(call, details_are_whole_and_emptied_by_the_next_call) {
    struct echo_script script = {.code = DAYBOOK_ABORTED, .details = echo_details(&fixture, "REVISION_CONFLICT", -1)};
    daybook_details details = {.size = 7};
    const daybook_call_options options = {.details = &details};
    const void *response = NULL;
    cr_assert_not(unary(&script, &options, &response, NULL));
    cr_assert_eq(details.size, script.details.size);
    cr_assert_arr_eq(details.bytes, script.details.data, details.size);
    cr_assert_not(unary(&(struct echo_script){.code = DAYBOOK_ABORTED}, &options, &response, NULL));
    cr_assert_eq(details.size, 0, "none were sent");
    details.size = 7;
    cr_assert(unary(&(struct echo_script){.count = 1}, &options, &response, NULL));
    cr_assert_eq(details.size, 0);
}

Test(call, unary_accepts_no_status) {
    const void *response = NULL;
    cr_assert(unary(&(struct echo_script){.count = 1}, NULL, &response, NULL));
    cr_assert_not(unary(&(struct echo_script){.code = DAYBOOK_ABORTED}, NULL, &response, NULL));
}

Test(call, every_code_arrives) {
    for (int code = DAYBOOK_CANCELLED; code <= DAYBOOK_UNAUTHENTICATED; code++) {
        const void *response = NULL;
        daybook_status status;
        cr_assert_not(
            unary(&(struct echo_script){.code = (daybook_code)code, .message = "m"}, NULL, &response, &status));
        cr_assert_eq(status.code, (daybook_code)code);
        cr_assert_str_eq(status.message, "m");
        cr_assert_str_eq(status.reason, "");
        cr_assert_eq(status.retryable, code == DAYBOOK_UNAVAILABLE);
    }
}

Test(call, a_code_that_is_none_is_unknown) {
    const void *response = NULL;
    daybook_status status;
    cr_assert_not(unary(&(struct echo_script){.code = (daybook_code)99, .message = "m"}, NULL, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_UNKNOWN);
}

Test(call, the_deadline_ends_it) {
    const void *response = NULL;
    daybook_status status;
    cr_assert_not(
        unary(&(struct echo_script){.hold = true}, &(daybook_call_options){.timeout_ms = 30}, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_DEADLINE_EXCEEDED);
    cr_assert_not(status.retryable);
}

Test(call, a_malformed_response_is_internal) {
    static const struct {
        const char *bytes;
        const char *problem;
    } cases[] = {
        {"\xff\xff\xff", "is not a valid protobuf message"},
        {"\x0a\x02\xff\xfe", "holds a string that is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct echo_script script = {.count = 1, .raw = upb_StringView_FromString(cases[i].bytes)};
        const void *response = NULL;
        daybook_status status;
        cr_assert_not(unary(&script, NULL, &response, &status));
        cr_assert_eq(status.code, DAYBOOK_INTERNAL);
        cr_assert_not_null(strstr(status.message, cases[i].problem), "%s", status.message);
        cr_assert_not_null(strstr(status.message, "/daybook.test.Echo/Play"), "%s", status.message);
    }
}

/* Core itself turns OK without a message into an error; which one is its business. */
Test(call, ok_without_a_response_is_an_error) {
    const void *response = NULL;
    daybook_status status;
    cr_assert_not(unary(&(struct echo_script){.count = 0}, NULL, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_INTERNAL);
    cr_assert_null(response);
}

Test(call, a_response_above_the_limit_is_refused) {
    daybook_status status;
    daybook_client *client = daybook_client_open(
        &(daybook_client_options){.target = echo_server_target(fixture.server), .message_bytes_max = 1000}, &status);
    cr_assert_not_null(client);
    const void *response = NULL;
    const void *request = echo_request(&fixture, &(struct echo_script){.payload_bytes = 2000, .count = 1});
    cr_assert_not(daybook_call_unary(client, &ECHO_CALL, request, NULL, fixture.arena, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
    daybook_client_close(client);
}

Test(call, headers_reach_the_server) {
    daybook_header headers[] = {
        {.key = "x-first", .value = "1"},
        {.key = "x-tenant", .value = "a value, with ~ and spaces"},
        {.key = "x-last", .value = "3"},
    };
    daybook_call_options options = {.headers = headers, .headers_count = 3};
    const void *response = NULL;
    daybook_status status;
    cr_assert(unary(&(struct echo_script){.count = 1, .header = "x-tenant"}, &options, &response, &status), "%s",
              status.message);
    cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_header(response),
                                     upb_StringView_FromString("a value, with ~ and spaces")));
}

static bool has(const daybook_metadata *metadata, const char *key, const char *value, size_t value_size) {
    return upb_StringView_IsEqual(daybook_metadata_find(metadata, key),
                                  upb_StringView_FromDataAndSize(value, value_size));
}

Test(call, metadata_comes_back_and_outlives_the_client) {
    static char binary[300];
    for (size_t i = 0; i < sizeof binary; i++) binary[i] = (char)i;
    daybook_header headers[] = {
        {.key = "x-text", .value = "a text that is longer than what a slice of gRPC holds itself"},
        {.key = "x-short", .value = "s"},
        {.key = "x-data-bin", .value = binary, .value_size = sizeof binary},
    };
    daybook_call_options options = {.headers = headers, .headers_count = 3};
    daybook_call *ok = echo_call_start(&fixture, &(struct echo_script){.count = 1, .mirror = true}, &options);
    daybook_call *failed =
        echo_call_start(&fixture, &(struct echo_script){.code = DAYBOOK_ABORTED, .mirror = true}, &options);
    daybook_call *bare = echo_call_start(&fixture, &(struct echo_script){.count = 1}, &options);
    wait_end(ok);
    wait_end(failed);
    wait_end(bare);
    fixture.client = daybook_client_close(fixture.client);
    const daybook_metadata *all[] = {daybook_call_initial_metadata(ok), daybook_call_trailing_metadata(ok),
                                     daybook_call_trailing_metadata(failed)};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(has(all[i], "x-text", headers[0].value, strlen(headers[0].value)), "%zu", i);
        cr_assert(has(all[i], "x-short", "s", 1));
        cr_assert(has(all[i], "x-data-bin", binary, sizeof binary));
    }
    cr_assert_null(daybook_metadata_find(daybook_call_initial_metadata(bare), "x-text").data);
    cr_assert_eq(daybook_metadata_count(daybook_call_trailing_metadata(bare)), 0);
    daybook_call_free(ok);
    daybook_call_free(failed);
    daybook_call_free(bare);
}

Test(call, a_call_that_was_never_sent_has_no_metadata) {
    daybook_header header = {.key = "Bad-Key", .value = "x"};
    daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1},
                                         &(daybook_call_options){.headers = &header, .headers_count = 1});
    wait_end(call);
    cr_assert_eq(daybook_metadata_count(daybook_call_initial_metadata(call)), 0);
    cr_assert_eq(daybook_metadata_count(daybook_call_trailing_metadata(call)), 0);
    daybook_call_free(call);
}

Test(call, the_user_agent_names_the_sdk) {
    const void *response = NULL;
    cr_assert(unary(&(struct echo_script){.count = 1, .header = "user-agent"}, NULL, &response, NULL));
    upb_StringView agent = daybook_test_EchoResponse_header(response);
    cr_assert_gt(agent.size, 10);
    cr_assert_eq(memcmp(agent.data, "daybook-c/", 10), 0);
}

Test(call, a_bad_header_ends_it_before_anything_is_sent) {
    daybook_header header = {.key = "Bad-Key", .value = "x"};
    daybook_call_options options = {.headers = &header, .headers_count = 1};
    const void *response = NULL;
    daybook_status status;
    cr_assert_not(unary(&(struct echo_script){.count = 1}, &options, &response, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1}, &options);
    cr_assert(daybook_call_wait(call, 0), "it has ended at once");
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_null(daybook_call_result(call));
    daybook_call_cancel(call);
    daybook_call_free(call);
    cr_assert_eq(echo_server_sent(fixture.server), 0);
}

static void *call_many(void *argument) {
    const void *request = argument;
    daybook_call_options patient = {.timeout_ms = DAYBOOK_TIMEOUT_NONE};
    for (size_t i = 0; i < CALLS_A_CALLER; i++) {
        upb_Arena *arena = upb_Arena_New();
        const void *response = NULL;
        bool ok = daybook_call_unary(fixture.client, &ECHO_CALL, request, &patient, arena, &response, NULL);
        bool same = ok && daybook_test_EchoResponse_payload(response).size == 300;
        upb_Arena_Free(arena);
        if (!same) return argument;
    }
    return NULL;
}

Test(call, many_threads_share_a_client) {
    const void *request = echo_request(&fixture, &(struct echo_script){.payload_bytes = 300, .count = 1});
    pthread_t callers[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        cr_assert_eq(pthread_create(&callers[i], NULL, call_many, (void *)request), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        void *failed = NULL;
        pthread_join(callers[i], &failed);
        cr_assert_null(failed);
    }
    cr_assert_eq(echo_server_sent(fixture.server), CALLERS * CALLS_A_CALLER);
}

/* --- Futures ------------------------------------------------------------------------------------------------------ */

Test(call, a_future_gives_status_and_result) {
    daybook_call *call =
        echo_call_start(&fixture, &(struct echo_script){.text = "later", .payload_bytes = 5000, .count = 1}, NULL);
    wait_end(call);
    wait_end(call);
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_OK);
    upb_StringView text = daybook_test_EchoResponse_text(daybook_call_result(call));
    cr_assert(upb_StringView_IsEqual(text, upb_StringView_FromString("later")));
    cr_assert_null(daybook_call_free(call));
    cr_assert_null(daybook_call_free(NULL));
}

Test(call, wait_gives_up_after_its_time) {
    daybook_call *call = echo_call_hold(&fixture, 1);
    cr_assert_not(daybook_call_wait(call, 0));
    cr_assert_not(daybook_call_wait(call, 20));
    daybook_call_cancel(call);
    wait_end(call);
    daybook_call_free(call);
}

Test(call, cancel_ends_a_running_call) {
    daybook_call *call = echo_call_hold(&fixture, 1);
    daybook_call_cancel(call);
    daybook_call_cancel(call);
    wait_end(call);
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_CANCELLED);
    cr_assert_null(daybook_call_result(call));
    echo_server_wait_cancelled(fixture.server, 1);
    daybook_call_free(call);
}

Test(call, cancel_after_the_end_changes_nothing) {
    daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1}, NULL);
    wait_end(call);
    daybook_call_cancel(call);
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_OK);
    cr_assert_not_null(daybook_call_result(call));
    daybook_call_free(call);
}

Test(call, a_thousand_cancelled_calls) {
    static daybook_call *calls[CALLS_CANCELLED];
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    for (size_t i = 0; i < CALLS_CANCELLED; i++) {
        calls[i] = daybook_call_start(fixture.client, &ECHO_CALL, request, NULL);
        cr_assert_not_null(calls[i]);
    }
    for (size_t i = 0; i < CALLS_CANCELLED; i++) {
        daybook_call_cancel(calls[i]);
    }
    for (size_t i = 0; i < CALLS_CANCELLED; i++) {
        wait_end(calls[i]);
        cr_assert_eq(daybook_call_status(calls[i])->code, DAYBOOK_CANCELLED);
        daybook_call_free(calls[i]);
    }
    const void *response = NULL;
    cr_assert(unary(&(struct echo_script){.count = 1}, NULL, &response, NULL), "the client is as good as before");
}

struct waiter {
    pthread_t thread;
    daybook_call *call;
};

static void *wait_for(void *argument) {
    struct waiter *waiter = argument;
    bool ended = daybook_call_wait(waiter->call, DAYBOOK_TIMEOUT_NONE);
    return ended && daybook_call_status(waiter->call)->code == DAYBOOK_CANCELLED ? NULL : argument;
}

Test(call, several_threads_wait_for_one_call) {
    daybook_call *call = echo_call_hold(&fixture, 1);
    struct waiter waiters[4];
    for (size_t i = 0; i < 4; i++) {
        waiters[i].call = call;
        cr_assert_eq(pthread_create(&waiters[i].thread, NULL, wait_for, &waiters[i]), 0);
    }
    daybook_call_cancel(call);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(waiters[i].thread, &failed);
        cr_assert_null(failed);
    }
    daybook_call_free(call);
}
