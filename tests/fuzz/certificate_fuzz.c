/* The reading of certificates and keys: the form by the runtime, the rest by OpenSSL as the runtime asks it.
 *
 * Input: a certificate and its chain, then a key, each after its length, then authorities: PEM texts, which end at a zero
 * byte, or the files that would hold them; an empty text is one that was not given. What comes of it is looked at twice:
 * whoever serves must not be told one thing at the start and another one at a renewal. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/runtime/tls.h"
#include "sdk/runtime/tls_check.h"
#include "tests/fuzz/fuzz.h"

#define EXPIRES_UNKNOWN INT64_MIN

/* NULL for an empty one. */
static char *text_of(struct bytes bytes) {
    if (bytes.size == 0) return NULL;
    char *text = strndup((const char *)bytes.data, bytes.size);
    assert(text != NULL);
    return text;
}

static void expect_same(const char *loaded, const char *given) {
    assert((loaded == NULL) == (given == NULL));
    assert(loaded == NULL || strcmp(loaded, given) == 0);
}

static void expect_refusal(const daybook_status *status) {
    assert(status->code == DAYBOOK_INVALID_ARGUMENT);
    assert(status->message[0] != '\0' && strchr(status->message, '\n') == NULL);
}

/* Whether OpenSSL takes it; `ret_expires_s` as the check says it. */
static bool check(const daybook_tls_options *options, const struct tls_material *material, int64_t *ret_expires_s) {
    daybook_status status = {.code = DAYBOOK_OK};
    *ret_expires_s = EXPIRES_UNKNOWN;
    const bool is_taken = daybook__tls_check(options, material, ret_expires_s, &status);
    /* One that is left behind would be read as that of somebody's connection. */
    assert(ERR_peek_error() == 0);
    if (!is_taken) {
        expect_refusal(&status);
        assert(*ret_expires_s == EXPIRES_UNKNOWN);
    }
    return is_taken;
}

static void check_twice(const daybook_tls_options *options, const struct tls_material *material) {
    int64_t first_s;
    int64_t second_s;
    const bool is_taken = check(options, material, &first_s);
    assert(check(options, material, &second_s) == is_taken && first_s == second_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {.data = data, .size = size};
    char *certificate = text_of(fuzz_bytes(&input));
    char *key = text_of(fuzz_bytes(&input));
    char *authorities = text_of(fuzz_rest(&input));
    const daybook_tls_options options = {
        .certificate_pem = certificate, .key_pem = key, .authorities_pem = authorities};
    struct tls_material material = {0};
    daybook_status status = {.code = DAYBOOK_OK};
    if (daybook__tls_load(&options, &material, &status)) {
        expect_same(material.certificate, certificate);
        expect_same(material.key, key);
        expect_same(material.authorities, authorities);
        if (material.certificate != NULL) check_twice(&options, &material);
    } else {
        expect_refusal(&status);
        assert(material.certificate == NULL && material.key == NULL && material.authorities == NULL);
    }
    daybook__tls_unload(&material);
    free(certificate);
    free(key);
    free(authorities);
    return 0;
}
