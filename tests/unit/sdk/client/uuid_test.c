/* UUIDs of version 7: their form, their time, and that each is greater than the one before. */
#include "sdk/client/uuid.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_MS UINT64_C(0x01890a5dac96)

static void next(struct uuid_source *source, uint64_t unix_ms, char ret_text[UUID_TEXT_BYTES + 1]) {
    cr_assert(daybook__uuid_next(source, unix_ms, ret_text));
    ret_text[UUID_TEXT_BYTES] = '\0';
}

static uint64_t time_of(const char *text) {
    char digits[13] = {0};
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    return strtoull(digits, NULL, 16);
}

Test(uuid, it_has_the_form_and_the_time_of_version_seven) {
    struct uuid_source source = {0};
    char text[UUID_TEXT_BYTES + 1];
    for (int count = 0; count < 100; count++) {
        next(&source, UNIX_MS + (uint64_t)count, text);
        for (size_t index = 0; index < UUID_TEXT_BYTES; index++) {
            const bool is_dash = index == 8 || index == 13 || index == 18 || index == 23;
            cr_assert(is_dash ? text[index] == '-' : strchr("0123456789abcdef", text[index]) != NULL, "%s", text);
        }
        cr_assert_eq(text[14], '7');
        cr_assert_not_null(strchr("89ab", text[19]));
        cr_assert_eq(time_of(text), UNIX_MS + (uint64_t)count);
    }
}

Test(uuid, each_is_greater_than_the_one_before_whatever_the_clock_does) {
    struct uuid_source source = {0};
    char before[UUID_TEXT_BYTES + 1];
    char text[UUID_TEXT_BYTES + 1];
    next(&source, UNIX_MS, before);
    for (uint64_t count = 0; count < 20000; count++) {
        /* It stands still for long, goes on a little, and goes back. */
        next(&source, UNIX_MS + count / 9000 - count % 3, text);
        cr_assert_lt(strcmp(before, text), 0, "%s, then %s", before, text);
        memcpy(before, text, sizeof text);
    }
    cr_assert_leq(time_of(text), UNIX_MS + 20000 / 2048, "the time goes ahead no more than it must");
}

Test(uuid, two_sources_share_nothing_but_the_time) {
    struct uuid_source one = {0};
    struct uuid_source other = {0};
    char text[UUID_TEXT_BYTES + 1];
    char other_text[UUID_TEXT_BYTES + 1];
    next(&one, UNIX_MS, text);
    next(&other, UNIX_MS, other_text);
    cr_assert_neq(strcmp(text + 19, other_text + 19), 0);
}
