/* Certificates and keys: where they come from, and what is refused before TLS sees it. Only the form counts here. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/runtime/tls.h"
#include "tests/support/temporary_directory.h"

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
#define KEY         "-----BEGIN PRIVATE KEY-----\nTUlJRQ==\n-----END PRIVATE KEY-----\n"
#define EC_KEY                                                                                                         \
    "-----BEGIN EC PARAMETERS-----\nBggqhg==\n-----END EC PARAMETERS-----\n"                                           \
    "-----BEGIN EC PRIVATE KEY-----\nTUlJRQ==\n-----END EC PRIVATE KEY-----\n"

static void assert_loads(const daybook_tls_options *options) {
    struct tls_material material = {0};
    daybook_status status;
    cr_assert(daybook__tls_load(options, &material, &status), "%s", status.message);
    daybook__tls_unload(&material);
}

/* Asserts that the options are refused, with both words in the message. */
static void assert_refused(const daybook_tls_options *options, const char *option, const char *reason) {
    struct tls_material material = {.key = (char *)"untouched"};
    daybook_status status;
    cr_assert_not(daybook__tls_load(options, &material, &status), "%s was taken, though it is wrong: %s", option,
                  reason);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status.message, option), "%s: %s", option, status.message);
    cr_assert_not_null(strstr(status.message, reason), "%s: %s", reason, status.message);
    cr_assert_str_eq(material.key, "untouched");
}

Test(tls, nothing_is_loaded_from_nothing) {
    struct tls_material material;
    cr_assert(daybook__tls_load(&(daybook_tls_options){0}, &material, NULL));
    cr_assert_null(material.authorities);
    cr_assert_null(material.certificate);
    cr_assert_null(material.key);
    daybook__tls_unload(&material);
    daybook__tls_unload(NULL);
}

Test(tls, texts_are_copied) {
    char authorities[] = CERTIFICATE CERTIFICATE;
    struct tls_material material;
    const daybook_tls_options options = {
        .authorities_pem = authorities, .certificate_pem = "a comment\n" CERTIFICATE, .key_pem = KEY};
    cr_assert(daybook__tls_load(&options, &material, NULL));
    memset(authorities, 'x', sizeof authorities - 1);
    cr_assert_str_eq(material.authorities, CERTIFICATE CERTIFICATE);
    cr_assert_str_eq(material.certificate, "a comment\n" CERTIFICATE);
    cr_assert_str_eq(material.key, KEY);
    daybook__tls_unload(&material);
    cr_assert_null(material.key);
}

Test(tls, a_key_may_have_any_of_its_forms) {
    assert_loads(&(daybook_tls_options){.certificate_pem = CERTIFICATE, .key_pem = EC_KEY});
    assert_loads(&(daybook_tls_options){
        .certificate_pem = CERTIFICATE,
        .key_pem = "-----BEGIN RSA PRIVATE KEY-----\r\nTUlJRQ==\r\n-----END RSA PRIVATE KEY-----\r\n",
    });
}

Test(tls, files_are_read) {
    struct temporary_directory directory = temporary_directory_make();
    struct temporary_path certificate = temporary_path(&directory, "certificate.pem");
    struct temporary_path key = temporary_path(&directory, "key.pem");
    temporary_file_write(certificate.text, CERTIFICATE, strlen(CERTIFICATE));
    temporary_file_write(key.text, KEY, strlen(KEY));
    struct tls_material material;
    const daybook_tls_options options = {
        .authorities_file = certificate.text, .certificate_file = certificate.text, .key_file = key.text};
    cr_assert(daybook__tls_load(&options, &material, NULL));
    temporary_directory_remove(&directory);
    cr_assert_str_eq(material.authorities, CERTIFICATE);
    cr_assert_str_eq(material.certificate, CERTIFICATE);
    cr_assert_str_eq(material.key, KEY);
    daybook__tls_unload(&material);
}

Test(tls, a_file_that_cannot_be_read_is_named) {
    struct temporary_directory directory = temporary_directory_make();
    struct temporary_path missing = temporary_path(&directory, "missing.pem");
    assert_refused(&(daybook_tls_options){.authorities_file = missing.text}, "tls.authorities_file", missing.text);
    assert_refused(&(daybook_tls_options){.key_file = missing.text}, "tls.key_file", "No such file or directory");
    assert_refused(&(daybook_tls_options){.certificate_file = directory.path}, "tls.certificate_file",
                   "Is a directory");
    temporary_directory_remove(&directory);
}

Test(tls, a_file_has_a_longest_size) {
    struct temporary_directory directory = temporary_directory_make();
    struct temporary_path path = temporary_path(&directory, "large.pem");
    char *text = malloc(DAYBOOK__PEM_BYTES_MAX + 2);
    memset(text, '\n', DAYBOOK__PEM_BYTES_MAX + 2);
    memcpy(text, CERTIFICATE, strlen(CERTIFICATE));
    temporary_file_write(path.text, text, DAYBOOK__PEM_BYTES_MAX);
    assert_loads(&(daybook_tls_options){.authorities_file = path.text});
    temporary_file_write(path.text, text, DAYBOOK__PEM_BYTES_MAX + 1);
    assert_refused(&(daybook_tls_options){.authorities_file = path.text}, path.text, "1048576 bytes");
    text[DAYBOOK__PEM_BYTES_MAX + 1] = '\0';
    assert_refused(&(daybook_tls_options){.authorities_pem = text}, "tls.authorities_pem", "1 MiB");
    text[DAYBOOK__PEM_BYTES_MAX] = '\0';
    assert_loads(&(daybook_tls_options){.authorities_pem = text});
    free(text);
    temporary_directory_remove(&directory);
}

Test(tls, text_and_file_exclude_each_other) {
    assert_refused(&(daybook_tls_options){.authorities_pem = CERTIFICATE, .authorities_file = "x"}, "authorities_pem",
                   "authorities_file");
    assert_refused(&(daybook_tls_options){.key_pem = KEY, .key_file = "x"}, "key_pem", "key_file");
}

Test(tls, a_certificate_and_its_key_come_together) {
    assert_refused(&(daybook_tls_options){.certificate_pem = CERTIFICATE}, "certificate", "without its key");
    assert_refused(&(daybook_tls_options){.key_pem = KEY}, "key", "without its certificate");
}

Test(tls, what_is_no_pem_is_refused) {
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", "is empty"},
        {"hello", "no certificate"},
        {KEY, "no certificate"},
        {"-----BEGIN CERTIFICATE-----\nTUlJQg==\n", "was cut"},
        {CERTIFICATE "-----BEGIN CERTIFICATE-----\nTUlJ", "was cut"},
        {"-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END PRIVATE KEY-----\n", "was cut"},
        {"-----BEGIN CERTIFICATE", "was cut"},
        /* The dashes of the beginning are not those of an end. */
        {"-----BEGIN CERTIFICATE-------END CERTIFICATE-----\n", "was cut"},
        {"-----BEGIN CERTIFICATE-----\nTUl%Qg==\n-----END CERTIFICATE-----\n", "no base64"},
        {"-----BEGIN CERTIFICATE-----\nTUlJQg=\n-----END CERTIFICATE-----\n", "no base64"},
        {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "no base64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(&(daybook_tls_options){.authorities_pem = cases[i].text}, "tls.authorities_pem",
                       cases[i].reason);
    }
    assert_refused(&(daybook_tls_options){.certificate_pem = CERTIFICATE, .key_pem = CERTIFICATE}, "tls.key_pem",
                   "no private key");
}

Test(tls, a_key_with_a_passphrase_is_refused) {
    static const char *const keys[] = {
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nTUlJRQ==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nTUlJRQ==\n"
        "-----END EC PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_refused(&(daybook_tls_options){.certificate_pem = CERTIFICATE, .key_pem = keys[i]}, "tls.key_pem",
                       "encrypted");
    }
}

Test(tls, a_file_with_other_bytes_than_text_is_refused) {
    struct temporary_directory directory = temporary_directory_make();
    struct temporary_path path = temporary_path(&directory, "certificate.der");
    temporary_file_write(path.text, "0\x82\0\x01", 4);
    assert_refused(&(daybook_tls_options){.authorities_file = path.text}, path.text, "no text");
    temporary_file_write(path.text, "", 0);
    assert_refused(&(daybook_tls_options){.authorities_file = path.text}, path.text, "is empty");
    temporary_directory_remove(&directory);
}
