/* server_test.c: the server's life and its unary calls that end well, as a client on the other side of a socket sees them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/server.h"
#include "tests/unit/sdk/runtime/server_parking.h"

Test(server, answers_with_what_the_handler_replies) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fixture_echo}, NULL, 2);
    for (int i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "event %d", i);
        struct raw_bytes response;
        struct raw_status status = fixture_unary(fixture.channel, text, &response);
        cr_assert_eq(status.code, DAYBOOK_OK, "%s", status.message);
        cr_assert(fixture_is_text(response, text));
    }
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 300);
    cr_assert_eq(counts.calls_failed, 0);
    fixture_close(&fixture);
}

/* A message that gRPC delivers in many slices, and one that is larger than any arena block. */
Test(server, takes_large_messages) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fixture_echo}, NULL, 1);
    size_t size = 3u << 20;
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < size; i++) text[i] = (char)('a' + i % 26);
    text[size] = '\0';
    struct raw_bytes response;
    cr_assert_eq(fixture_unary(fixture.channel, text, &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, text));
    cr_assert_eq(fixture_unary(fixture.channel, "", &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, ""));
    free(text);
    fixture_close(&fixture);
}

/* --- Answers from another thread ---------------------------------------------------------------------------------- */

#define CLIENTS_COUNT    8
#define CALLS_PER_CLIENT 50

static void *call_often(void *argument) {
    struct fixture *fixture = argument;
    struct raw_channel *channel = raw_channel_open(daybook_server_port(fixture->server));
    /* Waits out a first connection that fails: gRPC 1.51 looks at errno long after connect(), when Abseil, on the first
     * contended lock of the process, may have looked for a file in /sys that is not there. */
    raw_channel_connect(channel);
    for (int i = 0; i < CALLS_PER_CLIENT; i++) {
        char text[32];
        snprintf(text, sizeof text, "event %d", i);
        struct raw_bytes response;
        struct raw_status status = fixture_unary(channel, text, &response);
        cr_assert_eq(status.code, DAYBOOK_OK, "%d: %s", (int)status.code, status.message);
        cr_assert(fixture_is_text(response, text));
    }
    raw_channel_close(channel);
    return NULL;
}

Test(server, replies_come_from_any_thread) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 2);
    pthread_t clients[CLIENTS_COUNT];
    for (int i = 0; i < CLIENTS_COUNT; i++) pthread_create(&clients[i], NULL, call_often, &fixture);
    uint32_t answered = 0;
    while (answered < CLIENTS_COUNT * CALLS_PER_CLIENT) answered += parking_answer(&parking, 1);
    for (int i = 0; i < CLIENTS_COUNT; i++) pthread_join(clients[i], NULL);
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, CLIENTS_COUNT * CALLS_PER_CLIENT);
    cr_assert_eq(counts.calls_failed, 0);
    fixture_close(&fixture);
}

Test(server, a_group_of_replies_reaches_every_client) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 2);
    struct raw_call *calls[100];
    struct raw_bytes request = fixture_encode("together");
    for (int i = 0; i < 100; i++) {
        calls[i] = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    }
    cr_assert_eq(parking_answer(&parking, 100), 100);
    for (int i = 0; i < 100; i++) {
        cr_assert(fixture_is_text(raw_call_receive(calls[i]), "together"));
        cr_assert_eq(raw_call_finish(calls[i]).code, DAYBOOK_OK);
        raw_call_free(calls[i]);
    }
    free(request.data);
    fixture_close(&fixture);
}

Test(server, a_reply_to_a_client_that_has_gone_is_lost_without_harm) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 1);
    struct raw_bytes request = fixture_encode("gone");
    struct raw_call *call = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    parking_wait(&parking, 1);
    raw_call_cancel(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_CANCELLED);
    raw_call_free(call);
    /* The connection still works, so the reset of the first stream has come before the second call. */
    struct raw_call *second = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    cr_assert_eq(parking_answer(&parking, 2), 2);
    cr_assert(fixture_is_text(raw_call_receive(second), "gone"));
    cr_assert_eq(raw_call_finish(second).code, DAYBOOK_OK);
    raw_call_free(second);
    free(request.data);
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 2);
    cr_assert_eq(counts.calls_failed, 1);
    fixture_close(&fixture);
}

/* --- Deadlines ---------------------------------------------------------------------------------------------------- */

static void reply_remaining(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    char text[32];
    uint64_t remaining_ms = daybook_server_call_remaining_ms(call);
    snprintf(text, sizeof text, remaining_ms == UINT64_MAX ? "none" : remaining_ms <= 61000 ? "some" : "too much");
    daybook_server_call_reply(call, fixture_new_text(daybook_server_call_arena(call), upb_StringView_FromString(text)));
}

Test(server, a_handler_knows_the_time_it_has) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = reply_remaining}, NULL, 1);
    struct raw_bytes response;
    cr_assert_eq(fixture_unary(fixture.channel, "", &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, "none"));
    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, 60000, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), "some"));
    raw_call_free(call);
    fixture_close(&fixture);
}

Test(server, a_deadline_passes_while_the_handler_thinks) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 1);
    /* The first call connects, so that the second does not spend its time on that. */
    struct raw_call *first = raw_call_request(fixture.channel, FIXTURE_UNARY, "", 0);
    parking_answer(&parking, 1);
    cr_assert(fixture_is_text(raw_call_receive(first), ""));
    cr_assert_eq(raw_call_finish(first).code, DAYBOOK_OK);
    raw_call_free(first);

    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, 200, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_DEADLINE_EXCEEDED);
    raw_call_free(call);
    parking_wait(&parking, 1);
    while (daybook_server_call_remaining_ms(parking.calls[0]) > 0) {
    }
    parking_answer(&parking, 1);
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

Test(server, a_busy_port_is_told) {
    daybook_status status;
    daybook_server *first = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    cr_assert_not_null(first, "%s", status.message);
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%u", daybook_server_port(first));
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = listen}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    char expected[100];
    snprintf(expected, sizeof expected, "cannot listen on %s: Address already in use", listen);
    cr_assert_str_eq(status.message, expected);
    cr_assert_null(daybook_server_close(first));
}

Test(server, addresses_that_cannot_be_bound_are_told) {
    daybook_status status;
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = "192.0.2.1:0"}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(status.message, "cannot listen on 192.0.2.1:0: Cannot assign requested address");
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = "[::1"}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(status.message, "cannot listen on [::1: it is not of the form HOST:PORT");
    cr_assert_null(daybook_server_open(&(daybook_server_options){0}, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
}

Test(server, a_service_is_added_once) {
    daybook_status status;
    static const struct fixture_handlers handlers;
    daybook_server *server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    cr_assert_not_null(server);
    cr_assert(daybook_server_add_service(server, &fixture_service, &handlers, NULL, &status));
    cr_assert_not(daybook_server_add_service(server, &fixture_service, &handlers, NULL, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the service " FIXTURE_SERVICE " was added already");
    daybook_server_close(server);
}

Test(server, many_threads_and_quick_ends) {
    for (int i = 0; i < 10; i++) {
        struct fixture fixture;
        fixture_open(&fixture, (struct fixture_handlers){.unary = fixture_echo}, NULL, 8);
        fixture_close(&fixture);
    }
}
