#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "service/base/varint.h"
#include "service/record/record.h"
#include "tests/support/events.h"
#include "tests/support/random.h"

#define RANDOM_ROUNDS 50000

static const char *const EXAMPLE_TAGS[] = {"product:85123A", "country:FR"};
static const struct event_parts EXAMPLE = {
    .id = EVENTS_ID,
    .type = "ProductSold",
    .tags = EXAMPLE_TAGS,
    .tags_count = 2,
    .data = {.data = (const uint8_t *)"{\"quantity\":6}", .size = 14},
};

static bool is(struct bytes bytes, const char *text) {
    return bytes_equal(bytes, bytes_of_text(text));
}

static void expect(const char *what, struct bytes event, enum failure failure) {
    struct event_fields fields;
    uint8_t *copy = malloc(event.size == 0 ? 1 : event.size);
    if (event.size > 0) memcpy(copy, event.data, event.size);
    const result outcome = record_event_fields(bytes_of(copy, event.size), &fields);
    cr_assert_eq(outcome.failure, failure, "%s", what);
    free(copy);
}

Test(event_fields, finds_what_is_there) {
    uint8_t buffer[256];
    struct event_fields fields;
    cr_assert_eq(record_event_fields(event_encode(&EXAMPLE, buffer, sizeof buffer), &fields).failure, FAILURE_NONE);
    cr_assert(is(fields.id, EVENTS_ID));
    cr_assert(is(fields.type, "ProductSold"));
    cr_assert_eq(fields.tags_count, 2);
    cr_assert(is(fields.tags[0], "product:85123A"));
    cr_assert(is(fields.tags[1], "country:FR"));
}

Test(event_fields, an_empty_event_has_none) {
    struct event_fields fields;
    cr_assert_eq(record_event_fields(bytes_of(NULL, 0), &fields).failure, FAILURE_NONE);
    cr_assert_eq(fields.id.size + fields.type.size + fields.tags_count, 0);
}

Test(event_fields, the_last_of_a_singular_field_counts) {
    uint8_t buffer[64];
    uint8_t *end = event_field_write(buffer, 2, bytes_of_text("First"));
    end = event_field_write(end, 2, bytes_of_text("Second"));
    struct event_fields fields;
    cr_assert_eq(record_event_fields(bytes_of(buffer, (size_t)(end - buffer)), &fields).failure, FAILURE_NONE);
    cr_assert(is(fields.type, "Second"));
}

/* Fields of each wire type that this version does not know, around one that it does; and field 2 as a number, which
 * every decoder takes for unknown. */
Test(event_fields, unknown_fields_are_stepped_over) {
    static const char event[] = "\x98\x06\x96\x01"                          /* 99: a number */
                                "\x99\x06"                                  /* 99: eight bytes */
                                "\x12\x01x\x12\x01x\x12\x01"                /*     that look like field 2 */
                                "\x9d\x06\x12\x01xx"                        /* 99: four bytes */
                                "\x9a\x06\x03\x12\x01x"                     /* 99: bytes */
                                "\x9b\x06\x12\x01z\xa3\x06\xa4\x06\x9c\x06" /* 99: a group with field 2 and group 100 */
                                "\x10\x05"                                  /* 2 as a number */
                                "\x12\x04Sold";
    struct event_fields fields;
    cr_assert_eq(record_event_fields(bytes_of(event, sizeof event - 1), &fields).failure, FAILURE_NONE);
    cr_assert(is(fields.type, "Sold"));
}

Test(event_fields, malformed_events_are_corrupt) {
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"length over the end", "\x12\x05Sold", 6},
        {"length of 2^63", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fSold", 14},
        {"no length", "\x12", 1},
        {"field 0", "\x02\x00", 2},
        {"field 2^29", "\x82\x80\x80\x80\x10\x00", 6},
        {"wire type 6", "\x16\x00", 2},
        {"wire type 7", "\x17\x00", 2},
        {"end of a group that never began", "\x9c\x06", 2},
        {"group without end", "\x9b\x06\x08\x01", 4},
        {"group with another's end", "\x9b\x06\xa4\x06", 4},
        {"eight bytes cut short", "\x99\x06\x01\x02\x03", 5},
        {"four bytes cut short", "\x9d\x06\x01\x02\x03", 5},
        {"id of three bytes", "\x0a\x03xyz", 5},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        expect(cases[index].what, bytes_of(cases[index].bytes, cases[index].size), FAILURE_CORRUPT);
    }
}

Test(event_fields, groups_nest_to_a_limit) {
    uint8_t event[2 * 2 * 101];
    for (size_t depth = 1; depth <= 101; depth++) {
        uint8_t *end = event;
        for (size_t index = 0; index < depth; index++) end = varint_write(end, 99 << 3 | 3);
        for (size_t index = 0; index < depth; index++) end = varint_write(end, 99 << 3 | 4);
        expect("depth", bytes_of(event, (size_t)(end - event)), depth <= 100 ? FAILURE_NONE : FAILURE_CORRUPT);
    }
}

Test(event_fields, names_and_tags_have_limits) {
    uint8_t event[(TAGS_COUNT_MAX + 1) * 3 + 300];
    uint8_t name[NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    for (uint32_t number = 2; number <= 3; number++) {
        const uint8_t *end = event_field_write(event, number, bytes_of(name, NAME_BYTES_MAX));
        expect("a name of 255 bytes", bytes_of(event, (size_t)(end - event)), FAILURE_NONE);
        end = event_field_write(event, number, bytes_of(name, NAME_BYTES_MAX + 1));
        expect("a name of 256 bytes", bytes_of(event, (size_t)(end - event)), FAILURE_CORRUPT);
    }
    uint8_t *end = event;
    for (uint32_t count = 1; count <= TAGS_COUNT_MAX + 1; count++) {
        end = event_field_write(end, 3, bytes_of_text("t"));
        expect("tags", bytes_of(event, (size_t)(end - event)),
               count <= TAGS_COUNT_MAX ? FAILURE_NONE : FAILURE_CORRUPT);
    }
}

Test(event_fields, truncations_and_random_bytes_do_no_harm) {
    struct random random = random_start("event_fields");
    uint8_t buffer[256];
    const struct bytes event = event_encode(&EXAMPLE, buffer, sizeof buffer);
    for (uint32_t round = 0; round < RANDOM_ROUNDS; round++) {
        const size_t size = random_below(&random, event.size + 1);
        uint8_t *copy = malloc(size == 0 ? 1 : size);
        memcpy(copy, event.data, size);
        for (uint32_t flip = 0; size > 0 && flip < round % 4; flip++) {
            copy[random_below(&random, size)] = (uint8_t)random_next(&random);
        }
        struct event_fields fields;
        if (!failed(record_event_fields(bytes_of(copy, size), &fields))) {
            cr_assert_leq(fields.tags_count, TAGS_COUNT_MAX);
            for (uint32_t tag = 0; tag < fields.tags_count; tag++) {
                cr_assert(fields.tags[tag].data >= copy &&
                          fields.tags[tag].data + fields.tags[tag].size <= copy + size);
            }
        }
        free(copy);
    }
}

Test(event_fields, a_field_is_held_at_the_top_level_and_with_a_length) {
    /* A number, a fixed one, a group with a field 8 inside, and a field 9: none of them is an 8 with a length. */
    static const uint8_t others[] = {0x40, 0x05, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 0x3b, 0x42, 0x01, 'x', 0x3c, 0x4a, 0};
    uint8_t buffer[64];
    memcpy(buffer, others, sizeof others);
    cr_assert_not(record_fields_hold(bytes_of(NULL, 0), 8));
    cr_assert_not(record_fields_hold(bytes_of(others, sizeof others), 8));
    cr_assert(record_fields_hold(bytes_of(others, sizeof others), 9));
    const uint8_t *end = event_field_write(buffer + sizeof others, 8, bytes_of(NULL, 0));
    cr_assert(record_fields_hold(bytes_of(buffer, (size_t)(end - buffer)), 8));
}

Test(event_fields, malformed_fields_hold_nothing) {
    static const uint8_t cut[] = {0x08, 0x42, 0x05, 'x'};
    static const uint8_t stray_end[] = {0x3c, 0x42, 0x00};
    cr_assert_not(record_fields_hold(bytes_of(cut + 1, sizeof cut - 1), 8));
    cr_assert_not(record_fields_hold(bytes_of(stray_end, sizeof stray_end), 8));
}
