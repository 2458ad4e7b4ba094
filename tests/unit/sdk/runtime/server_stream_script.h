/* server_stream_script.h: what the tests of streams share: what a test knows of its streams, and handlers' parts. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

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

void script_init(struct script *script);

/* Ends a stream with OK. */
void script_finish_ok(daybook_server_stream *stream);

/* The call of a client. Free it with raw_call_free. */
struct raw_call *script_open_stream(struct fixture *fixture, const char *path);

/* Sends one StringValue from the client. */
void script_send_text(struct raw_call *call, const char *text);

/* The event `closed` of a stream whose context is the script. */
void script_on_closed(void *context);

/* A handler that leaves the stream open, for the test to go on with from its own thread. */
void script_remember(void *context, daybook_server_stream *stream, const fixture_text *request);

/* A handler that sends back what it receives, until its client has half-closed. The context is the script. */
void script_echo_all(void *context, daybook_server_stream *stream);
