/* What the options about TLS and tokens make of a client's options, and what is refused. */
#include "sdk/cli/security.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/temporary_directory.h"
#include "tests/unit/sdk/cli/command_line.h"

static struct temporary_directory directory;
static struct temporary_path token_file;
static struct security security;
static daybook_client_options options;

static void setup(void) {
    directory = temporary_directory_make();
    token_file = temporary_path(&directory, "token");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
    free(said.out);
    free(said.err);
}

TestSuite(security, .init = setup, .fini = teardown);

static bool apply(struct security asked) {
    security = asked;
    options = (daybook_client_options){0};
    capture_begin();
    const bool is_applied = security_apply(&security, &options);
    capture_end();
    return is_applied;
}

static bool apply_token(const void *token, size_t token_size) {
    temporary_file_write(token_file.text, token, token_size);
    return apply((struct security){.tls = true, .token_file = token_file.text});
}

Test(security, nothing_asked_for_is_nothing) {
    cr_assert(apply((struct security){0}));
    cr_assert_null(options.tls);
    cr_assert_null(options.bearer_token);
}

Test(security, each_option_of_tls_means_tls) {
    cr_assert(apply((struct security){.tls = true}));
    cr_assert_not_null(options.tls);
    cr_assert_null(options.tls->authorities_file);
    cr_assert(apply((struct security){.authorities_file = "a"}));
    cr_assert_str_eq(options.tls->authorities_file, "a");
    cr_assert(apply((struct security){.certificate_file = "c"}));
    cr_assert_str_eq(options.tls->certificate_file, "c");
    cr_assert(apply((struct security){.key_file = "k"}));
    cr_assert_str_eq(options.tls->key_file, "k");
    cr_assert(apply((struct security){.server_name = "daybook.example"}));
    cr_assert_str_eq(options.tls->server_name, "daybook.example");
}

Test(security, a_token_is_the_text_of_its_file) {
    cr_assert(apply_token("abc.def-ghi==\n", 14));
    cr_assert_str_eq(options.bearer_token, "abc.def-ghi==");
    cr_assert(apply_token("abc \t\r\n\n", 8));
    cr_assert_str_eq(options.bearer_token, "abc");
    cr_assert(apply_token("", 0)); /* The client says what is wrong with that. */
    cr_assert_str_eq(options.bearer_token, "");
}

Test(security, a_token_that_is_no_token_is_refused) {
    cr_assert_not(apply_token("abc\0def", 7));
    expect_words(said.err, "is no text");
    char *large = calloc(1, SECURITY_TOKEN_BYTES_MAX + 1);
    cr_assert_not_null(large);
    memset(large, 'x', SECURITY_TOKEN_BYTES_MAX + 1);
    cr_assert(apply_token(large, SECURITY_TOKEN_BYTES_MAX));
    cr_assert_eq(strlen(options.bearer_token), SECURITY_TOKEN_BYTES_MAX);
    cr_assert_not(apply_token(large, SECURITY_TOKEN_BYTES_MAX + 1));
    expect_words(said.err, "has more than 8192 bytes");
    free(large);
}

Test(security, a_token_whose_file_cannot_be_read_is_refused) {
    cr_assert_not(apply((struct security){.tls = true, .token_file = "/nonexistent/token"}));
    expect_words(said.err, "cannot open /nonexistent/token");
    cr_assert_not(apply((struct security){.tls = true, .token_file = directory.path}));
    expect_words(said.err, "cannot read");
}

Test(security, a_token_is_never_sent_in_the_clear) {
    temporary_file_write(token_file.text, "abc", 3);
    cr_assert_not(apply((struct security){.token_file = token_file.text}));
    expect_words(said.err, "--tls");
    cr_assert_null(options.bearer_token);
}
