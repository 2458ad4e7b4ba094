/* Numbers of the protobuf encoding: every size, and what is none. */
#include <criterion/criterion.h>

#include "service/base/bytes.h"
#include "service/base/varint.h"

Test(varint, every_size_is_read_as_it_was_written) {
    for (unsigned bits = 0; bits < 64; bits++) {
        const uint64_t edges[] = {(UINT64_C(1) << bits) - 1, UINT64_C(1) << bits, (UINT64_C(1) << bits) + 1};
        for (size_t index = 0; index < 3; index++) {
            uint8_t encoded[16];
            const uint8_t *end = varint_write(encoded, edges[index]);
            cr_assert_eq((size_t)(end - encoded), varint_size(edges[index]));
            uint64_t value = 0;
            cr_assert_eq(varint_read(encoded, end, &value), end);
            cr_assert_eq(value, edges[index]);
            cr_assert_null(varint_read(encoded, end - 1, &value), "one that does not end");
        }
    }
    cr_assert_eq(varint_size(UINT64_MAX), 10);
}

Test(varint, what_has_more_than_64_bits_is_none) {
    const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    uint64_t value = 77;
    cr_assert_null(varint_read(too_large, too_large + sizeof too_large, &value));
    cr_assert_null(varint_read(too_long, too_long + sizeof too_long, &value));
    cr_assert_null(varint_read(too_long, too_long, &value));
    cr_assert_eq(value, 77, "untouched on failure");
}

Test(bytes, views_compare_by_what_they_hold) {
    cr_assert(bytes_equal(bytes_of_text("ab"), bytes_of("abc", 2)));
    cr_assert_not(bytes_equal(bytes_of_text("ab"), bytes_of_text("abc")));
    cr_assert(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
    cr_assert(bytes_begin_with(bytes_of_text("abc"), bytes_of_text("ab")));
    cr_assert(bytes_begin_with(bytes_of_text("abc"), bytes_of(NULL, 0)));
    cr_assert_not(bytes_begin_with(bytes_of_text("ab"), bytes_of_text("abc")));
}
