/* server_stream_test.c: streams of every kind, and every order in which their ends can come. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/server_fixture.h"

/* What a test knows of its streams. The handlers below use what they need of it. */
struct script {
    struct counter started;
    struct counter cancelled;
    struct counter closed;
    struct counter sent;
    struct counter released;
    struct counter received;
    atomic_uint sent_failed;
    daybook_server_stream *_Atomic stream; /* the latest */
    uint32_t messages_count;
    char *payload;
    size_t payload_size;
};

static void script_init(struct script *script) {
    static const struct counter zero = COUNTER_INIT;
    *script = (struct script){
        .started = zero, .cancelled = zero, .closed = zero, .sent = zero, .released = zero, .received = zero};
}

static void finish_ok(daybook_server_stream *stream) {
    daybook_server_stream_finish(stream, DAYBOOK_OK, NULL, NULL, 0);
}

static struct raw_call *open_stream(struct fixture *fixture, const char *path) {
    return raw_call_start(fixture->channel, path, RAW_TIMEOUT_NONE, NULL);
}

static struct raw_call *open_server_stream(struct fixture *fixture, const char *text) {
    struct raw_call *call = open_stream(fixture, FIXTURE_SERVER_STREAM);
    struct raw_bytes request = fixture_encode(text);
    raw_call_send(call, request.data, request.size);
    raw_call_half_close(call);
    free(request.data);
    return call;
}

static void send_text(struct raw_call *call, const char *text) {
    struct raw_bytes bytes = fixture_encode(text);
    cr_assert(raw_call_send(call, bytes.data, bytes.size));
    free(bytes.data);
}

static void wait_until_idle(struct fixture *fixture) {
    while (daybook_server_count(fixture->server).calls_open > 0) {
    }
}

/* --- A server that counts ----------------------------------------------------------------------------------------- */

/* Sends "0", "1", ... of the script's count and ends with OK. */
struct counting {
    struct script *script;
    uint32_t next;
};

static void count_next(daybook_server_stream *stream, bool ok, void *context) {
    struct counting *counting = context;
    struct script *script = counting->script;
    if (!ok) atomic_fetch_add(&script->sent_failed, 1);
    if (!ok || counting->next == script->messages_count) {
        finish_ok(stream);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%u", counting->next++);
    upb_Arena *arena = upb_Arena_New();
    daybook_server_stream_send(stream, fixture_new_text(arena, upb_StringView_FromString(text)), count_next, counting);
    upb_Arena_Free(arena);
    counter_add(&script->sent);
}

static void on_closed(void *context) {
    struct script *script = context;
    counter_add(&script->closed);
}

static void count_closed(void *context) {
    struct counting *counting = context;
    counter_add(&counting->script->closed);
}

static void count(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct counting *counting = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *counting);
    *counting = (struct counting){.script = context};
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = count_closed}, counting);
    count_next(stream, true, counting);
}

Test(server_stream, sends_messages_in_order_and_ends) {
    struct script script;
    script_init(&script);
    script.messages_count = 500;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = count}, &script, 2);
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
    wait_until_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 0);
    fixture_close(&fixture);
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
        finish_ok(stream);
}

static void start_big(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
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
    wait_until_idle(&fixture);
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
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
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

static void note_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    struct script *script = context;
    counter_add(&script->cancelled);
}

/* Keeps the stream open until its client goes. */
static void hold(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    const daybook_server_stream_events events = {.cancelled = finish_cancelled, .closed = on_closed};
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
    wait_until_idle(&fixture);
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

static void remember(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    const daybook_server_stream_events events = {.cancelled = note_cancelled, .closed = on_closed};
    daybook_server_stream_watch(stream, &events, script);
    atomic_store(&script->stream, stream);
    counter_add(&script->started);
}

Test(server_stream, what_is_asked_of_a_cancelled_stream_fails) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = remember}, &script, 1);
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
    finish_ok(stream);
    counter_wait(&script.closed, 1);
    fixture_close(&fixture);
    free(script.payload);
}

Test(server_stream, messages_and_the_end_come_from_any_thread) {
    struct script script;
    script_init(&script);
    make_payload(&script, 1000);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = remember}, &script, 2);
    struct raw_call *call = open_server_stream(&fixture, "");
    counter_wait(&script.started, 1);
    daybook_server_stream *stream = atomic_load(&script.stream);
    for (uint32_t i = 1; i <= 100; i++) {
        send_big(stream, count_sent, &script);
        if (i < 100) counter_wait(&script.sent, i); /* The last one may still be in flight at the end. */
    }
    finish_ok(stream);
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

/* The client goes while another thread ends the stream: whatever comes first, it is closed once. */
Test(server_stream, an_end_that_crosses_the_clients_is_harmless) {
    struct fixture fixture;
    struct script script;
    script_init(&script);
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = remember}, &script, 2);
    for (uint32_t i = 1; i <= 300; i++) {
        struct raw_call *call = open_server_stream(&fixture, "");
        counter_wait(&script.started, i);
        raw_call_cancel(call);
        finish_ok(atomic_load(&script.stream));
        raw_call_free(call);
    }
    counter_wait(&script.closed, 300);
    cr_assert_leq(counter_get(&script.cancelled), 300);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 300);
}

/* --- Clients that stream ------------------------------------------------------------------------------------------ */

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
    finish_ok(stream);
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
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
    daybook_server_stream_receive(stream, count_received, script);
}

Test(server_stream, takes_the_messages_of_a_client_that_streams) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.client_stream = receive_all}, &script, 2);
    struct raw_call *call = open_stream(&fixture, FIXTURE_CLIENT_STREAM);
    raw_call_receive_headers(call); /* They come at once. */
    for (int i = 0; i < 200; i++) send_text(call, "event");
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), "200"));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 1);
}

static void echo_received(daybook_server_stream *stream, const void *request, void *context);

static void receive_next(daybook_server_stream *stream, bool ok, void *context) {
    if (ok)
        daybook_server_stream_receive(stream, echo_received, context);
    else
        daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
}

/* The answer is serialised before the request goes. */
static void echo_received(daybook_server_stream *stream, const void *request, void *context) {
    if (request == NULL)
        finish_ok(stream);
    else
        daybook_server_stream_send(stream, request, receive_next, context);
}

static void echo_all(void *context, daybook_server_stream *stream) {
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
    daybook_server_stream_receive(stream, echo_received, script);
}

Test(server_stream, talks_both_ways) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = echo_all}, &script, 2);
    struct raw_call *call = open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    for (int i = 0; i < 200; i++) {
        char text[3000];
        memset(text, 'x', sizeof text);
        text[i * 14] = '\0'; /* Short ones and ones that need more than the message's first block. */
        send_text(call, text);
        cr_assert(fixture_is_text(raw_call_receive(call), text));
    }
    raw_call_half_close(call);
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
    cr_assert_eq(counter_get(&script.closed), 1);
}

Test(server_stream, a_message_that_is_none_ends_the_stream_as_invalid) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = echo_all}, &script, 1);
    struct raw_call *call = open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    send_text(call, "first");
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
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
    daybook_server_stream_receive(stream, count_ends, script);
    daybook_server_stream_finish(stream, DAYBOOK_RESOURCE_EXHAUSTED, "no more of this", NULL, 0);
}

Test(server_stream, the_end_does_not_wait_for_a_message_from_the_client) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = receive_and_finish}, &script, 1);
    for (uint32_t i = 1; i <= 50; i++) {
        struct raw_call *call = open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
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
    remember(context, stream, NULL);
}

/* A receive left by another thread and an end at its heels, while the queue's thread is busy with either. */
Test(server_stream, a_receive_and_the_end_come_from_another_thread) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = remember_bidirectional}, &script, 2);
    for (uint32_t i = 1; i <= 200; i++) {
        struct raw_call *call = open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
        counter_wait(&script.started, i);
        daybook_server_stream *stream = atomic_load(&script.stream);
        daybook_server_stream_receive(stream, count_ends, &script);
        finish_ok(stream);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        raw_call_free(call);
        counter_wait(&script.closed, i);
        cr_assert_eq(counter_get(&script.received), i);
    }
    fixture_close(&fixture);
}

Test(server_stream, no_handler_is_unimplemented) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){0}, &script, 1);
    static const char *const paths[] = {FIXTURE_SERVER_STREAM, FIXTURE_CLIENT_STREAM, FIXTURE_BIDIRECTIONAL};
    for (int i = 0; i < 3; i++) {
        struct raw_call *call = open_stream(&fixture, paths[i]);
        raw_call_send(call, "", 0);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_UNIMPLEMENTED);
        raw_call_free(call);
    }
    wait_until_idle(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 3);
    fixture_close(&fixture);
}

static void send_and_finish(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = on_closed}, script);
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
