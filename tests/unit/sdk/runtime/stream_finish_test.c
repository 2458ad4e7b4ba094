/* How streams end whose client sends, with a server on gRPC core alone that does what no good server does; and their
 * metadata. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_fixture.h"
#include "tests/unit/sdk/runtime/stream_fixture.h"

static struct echo_fixture fixture;
static daybook_method one_answer;
static daybook_method many_answers;

static void setup(void) {
    fixture = echo_fixture_open();
    one_answer = ECHO_STREAM;
    one_answer.kind = DAYBOOK_METHOD_CLIENT_STREAMING;
    many_answers = ECHO_STREAM;
    many_answers.kind = DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING;
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(stream_finish, .init = setup, .fini = teardown, .timeout = 60);

static daybook_stream *open_stream(const daybook_method *method, const daybook_call_options *options) {
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(fixture.client, method, NULL, options, &status);
    cr_assert_not_null(stream, "%s", status.message);
    return stream;
}

static void write_script(daybook_stream *stream, const struct echo_script *script) {
    const void *request = echo_request(&fixture, script);
    cr_assert_eq(daybook_stream_write(stream, request, DAYBOOK_TIMEOUT_NONE, NULL), DAYBOOK_WRITE_TAKEN);
}

/* Opens a stream and writes what the server does with it. */
static daybook_stream *play(const daybook_method *method, const struct echo_script *script,
                            const daybook_call_options *options) {
    daybook_stream *stream = open_stream(method, options);
    write_script(stream, script);
    return stream;
}

/* --- The response ------------------------------------------------------------------------------------------------- */

Test(stream_finish, brings_the_response) {
    daybook_stream *stream = play(&one_answer, &(struct echo_script){.text = "hello", .count = 1}, NULL);
    const void *response = NULL;
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(daybook_stream_finish(stream, DAYBOOK_TIMEOUT_NONE, &response, &status), DAYBOOK_NEXT_MESSAGE);
        cr_assert_eq(status.code, DAYBOOK_OK);
        cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_text(response), upb_StringView_FromString("hello")));
    }
    daybook_stream_cancel(stream);
    cr_assert_eq(daybook_stream_finish(stream, 0, &response, NULL), DAYBOOK_NEXT_MESSAGE);
    daybook_stream_close(stream);
}

Test(stream_finish, no_response_is_an_error) {
    daybook_stream *stream = play(&one_answer, &(struct echo_script){.count = 0}, NULL);
    for (int again = 0; again < 2; again++) {
        daybook_status status = stream_expect_finish_error(stream, DAYBOOK_INTERNAL);
        cr_assert_str_eq(status.message, "the response of /daybook.test.Echo/Play is missing, though the status is OK");
    }
    daybook_stream_close(stream);
}

Test(stream_finish, a_second_response_is_an_error) {
    daybook_stream *stream = play(&one_answer, &(struct echo_script){.count = 2}, NULL);
    for (int again = 0; again < 2; again++) {
        daybook_status status = stream_expect_finish_error(stream, DAYBOOK_INTERNAL);
        cr_assert_str_eq(status.message, "the response of /daybook.test.Echo/Play is followed by a second one");
    }
    daybook_stream_close(stream);
}

Test(stream_finish, a_response_that_is_none_is_an_error) {
    daybook_stream *stream =
        play(&one_answer, &(struct echo_script){.count = 1, .raw = upb_StringView_FromString("\xff\xff")}, NULL);
    daybook_status status = stream_expect_finish_error(stream, DAYBOOK_INTERNAL);
    cr_assert_not_null(strstr(status.message, "is not a valid protobuf message"), "%s", status.message);
    daybook_stream_close(stream);
}

Test(stream_finish, an_error_after_the_response_is_the_outcome) {
    daybook_details details = {.size = 7};
    struct echo_script script = {.count = 1,
                                 .code = DAYBOOK_ABORTED,
                                 .message = "too late",
                                 .details = echo_details(&fixture, "REVISION_CONFLICT", 20)};
    daybook_stream *stream = play(&one_answer, &script, &(daybook_call_options){.details = &details});
    daybook_status status = stream_expect_finish_error(stream, DAYBOOK_ABORTED);
    cr_assert_str_eq(status.message, "too late");
    cr_assert_str_eq(status.reason, "REVISION_CONFLICT");
    cr_assert_eq(status.retry_delay_ms, 20);
    cr_assert_eq(details.size, script.details.size);
    daybook_stream_close(stream);
}

Test(stream_finish, nothing_listens) {
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = "127.0.0.1:1"}, NULL);
    daybook_stream *stream = daybook_stream_open(client, &one_answer, NULL, NULL, NULL);
    cr_assert_not_null(stream);
    daybook_write written = DAYBOOK_WRITE_TAKEN;
    while (written == DAYBOOK_WRITE_TAKEN) {
        const void *request = echo_request(&fixture, &(struct echo_script){.count = 1});
        written = daybook_stream_write(stream, request, DAYBOOK_TIMEOUT_NONE, NULL);
    }
    cr_assert_eq(written, DAYBOOK_WRITE_OVER);
    stream_expect_finish_error(stream, DAYBOOK_UNAVAILABLE);
    daybook_stream_close(stream);
    daybook_client_close(client);
}

Test(stream_finish, the_server_vanishes) {
    daybook_stream *stream = play(&one_answer, &(struct echo_script){.hold = true}, NULL);
    echo_server_wait_received(fixture.server, 1);
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    const void *response = NULL;
    daybook_status status;
    cr_assert_eq(daybook_stream_finish(stream, DAYBOOK_TIMEOUT_NONE, &response, &status), DAYBOOK_NEXT_ERROR);
    cr_assert(status.code == DAYBOOK_UNAVAILABLE || status.code == DAYBOOK_CANCELLED, "%s", status.message);
    daybook_stream_close(stream);
}

Test(stream_finish, cancelled_before_anything_was_written) {
    for (uint32_t i = 0; i < 1000; i++) {
        daybook_stream *stream = open_stream(i % 2 == 0 ? &one_answer : &many_answers, NULL);
        daybook_stream_cancel(stream);
        const void *request = echo_request(&fixture, &(struct echo_script){.count = 1});
        cr_assert_eq(daybook_stream_write(stream, request, 0, NULL), DAYBOOK_WRITE_OVER);
        if (i % 2 == 0)
            stream_expect_finish_error(stream, DAYBOOK_CANCELLED);
        else
            stream_expect_error(stream, DAYBOOK_CANCELLED);
        daybook_stream_close(stream);
    }
}

/* --- Metadata ----------------------------------------------------------------------------------------------------- */

static char binary[300];

static bool has_headers(const daybook_metadata *metadata) {
    return upb_StringView_IsEqual(daybook_metadata_find(metadata, "x-text"), upb_StringView_FromString("a text")) &&
           upb_StringView_IsEqual(daybook_metadata_find(metadata, "x-data-bin"),
                                  upb_StringView_FromDataAndSize(binary, sizeof binary));
}

static const daybook_call_options *with_headers(void) {
    static const daybook_header headers[] = {
        {.key = "x-text", .value = "a text"},
        {.key = "x-data-bin", .value = binary, .value_size = sizeof binary},
    };
    static const daybook_call_options options = {.headers = headers, .headers_count = 2};
    for (size_t i = 0; i < sizeof binary; i++) binary[i] = (char)i;
    return &options;
}

static void expect_metadata(daybook_stream *stream, uint32_t messages_count, daybook_code code) {
    for (uint32_t i = 0; i < messages_count; i++) {
        const void *message = NULL;
        cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, NULL), DAYBOOK_NEXT_MESSAGE);
        cr_assert(has_headers(daybook_stream_initial_metadata(stream)));
        cr_assert_null(daybook_stream_trailing_metadata(stream));
    }
    const void *message = NULL;
    daybook_status status;
    daybook_next expected = code == DAYBOOK_OK ? DAYBOOK_NEXT_END : DAYBOOK_NEXT_ERROR;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), expected);
    cr_assert_eq(status.code, code);
    cr_assert(has_headers(daybook_stream_initial_metadata(stream)));
    cr_assert(has_headers(daybook_stream_trailing_metadata(stream)));
}

Test(stream_finish, metadata_goes_both_ways) {
    struct echo_script scripts[] = {
        {.mirror = true, .count = 3},
        {.mirror = true, .count = 0},
        {.mirror = true, .count = 2, .code = DAYBOOK_ABORTED},
        {.mirror = true, .count = 0, .code = DAYBOOK_ABORTED},
    };
    daybook_stream *streams[8];
    for (size_t i = 0; i < 4; i++) {
        streams[i] = play(&many_answers, &scripts[i], with_headers());
        streams[4 + i] = daybook_stream_open(fixture.client, &ECHO_STREAM, echo_request(&fixture, &scripts[i]),
                                             with_headers(), NULL);
    }
    for (size_t i = 0; i < 8; i++) expect_metadata(streams[i], scripts[i % 4].count, scripts[i % 4].code);
    fixture.client = daybook_client_close(fixture.client);
    for (size_t i = 0; i < 8; i++) {
        cr_assert(has_headers(daybook_stream_initial_metadata(streams[i])), "it outlives the client");
        cr_assert(has_headers(daybook_stream_trailing_metadata(streams[i])));
        daybook_stream_close(streams[i]);
    }
}

/* A server that has said nothing but its headers: they come by themselves. */
Test(stream_finish, headers_are_there_before_the_first_message) {
    daybook_stream *stream = play(&many_answers, &(struct echo_script){.mirror = true, .hold = true}, with_headers());
    const daybook_metadata *metadata = NULL;
    while (metadata == NULL) {
        const void *message = NULL;
        cr_assert_eq(daybook_stream_next(stream, 1, &message, NULL), DAYBOOK_NEXT_TIMEOUT);
        metadata = daybook_stream_initial_metadata(stream);
    }
    cr_assert(has_headers(metadata));
    daybook_stream_cancel(stream);
    stream_expect_error(stream, DAYBOOK_CANCELLED);
    cr_assert(has_headers(daybook_stream_initial_metadata(stream)));
    daybook_stream_close(stream);
}
