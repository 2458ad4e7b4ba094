/* Encrypted connections: who trusts whom. Certificates are made by the test. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/certificates.h"
#include "tests/support/echo_fixture.h"

static struct certificate authority;
static struct certificate stranger; /* an authority that nobody trusts */
static struct certificate localhost;
static struct echo_fixture fixture;

static void setup(void) {
    authority = certificate_authority("the test's authority");
    stranger = certificate_authority("somebody else");
    localhost = certificate_issue(&authority, "a server", "DNS:localhost,IP:127.0.0.1");
    fixture = (struct echo_fixture){.arena = upb_Arena_New()};
}

static void teardown(void) {
    echo_fixture_close(&fixture);
    certificate_free(&authority);
    certificate_free(&stranger);
    certificate_free(&localhost);
}

TestSuite(client_tls, .init = setup, .fini = teardown, .timeout = 60);

static void open_client(const daybook_tls_options *tls) {
    daybook_status status;
    const daybook_client_options options = {
        .target = echo_server_target(fixture.server),
        .tls = tls,
        .retry.attempts_max = 1,
    };
    fixture.client = daybook_client_open(&options, &status);
    cr_assert_not_null(fixture.client, "%s", status.message);
}

static bool call(daybook_status *status) {
    const void *response = NULL;
    const daybook_call_options options = {.timeout_ms = 30000};
    return daybook_call_unary(fixture.client, &ECHO_CALL, echo_request(&fixture, &(struct echo_script){.count = 1}),
                              &options, fixture.arena, &response, status);
}

static void assert_answered(void) {
    daybook_status status;
    cr_assert(call(&status), "%s", status.message);
}

static void assert_unavailable(void) {
    daybook_status status;
    cr_assert_not(call(&status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE, "%s: %s", daybook_code_name(status.code), status.message);
}

Test(client_tls, a_server_of_the_authority_is_trusted) {
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem});
    assert_answered();
}

Test(client_tls, a_server_of_another_authority_is_not) {
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(&(daybook_tls_options){.authorities_pem = stranger.certificate_pem});
    assert_unavailable();
    cr_assert_eq(echo_server_received(fixture.server), 0);
}

Test(client_tls, the_authorities_of_the_system_do_not_know_the_test) {
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(&(daybook_tls_options){0});
    assert_unavailable();
}

Test(client_tls, a_server_must_have_the_name_that_was_asked_for) {
    struct certificate elsewhere = certificate_issue(&authority, "elsewhere", "DNS:elsewhere.example");
    fixture.server = echo_server_start_secure(NULL, &elsewhere);
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem});
    assert_unavailable();
    fixture.client = daybook_client_close(fixture.client);
    open_client(
        &(daybook_tls_options){.authorities_pem = authority.certificate_pem, .server_name = "elsewhere.example"});
    assert_answered();
    fixture.client = daybook_client_close(fixture.client);
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem, .server_name = "nowhere.example"});
    assert_unavailable();
    certificate_free(&elsewhere);
}

Test(client_tls, a_client_shows_its_certificate) {
    struct certificate own = certificate_issue(&authority, "a client", NULL);
    fixture.server = echo_server_start_secure(authority.certificate_pem, &localhost);
    open_client(&(daybook_tls_options){
        .authorities_pem = authority.certificate_pem, .certificate_pem = own.certificate_pem, .key_pem = own.key_pem});
    assert_answered();
    certificate_free(&own);
}

Test(client_tls, a_client_without_certificate_is_sent_away) {
    fixture.server = echo_server_start_secure(authority.certificate_pem, &localhost);
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem});
    assert_unavailable();
    cr_assert_eq(echo_server_received(fixture.server), 0);
}

Test(client_tls, a_client_with_a_strangers_certificate_is_sent_away) {
    struct certificate own = certificate_issue(&stranger, "a client", NULL);
    fixture.server = echo_server_start_secure(authority.certificate_pem, &localhost);
    open_client(&(daybook_tls_options){
        .authorities_pem = authority.certificate_pem, .certificate_pem = own.certificate_pem, .key_pem = own.key_pem});
    assert_unavailable();
    cr_assert_eq(echo_server_received(fixture.server), 0);
    certificate_free(&own);
}

Test(client_tls, a_key_of_another_certificate_connects_to_nothing) {
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem,
                                       .certificate_pem = localhost.certificate_pem,
                                       .key_pem = stranger.key_pem});
    assert_unavailable();
}

Test(client_tls, both_sides_must_speak_it) {
    fixture.server = echo_server_start_secure(NULL, &localhost);
    open_client(NULL);
    assert_unavailable();
    fixture.client = daybook_client_close(fixture.client);
    echo_server_stop(fixture.server);
    fixture.server = echo_server_start();
    open_client(&(daybook_tls_options){.authorities_pem = authority.certificate_pem});
    assert_unavailable();
}

Test(client_tls, what_cannot_be_loaded_opens_nothing) {
    daybook_status status;
    const daybook_tls_options tls = {.authorities_file = "/nonexistent/authorities.pem"};
    cr_assert_null(daybook_client_open(&(daybook_client_options){.target = "localhost:1", .tls = &tls}, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status.message, "/nonexistent/authorities.pem"), "%s", status.message);
}
