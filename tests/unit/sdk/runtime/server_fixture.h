/* server_fixture.h: a server with one method of every kind, each a handler of the test's.
 *
 * Messages are google.protobuf.StringValue, but for Nested, which takes and answers google.protobuf.Value, and NestedStream,
 * which answers with it.
 * Ownership: the fixture is the test's, on its stack. Threads: as each function says. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_RUNTIME_SERVER_FIXTURE_H
#define TESTS_UNIT_SDK_RUNTIME_SERVER_FIXTURE_H

#include <pthread.h>

#include "daybook/server.h"
#include "google/protobuf/struct.upb.h"
#include "google/protobuf/wrappers.upb.h"
#include "tests/support/raw_client.h"

#define FIXTURE_SERVICE       "daybook.test.Fixture"
#define FIXTURE_UNARY         "/daybook.test.Fixture/Unary"
#define FIXTURE_NESTED        "/daybook.test.Fixture/Nested"
#define FIXTURE_SERVER_STREAM "/daybook.test.Fixture/ServerStream"
#define FIXTURE_NESTED_STREAM "/daybook.test.Fixture/NestedStream"
#define FIXTURE_CLIENT_STREAM "/daybook.test.Fixture/ClientStream"
#define FIXTURE_BIDIRECTIONAL "/daybook.test.Fixture/Bidirectional"

typedef google_protobuf_StringValue fixture_text;

struct fixture_handlers {
    void (*unary)(void *context, daybook_server_call *call, const fixture_text *request);
    void (*nested)(void *context, daybook_server_call *call, const google_protobuf_Value *request);
    void (*server_stream)(void *context, daybook_server_stream *stream, const fixture_text *request);
    void (*nested_stream)(void *context, daybook_server_stream *stream, const fixture_text *request);
    void (*client_stream)(void *context, daybook_server_stream *stream);
    void (*bidirectional)(void *context, daybook_server_stream *stream);
    daybook_server_admit *admit; /* NULL: nobody is asked */
};

extern const daybook_service fixture_service;

struct fixture {
    struct fixture_handlers handlers;
    daybook_server *server;
    struct raw_channel *channel;
};

/* Starts a server with these handlers on one or more threads, and a client of it. */
void fixture_open(struct fixture *fixture, struct fixture_handlers handlers, void *context, uint32_t threads_count);

/* The same with options of the test's; where it listens is set here. */
void fixture_open_with(struct fixture *fixture, struct fixture_handlers handlers, void *context,
                       daybook_server_options options);
void fixture_close(struct fixture *fixture);

/* Waits until the server has counted the end of all calls; the client may know of it before. */
daybook_server_counts fixture_counts_when_idle(const struct fixture *fixture);

/* Waits until the server holds so many unary calls. */
void fixture_wait_unary_open(const struct fixture *fixture, uint64_t count);

/* A handler that replies with the request. */
void fixture_echo(void *context, daybook_server_call *call, const fixture_text *request);

/* A unary call with this text. */
struct raw_status fixture_unary(struct raw_channel *channel, const char *text, struct raw_bytes *ret_response);

/* As StringValue: what a client sends, and what it has received. The bytes of `encode` are to be freed. */
struct raw_bytes fixture_encode(const char *text);
/* Frees the bytes and says whether they were this text. */
bool fixture_is_text(struct raw_bytes bytes, const char *text);

/* A StringValue in an arena. */
fixture_text *fixture_new_text(upb_Arena *arena, upb_StringView text);

/* A Value that holds itself 200 times, which is too deep to be encoded. */
google_protobuf_Value *fixture_new_deep_value(upb_Arena *arena);

/* A number that threads raise, and wait for. */
struct counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t count;
};

#define COUNTER_INIT                                                                                                   \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

void counter_add(struct counter *counter);
uint32_t counter_get(struct counter *counter);
/* Waits until it is at least `count`. */
void counter_wait(struct counter *counter, uint32_t count);

#endif
