/* stream_fixture.c: see stream_fixture.h. */
#include "tests/unit/sdk/runtime/stream_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

const daybook_method *stream_method(daybook_method_kind kind) {
    for (size_t i = 0; i < fixture_service.methods_count; i++) {
        if (fixture_service.methods[i].kind == kind) return &fixture_service.methods[i];
    }
    cr_assert_fail("no method of kind %d", kind);
    return NULL;
}

void stream_fixture_open(struct stream_fixture *fixture, struct fixture_handlers handlers) {
    *fixture = (struct stream_fixture){.arena = upb_Arena_New()};
    script_init(&fixture->script);
    fixture_open(&fixture->server, handlers, &fixture->script, 1);
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%d", daybook_server_port(fixture->server.server));
    daybook_status status;
    fixture->client = daybook_client_open(&(daybook_client_options){.target = target}, &status);
    cr_assert_not_null(fixture->client, "%s", status.message);
}

void stream_fixture_close(struct stream_fixture *fixture) {
    daybook_client_close(fixture->client);
    fixture_close(&fixture->server);
    upb_Arena_Free(fixture->arena);
}

daybook_stream *stream_fixture_start(struct stream_fixture *fixture, daybook_method_kind kind,
                                     const daybook_call_options *options) {
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    daybook_stream *stream = daybook_stream_open(fixture->client, stream_method(kind), NULL, options, &status);
    cr_assert_not_null(stream, "%s", status.message);
    cr_assert_eq(status.code, DAYBOOK_OK);
    return stream;
}

void stream_write_text(struct stream_fixture *fixture, daybook_stream *stream, const char *text) {
    fixture_text *message = fixture_new_text(fixture->arena, upb_StringView_FromString(text));
    daybook_write written = daybook_stream_write(stream, message, DAYBOOK_TIMEOUT_NONE, NULL);
    cr_assert_eq(written, DAYBOOK_WRITE_TAKEN, "%d", written);
}

static void assert_text(const void *message, const char *text) {
    upb_StringView found = google_protobuf_StringValue_value(message);
    cr_assert(upb_StringView_IsEqual(found, upb_StringView_FromString(text)), "%.*s instead of %s", (int)found.size,
              found.data, text);
}

void stream_expect_text(daybook_stream *stream, const char *text) {
    const void *message = NULL;
    daybook_status status;
    daybook_next next = daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status);
    cr_assert_eq(next, DAYBOOK_NEXT_MESSAGE, "%d %s", next, status.message);
    assert_text(message, text);
}

void stream_expect_end(daybook_stream *stream) {
    const void *message = NULL;
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_END);
    cr_assert_eq(status.code, DAYBOOK_OK);
    cr_assert_null(message);
}

daybook_status stream_expect_error(daybook_stream *stream, daybook_code code) {
    const void *message = NULL;
    daybook_status status;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, code, "%s: %s", daybook_code_name(status.code), status.message);
    cr_assert_null(message);
    return status;
}

void stream_expect_response(daybook_stream *stream, const char *text) {
    const void *response = NULL;
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    daybook_next found = daybook_stream_finish(stream, DAYBOOK_TIMEOUT_NONE, &response, &status);
    cr_assert_eq(found, DAYBOOK_NEXT_MESSAGE, "%d %s", found, status.message);
    cr_assert_eq(status.code, DAYBOOK_OK);
    assert_text(response, text);
}

daybook_status stream_expect_finish_error(daybook_stream *stream, daybook_code code) {
    const void *response = NULL;
    daybook_status status;
    cr_assert_eq(daybook_stream_finish(stream, DAYBOOK_TIMEOUT_NONE, &response, &status), DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, code, "%s: %s", daybook_code_name(status.code), status.message);
    cr_assert_null(response);
    return status;
}
