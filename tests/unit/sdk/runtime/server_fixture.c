/* server_fixture.c: see server_fixture.h. */
#include "tests/unit/sdk/runtime/server_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool dispatch_unary(const void *handlers, void *context, daybook_server_call *call, const void *request) {
    const struct fixture_handlers *typed = handlers;
    if (typed->unary == NULL) return false;
    typed->unary(context, call, request);
    return true;
}

static bool dispatch_nested(const void *handlers, void *context, daybook_server_call *call, const void *request) {
    const struct fixture_handlers *typed = handlers;
    if (typed->nested == NULL) return false;
    typed->nested(context, call, request);
    return true;
}

static bool dispatch_server_stream(const void *handlers, void *context, daybook_server_stream *stream,
                                   const void *request) {
    const struct fixture_handlers *typed = handlers;
    if (typed->server_stream == NULL) return false;
    typed->server_stream(context, stream, request);
    return true;
}

static bool dispatch_nested_stream(const void *handlers, void *context, daybook_server_stream *stream,
                                   const void *request) {
    const struct fixture_handlers *typed = handlers;
    if (typed->nested_stream == NULL) return false;
    typed->nested_stream(context, stream, request);
    return true;
}

static bool dispatch_client_stream(const void *handlers, void *context, daybook_server_stream *stream,
                                   const void *request) {
    const struct fixture_handlers *typed = handlers;
    cr_assert_null(request);
    if (typed->client_stream == NULL) return false;
    typed->client_stream(context, stream);
    return true;
}

static bool dispatch_bidirectional(const void *handlers, void *context, daybook_server_stream *stream,
                                   const void *request) {
    const struct fixture_handlers *typed = handlers;
    cr_assert_null(request);
    if (typed->bidirectional == NULL) return false;
    typed->bidirectional(context, stream);
    return true;
}

#define TEXT  &google_protobuf_StringValue_msginit
#define VALUE &google_protobuf_Value_msginit

static const daybook_method methods[] = {
    {"Unary", FIXTURE_UNARY, DAYBOOK_METHOD_UNARY, DAYBOOK_IDEMPOTENCY_UNKNOWN, TEXT, TEXT, dispatch_unary, NULL},
    {"Nested", FIXTURE_NESTED, DAYBOOK_METHOD_UNARY, DAYBOOK_IDEMPOTENCY_UNKNOWN, VALUE, VALUE, dispatch_nested, NULL},
    {"ServerStream", FIXTURE_SERVER_STREAM, DAYBOOK_METHOD_SERVER_STREAMING, DAYBOOK_IDEMPOTENCY_UNKNOWN, TEXT, TEXT,
     NULL, dispatch_server_stream},
    {"NestedStream", FIXTURE_NESTED_STREAM, DAYBOOK_METHOD_SERVER_STREAMING, DAYBOOK_IDEMPOTENCY_UNKNOWN, TEXT, VALUE,
     NULL, dispatch_nested_stream},
    {"ClientStream", FIXTURE_CLIENT_STREAM, DAYBOOK_METHOD_CLIENT_STREAMING, DAYBOOK_IDEMPOTENCY_UNKNOWN, TEXT, TEXT,
     NULL, dispatch_client_stream},
    {"Bidirectional", FIXTURE_BIDIRECTIONAL, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, DAYBOOK_IDEMPOTENCY_UNKNOWN, TEXT,
     TEXT, NULL, dispatch_bidirectional},
};

const daybook_service fixture_service = {
    .full_name = FIXTURE_SERVICE, .methods = methods, .methods_count = sizeof methods / sizeof methods[0]};

void fixture_open(struct fixture *fixture, struct fixture_handlers handlers, void *context, uint32_t threads_count) {
    fixture_open_with(fixture, handlers, context, (daybook_server_options){.threads_count = threads_count});
}

void fixture_open_with(struct fixture *fixture, struct fixture_handlers handlers, void *context,
                       daybook_server_options options) {
    daybook_status status;
    fixture->handlers = handlers;
    options.listen = "127.0.0.1:0";
    fixture->server = daybook_server_open(&options, &status);
    cr_assert_not_null(fixture->server, "%s", status.message);
    cr_assert(daybook_server_add_service(fixture->server, &fixture_service, &fixture->handlers, context, &status));
    daybook_server_set_admission(fixture->server, handlers.admit, context);
    cr_assert(daybook_server_start(fixture->server, &status), "%s", status.message);
    fixture->channel = raw_channel_open(daybook_server_port(fixture->server));
}

void fixture_close(struct fixture *fixture) {
    raw_channel_close(fixture->channel);
    daybook_server_close(fixture->server);
}

daybook_server_counts fixture_counts_when_idle(const struct fixture *fixture) {
    daybook_server_counts counts;
    do {
        counts = daybook_server_count(fixture->server);
    } while (counts.calls_open > 0);
    return counts;
}

void fixture_wait_unary_open(const struct fixture *fixture, uint64_t count) {
    while (daybook_server_count(fixture->server).unary_open != count) {
    }
}

void fixture_echo(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    daybook_server_call_reply(call, request);
}

struct raw_status fixture_unary(struct raw_channel *channel, const char *text, struct raw_bytes *ret_response) {
    struct raw_bytes request = fixture_encode(text);
    struct raw_status status = raw_unary(channel, FIXTURE_UNARY, request.data, request.size, ret_response);
    free(request.data);
    return status;
}

fixture_text *fixture_new_text(upb_Arena *arena, upb_StringView text) {
    fixture_text *message = google_protobuf_StringValue_new(arena);
    cr_assert_not_null(message);
    google_protobuf_StringValue_set_value(message, text);
    return message;
}

google_protobuf_Value *fixture_new_deep_value(upb_Arena *arena) {
    google_protobuf_Value *outermost = google_protobuf_Value_new(arena);
    google_protobuf_Value *value = outermost;
    for (int i = 0; i < 200; i++) {
        google_protobuf_ListValue *list = google_protobuf_Value_mutable_list_value(value, arena);
        value = google_protobuf_ListValue_add_values(list, arena);
    }
    cr_assert_not_null(value);
    return outermost;
}

struct raw_bytes fixture_encode(const char *text) {
    upb_Arena *arena = upb_Arena_New();
    struct raw_bytes bytes = {0};
    char *encoded = google_protobuf_StringValue_serialize(fixture_new_text(arena, upb_StringView_FromString(text)),
                                                          arena, &bytes.size);
    bytes.data = malloc(bytes.size + 1);
    cr_assert_not_null(bytes.data);
    memcpy(bytes.data, encoded, bytes.size);
    upb_Arena_Free(arena);
    return bytes;
}

bool fixture_is_text(struct raw_bytes bytes, const char *text) {
    if (bytes.data == NULL) return false;
    upb_Arena *arena = upb_Arena_New();
    const fixture_text *message = google_protobuf_StringValue_parse(bytes.data, bytes.size, arena);
    bool is_text = message != NULL &&
                   upb_StringView_IsEqual(google_protobuf_StringValue_value(message), upb_StringView_FromString(text));
    upb_Arena_Free(arena);
    free(bytes.data);
    return is_text;
}

void counter_add(struct counter *counter) {
    pthread_mutex_lock(&counter->mutex);
    counter->count++;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->mutex);
}

uint32_t counter_get(struct counter *counter) {
    pthread_mutex_lock(&counter->mutex);
    uint32_t count = counter->count;
    pthread_mutex_unlock(&counter->mutex);
    return count;
}

void counter_wait(struct counter *counter, uint32_t count) {
    pthread_mutex_lock(&counter->mutex);
    while (counter->count < count) pthread_cond_wait(&counter->changed, &counter->mutex);
    pthread_mutex_unlock(&counter->mutex);
}
