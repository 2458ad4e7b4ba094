/* What OpenSSL has against certificates, keys and authorities, found before gRPC gets them; and what is random. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daybook/server.h"
#include "sdk/runtime/tls_check.h"
#include "tests/support/certificates.h"
#include "tests/support/random.h"

static struct certificate authority;
static struct certificate server;
static struct certificate other;

static void setup(void) {
    authority = certificate_authority("the test's authority");
    server = certificate_issue(&authority, "a server", "IP:127.0.0.1");
    other = certificate_issue(&authority, "another", "IP:127.0.0.1");
}

static void teardown(void) {
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&other);
}

TestSuite(tls_check, .init = setup, .fini = teardown, .timeout = 120);

static const daybook_tls_options files = {
    .authorities_file = "/tls/ca.crt", .certificate_file = "/tls/tls.crt", .key_file = "/tls/tls.key"};

/* The check never writes to what it looks at. */
static bool check(const char *certificate, const char *key, const char *authorities, daybook_status *ret_status) {
    const struct tls_material material = {
        .certificate = (char *)certificate, .key = (char *)key, .authorities = (char *)authorities};
    int64_t expires_s = -1;
    const bool ok = daybook__tls_check(&files, &material, &expires_s, ret_status);
    if (ok) {
        cr_assert_geq(expires_s, time(NULL));
        cr_assert_leq(expires_s, time(NULL) + 1800);
    } else {
        cr_assert_eq(expires_s, -1);
        cr_assert_eq(ret_status->code, DAYBOOK_INVALID_ARGUMENT);
    }
    return ok;
}

static void assert_refused(const char *certificate, const char *key, const char *authorities, const char *file,
                           const char *words) {
    daybook_status status;
    cr_assert_not(check(certificate, key, authorities, &status), "taken, though %s %s", file, words);
    cr_assert_not_null(strstr(status.message, file), "%s: %s", file, status.message);
    cr_assert_not_null(strstr(status.message, words), "%s: %s", words, status.message);
}

static char *joined(const char *first, const char *second) {
    const size_t size = strlen(first) + strlen(second) + 1;
    char *text = malloc(size);
    cr_assert_not_null(text);
    (void)snprintf(text, size, "%s%s", first, second);
    return text;
}

#define GARBAGE "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
#define NO_KEY  "-----BEGIN PRIVATE KEY-----\nTUlJRQ==\n-----END PRIVATE KEY-----\n"

Test(tls_check, what_belongs_together_is_taken) {
    daybook_status status;
    cr_assert(check(server.certificate_pem, server.key_pem, NULL, &status), "%s", status.message);
    cr_assert(check(server.certificate_pem, server.key_pem, authority.certificate_pem, &status), "%s", status.message);
    char *chain = joined(server.certificate_pem, authority.certificate_pem);
    cr_assert(check(chain, server.key_pem, chain, &status), "%s", status.message);
    free(chain);
    char *twice = joined(authority.certificate_pem, authority.certificate_pem);
    cr_assert(check(server.certificate_pem, server.key_pem, twice, &status), "%s", status.message);
    free(twice);
}

Test(tls_check, what_is_wrong_is_told_with_its_file) {
    assert_refused(server.certificate_pem, other.key_pem, NULL, "/tls/tls.key", "do not belong together");
    assert_refused(GARBAGE, server.key_pem, NULL, "/tls/tls.crt", "cannot be read");
    assert_refused(server.certificate_pem, NO_KEY, NULL, "/tls/tls.key", "cannot be read");
    assert_refused(server.certificate_pem, server.key_pem, GARBAGE, "/tls/ca.crt", "cannot be read");
}

/* gRPC would take what is before the damage for everything. */
Test(tls_check, a_list_that_is_damaged_is_not_taken_for_a_shorter_one) {
    char *text = joined(server.certificate_pem, GARBAGE);
    assert_refused(text, server.key_pem, NULL, "/tls/tls.crt", "a second certificate that cannot be read");
    free(text);
    text = joined(authority.certificate_pem, GARBAGE);
    assert_refused(server.certificate_pem, server.key_pem, text, "/tls/ca.crt", "cannot be read");
    free(text);
}

Test(tls_check, a_text_without_a_file_is_called_by_its_option) {
    const struct tls_material material = {.certificate = server.certificate_pem, .key = other.key_pem};
    daybook_status status;
    int64_t expires_s = 0;
    cr_assert_not(daybook__tls_check(&(daybook_tls_options){.key_pem = other.key_pem}, &material, &expires_s, &status));
    cr_assert_not_null(strstr(status.message, "tls.key_pem: the certificate and the key in the text"), "%s",
                       status.message);
}

/* One byte of a text is another one. Whatever comes of it, nothing breaks; and what is refused says why. */
static void spoil_once(struct random *random, const char *certificate, const char *key) {
    char *texts[] = {strdup(certificate), strdup(key)};
    char *text = texts[random_below(random, 2)];
    text[random_below(random, strlen(text))] = (char)(1 + random_below(random, 255));
    const struct tls_material material = {.certificate = texts[0], .key = texts[1]};
    daybook_status status = {.message = ""};
    int64_t expires_s = -1; /* the damage may be to the time itself */
    if (!daybook__tls_check(&files, &material, &expires_s, &status)) {
        cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
        cr_assert_neq(status.message[0], '\0');
        cr_assert_eq(expires_s, -1);
    }
    free(texts[0]);
    free(texts[1]);
}

Test(tls_check, no_damage_does_harm) {
    struct random random = random_start("tls_check");
    for (int i = 0; i < 2000; i++) spoil_once(&random, server.certificate_pem, server.key_pem);
}

/* What is taken here must be taken by gRPC, or a server would believe in a certificate that nobody is shown. A server that
 * is opened asks both: what this check refuses is INVALID_ARGUMENT, what gRPC refuses alone would be UNAVAILABLE. */
static bool opens_or_says_why(const char *certificate, const char *key, const char *authorities) {
    const daybook_tls_options tls = {.certificate_pem = certificate, .key_pem = key, .authorities_pem = authorities};
    daybook_status status = {.code = DAYBOOK_OK};
    daybook_server *opened = daybook_server_open(
        &(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1, .tls = &tls}, &status);
    cr_assert(opened != NULL || status.code == DAYBOOK_INVALID_ARGUMENT, "%s", status.message);
    const bool is_open = opened != NULL;
    daybook_server_close(opened);
    return is_open;
}

Test(tls_check, what_is_taken_is_taken_by_grpc) {
    struct random random = random_start("tls_check and gRPC");
    const char *originals[] = {server.certificate_pem, server.key_pem, authority.certificate_pem};
    int opened_count = 0;
    for (int i = 0; i < 300; i++) {
        char *texts[] = {strdup(originals[0]), strdup(originals[1]), strdup(originals[2])};
        char *text = texts[random_below(&random, 3)];
        text[random_below(&random, strlen(text))] = "+/ABCabc019-\n "[random_below(&random, 14)];
        opened_count += opens_or_says_why(texts[0], texts[1], texts[2]);
        for (int j = 0; j < 3; j++) free(texts[j]);
    }
    cr_assert_gt(opened_count, 0);
    cr_assert_lt(opened_count, 300);
}
