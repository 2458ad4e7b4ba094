/* stream_fixture.h: a server of the SDK with a client of it, for tests of streams whose client sends messages.
 *
 * Messages are google.protobuf.StringValue.
 * Ownership: the fixture is the test's. Threads: a stream's reader and its writer may be two. Errors: asserted. */
#pragma once

#include "daybook/daybook.h"
#include "daybook/server.h"
#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

struct stream_fixture {
    struct fixture server;
    struct script script;
    daybook_client *client;
    upb_Arena *arena;
};

/* The methods of the server. */
const daybook_method *stream_method(daybook_method_kind kind);

/* Opens a server with these handlers, whose context is the script, and a client of it. */
void stream_fixture_open(struct stream_fixture *fixture, struct fixture_handlers handlers);
/* Closes what is left of it: the client may be NULL by then. */
void stream_fixture_close(struct stream_fixture *fixture);

daybook_stream *stream_fixture_start(struct stream_fixture *fixture, daybook_method_kind kind,
                                     const daybook_call_options *options);

/* Writes one text and asserts that it was taken. */
void stream_write_text(struct stream_fixture *fixture, daybook_stream *stream, const char *text);

/* Reads one message and asserts what its text is. */
void stream_expect_text(daybook_stream *stream, const char *text);

/* Asserts how a stream ends, for `next` and for `finish`. */
void stream_expect_end(daybook_stream *stream);
daybook_status stream_expect_error(daybook_stream *stream, daybook_code code);
void stream_expect_response(daybook_stream *stream, const char *text);
daybook_status stream_expect_finish_error(daybook_stream *stream, daybook_code code);
