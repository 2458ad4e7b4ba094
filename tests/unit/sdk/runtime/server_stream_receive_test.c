/* server_stream_receive_test.c: streams on which the client sends many messages. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

/* A StringValue in the stream's arena. */
static fixture_text *answer_text(daybook_server_stream *stream, const char *text) {
    upb_Arena *arena = daybook_server_stream_arena(stream);
    size_t size = strlen(text);
    char *copy = upb_Arena_Malloc(arena, size + 1);
    memcpy(copy, text, size + 1);
    return fixture_new_text(arena, upb_StringView_FromDataAndSize(copy, size));
}

static void finish_after_answer(daybook_server_stream *stream, bool ok, void *context) {
    (void)context;
    cr_assert(ok);
    script_finish_ok(stream);
}

/* Counts messages; answers with their number at the end. */
static void count_received(daybook_server_stream *stream, const void *request, void *context) {
    struct script *script = context;
    if (request != NULL) {
        counter_add(&script->received);
        daybook_server_stream_receive(stream, count_received, script);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%u", counter_get(&script->received));
    daybook_server_stream_send(stream, answer_text(stream, text), finish_after_answer, script);
}

static void receive_all(void *context, daybook_server_stream *stream) {
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    daybook_server_stream_receive(stream, count_received, script);
}

Test(server_stream_receive, takes_the_messages_of_a_client_that_streams) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.client_stream = receive_all}, &script, 2);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_CLIENT_STREAM);
    raw_call_receive_headers(call); /* They come at once. */
    for (int i = 0; i < 200; i++) script_send_text(call, "event");
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), "200"));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 1);
}

Test(server_stream_receive, talks_both_ways) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = script_echo_all}, &script, 2);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    for (int i = 0; i < 200; i++) {
        char text[3000];
        memset(text, 'x', sizeof text);
        text[i * 14] = '\0'; /* Short ones and ones that need more than the message's first block. */
        script_send_text(call, text);
        cr_assert(fixture_is_text(raw_call_receive(call), text));
    }
    raw_call_half_close(call);
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 1);
}

Test(server_stream_receive, a_message_that_is_none_ends_the_stream_as_invalid) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = script_echo_all}, &script, 1);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    script_send_text(call, "first");
    cr_assert(fixture_is_text(raw_call_receive(call), "first"));
    cr_assert(raw_call_send(call, "\x0a\x7f", 2));
    cr_assert_null(raw_call_receive(call).data);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT); /* Though the handler said OK. */
    cr_assert_str_eq(status.message, "the request of " FIXTURE_BIDIRECTIONAL " is not a valid protobuf message");
    raw_call_free(call);

    call = raw_call_start(fixture.channel, FIXTURE_SERVER_STREAM, RAW_TIMEOUT_NONE, NULL);
    raw_call_send(call, "\x0a\x7f", 2);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_INVALID_ARGUMENT);
    raw_call_free(call);
    fixture_close(&fixture);
}

static void count_ends(daybook_server_stream *stream, const void *request, void *context) {
    (void)stream;
    struct script *script = context;
    cr_assert_null(request);
    counter_add(&script->received);
}

/* Asks for a message that never comes, and ends the stream at once. */
static void receive_and_finish(void *context, daybook_server_stream *stream) {
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    daybook_server_stream_receive(stream, count_ends, script);
    daybook_server_stream_finish(stream, DAYBOOK_RESOURCE_EXHAUSTED, "no more of this", NULL, 0);
}

Test(server_stream_receive, the_end_does_not_wait_for_a_message_from_the_client) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = receive_and_finish}, &script, 1);
    for (uint32_t i = 1; i <= 50; i++) {
        struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
        struct raw_status status = raw_call_finish(call);
        cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
        cr_assert_str_eq(status.message, "no more of this");
        raw_call_free(call);
        counter_wait(&script.closed, i);
        cr_assert_eq(counter_get(&script.received), i); /* It is told that nothing comes, before the close. */
    }
    fixture_close(&fixture);
}

static void remember_bidirectional(void *context, daybook_server_stream *stream) {
    script_remember(context, stream, NULL);
}

/* A receive left by another thread and an end at its heels, while the queue's thread is busy with either. */
Test(server_stream_receive, a_receive_and_the_end_come_from_another_thread) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = remember_bidirectional}, &script, 2);
    for (uint32_t i = 1; i <= 200; i++) {
        struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
        counter_wait(&script.started, i);
        daybook_server_stream *stream = atomic_load(&script.stream);
        daybook_server_stream_receive(stream, count_ends, &script);
        script_finish_ok(stream);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        raw_call_free(call);
        counter_wait(&script.closed, i);
        cr_assert_eq(counter_get(&script.received), i);
    }
    fixture_close(&fixture);
}

/* --- Messages that are kept ------------------------------------------------------------------------------------------- */

#define KEPT_COUNT_MAX 64

struct keeper {
    struct script script; /* first: it is the context of the close */
    upb_Arena *arenas[KEPT_COUNT_MAX + 1];
    const fixture_text *kept[KEPT_COUNT_MAX];
    uint32_t kept_count;
};

static void keep_received(daybook_server_stream *stream, const void *request, void *context);

static void keep_next(struct keeper *keeper, daybook_server_stream *stream) {
    upb_Arena *arena = upb_Arena_New();
    keeper->arenas[keeper->kept_count] = arena;
    daybook_server_stream_receive_into(stream, arena, keep_received, keeper);
}

/* Answers with everything it has heard, in one text. */
static void keep_received(daybook_server_stream *stream, const void *request, void *context) {
    struct keeper *keeper = context;
    if (request != NULL) {
        keeper->kept[keeper->kept_count++] = request;
        keep_next(keeper, stream);
        return;
    }
    char text[KEPT_COUNT_MAX * 32] = "";
    size_t size = 0;
    for (uint32_t i = 0; i < keeper->kept_count; i++) {
        upb_StringView part = google_protobuf_StringValue_value(keeper->kept[i]);
        cr_assert_leq(size + part.size, sizeof text - 1);
        memcpy(text + size, part.data, part.size);
        size += part.size;
    }
    daybook_server_stream_send(stream, answer_text(stream, text), finish_after_answer, keeper);
}

static void keep_all(void *context, daybook_server_stream *stream) {
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, context);
    keep_next(context, stream);
}

Test(server_stream_receive, a_message_lives_as_long_as_the_arena_that_it_was_received_into) {
    static struct keeper keeper;
    script_init(&keeper.script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = keep_all}, &keeper, 1);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    char expected[KEPT_COUNT_MAX * 32] = "";
    for (int i = 0; i < KEPT_COUNT_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "message number %d;", i);
        strncat(expected, text, sizeof expected - strlen(expected) - 1);
        script_send_text(call, text);
    }
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), expected));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&keeper.script.closed), 1);
    for (uint32_t i = 0; i <= keeper.kept_count; i++) upb_Arena_Free(keeper.arenas[i]);
}

Test(server_stream_receive, a_message_that_is_none_is_told_with_an_arena_too) {
    static struct keeper keeper;
    script_init(&keeper.script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = keep_all}, &keeper, 1);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    script_send_text(call, "first");
    cr_assert(raw_call_send(call, "\x0a\x7f", 2));
    cr_assert(fixture_is_text(raw_call_receive(call), "first"));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_INVALID_ARGUMENT);
    raw_call_free(call);
    fixture_close(&fixture);
    for (uint32_t i = 0; i <= keeper.kept_count; i++) upb_Arena_Free(keeper.arenas[i]);
}
