/* Streams whose client sends: messages in order, back-pressure, the facts of `write`, two threads on one stream. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.upb.h"
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

static const struct fixture_handlers handlers = {.client_stream = count_all, .bidirectional = script_echo_all};

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

/* A text of that many bytes, in an arena. */
static const fixture_text *long_text(upb_Arena *arena, size_t size) {
    char *text = upb_Arena_Malloc(arena, size + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < size; i++) text[i] = (char)('a' + (i ^ (i >> 8)) % 26);
    return fixture_new_text(arena, upb_StringView_FromDataAndSize(text, size));
}

Test(stream_write, messages_of_every_size_are_whole, .init = setup, .fini = teardown) {
    static const size_t sizes[] = {0, 1, 20, 30, 1000, 5000, 16384, 70000, 300000, 5000000};
    daybook_stream *stream = stream_fixture_start(&fixture, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const fixture_text *text = long_text(fixture.arena, sizes[i]);
        const void *message = NULL;
        cr_assert_eq(daybook_stream_write(stream, text, DAYBOOK_TIMEOUT_NONE, NULL), DAYBOOK_WRITE_TAKEN);
        cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, NULL), DAYBOOK_NEXT_MESSAGE);
        cr_assert(
            upb_StringView_IsEqual(google_protobuf_StringValue_value(message), google_protobuf_StringValue_value(text)),
            "of %zu bytes", sizes[i]);
    }
    daybook_stream_writes_done(stream);
    stream_expect_end(stream);
    daybook_stream_close(stream);
}

#define TALK_MESSAGES 50000

static void *write_numbers(void *argument) {
    daybook_stream *stream = argument;
    for (uint32_t i = 0; i < TALK_MESSAGES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%u", i);
        upb_Arena *arena = upb_Arena_New();
        const void *message = fixture_new_text(arena, upb_StringView_FromString(text));
        cr_assert_eq(daybook_stream_write(stream, message, DAYBOOK_TIMEOUT_NONE, NULL), DAYBOOK_WRITE_TAKEN);
        upb_Arena_Free(arena);
    }
    daybook_stream_writes_done(stream);
    return NULL;
}

Test(stream_write, reader_and_writer_are_two_threads, .init = setup, .fini = teardown) {
    daybook_stream *stream = stream_fixture_start(&fixture, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, NULL);
    pthread_t writer;
    cr_assert_eq(pthread_create(&writer, NULL, write_numbers, stream), 0);
    for (uint32_t i = 0; i < TALK_MESSAGES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%u", i);
        stream_expect_text(stream, text);
    }
    stream_expect_end(stream);
    pthread_join(writer, NULL);
    daybook_stream_close(stream);
}

/* --- Back-pressure ------------------------------------------------------------------------------------------------ */

static void remember_stream(void *context, daybook_server_stream *stream) {
    script_remember(context, stream, NULL);
}

static void setup_idle(void) {
    stream_fixture_open(&fixture,
                        (struct fixture_handlers){.client_stream = remember_stream, .bidirectional = remember_stream});
}

/* Counts whatever comes; answers with the number. */
static void take_received(daybook_server_stream *stream, const void *request, void *context) {
    struct script *script = context;
    if (request != NULL) {
        counter_add(&script->received);
        daybook_server_stream_receive(stream, take_received, script);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%u", counter_get(&script->received));
    upb_Arena *arena = upb_Arena_New();
    const fixture_text *response = fixture_new_text(arena, upb_StringView_FromString(text));
    daybook_server_stream_send(stream, response, finish_after_response, script);
    upb_Arena_Free(arena);
}

/* A stream that the server has, and does not read from. */
static daybook_stream *start_idle(daybook_method_kind kind, daybook_server_stream **ret_server,
                                  const daybook_call_options *options) {
    daybook_stream *stream = stream_fixture_start(&fixture, kind, options);
    counter_wait(&fixture.script.started, 1);
    *ret_server = atomic_load(&fixture.script.stream);
    return stream;
}

/* Writes until there is no room; the number that was taken. */
static uint32_t fill(daybook_stream *stream, const void *message) {
    uint32_t count = 0;
    for (;; count++) {
        daybook_write written = daybook_stream_write(stream, message, 100, NULL);
        if (written == DAYBOOK_WRITE_TIMEOUT) return count;
        cr_assert_eq(written, DAYBOOK_WRITE_TAKEN);
        cr_assert_lt(count, 100000, "the window has no end");
    }
}

static void expect_back_pressure(size_t message_bytes, uint32_t count_max) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_CLIENT_STREAMING, &server, NULL);
    const void *message = long_text(fixture.arena, message_bytes);
    uint32_t count = fill(stream, message);
    cr_assert_lt(count, count_max);
    daybook_server_stream_receive(server, take_received, &fixture.script);
    for (uint32_t i = 0; i < 200; i++, count++) {
        cr_assert_eq(daybook_stream_write(stream, message, DAYBOOK_TIMEOUT_NONE, NULL), DAYBOOK_WRITE_TAKEN);
    }
    char text[32];
    snprintf(text, sizeof text, "%u", count);
    stream_expect_response(stream, text);
    daybook_stream_close(stream);
}

Test(stream_write, a_server_that_does_not_read_makes_the_writer_wait, .init = setup_idle, .fini = teardown) {
    expect_back_pressure(16384, 16u * 1024 * 1024 / 16384);
}

Test(stream_write, messages_larger_than_the_window_make_the_writer_wait, .init = setup_idle, .fini = teardown) {
    expect_back_pressure(1024 * 1024, 32);
}

Test(stream_write, small_messages_are_counted, .init = setup_idle, .fini = teardown) {
    expect_back_pressure(100, 50000);
}

/* --- The end comes early ------------------------------------------------------------------------------------------ */

/* Writes until the stream is over. */
static void write_until_over(daybook_stream *stream) {
    const void *message = long_text(fixture.arena, 3000);
    daybook_write written = DAYBOOK_WRITE_TAKEN;
    while (written == DAYBOOK_WRITE_TAKEN) {
        written = daybook_stream_write(stream, message, DAYBOOK_TIMEOUT_NONE, NULL);
    }
    cr_assert_eq(written, DAYBOOK_WRITE_OVER, "%d", written);
    cr_assert_eq(daybook_stream_write(stream, message, 0, NULL), DAYBOOK_WRITE_OVER);
    daybook_stream_writes_done(stream);
}

Test(stream_write, the_server_ends_it_while_the_client_writes, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, &server, NULL);
    fill(stream, long_text(fixture.arena, 3000));
    daybook_server_stream_finish(server, DAYBOOK_FAILED_PRECONDITION, "no more of this", NULL, 0);
    write_until_over(stream);
    for (int again = 0; again < 2; again++) {
        daybook_status status = stream_expect_error(stream, DAYBOOK_FAILED_PRECONDITION);
        cr_assert_str_eq(status.message, "no more of this");
    }
    daybook_stream_close(stream);
}

Test(stream_write, the_server_ends_it_with_ok_while_the_client_writes, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, &server, NULL);
    stream_write_text(&fixture, stream, "one");
    script_finish_ok(server);
    write_until_over(stream);
    stream_expect_end(stream);
    daybook_stream_close(stream);
}

Test(stream_write, the_server_answers_before_the_client_has_finished, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_CLIENT_STREAMING, &server, NULL);
    fill(stream, long_text(fixture.arena, 3000));
    daybook_server_stream_send(server, fixture_new_text(fixture.arena, upb_StringView_FromString("enough")),
                               finish_after_response, &fixture.script);
    counter_wait(&fixture.script.closed, 1);
    stream_expect_response(stream, "enough");
    daybook_stream_close(stream);
}

Test(stream_write, the_deadline_ends_a_writer_that_waits, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream =
        start_idle(DAYBOOK_METHOD_CLIENT_STREAMING, &server, &(daybook_call_options){.timeout_ms = 500});
    write_until_over(stream);
    stream_expect_finish_error(stream, DAYBOOK_DEADLINE_EXCEEDED);
    counter_wait(&fixture.script.cancelled, 1);
    script_finish_ok(server);
    daybook_stream_close(stream);
}

Test(stream_write, finish_can_be_asked_again, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_CLIENT_STREAMING, &server, NULL);
    stream_write_text(&fixture, stream, "one");
    const void *response = NULL;
    cr_assert_eq(daybook_stream_finish(stream, 0, &response, NULL), DAYBOOK_NEXT_TIMEOUT);
    cr_assert_eq(daybook_stream_finish(stream, 5, &response, NULL), DAYBOOK_NEXT_TIMEOUT);
    cr_assert_null(response);
    cr_assert_null(daybook_stream_trailing_metadata(stream));
    daybook_server_stream_receive(server, take_received, &fixture.script);
    stream_expect_response(stream, "1");
    cr_assert_not_null(daybook_stream_trailing_metadata(stream));
    daybook_stream_close(stream);
}

/* --- Cancelling and closing --------------------------------------------------------------------------------------- */

static void *cancel(void *stream) {
    daybook_stream_cancel(stream);
    return NULL;
}

Test(stream_write, cancel_releases_a_waiting_writer, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_CLIENT_STREAMING, &server, NULL);
    fill(stream, long_text(fixture.arena, 3000));
    pthread_t canceller;
    cr_assert_eq(pthread_create(&canceller, NULL, cancel, stream), 0);
    write_until_over(stream);
    pthread_join(canceller, NULL);
    stream_expect_finish_error(stream, DAYBOOK_CANCELLED);
    counter_wait(&fixture.script.cancelled, 1);
    script_finish_ok(server);
    daybook_stream_close(stream);
}

Test(stream_write, the_clients_close_ends_a_stream, .init = setup_idle, .fini = teardown) {
    daybook_server_stream *server = NULL;
    daybook_stream *stream = start_idle(DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, &server, NULL);
    fill(stream, long_text(fixture.arena, 3000));
    fixture.client = daybook_client_close(fixture.client);
    write_until_over(stream);
    stream_expect_error(stream, DAYBOOK_CANCELLED);
    counter_wait(&fixture.script.cancelled, 1);
    script_finish_ok(server);
    daybook_stream_close(stream);
}

/* With nothing written, with messages on their way, with messages queued behind them, half-closed, or with answers to read. */
Test(stream_write, close_at_any_moment, .init = setup, .fini = teardown) {
    for (uint32_t i = 0; i < 400; i++) {
        daybook_stream *stream = stream_fixture_start(&fixture, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, NULL);
        for (uint32_t written = 0; written < i % 80; written++) stream_write_text(&fixture, stream, "some text");
        if (i % 3 == 0) daybook_stream_writes_done(stream);
        for (uint32_t read = 0; read < i % 80 && i % 5 == 0; read++) stream_expect_text(stream, "some text");
        if (i % 7 == 0) daybook_stream_cancel(stream);
        daybook_stream_close(stream);
    }
    counter_wait(&fixture.script.closed, 1);
}

/* --- Messages that cannot be sent --------------------------------------------------------------------------------- */

Test(stream_write, a_message_that_cannot_be_encoded_is_refused, .init = setup, .fini = teardown) {
    /* On the wire it is a StringValue with one field more; both of its fields are required. */
    daybook_method method = *stream_method(DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING);
    method.request = &google_protobuf_UninterpretedOption_NamePart_msginit;
    daybook_stream *stream = daybook_stream_open(fixture.client, &method, NULL, NULL, NULL);
    cr_assert_not_null(stream);
    google_protobuf_UninterpretedOption_NamePart *part =
        google_protobuf_UninterpretedOption_NamePart_new(fixture.arena);
    google_protobuf_UninterpretedOption_NamePart_set_name_part(part, upb_StringView_FromString("name"));
    daybook_status status = {0};
    cr_assert_eq(daybook_stream_write(stream, part, DAYBOOK_TIMEOUT_NONE, &status), DAYBOOK_WRITE_REFUSED);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_BIDIRECTIONAL " lacks a required field");
    cr_assert_eq(daybook_stream_write(stream, part, 0, NULL), DAYBOOK_WRITE_REFUSED);
    google_protobuf_UninterpretedOption_NamePart_set_is_extension(part, true);
    cr_assert_eq(daybook_stream_write(stream, part, DAYBOOK_TIMEOUT_NONE, &status), DAYBOOK_WRITE_TAKEN);
    stream_expect_text(stream, "name");
    daybook_stream_writes_done(stream);
    stream_expect_end(stream);
    daybook_stream_close(stream);
}
