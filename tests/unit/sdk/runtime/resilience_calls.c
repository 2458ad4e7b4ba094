/* resilience_calls.c: see resilience_calls.h. */
#include "tests/unit/sdk/runtime/resilience_calls.h"

#include <criterion/criterion.h>

#include "tests/unit/sdk/runtime/resilience_service.h"

static const void *new_request(upb_Arena *arena, const char *text) {
    return fixture_new_text(arena, upb_StringView_FromString(text));
}

static daybook_code call_blocking(daybook_client *client, const char *text, const daybook_call_options *options) {
    upb_Arena *arena = upb_Arena_New();
    const void *response = NULL;
    daybook_status status;
    const bool ok = daybook_call_unary(client, resilience_method(DAYBOOK_METHOD_UNARY), new_request(arena, text),
                                       options, arena, &response, &status);
    cr_assert_eq(ok, status.code == DAYBOOK_OK);
    cr_assert_eq(ok, response != NULL);
    upb_Arena_Free(arena);
    return status.code;
}

static void note_done(daybook_call *call, void *context) {
    cr_assert_not_null(daybook_call_status(call));
    counter_add(context);
}

static daybook_code call_future(daybook_client *client, const char *text, const daybook_call_options *options) {
    struct counter done = COUNTER_INIT;
    upb_Arena *arena = upb_Arena_New();
    daybook_call *call =
        daybook_call_start(client, resilience_method(DAYBOOK_METHOD_UNARY), new_request(arena, text), options);
    upb_Arena_Free(arena);
    cr_assert_not_null(call);
    daybook_call_on_done(call, note_done, &done);
    cr_assert(daybook_call_wait(call, RESILIENCE_PATIENCE_MS), "the future hangs");
    counter_wait(&done, 1);
    const daybook_code code = daybook_call_status(call)->code;
    cr_assert_eq(daybook_call_result(call) != NULL, code == DAYBOOK_OK);
    daybook_call_free(call);
    return code;
}

static daybook_code call_future_again(daybook_client *client, const char *text, const daybook_call_options *options) {
    static const daybook_retry_options retry = {.attempts_max = 3, .backoff_first_ms = 1, .backoff_max_ms = 1};
    daybook_call_options with_retries = *options;
    with_retries.idempotent = 1;
    with_retries.retry = &retry;
    return call_future(client, text, &with_retries);
}

static daybook_stream *open_stream(daybook_client *client, daybook_method_kind kind, const void *request,
                                   const daybook_call_options *options) {
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(client, resilience_method(kind), request, options, &status);
    cr_assert_not_null(stream, "%s", status.message);
    return stream;
}

/* Reads to the end. */
static daybook_code read_and_close(daybook_stream *stream) {
    const void *message = NULL;
    daybook_status status;
    daybook_next next = DAYBOOK_NEXT_MESSAGE;
    while (next == DAYBOOK_NEXT_MESSAGE) {
        next = daybook_stream_next(stream, RESILIENCE_PATIENCE_MS, &message, &status);
        cr_assert_neq(next, DAYBOOK_NEXT_TIMEOUT, "the stream hangs");
    }
    cr_assert_eq(next == DAYBOOK_NEXT_END, status.code == DAYBOOK_OK);
    daybook_stream_close(stream);
    return status.code;
}

static daybook_code call_server_streaming(daybook_client *client, const char *text,
                                          const daybook_call_options *options) {
    upb_Arena *arena = upb_Arena_New();
    daybook_stream *stream = open_stream(client, DAYBOOK_METHOD_SERVER_STREAMING, new_request(arena, text), options);
    upb_Arena_Free(arena);
    return read_and_close(stream);
}

static void write_one(daybook_stream *stream, const char *text) {
    upb_Arena *arena = upb_Arena_New();
    daybook_status status;
    const daybook_write written =
        daybook_stream_write(stream, new_request(arena, text), RESILIENCE_PATIENCE_MS, &status);
    cr_assert(written == DAYBOOK_WRITE_TAKEN || written == DAYBOOK_WRITE_OVER, "%d", written);
    upb_Arena_Free(arena);
}

static daybook_code call_client_streaming(daybook_client *client, const char *text,
                                          const daybook_call_options *options) {
    daybook_stream *stream = open_stream(client, DAYBOOK_METHOD_CLIENT_STREAMING, NULL, options);
    write_one(stream, text);
    write_one(stream, text);
    const void *response = NULL;
    daybook_status status;
    const daybook_next found = daybook_stream_finish(stream, RESILIENCE_PATIENCE_MS, &response, &status);
    cr_assert_neq(found, DAYBOOK_NEXT_TIMEOUT, "the stream hangs");
    cr_assert_eq(found == DAYBOOK_NEXT_MESSAGE, status.code == DAYBOOK_OK);
    daybook_stream_close(stream);
    return status.code;
}

static daybook_code call_bidirectional(daybook_client *client, const char *text, const daybook_call_options *options) {
    daybook_stream *stream = open_stream(client, DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, NULL, options);
    write_one(stream, text);
    write_one(stream, text);
    daybook_stream_writes_done(stream);
    return read_and_close(stream);
}

const struct resilience_form resilience_forms[RESILIENCE_FORMS_COUNT] = {
    {"blocking", call_blocking},
    {"future", call_future},
    {"future with retries", call_future_again},
    {"server streaming", call_server_streaming},
    {"client streaming", call_client_streaming},
    {"bidirectional", call_bidirectional},
};
