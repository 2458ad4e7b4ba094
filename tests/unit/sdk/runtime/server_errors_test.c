/* server_errors_test.c: unary calls that end with an error, and requests that no handler sees. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/server.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

/* Fails the test if it runs. */
static void must_not_run(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)call;
    (void)request;
    cr_assert_fail("the handler was called");
}

static void fail_with_details(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    static const char details[] = {0x08, 0x09, 0x00, (char)0xff};
    daybook_server_call_fail(call, DAYBOOK_FAILED_PRECONDITION, "the stream \"ä\" is 100% closed", details,
                             sizeof details);
}

Test(server_errors, an_error_travels_with_its_text_and_details) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_with_details}, NULL, 1);
    struct raw_status status = fixture_unary(fixture.channel, "", NULL);
    cr_assert_eq(status.code, DAYBOOK_FAILED_PRECONDITION);
    cr_assert_str_eq(status.message, "the stream \"ä\" is 100% closed");
    cr_assert_eq(status.details_size, 4);
    cr_assert_arr_eq(status.details, "\x08\x09\x00\xff", 4);
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

/* Fails with a text of 1,023 letters and characters of two bytes, and with as many bytes of details as the request says. */
static void fail_at_length(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    static char message[3000];
    static char details[10000];
    memset(message, 'x', 1023);
    for (size_t i = 1023; i + 2 < sizeof message; i += 2) memcpy(message + i, "ä", 2);
    size_t details_size = (size_t)strtoul(google_protobuf_StringValue_value(request).data, NULL, 10);
    daybook_server_call_fail(call, DAYBOOK_ABORTED, message, details, details_size);
}

Test(server_errors, an_error_that_no_client_would_take_is_cut) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_at_length}, NULL, 1);
    struct raw_status status = fixture_unary(fixture.channel, "4096 ", NULL);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_eq(strlen(status.message), 1023);
    cr_assert_eq(status.details_size, 4096);
    status = fixture_unary(fixture.channel, "4097 ", NULL);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_eq(status.details_size, 0);
    fixture_close(&fixture);
}

static void nested_must_not_run(void *context, daybook_server_call *call, const google_protobuf_Value *request) {
    (void)context;
    (void)call;
    (void)request;
    cr_assert_fail("the handler was called");
}

/* A google.protobuf.Value that holds a list that holds a value, and so on: each level adds two to the depth. */
static struct raw_bytes nested_value(int levels) {
    struct raw_bytes bytes = {.data = malloc(65536)};
    cr_assert_not_null(bytes.data);
    char *end = bytes.data + 65536;
    char *begin = end;
    for (int i = 0; i < levels; i++) {
        for (unsigned field = 0; field < 2; field++) { /* ListValue.values, Value.list_value */
            size_t size = (size_t)(end - begin);
            unsigned char prefix[4] = {field == 0 ? 0x0a : 0x32};
            size_t prefix_size = 1;
            for (; size >= 0x80; size >>= 7) prefix[prefix_size++] = (unsigned char)(size | 0x80);
            prefix[prefix_size++] = (unsigned char)size;
            begin -= prefix_size;
            memcpy(begin, prefix, prefix_size);
        }
    }
    bytes.size = (size_t)(end - begin);
    memmove(bytes.data, begin, bytes.size);
    return bytes;
}

Test(server_errors, a_request_that_is_no_message_never_reaches_the_handler) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = must_not_run, .nested = nested_must_not_run}, NULL, 1);
    struct raw_status status = raw_unary(fixture.channel, FIXTURE_UNARY, "\x0a\x7f", 2, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_UNARY " is not a valid protobuf message");
    status = raw_unary(fixture.channel, FIXTURE_UNARY, "\x0a\x02\xc0\x80", 4, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_UNARY " holds a string that is not UTF-8");
    struct raw_bytes deep = nested_value(1000);
    status = raw_unary(fixture.channel, FIXTURE_NESTED, deep.data, deep.size, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_NESTED " is nested too deeply");
    free(deep.data);
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 3);
    fixture_close(&fixture);
}

static void reply_too_deep(void *context, daybook_server_call *call, const google_protobuf_Value *request) {
    (void)context;
    (void)request;
    daybook_server_call_reply(call, fixture_new_deep_value(daybook_server_call_arena(call)));
}

Test(server_errors, a_response_that_cannot_be_encoded_is_an_internal_error) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.nested = reply_too_deep}, NULL, 1);
    struct raw_status status = raw_unary(fixture.channel, FIXTURE_NESTED, "", 0, NULL);
    cr_assert_eq(status.code, DAYBOOK_INTERNAL);
    cr_assert_str_eq(status.message, "the response of " FIXTURE_NESTED " is nested too deeply");
    fixture_close(&fixture);
}

Test(server_errors, what_is_not_served_is_unimplemented) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.nested = nested_must_not_run}, NULL, 2);
    struct raw_status status;
    for (int i = 0; i < 20; i++) {
        status = raw_unary(fixture.channel, "/daybook.test.Nobody/Knows", "", 0, NULL);
        cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
        cr_assert_str_eq(status.message, "/daybook.test.Nobody/Knows is not served here");
    }
    status = raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL);
    cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
    cr_assert_str_eq(status.message, FIXTURE_UNARY " is not implemented");
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 21);

    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_NESTED, RAW_TIMEOUT_NONE, NULL);
    raw_call_half_close(call);
    status = raw_call_finish(call);
    raw_call_free(call);
    cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
    cr_assert_str_eq(status.message, FIXTURE_NESTED " takes one request, none was sent");
    fixture_close(&fixture);
}

Test(server_errors, a_compressed_request_is_refused_before_it_is_inflated) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = must_not_run}, NULL, 1);
    static char zeros[100000];
    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, RAW_TIMEOUT_NONE, &raw_gzip);
    raw_call_send(call, zeros, sizeof zeros);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_UNIMPLEMENTED);
    raw_call_free(call);
    fixture_close(&fixture);
}
