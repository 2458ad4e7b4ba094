/* server_stream_script.c: the shared part of the tests of streams. */
#include "tests/unit/sdk/runtime/server_stream_script.h"

#include <criterion/criterion.h>
#include <stdlib.h>

void script_init(struct script *script) {
    static const struct counter zero = COUNTER_INIT;
    *script = (struct script){
        .started = zero, .cancelled = zero, .closed = zero, .sent = zero, .released = zero, .received = zero};
}

void script_finish_ok(daybook_server_stream *stream) {
    daybook_server_stream_finish(stream, DAYBOOK_OK, NULL, NULL, 0);
}

struct raw_call *script_open_stream(struct fixture *fixture, const char *path) {
    return raw_call_start(fixture->channel, path, RAW_TIMEOUT_NONE, NULL);
}

void script_send_text(struct raw_call *call, const char *text) {
    struct raw_bytes bytes = fixture_encode(text);
    cr_assert(raw_call_send(call, bytes.data, bytes.size));
    free(bytes.data);
}

void script_on_closed(void *context) {
    struct script *script = context;
    counter_add(&script->closed);
}

static void note_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    struct script *script = context;
    counter_add(&script->cancelled);
}

void script_remember(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    struct script *script = context;
    const daybook_server_stream_events events = {.cancelled = note_cancelled, .closed = script_on_closed};
    daybook_server_stream_watch(stream, &events, script);
    atomic_store(&script->stream, stream);
    counter_add(&script->started);
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
        script_finish_ok(stream);
    else
        daybook_server_stream_send(stream, request, receive_next, context);
}

void script_echo_all(void *context, daybook_server_stream *stream) {
    struct script *script = context;
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.closed = script_on_closed}, script);
    daybook_server_stream_receive(stream, echo_received, script);
}
