/* A client's life: opening, servers that are gone or come late, and closing with anything in flight. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/echo_fixture.h"

#define IN_FLIGHT 50

static struct echo_fixture fixture;

static void setup(void) {
    fixture = echo_fixture_open();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(client, .init = setup, .fini = teardown, .timeout = 60);

static bool unary(const daybook_call_options *options, daybook_status *status) {
    const void *response = NULL;
    return daybook_call_unary(fixture.client, &ECHO_CALL, echo_request(&fixture, &(struct echo_script){.count = 1}),
                              options, fixture.arena, &response, status);
}

Test(client, bad_options_open_nothing) {
    daybook_status status = {0};
    cr_assert_null(daybook_client_open(NULL, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_null(daybook_client_open(&(daybook_client_options){.target = "x:1", .threads_count = 1000}, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status.message, "threads_count"));
    cr_assert_null(daybook_client_close(NULL));
}

Test(client, opening_connects_to_nothing) {
    daybook_status status = {.code = DAYBOOK_ABORTED};
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = "127.0.0.1:1"}, &status);
    cr_assert_not_null(client);
    cr_assert_eq(status.code, DAYBOOK_OK);
    cr_assert_null(daybook_client_close(client));
}

Test(client, options_and_their_strings_may_go_at_once) {
    char target[64];
    strncpy(target, echo_server_target(fixture.server), sizeof target - 1);
    target[sizeof target - 1] = '\0';
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = target}, NULL);
    cr_assert_not_null(client);
    memset(target, 'x', sizeof target);
    daybook_client_close(fixture.client);
    fixture.client = client;
    daybook_status status;
    cr_assert(unary(NULL, &status), "%s", status.message);
}

Test(client, several_threads_serve_one_client) {
    daybook_client_close(fixture.client);
    daybook_client_options options = {.target = echo_server_target(fixture.server), .threads_count = 4};
    fixture.client = daybook_client_open(&options, NULL);
    cr_assert_not_null(fixture.client);
    const void *request = echo_request(&fixture, &(struct echo_script){.count = 1});
    daybook_call *calls[IN_FLIGHT];
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        calls[i] = daybook_call_start(fixture.client, &ECHO_CALL, request, NULL);
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        cr_assert(daybook_call_wait(calls[i], DAYBOOK_TIMEOUT_NONE));
        cr_assert_eq(daybook_call_status(calls[i])->code, DAYBOOK_OK);
        daybook_call_free(calls[i]);
    }
}

Test(client, a_server_that_is_gone_is_unavailable) {
    daybook_status status;
    cr_assert(unary(NULL, &status), "%s", status.message);
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    cr_assert_not(unary(NULL, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert(status.retryable);
}

Test(client, a_server_that_stops_ends_its_calls) {
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    daybook_call *call = daybook_call_start(fixture.client, &ECHO_CALL, request, NULL);
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, NULL, &status);
    cr_assert_not_null(stream);
    echo_server_wait_received(fixture.server, 2);
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_neq(daybook_call_status(call)->code, DAYBOOK_OK);
    const void *message = NULL;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_ERROR);
    daybook_call_free(call);
    daybook_stream_close(stream);
}

Test(client, a_call_that_waits_for_ready_waits_until_its_timeout) {
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    daybook_status status;
    cr_assert_not(unary(&(daybook_call_options){.wait_for_ready = 1, .timeout_ms = 50}, &status));
    cr_assert_eq(status.code, DAYBOOK_DEADLINE_EXCEEDED);
}

Test(client, a_server_that_comes_back_is_found) {
    daybook_status status;
    cr_assert(unary(NULL, &status), "%s", status.message);
    fixture.server = echo_server_restart(fixture.server);
    cr_assert(unary(&(daybook_call_options){.wait_for_ready = 1, .timeout_ms = 30000}, &status), "%s", status.message);
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

static void count_done(daybook_call *call, void *context) {
    (void)call;
    uint32_t *count = context;
    (*count)++;
}

Test(client, close_ends_what_is_in_flight) {
    daybook_call *calls[IN_FLIGHT];
    uint32_t dones = 0; /* one thread runs them all, and close joins it */
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        calls[i] = daybook_call_start(fixture.client, &ECHO_CALL, request, NULL);
        daybook_call_on_done(calls[i], count_done, &dones);
    }
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, NULL, &status);
    cr_assert_not_null(stream);
    echo_server_wait_received(fixture.server, IN_FLIGHT / 2);

    fixture.client = daybook_client_close(fixture.client);
    cr_assert_eq(dones, IN_FLIGHT);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        cr_assert(daybook_call_wait(calls[i], 0), "call %zu outlived the close", i);
        cr_assert_eq(daybook_call_status(calls[i])->code, DAYBOOK_CANCELLED);
        daybook_call_cancel(calls[i]);
        daybook_call_free(calls[i]);
    }
    const void *message = NULL;
    cr_assert_eq(daybook_stream_next(stream, 0, &message, &status), DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, DAYBOOK_CANCELLED);
    daybook_stream_cancel(stream);
    daybook_stream_close(stream);
}

Test(client, calls_and_messages_outlive_the_client) {
    struct echo_script script = {.text = "kept", .payload_bytes = 3000, .count = 3};
    const void *request = echo_request(&fixture, &script);
    daybook_call *call = daybook_call_start(fixture.client, &ECHO_CALL,
                                            echo_request(&fixture,
                                                         &(struct echo_script){
                                                             .text = "kept",
                                                             .count = 1,
                                                         }),
                                            NULL);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, NULL, &status);
    const void *message = NULL;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_MESSAGE);

    echo_server_stop(fixture.server);
    fixture.server = NULL;
    fixture.client = daybook_client_close(fixture.client);
    upb_StringView kept = upb_StringView_FromString("kept");
    cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_text(daybook_call_result(call)), kept));
    cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_text(message), kept));
    cr_assert(
        upb_StringView_IsEqual(daybook_test_EchoResponse_payload(message), daybook_test_EchoRequest_payload(request)));
    daybook_call_free(call);
    daybook_stream_close(stream);
}

Test(client, close_waits_for_calls_that_were_freed) {
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        daybook_call_free(daybook_call_start(fixture.client, &ECHO_CALL, request, NULL));
    }
    fixture.client = daybook_client_close(fixture.client);
}

static void *block(void *argument) {
    daybook_status *status = argument;
    const void *response = NULL;
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    bool ok = daybook_call_unary(fixture.client, &ECHO_CALL, request, NULL, fixture.arena, &response, status);
    return ok ? argument : NULL;
}

Test(client, close_releases_a_blocked_caller) {
    daybook_status status = {0};
    pthread_t blocked;
    daybook_client *client = fixture.client;
    cr_assert_eq(pthread_create(&blocked, NULL, block, &status), 0);
    echo_server_wait_received(fixture.server, 1);
    daybook_client_close(client);
    void *succeeded = NULL;
    pthread_join(blocked, &succeeded);
    fixture.client = NULL;
    cr_assert_null(succeeded);
    cr_assert_eq(status.code, DAYBOOK_CANCELLED);
}

static void *read_on(void *argument) {
    daybook_stream *stream = argument;
    const void *message = NULL;
    daybook_status status;
    daybook_next next = daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status);
    return next == DAYBOOK_NEXT_ERROR && status.code == DAYBOOK_CANCELLED ? NULL : argument;
}

Test(client, close_releases_a_waiting_reader) {
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, NULL, NULL);
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, read_on, stream), 0);
    echo_server_wait_received(fixture.server, 1);
    fixture.client = daybook_client_close(fixture.client);
    void *failed = NULL;
    pthread_join(reader, &failed);
    cr_assert_null(failed);
    daybook_stream_close(stream);
}

struct restart {
    const void *request;
    daybook_call *next;
};

/* Started from a completion of the close: it cannot be sent any more. */
static void start_another(daybook_call *call, void *context) {
    (void)call;
    struct restart *restart = context;
    restart->next = daybook_call_start(fixture.client, &ECHO_CALL, restart->request, NULL);
}

Test(client, nothing_starts_while_it_closes) {
    daybook_client_close(fixture.client);
    daybook_client_options options = {.target = echo_server_target(fixture.server), .threads_count = 4};
    fixture.client = daybook_client_open(&options, NULL);
    struct restart restarts[IN_FLIGHT];
    daybook_call *calls[IN_FLIGHT];
    const void *request = echo_request(&fixture, &(struct echo_script){.hold = true});
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        restarts[i] = (struct restart){.request = request};
        calls[i] = daybook_call_start(fixture.client, &ECHO_CALL, request, NULL);
        daybook_call_on_done(calls[i], start_another, &restarts[i]);
    }
    daybook_client_close(fixture.client);
    fixture.client = NULL;
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        cr_assert_not_null(restarts[i].next);
        cr_assert(daybook_call_wait(restarts[i].next, 0));
        cr_assert_eq(daybook_call_status(restarts[i].next)->code, DAYBOOK_CANCELLED);
        daybook_call_free(restarts[i].next);
        daybook_call_free(calls[i]);
    }
}
