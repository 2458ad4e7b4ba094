/* server_stream_test.c: streams that answer with many messages, and every order in which their ends can come. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

static struct raw_call *open_server_stream(struct fixture *fixture, const char *text) {
    struct raw_call *call = script_open_stream(fixture, FIXTURE_SERVER_STREAM);
    struct raw_bytes request = fixture_encode(text);
    raw_call_send(call, request.data, request.size);
    raw_call_half_close(call);
    free(request.data);
    return call;
}

/* --- A server that counts ----------------------------------------------------------------------------------------- */

/* Sends "0", "1", ... of the script's count and ends with OK. */
struct counting {
    struct script *script;
    uint32_t next;
    void (*send)(daybook_server_stream *stream, const void *response, daybook_server_stream_sent *sent, void *context);
};

static void count_next(daybook_server_stream *stream, bool ok, void *context) {
    struct counting *counting = context;
    struct script *script = counting->script;
    if (!ok) atomic_fetch_add(&script->sent_failed, 1);
    if (!ok || counting->next == script->messages_count) {
        script_finish_ok(stream);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%u", counting->next++);
    upb_Arena *arena = upb_Arena_New();
    counting->send(stream, fixture_new_text(arena, upb_StringView_FromString(text)), count_next, counting);
    upb_Arena_Free(arena);
    counter_add(&script->sent);
}

static void count_closed(void *context) {
    struct counting *counting = context;
    counter_add(&counting->script->closed);
}

static void start_counting(struct counting counting, daybook_server_stream *stream) {
    struct counting *kept = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *kept);
    *kept = counting;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = count_closed}, kept);
    count_next(stream, true, kept);
}

static void count(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    start_counting((struct counting){.script = context, .send = daybook_server_stream_send}, stream);
}

static void count_more(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    start_counting((struct counting){.script = context, .send = daybook_server_stream_send_more}, stream);
}

static void check_that_500_come_in_order(void (*handler)(void *context, daybook_server_stream *stream,
                                                         const fixture_text *request)) {
    struct script script;
    script_init(&script);
    script.messages_count = 500;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = handler}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        cr_assert(fixture_is_text(raw_call_receive(call), text));
    }
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 0);
    fixture_close(&fixture);
}

Test(server_stream, sends_messages_in_order_and_ends) {
    check_that_500_come_in_order(count);
}

/* The end takes along what was held back for more. */
Test(server_stream, sends_messages_that_others_follow_in_order_and_ends) {
    check_that_500_come_in_order(count_more);
}

Test(server_stream, ends_without_a_message) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = count}, &script, 1);
    struct raw_call *call = open_server_stream(&fixture, "");
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 1);
}

/* --- Flow control ------------------------------------------------------------------------------------------------- */

#define BIG_BYTES (8u << 20)

static void on_release(void *context) {
    struct script *script = context;
    counter_add(&script->released);
}

static void send_big(daybook_server_stream *stream, daybook_server_stream_sent *sent, struct script *script) {
    daybook_server_stream_send_bytes(
        stream,
        (daybook_bytes){
            .data = script->payload, .size = script->payload_size, .release = on_release, .context = script},
        sent, script);
}

static void send_big_again(daybook_server_stream *stream, bool ok, void *context) {
    struct script *script = context;
    if (!ok) atomic_fetch_add(&script->sent_failed, 1);
    counter_add(&script->sent);
    if (ok && counter_get(&script->sent) < script->messages_count)
        send_big(stream, send_big_again, script);
    else
        script_finish_ok(stream);
}

static void start_big(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    send_big(stream, send_big_again, script);
    counter_add(&script->started);
}

/* A StringValue of zeros, encoded by hand. */
static void make_payload(struct script *script, uint32_t text_size) {
    script->payload = calloc(1, text_size + 6);
    cr_assert_not_null(script->payload);
    size_t size = 0;
    script->payload[size++] = 0x0a;
    for (uint32_t rest = text_size; size == 1 || rest > 0; rest >>= 7) {
        script->payload[size++] = (char)((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0));
    }
    script->payload_size = size + text_size;
}

Test(server_stream, a_slow_reader_holds_up_one_message) {
    struct script script;
    script_init(&script);
    script.messages_count = 3;
    make_payload(&script, BIG_BYTES);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = start_big}, &script, 2);
    struct raw_call *slow = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    /* Other calls on the same connection go through meanwhile, so time enough has passed for the message to get as far as
     * it can, and it has not left. */
    for (int i = 0; i < 100; i++) {
        struct raw_status status = raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL);
        cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
    }
    cr_assert_eq(counter_get(&script.sent), 0);
    for (uint32_t i = 0; i < 3; i++) {
        struct raw_bytes bytes = raw_call_receive(slow);
        cr_assert_eq(bytes.size, script.payload_size);
        free(bytes.data);
    }
    cr_assert_eq(raw_call_finish(slow).code, DAYBOOK_OK);
    raw_call_free(slow);
    counter_wait(&script.closed, 1);
    counter_wait(&script.released, 3);
    cr_assert_eq(atomic_load(&script.sent_failed), 0);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.released), 3);
    free(script.payload);
}

Test(server_stream, a_message_to_a_client_that_goes_fails_and_is_released) {
    struct script script;
    script_init(&script);
    script.messages_count = 3;
    make_payload(&script, BIG_BYTES);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = start_big}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    counter_wait(&script.released, 1);
    cr_assert_eq(atomic_load(&script.sent_failed), 1);
    cr_assert_eq(counter_get(&script.sent), 1);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 1);
    fixture_close(&fixture);
    free(script.payload);
}

static void count_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    struct script *script = context;
    if (!ok) atomic_fetch_add(&script->sent_failed, 1);
    counter_add(&script->sent);
}

static void send_big_and_finish(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    send_big(stream, count_sent, script);
    daybook_server_stream_finish(stream, DAYBOOK_DATA_LOSS, "after the message", NULL, 0);
    counter_add(&script->started);
}

Test(server_stream, the_end_comes_after_the_message_in_flight) {
    struct script script;
    script_init(&script);
    make_payload(&script, BIG_BYTES);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = send_big_and_finish}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    struct raw_bytes bytes = raw_call_receive(call);
    cr_assert_eq(bytes.size, script.payload_size);
    free(bytes.data);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_DATA_LOSS);
    cr_assert_str_eq(status.message, "after the message");
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    cr_assert_eq(counter_get(&script.sent), 1);
    cr_assert_eq(atomic_load(&script.sent_failed), 0);
    fixture_close(&fixture);
    free(script.payload);
}

Test(server_stream, the_end_does_not_wait_for_a_client_that_has_gone) {
    struct script script;
    script_init(&script);
    make_payload(&script, BIG_BYTES);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = send_big_and_finish}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    cr_assert_eq(counter_get(&script.sent), 1);
    cr_assert_eq(atomic_load(&script.sent_failed), 1);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.released), 1);
    free(script.payload);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static void finish_cancelled(daybook_server_stream *stream, void *context) {
    struct script *script = context;
    counter_add(&script->cancelled);
    daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
}

/* Keeps the stream open until its client goes. */
static void hold(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    const daybook_server_stream_events events = {.cancelled = finish_cancelled, .closed = script_on_closed};
    daybook_server_stream_watch(stream, &events, script);
    counter_add(&script->started);
}

Test(server_stream, a_thousand_cancelled_streams_leave_nothing) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = hold}, &script, 2);
    enum { STREAMS = 1000 };
    static struct raw_call *calls[STREAMS];
    for (int i = 0; i < STREAMS; i++) calls[i] = open_server_stream(&fixture, "");
    counter_wait(&script.started, STREAMS);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, STREAMS);
    for (int i = 0; i < STREAMS; i++) {
        raw_call_cancel(calls[i]);
        raw_call_free(calls[i]);
    }
    counter_wait(&script.closed, STREAMS);
    cr_assert_eq(counter_get(&script.cancelled), STREAMS);
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, STREAMS);
    fixture_close(&fixture);
}

Test(server_stream, a_deadline_cancels) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = hold}, &script, 1);
    raw_channel_connect(fixture.channel);
    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_SERVER_STREAM, 300, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_DEADLINE_EXCEEDED);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    cr_assert_eq(counter_get(&script.cancelled), 1);
    fixture_close(&fixture);
}

Test(server_stream, a_lost_connection_cancels) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = hold}, &script, 2);
    daybook_server_drain(fixture.server, 0);
    fixture_close(&fixture);

    fixture_open(&fixture, (struct fixture_handlers){.server_stream = hold}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    daybook_server_drain(fixture.server, 1); /* Cuts the connection after its grace. */
    cr_assert_neq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    cr_assert_eq(counter_get(&script.cancelled), 1);
    fixture_close(&fixture);
}

Test(server_stream, what_is_asked_of_a_cancelled_stream_fails) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = script_remember}, &script, 1);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&script.cancelled, 1);
    daybook_server_stream *stream = atomic_load(&script.stream);
    script.payload = calloc(1, 1);
    send_big(stream, count_sent, &script); /* An empty message, of our own bytes. */
    counter_wait(&script.sent, 1);
    cr_assert_eq(atomic_load(&script.sent_failed), 1);
    cr_assert_eq(counter_get(&script.closed), 0);
    script_finish_ok(stream);
    counter_wait(&script.closed, 1);
    fixture_close(&fixture);
    free(script.payload);
}

Test(server_stream, messages_and_the_end_come_from_any_thread) {
    struct script script;
    script_init(&script);
    make_payload(&script, 1000);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = script_remember}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    daybook_server_stream *stream = atomic_load(&script.stream);
    for (uint32_t i = 1; i <= 100; i++) {
        send_big(stream, count_sent, &script);
        if (i < 100) counter_wait(&script.sent, i); /* The last one may still be in flight at the end. */
    }
    script_finish_ok(stream);
    for (int i = 0; i < 100; i++) {
        struct raw_bytes bytes = raw_call_receive(call);
        cr_assert_eq(bytes.size, script.payload_size);
        free(bytes.data);
    }
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    counter_wait(&script.closed, 1);
    cr_assert_eq(counter_get(&script.cancelled), 0);
    fixture_close(&fixture);
    free(script.payload);
}

/* Blocks its thread, as no real handler may, until the test has left a message there, and ends the stream before it. */
static void finish_behind_a_message(void *context, daybook_server_call *call, const fixture_text *request) {
    struct script *script = context;
    counter_add(&script->started);
    counter_wait(&script->received, 1);
    script_finish_ok(atomic_load(&script->stream));
    daybook_server_call_reply(call, request);
}

Test(server_stream, the_end_comes_after_a_message_that_another_thread_has_left) {
    struct script script;
    script_init(&script);
    make_payload(&script, 1000);
    struct fixture fixture;
    fixture_open(&fixture,
                 (struct fixture_handlers){.server_stream = script_remember, .unary = finish_behind_a_message}, &script,
                 1);
    struct raw_call *stream = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    struct raw_call *blocker = script_open_stream(&fixture, FIXTURE_UNARY);
    raw_call_send(blocker, "", 0);
    counter_wait(&script.started, 2);
    send_big(atomic_load(&script.stream), count_sent, &script);
    counter_add(&script.received);
    struct raw_bytes bytes = raw_call_receive(stream);
    cr_assert_eq(bytes.size, script.payload_size);
    free(bytes.data);
    cr_assert_eq(raw_call_finish(stream).code, DAYBOOK_OK);
    raw_call_free(stream);
    raw_call_free(blocker);
    counter_wait(&script.closed, 1);
    fixture_close(&fixture);
    free(script.payload);
}

/* The client goes while another thread ends the stream: whatever comes first, it is closed once. */
Test(server_stream, an_end_that_crosses_the_clients_is_harmless) {
    struct fixture fixture;
    struct script script;
    script_init(&script);
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = script_remember}, &script, 2);
    for (uint32_t i = 1; i <= 300; i++) {
        struct raw_call *call = open_server_stream(&fixture, "");
        counter_wait(&script.started, i);
        raw_call_cancel(call);
        script_finish_ok(atomic_load(&script.stream));
        raw_call_free(call);
    }
    counter_wait(&script.closed, 300);
    cr_assert_leq(counter_get(&script.cancelled), 300);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 300);
}

Test(server_stream, no_handler_is_unimplemented) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){0}, &script, 1);
    static const char *const paths[] = {FIXTURE_SERVER_STREAM, FIXTURE_CLIENT_STREAM, FIXTURE_BIDIRECTIONAL};
    for (int i = 0; i < 3; i++) {
        struct raw_call *call = script_open_stream(&fixture, paths[i]);
        raw_call_send(call, "", 0);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_UNIMPLEMENTED);
        raw_call_free(call);
    }
    (void)fixture_counts_when_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 3);
    fixture_close(&fixture);
}

static void send_and_finish(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    upb_Arena *arena = daybook_server_stream_arena(stream);
    fixture_text *text = fixture_new_text(arena, upb_StringView_FromString("x"));
    daybook_server_stream_send(stream, text, count_sent, script);
    daybook_server_stream_finish(stream, DAYBOOK_OK, "dropped: the text of OK", "x", 1);
}

Test(server_stream, ok_has_no_text_and_no_details) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = send_and_finish}, &script, 1);
    struct raw_call *call = open_server_stream(&fixture, "");
    cr_assert(fixture_is_text(raw_call_receive(call), "x"));
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_OK);
    cr_assert_str_eq(status.message, "");
    cr_assert_eq(status.details_size, 0);
    raw_call_free(call);
    fixture_close(&fixture);
}
