/* Ids are UUIDs: read in any version and case, made as version 7. */
#include <criterion/criterion.h>

#include "service/base/clock.h"
#include "service/base/uuid.h"

static void expect_refused(const char *text) {
    struct uuid uuid = {.bytes = {1, 2, 3}};
    cr_assert_eq(uuid_parse(bytes_of_text(text), &uuid).failure, FAILURE_INPUT, "%s", text);
    cr_assert_eq(uuid.bytes[2], 3, "untouched on failure");
}

Test(uuid, is_read_and_written) {
    static const char text[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    struct uuid uuid;
    cr_assert_eq(uuid_parse(bytes_of_text(text), &uuid).failure, FAILURE_NONE);
    cr_assert_eq(uuid.bytes[0], 0x01);
    cr_assert_eq(uuid.bytes[15], 0x57);
    char written[UUID_TEXT_BYTES];
    uuid_format(&uuid, written);
    cr_assert_eq(memcmp(written, text, UUID_TEXT_BYTES), 0);
}

Test(uuid, upper_case_is_the_same_id) {
    struct uuid lower;
    struct uuid upper;
    cr_assert_not(failed(uuid_parse(bytes_of_text("abcdefab-cdef-abcd-efab-cdefabcdefab"), &lower)));
    cr_assert_not(failed(uuid_parse(bytes_of_text("ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB"), &upper)));
    cr_assert_eq(memcmp(&lower, &upper, sizeof lower), 0);
}

Test(uuid, everything_else_is_refused) {
    expect_refused("");
    expect_refused("01890a5d-ac96-774b-bcce-b302099a805");
    expect_refused("01890a5d-ac96-774b-bcce-b302099a80577");
    expect_refused("01890a5dac96-774b-bcce-b302099a8057-");
    expect_refused("01890a5d-ac96-774b-bcce-b302099a805g");
    expect_refused("01890a5d_ac96_774b_bcce_b302099a8057");
    expect_refused("{1890a5d-ac96-774b-bcce-b302099a805}");
}

static uint64_t milliseconds_of(const struct uuid *uuid) {
    uint64_t milliseconds = 0;
    for (unsigned index = 0; index < 6; index++) milliseconds = milliseconds << 8 | uuid->bytes[index];
    return milliseconds;
}

/* RFC 9562, section 5.7. */
Test(uuid, a_new_one_is_of_version_7_and_of_now) {
    const uint64_t before = (uint64_t)(clock_wall_ns() / 1000000);
    const struct uuid uuid = uuid_new();
    const uint64_t after = (uint64_t)(clock_wall_ns() / 1000000);
    cr_assert_eq(uuid.bytes[6] >> 4, 7);
    cr_assert_eq(uuid.bytes[8] >> 6, 2);
    cr_assert_geq(milliseconds_of(&uuid), before);
    cr_assert_leq(milliseconds_of(&uuid), after);
}

/* More than one fill of the pool of random bytes. */
Test(uuid, new_ones_differ) {
    static struct uuid uuids[5000];
    for (size_t index = 0; index < 5000; index++) uuids[index] = uuid_new();
    for (size_t one = 0; one < 5000; one++) {
        for (size_t other = one + 1; other < 5000; other++) {
            cr_assert_neq(memcmp(&uuids[one], &uuids[other], sizeof uuids[one]), 0);
        }
    }
}
