/* server_stream_reply_test.c: streams that end with one last message and OK in one piece. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

static struct script script;
static struct fixture fixture;

static fixture_text *text_of(daybook_server_stream *stream, const char *text) {
    return fixture_new_text(daybook_server_stream_arena(stream), upb_StringView_FromString(text));
}

static void watch(daybook_server_stream *stream) {
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, &script);
    counter_add(&script.started);
}

static void count_release(void *context) {
    (void)context;
    counter_add(&script.released);
}

/* A StringValue "last", encoded, whose release is counted. */
static void reply_last(daybook_server_stream *stream) {
    static const char encoded[] = "\x0a\x04last";
    daybook_server_stream_reply_bytes(
        stream, (daybook_bytes){.data = encoded, .size = sizeof encoded - 1, .release = count_release});
}

/* --- Handlers ----------------------------------------------------------------------------------------------------- */

static void reply_to_everything(daybook_server_stream *stream, const void *request, void *context) {
    if (request != NULL) {
        counter_add(&script.received);
        daybook_server_stream_receive(stream, reply_to_everything, context);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%u", counter_get(&script.received));
    daybook_server_stream_reply(stream, text_of(stream, text));
}

/* Answers a client that streams with the number of its messages. */
static void receive_all(void *context, daybook_server_stream *stream) {
    watch(stream);
    daybook_server_stream_receive(stream, reply_to_everything, context);
}

static void reply_after_messages(daybook_server_stream *stream, bool ok, void *context) {
    cr_assert(ok);
    counter_add(&script.sent);
    if (counter_get(&script.sent) < 3)
        daybook_server_stream_send(stream, text_of(stream, "more"), reply_after_messages, context);
    else
        daybook_server_stream_reply(stream, text_of(stream, "last"));
}

static void send_and_reply(void *context, daybook_server_stream *stream) {
    watch(stream);
    daybook_server_stream_send(stream, text_of(stream, "more"), reply_after_messages, context);
}

static void reply_too_deep(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)context;
    (void)request;
    watch(stream);
    daybook_server_stream_reply(stream, fixture_new_deep_value(daybook_server_stream_arena(stream)));
}

static void setup(void) {
    script_init(&script);
    const struct fixture_handlers handlers = {.server_stream = script_remember,
                                              .nested_stream = reply_too_deep,
                                              .client_stream = receive_all,
                                              .bidirectional = send_and_reply};
    fixture_open(&fixture, handlers, &script, 2);
}

static void teardown(void) {
    fixture_close(&fixture);
}

TestSuite(server_stream_reply, .init = setup, .fini = teardown);

/* --- What the client gets ----------------------------------------------------------------------------------------- */

/* Opens a stream of the server's that its handler leaves to the test. */
static struct raw_call *open_remembered(uint32_t number) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_SERVER_STREAM);
    script_send_text(call, "");
    counter_wait(&script.started, number);
    return call;
}

Test(server_stream_reply, answers_a_client_that_streams) {
    for (uint32_t i = 1; i <= 50; i++) {
        struct raw_call *call = script_open_stream(&fixture, FIXTURE_CLIENT_STREAM);
        script_send_text(call, "a");
        script_send_text(call, "b");
        raw_call_half_close(call);
        char text[32];
        snprintf(text, sizeof text, "%u", 2 * i);
        cr_assert(fixture_is_text(raw_call_receive(call), text));
        cr_assert_null(raw_call_receive(call).data);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        raw_call_free(call);
        counter_wait(&script.closed, i);
    }
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(counter_get(&script.closed), 50);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 0);
}

Test(server_stream_reply, comes_after_the_messages_before_it) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    for (int i = 0; i < 3; i++) cr_assert(fixture_is_text(raw_call_receive(call), "more"));
    cr_assert(fixture_is_text(raw_call_receive(call), "last"));
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
}

Test(server_stream_reply, comes_from_any_thread) {
    for (uint32_t i = 1; i <= 200; i++) {
        struct raw_call *call = open_remembered(i);
        reply_last(atomic_load(&script.stream));
        cr_assert(fixture_is_text(raw_call_receive(call), "last"));
        struct raw_status status = raw_call_finish(call);
        cr_assert_eq(status.code, DAYBOOK_OK);
        cr_assert_str_eq(status.message, "");
        raw_call_free(call);
        counter_wait(&script.closed, i);
        counter_wait(&script.released, i);
    }
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(counter_get(&script.closed), 200);
    cr_assert_eq(counter_get(&script.released), 200);
    cr_assert_eq(counter_get(&script.cancelled), 0);
}

/* A StringValue of 8 MiB, more than a connection takes in before its client reads. */
Test(server_stream_reply, waits_for_a_slow_reader) {
    enum { TEXT_BYTES = 8 << 20, HEADER_BYTES = 5 };
    static const char header[HEADER_BYTES] = {0x0a, (char)0x80, (char)0x80, (char)0x80, 0x04};
    char *encoded = calloc(1, HEADER_BYTES + TEXT_BYTES);
    cr_assert_not_null(encoded);
    memcpy(encoded, header, HEADER_BYTES);
    struct raw_call *call = open_remembered(1);
    daybook_server_stream_reply_bytes(
        atomic_load(&script.stream),
        (daybook_bytes){.data = encoded, .size = HEADER_BYTES + TEXT_BYTES, .release = count_release});
    /* Other calls on the same connection go through meanwhile, so time enough has passed for it to get as far as it can. */
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_UNIMPLEMENTED);
    }
    cr_assert_eq(counter_get(&script.closed), 0);
    cr_assert_eq(counter_get(&script.released), 0);
    struct raw_bytes bytes = raw_call_receive(call);
    cr_assert_eq(bytes.size, HEADER_BYTES + TEXT_BYTES);
    free(bytes.data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    counter_wait(&script.released, 1);
    free(encoded);
}

/* --- What goes wrong ---------------------------------------------------------------------------------------------- */

Test(server_stream_reply, that_cannot_be_encoded_is_an_internal_error) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_NESTED_STREAM);
    script_send_text(call, "");
    cr_assert_null(raw_call_receive(call).data);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_INTERNAL);
    cr_assert_str_eq(status.message, "a response of " FIXTURE_NESTED_STREAM " is nested too deeply");
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 1);
}

static void reply_after_failure(daybook_server_stream *stream, bool ok, void *context) {
    (void)context;
    cr_assert_not(ok);
    reply_last(stream);
}

static void send_too_deep(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    watch(stream);
    daybook_server_stream_send(stream, fixture_new_deep_value(daybook_server_stream_arena(stream)), reply_after_failure,
                               context);
}

Test(server_stream_reply, does_not_hide_that_a_message_before_it_could_not_be_encoded) {
    fixture.handlers.nested_stream = send_too_deep;
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_NESTED_STREAM);
    script_send_text(call, "");
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_INTERNAL);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    counter_wait(&script.released, 1);
}

Test(server_stream_reply, does_not_hide_that_a_request_was_none) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_CLIENT_STREAM);
    script_send_text(call, "a");
    cr_assert(raw_call_send(call, "\x0a\x7f", 2));
    cr_assert_null(raw_call_receive(call).data);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_CLIENT_STREAM " is not a valid protobuf message");
    raw_call_free(call);
    counter_wait(&script.closed, 1);
}

Test(server_stream_reply, to_a_client_that_has_gone_is_released) {
    struct raw_call *call = open_remembered(1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&script.cancelled, 1);
    cr_assert_eq(counter_get(&script.closed), 0);
    reply_last(atomic_load(&script.stream));
    counter_wait(&script.closed, 1);
    counter_wait(&script.released, 1);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 1);
}

/* The client goes while another thread replies: whatever comes first, it is closed once and released once. */
Test(server_stream_reply, that_crosses_the_clients_end_is_harmless) {
    for (uint32_t i = 1; i <= 300; i++) {
        struct raw_call *call = open_remembered(i);
        raw_call_cancel(call);
        reply_last(atomic_load(&script.stream));
        raw_call_free(call);
    }
    counter_wait(&script.closed, 300);
    counter_wait(&script.released, 300);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(counter_get(&script.closed), 300);
    cr_assert_eq(counter_get(&script.released), 300);
    cr_assert_leq(counter_get(&script.cancelled), 300);
}
