#include "tests/model/responses.h"

#include <criterion/criterion.h>

#include "service/base/varint.h"

/* Reads one field: a record (field 1) or a number. Returns the first byte after it. */
static const uint8_t *field_read(const uint8_t *at, const uint8_t *end, uint64_t *ret_number, struct bytes *ret_record,
                                 uint64_t *ret_value) {
    uint64_t tag;
    at = varint_read(at, end, &tag);
    cr_assert_not_null(at);
    at = varint_read(at, end, ret_value);
    cr_assert_not_null(at);
    *ret_number = tag >> 3;
    cr_assert_lt(*ret_number, 8);
    if (*ret_number != 1) {
        cr_assert_eq(tag & 7, 0);
        return at;
    }
    cr_assert_eq(tag & 7, 2);
    cr_assert_leq(*ret_value, (uint64_t)(end - at));
    *ret_record = bytes_of(at, *ret_value);
    return at + *ret_value;
}

struct response response_read(struct bytes encoded) {
    struct response response = {.rest = encoded};
    const uint8_t *end = encoded.data + encoded.size;
    for (const uint8_t *at = encoded.data; at < end;) {
        uint64_t number;
        uint64_t value;
        struct bytes record;
        at = field_read(at, end, &number, &record, &value);
        if (number != 1) response.fields[number] = value;
    }
    return response;
}

bool response_take(struct response *response, struct bytes *ret_record) {
    const uint8_t *at = response->rest.data;
    const uint8_t *end = at + response->rest.size;
    while (at < end) {
        uint64_t number;
        uint64_t value;
        at = field_read(at, end, &number, ret_record, &value);
        response->rest = bytes_of(at, (size_t)(end - at));
        if (number == 1) return true;
    }
    return false;
}
