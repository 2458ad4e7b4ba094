/* server_tls_test.c: encrypted servers: whom they let in, whom handlers see, and options that are none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daybook/call.h"
#include "daybook/client.h"
#include "tests/support/certificates.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

static struct certificate authority;
static struct certificate stranger; /* an authority that nobody trusts */
static struct certificate localhost;
static struct fixture fixture;
static bool fixture_is_open;

static void setup(void) {
    authority = certificate_authority("the test's authority");
    stranger = certificate_authority("somebody else");
    localhost = certificate_issue(&authority, "a server", "DNS:localhost,IP:127.0.0.1");
}

static void teardown(void) {
    if (fixture_is_open) fixture_close(&fixture);
    certificate_free(&authority);
    certificate_free(&stranger);
    certificate_free(&localhost);
}

TestSuite(server_tls, .init = setup, .fini = teardown, .timeout = 120);

/* Answers with the names that the client is known by: "a,b". */
static void reply_identity(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    daybook_server_context *caller = daybook_server_call_context(call);
    char names[256] = "";
    size_t size = 0;
    upb_StringView name;
    for (size_t i = 0; (name = daybook_server_context_identity(caller, i)).data != NULL; i++) {
        size +=
            (size_t)snprintf(names + size, sizeof names - size, "%s%.*s", i == 0 ? "" : ",", (int)name.size, name.data);
    }
    cr_assert_null(daybook_server_context_identity(caller, 100).data);
    daybook_server_call_reply(
        call, fixture_new_text(daybook_server_context_arena(caller), upb_StringView_FromDataAndSize(names, size)));
}

static void open_server(const daybook_tls_options *tls) {
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = reply_identity}, NULL,
                      (daybook_server_options){.threads_count = 2, .tls = tls});
    fixture_is_open = true;
}

/* One call of a client of its own; `names` is who the server says it is, or NULL when it must not get through. */
static void assert_called_as(const daybook_tls_options *tls, const char *names) {
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%u", daybook_server_port(fixture.server));
    daybook_status status;
    daybook_client *client =
        daybook_client_open(&(daybook_client_options){.target = target, .tls = tls, .retry.attempts_max = 1}, &status);
    cr_assert_not_null(client, "%s", status.message);
    upb_Arena *arena = upb_Arena_New();
    const void *response = NULL;
    const daybook_call_options options = {.timeout_ms = 60000};
    bool ok = daybook_call_unary(client, &fixture_service.methods[0],
                                 fixture_new_text(arena, upb_StringView_FromString("who?")), &options, arena, &response,
                                 &status);
    if (names == NULL) {
        cr_assert_not(ok);
        cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE, "%s", status.message);
    } else {
        cr_assert(ok, "%s", status.message);
        upb_StringView value = google_protobuf_StringValue_value(response);
        cr_assert(upb_StringView_IsEqual(value, upb_StringView_FromString(names)), "%.*s", (int)value.size, value.data);
    }
    upb_Arena_Free(arena);
    daybook_client_close(client);
}

static daybook_tls_options with_certificate(const struct certificate *own) {
    return (daybook_tls_options){
        .authorities_pem = authority.certificate_pem, .certificate_pem = own->certificate_pem, .key_pem = own->key_pem};
}

/* --- Who gets in -------------------------------------------------------------------------------------------------- */

Test(server_tls, a_server_proves_itself_and_asks_for_nothing) {
    open_server(&(daybook_tls_options){.certificate_pem = localhost.certificate_pem, .key_pem = localhost.key_pem});
    assert_called_as(&(daybook_tls_options){.authorities_pem = authority.certificate_pem}, "");
    /* A certificate that nobody asks for is not shown. */
    struct certificate own = certificate_issue(&authority, "a client", "DNS:client.example");
    const daybook_tls_options tls = with_certificate(&own);
    assert_called_as(&tls, "");
    certificate_free(&own);
    assert_called_as(&(daybook_tls_options){.authorities_pem = stranger.certificate_pem}, NULL);
    assert_called_as(NULL, NULL);
    cr_assert_eq(daybook_server_count(fixture.server).calls_started, 2);
}

Test(server_tls, a_server_with_authorities_knows_its_clients) {
    const daybook_tls_options server_tls = with_certificate(&localhost);
    open_server(&server_tls);
    struct certificate named = certificate_issue(&authority, "not this", "DNS:orders.example,URI:spiffe://shop/orders");
    struct certificate common = certificate_issue(&authority, "a common name", NULL);
    struct certificate strange = certificate_issue(&stranger, "a client", "DNS:orders.example");
    daybook_tls_options tls = with_certificate(&named);
    assert_called_as(&tls, "orders.example,spiffe://shop/orders");
    tls = with_certificate(&common);
    assert_called_as(&tls, "a common name");
    cr_assert_eq(daybook_server_count(fixture.server).calls_started, 2);
    tls = with_certificate(&strange);
    assert_called_as(&tls, NULL);
    assert_called_as(&(daybook_tls_options){.authorities_pem = authority.certificate_pem}, NULL);
    assert_called_as(NULL, NULL);
    cr_assert_eq(daybook_server_count(fixture.server).calls_started, 2);
    certificate_free(&named);
    certificate_free(&common);
    certificate_free(&strange);
}

Test(server_tls, a_certificate_may_be_optional_and_is_verified_all_the_same) {
    daybook_tls_options server_tls = with_certificate(&localhost);
    server_tls.client_certificate_optional = 1;
    open_server(&server_tls);
    assert_called_as(&(daybook_tls_options){.authorities_pem = authority.certificate_pem}, "");
    struct certificate own = certificate_issue(&authority, "a client", "DNS:client.example");
    struct certificate strange = certificate_issue(&stranger, "a client", "DNS:client.example");
    daybook_tls_options tls = with_certificate(&own);
    assert_called_as(&tls, "client.example");
    tls = with_certificate(&strange);
    assert_called_as(&tls, NULL);
    certificate_free(&own);
    certificate_free(&strange);
}

/* --- What is no TLS ----------------------------------------------------------------------------------------------- */

static void assert_not_opened(const daybook_tls_options *tls, const char *words) {
    daybook_status status;
    const daybook_server_options options = {.listen = "127.0.0.1:0", .threads_count = 1, .tls = tls};
    cr_assert_null(daybook_server_open(&options, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status.message, words), "%s", status.message);
}

Test(server_tls, options_that_are_no_tls_open_nothing) {
    assert_not_opened(&(daybook_tls_options){0}, "a server needs a certificate and its key");
    assert_not_opened(&(daybook_tls_options){.authorities_pem = authority.certificate_pem},
                      "a server needs a certificate and its key");
    assert_not_opened(&(daybook_tls_options){.certificate_pem = localhost.certificate_pem}, "without its key");
    assert_not_opened(&(daybook_tls_options){.certificate_file = "/nonexistent/tls.crt", .key_pem = localhost.key_pem},
                      "/nonexistent/tls.crt");
    assert_not_opened(&(daybook_tls_options){.certificate_pem = localhost.certificate_pem,
                                             .key_pem = localhost.key_pem,
                                             .client_certificate_optional = 1},
                      "client_certificate_optional");
    assert_not_opened(&(daybook_tls_options){.certificate_pem = localhost.certificate_pem, .key_pem = stranger.key_pem},
                      "do not belong together");
}

Test(server_tls, texts_alone_are_what_they_are) {
    open_server(&(daybook_tls_options){.certificate_pem = localhost.certificate_pem, .key_pem = localhost.key_pem});
    daybook_status status;
    cr_assert(daybook_server_tls_reload(fixture.server, &status), "%s", status.message);
    const daybook_server_tls_counts counts = daybook_server_tls_count(fixture.server);
    cr_assert_eq(counts.failures_count, 0);
    cr_assert_gt(counts.expires_s, time(NULL));
    cr_assert_leq(counts.expires_s, time(NULL) + 1800);
    assert_called_as(&(daybook_tls_options){.authorities_pem = authority.certificate_pem}, "");
}

Test(server_tls, a_server_without_tls_has_nothing_to_tell) {
    open_server(NULL);
    cr_assert(daybook_server_tls_reload(fixture.server, NULL));
    const daybook_server_tls_counts counts = daybook_server_tls_count(fixture.server);
    cr_assert_eq(counts.expires_s, 0);
    cr_assert_eq(counts.reloads_count, 0);
}

/* An address that is taken is told as such, also by a server with TLS. */
Test(server_tls, an_address_that_is_taken_is_no_matter_of_certificates) {
    const daybook_tls_options tls = {.certificate_pem = localhost.certificate_pem, .key_pem = localhost.key_pem};
    open_server(&tls);
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%u", daybook_server_port(fixture.server));
    daybook_status status;
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = listen, .tls = &tls}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_not_null(strstr(status.message, "in use"), "%s", status.message);
}
