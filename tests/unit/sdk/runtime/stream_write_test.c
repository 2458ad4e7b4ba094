/* Streams whose client sends: messages in order, back-pressure, the facts of `write`, two threads on one stream. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/stream_fixture.h"

static struct stream_fixture fixture;

TestSuite(stream_write, .timeout = 120);

/* --- Handlers ----------------------------------------------------------------------------------------------------- */

static void watch_closed(daybook_server_stream *stream, struct script *script) {
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
}

static void finish_after_response(daybook_server_stream *stream, bool ok, void *context) {
    (void)context;
    (void)ok; /* The client may have gone. */
    script_finish_ok(stream);
}

/* Asserts that the texts are numbers from 0 on; answers with how many there were. */
static void count_received(daybook_server_stream *stream, const void *request, void *context) {
    struct script *script = context;
    char text[32];
    snprintf(text, sizeof text, "%u", counter_get(&script->received));
    if (request != NULL) {
        cr_assert(upb_StringView_IsEqual(google_protobuf_StringValue_value(request), upb_StringView_FromString(text)));
        counter_add(&script->received);
        daybook_server_stream_receive(stream, count_received, script);
        return;
    }
    upb_Arena *arena = upb_Arena_New();
    const fixture_text *response = fixture_new_text(arena, upb_StringView_FromString(text));
    daybook_server_stream_send(stream, response, finish_after_response, script);
    upb_Arena_Free(arena);
}

static void count_all(void *context, daybook_server_stream *stream) {
    watch_closed(stream, context);
    daybook_server_stream_receive(stream, count_received, context);
}

static void echo_received(daybook_server_stream *stream, const void *request, void *context);

static void receive_next(daybook_server_stream *stream, bool ok, void *context) {
    if (ok)
        daybook_server_stream_receive(stream, echo_received, context);
    else
        daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
}

static void echo_received(daybook_server_stream *stream, const void *request, void *context) {
    if (request == NULL)
        script_finish_ok(stream);
    else
        daybook_server_stream_send(stream, request, receive_next, context);
}

static void echo_all(void *context, daybook_server_stream *stream) {
    watch_closed(stream, context);
    daybook_server_stream_receive(stream, echo_received, context);
}

static const struct fixture_handlers handlers = {.client_stream = count_all, .bidirectional = echo_all};

static void setup(void) {
    stream_fixture_open(&fixture, handlers);
}

static void teardown(void) {
    stream_fixture_close(&fixture);
}

/* --- Messages ----------------------------------------------------------------------------------------------------- */

static void send_numbers(uint32_t count) {
    char text[32];
    daybook_stream *stream = stream_fixture_start(&fixture, DAYBOOK_METHOD_CLIENT_STREAMING, NULL);
    for (uint32_t i = 0; i < count; i++) {
        upb_Arena *arena = upb_Arena_New();
        snprintf(text, sizeof text, "%u", i);
        const void *message = fixture_new_text(arena, upb_StringView_FromString(text));
        cr_assert_eq(daybook_stream_write(stream, message, DAYBOOK_TIMEOUT_NONE, NULL), DAYBOOK_WRITE_TAKEN);
        upb_Arena_Free(arena);
    }
    snprintf(text, sizeof text, "%u", count);
    stream_expect_response(stream, text);
    stream_expect_response(stream, text);
    cr_assert_null(daybook_stream_close(stream));
}

Test(stream_write, nothing_is_written, .init = setup, .fini = teardown) {
    send_numbers(0);
}

Test(stream_write, one_message_is_written, .init = setup, .fini = teardown) {
    send_numbers(1);
}

Test(stream_write, a_hundred_thousand_messages_come_in_order, .init = setup, .fini = teardown) {
    send_numbers(100000);
}

Test(stream_write, ping_pong, .init = setup, .fini = teardown) {
    daybook_stream *stream = stream_fixture_start(&fixture, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, NULL);
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "message %d", i);
        stream_write_text(&fixture, stream, text);
        stream_expect_text(stream, text);
    }
    daybook_stream_writes_done(stream);
    daybook_stream_writes_done(stream);
    stream_expect_end(stream);
    stream_expect_end(stream);
    daybook_stream_close(stream);
}
