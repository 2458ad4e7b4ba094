/* The digest of parts is that of the whole, and the one that the rest of the world computes. */
#include "service/base/digest.h"

#include <criterion/criterion.h>

#include "tests/support/random.h"

static void expect_text(const struct digest *digest, const char *expected) {
    char text[DIGEST_TEXT_BYTES + 1];
    digest_text(digest, text);
    cr_assert_str_eq(text, expected);
}

Test(digest, is_xxh3_128) {
    struct digest *digest = NULL;
    cr_assert_eq(digest_new(&digest).failure, FAILURE_NONE);
    expect_text(digest, "99aa06d3014798d86001c324468d497f"); /* of nothing, as xxhsum prints it */
    digest_add(digest, bytes_of(NULL, 0));
    expect_text(digest, "99aa06d3014798d86001c324468d497f");
    digest_free(digest);
}

Test(digest, parts_make_the_whole) {
    static uint8_t bytes[10000];
    struct random random = random_start("digest_test");
    struct digest *whole = NULL;
    struct digest *parts = NULL;
    char text[DIGEST_TEXT_BYTES + 1];
    random_fill(&random, bytes, sizeof bytes);
    cr_assert_eq(digest_new(&whole).failure, FAILURE_NONE);
    cr_assert_eq(digest_new(&parts).failure, FAILURE_NONE);
    digest_add(whole, bytes_of(bytes, sizeof bytes));
    digest_text(whole, text);
    for (size_t at = 0; at < sizeof bytes;) {
        size_t size = (size_t)random_below(&random, 700) + 1;
        if (size > sizeof bytes - at) size = sizeof bytes - at;
        digest_add(parts, bytes_of(bytes + at, size));
        at += size;
        uint8_t so_far[DIGEST_BYTES];
        digest_value(parts, so_far); /* changes nothing */
    }
    expect_text(parts, text);
    digest_free(parts);
    digest_free(whole);
    cr_assert_null(digest_free(NULL));
}
