/* Checksums and terms are part of the format: their values are fixed for ever. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "service/base/checksum.h"

/* RFC 3720, appendix B.4. */
Test(checksum, crc32c_is_castagnolis) {
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t ascending[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t index = 0; index < 32; index++) ascending[index] = index;
    cr_assert_eq(checksum_crc32c(bytes_of(zeros, 32)), 0x8a9136aa);
    cr_assert_eq(checksum_crc32c(bytes_of(ones, 32)), 0x62a8ab43);
    cr_assert_eq(checksum_crc32c(bytes_of(ascending, 32)), 0x46dd794e);
    cr_assert_eq(checksum_crc32c(bytes_of_text("123456789")), 0xe3069283);
}

/* ISA-L takes other ways for other lengths and processors: every length against the definition, bit by bit. */
static uint32_t crc32c_by_definition(const uint8_t *data, size_t size) {
    uint32_t crc = 0xffffffff;
    for (size_t index = 0; index < size; index++) {
        crc ^= data[index];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

Test(checksum, crc32c_of_every_length) {
    uint8_t data[1200];
    for (size_t index = 0; index < sizeof data; index++) data[index] = (uint8_t)(index * 131 + 7);
    for (size_t size = 1; size <= sizeof data; size++) {
        cr_assert_eq(checksum_crc32c(bytes_of(data, size)), crc32c_by_definition(data, size), "%zu bytes", size);
    }
}

static void expect_term(enum term_kind kind, const char *text, const char *hexadecimal) {
    const struct term term = term_of(kind, bytes_of_text(text));
    char actual[33];
    for (size_t index = 0; index < 16; index++) (void)snprintf(actual + 2 * index, 3, "%02x", term.bytes[index]);
    cr_assert_str_eq(actual, hexadecimal);
}

/* Computed by another program with xxHash's XXH3-128, the kind as its seed: what was indexed yesterday is found today. */
Test(checksum, terms_never_change) {
    expect_term(TERM_STREAM, "order-42", "d07cfff3d0913463863f859737187e30");
    expect_term(TERM_TYPE, "order-42", "f62dc8855e49cf15ba5e1bb1ad7b1020");
    expect_term(TERM_EVENT_ID, "", "499e6a3d71eee307d8a906987dfb34e2");
}

Test(checksum, kinds_have_terms_of_their_own) {
    const struct term stream = term_of(TERM_STREAM, bytes_of_text("order"));
    cr_assert(term_equal(stream, term_of(TERM_STREAM, bytes_of_text("order"))));
    cr_assert_not(term_equal(stream, term_of(TERM_TAG, bytes_of_text("order"))));
    cr_assert_not(term_equal(stream, term_of(TERM_STREAM, bytes_of_text("orders"))));
}
