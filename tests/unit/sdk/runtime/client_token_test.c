/* Bearer tokens: which calls carry which, and when none is taken. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/certificates.h"
#include "tests/support/echo_fixture.h"

static struct echo_fixture fixture;

static void setup(void) {
    fixture = (struct echo_fixture){.arena = upb_Arena_New(), .server = echo_server_start()};
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(client_token, .init = setup, .fini = teardown, .timeout = 60);

static void open_client(const daybook_client_options *options) {
    daybook_status status;
    fixture.client = daybook_client_open(options, &status);
    cr_assert_not_null(fixture.client, "%s", status.message);
}

static void open_in_clear(const char *token) {
    open_client(&(daybook_client_options){
        .target = echo_server_target(fixture.server), .bearer_token = token, .bearer_token_in_clear = 1});
}

static void assert_text(upb_StringView actual, const char *expected) {
    cr_assert(upb_StringView_IsEqual(actual, upb_StringView_FromString(expected)), "%.*s instead of %s",
              (int)actual.size, actual.data, expected);
}

/* Asserts what the server receives as "authorization". */
static void assert_sent(const char *expected, const daybook_call_options *options) {
    const void *response = NULL;
    daybook_status status;
    const struct echo_script script = {.count = 1, .header = "authorization"};
    cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL, echo_request(&fixture, &script), options, fixture.arena,
                                 &response, &status),
              "%s", status.message);
    assert_text(daybook_test_EchoResponse_header(response), expected);
}

Test(client_token, none_is_sent_by_default) {
    open_client(&(daybook_client_options){.target = echo_server_target(fixture.server)});
    assert_sent("", NULL);
}

Test(client_token, every_call_carries_it) {
    char token[] = "eyJhbGciOiJIUzI1NiJ9.e30.abc-_~+/==";
    open_in_clear(token);
    memset(token, 'x', sizeof token - 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_sent("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-_~+/==", NULL);
    }
    daybook_status status;
    const struct echo_script script = {.count = 1, .header = "authorization"};
    daybook_stream *stream =
        daybook_stream_open(fixture.client, &ECHO_STREAM, echo_request(&fixture, &script), NULL, &status);
    const void *message = NULL;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_MESSAGE);
    assert_text(daybook_test_EchoResponse_header(message), "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-_~+/==");
    daybook_stream_close(stream);
}

Test(client_token, it_goes_beside_other_headers) {
    open_in_clear("abc");
    const daybook_header headers[] = {{.key = "x-first", .value = "1"}, {.key = "x-second", .value = "2"}};
    assert_sent("Bearer abc", &(daybook_call_options){.headers = headers, .headers_count = 2});
}

Test(client_token, a_calls_own_wins) {
    open_in_clear("abc");
    const daybook_header header = {.key = "authorization", .value = "Basic dXNlcjp3b3Jk"};
    assert_sent("Basic dXNlcjp3b3Jk", &(daybook_call_options){.headers = &header, .headers_count = 1});
    assert_sent("Bearer abc", NULL);
}

Test(client_token, another_one_is_for_the_calls_that_begin_later) {
    open_in_clear("first");
    assert_sent("Bearer first", NULL);
    daybook_status status = {.code = DAYBOOK_ABORTED};
    cr_assert(daybook_client_set_bearer_token(fixture.client, "second", &status));
    cr_assert_eq(status.code, DAYBOOK_OK);
    assert_sent("Bearer second", NULL);
    cr_assert_not(daybook_client_set_bearer_token(fixture.client, "not a token", &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    assert_sent("Bearer second", NULL);
    cr_assert(daybook_client_set_bearer_token(fixture.client, NULL, NULL));
    assert_sent("", NULL);
}

Test(client_token, it_is_not_shown_to_everybody) {
    daybook_status status;
    const daybook_client_options options = {.target = echo_server_target(fixture.server), .bearer_token = "abc"};
    cr_assert_null(daybook_client_open(&options, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    open_client(&(daybook_client_options){.target = echo_server_target(fixture.server)});
    cr_assert_not(daybook_client_set_bearer_token(fixture.client, "abc", &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    assert_sent("", NULL);
}

Test(client_token, tls_carries_it) {
    struct certificate authority = certificate_authority("the test's authority");
    struct certificate localhost = certificate_issue(&authority, "a server", "IP:127.0.0.1");
    echo_server_stop(fixture.server);
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(&(daybook_client_options){
        .target = echo_server_target(fixture.server),
        .tls = &(daybook_tls_options){.authorities_pem = authority.certificate_pem},
        .bearer_token = "abc",
    });
    assert_sent("Bearer abc", NULL);
    cr_assert(daybook_client_set_bearer_token(fixture.client, "def", NULL));
    assert_sent("Bearer def", NULL);
    certificate_free(&localhost);
    certificate_free(&authority);
}
