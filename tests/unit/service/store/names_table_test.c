/* Names of some events in memory: counts, order, and when a table is full. */
#include "service/store/names_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/events.h"
#include "tests/support/random.h"

#define NAMES_COUNT_MAX 4000

static struct names_table *table_new(uint64_t position_first, uint32_t events_count_max) {
    struct names_table *table = NULL;
    cr_assert_eq(names_table_new(position_first, events_count_max, &table).failure, FAILURE_NONE);
    return table;
}

/* Adds an event to the stream, with a type and tags, all of which may be missing. */
static result event_add(struct names_table *table, const char *stream, const char *type, const char *const *tags,
                        uint32_t tags_count, uint64_t bytes) {
    static uint8_t event[32768];
    const struct event_parts parts = {.id = EVENTS_ID, .type = type, .tags = tags, .tags_count = tags_count};
    const struct record record = {.position = names_table_position_last(table) + 1,
                                  .stream = bytes_of_text(stream),
                                  .revision = 1,
                                  .event = event_encode(&parts, event, sizeof event)};
    return names_table_add(table, &record, bytes);
}

static void expect_name(const struct names_table *table, enum term_kind kind, const char *name,
                        const struct name_figures *expected) {
    struct name_figures figures;
    cr_assert(names_table_find(table, kind, bytes_of_text(name), &figures), "%s", name);
    cr_assert_eq(figures.events_count, expected->events_count, "%s", name);
    cr_assert_eq(figures.bytes_count, expected->bytes_count, "%s", name);
    cr_assert_eq(figures.position_first, expected->position_first, "%s", name);
    cr_assert_eq(figures.position_last, expected->position_last, "%s", name);
}

#define EXPECT_NAME(table, kind, name, events, bytes, first, last)                                                     \
    expect_name(                                                                                                       \
        table, kind, name,                                                                                             \
        &(const struct name_figures){                                                                                  \
            .events_count = (events), .bytes_count = (bytes), .position_first = (first), .position_last = (last)})

Test(names_table, names_are_counted_by_kind) {
    struct names_table *table = table_new(7, 100);
    cr_assert_eq(names_table_position_last(table), 6);
    const char *const tags[] = {"a", "b", "a"};
    cr_assert_eq(event_add(table, "a", "a", tags, 3, 10).failure, FAILURE_NONE);
    cr_assert_eq(event_add(table, "a", "b", tags, 1, 20).failure, FAILURE_NONE);
    cr_assert_eq(event_add(table, "b", NULL, NULL, 0, 40).failure, FAILURE_NONE);
    EXPECT_NAME(table, TERM_STREAM, "a", 2, 30, 7, 8);
    EXPECT_NAME(table, TERM_STREAM, "b", 1, 40, 9, 9);
    EXPECT_NAME(table, TERM_TYPE, "a", 1, 10, 7, 7);
    EXPECT_NAME(table, TERM_TYPE, "b", 1, 20, 8, 8);
    EXPECT_NAME(table, TERM_TAG, "a", 2, 30, 7, 8); /* twice on one event is one event */
    EXPECT_NAME(table, TERM_TAG, "b", 1, 10, 7, 7);
    cr_assert_eq(names_table_count(table), 6);
    cr_assert_eq(names_table_position_first(table), 7);
    cr_assert_eq(names_table_position_last(table), 9);
    struct name_figures figures;
    cr_assert_not(names_table_find(table, TERM_TAG, bytes_of_text("c"), &figures));
    cr_assert_not(names_table_find(table, TERM_TAG, bytes_of_text("ab"), &figures));
    cr_assert_null(names_table_free(table));
}

Test(names_table, what_is_no_event_is_refused_and_changes_nothing) {
    struct names_table *table = table_new(1, 100);
    char long_name[257];
    memset(long_name, 'x', 256);
    long_name[256] = '\0';
    cr_assert_eq(event_add(table, long_name, "T", NULL, 0, 1).failure, FAILURE_CORRUPT);
    cr_assert_eq(event_add(table, "s", long_name, NULL, 0, 1).failure, FAILURE_CORRUPT);
    const char *const tags[] = {long_name};
    cr_assert_eq(event_add(table, "s", "T", tags, 1, 1).failure, FAILURE_CORRUPT);
    const struct record record = {.position = 1, .stream = bytes_of_text("s"), .event = bytes_of_text("\x12\x7fshort")};
    cr_assert_eq(names_table_add(table, &record, 1).failure, FAILURE_CORRUPT);
    cr_assert_eq(names_table_count(table), 0);
    struct name_figures figures;
    cr_assert_not(names_table_find(table, TERM_STREAM, bytes_of_text("s"), &figures));
    long_name[255] = '\0';
    cr_assert_eq(event_add(table, long_name, long_name, tags, 1, 1).failure, FAILURE_NONE);
    cr_assert_eq(names_table_count(table), 3);
    names_table_free(table);
}

Test(names_table, it_is_full_by_events) {
    struct names_table *table = table_new(1, 3);
    for (int event = 0; event < 3; event++) {
        cr_assert_not(names_table_is_full(table));
        cr_assert_eq(event_add(table, "s", "T", NULL, 0, 1).failure, FAILURE_NONE);
    }
    cr_assert(names_table_is_full(table));
    names_table_free(table);
}

/* Events with as many and as long names as there may be. */
static uint32_t events_until_full(void) {
    static char names[TAGS_COUNT_MAX][256];
    const char *tags[TAGS_COUNT_MAX];
    struct names_table *table = table_new(1, INDEX_RUN_EVENTS_COUNT);
    uint32_t count = 0;
    while (!names_table_is_full(table)) {
        for (uint32_t tag = 0; tag < TAGS_COUNT_MAX; tag++) {
            memset(names[tag], 't', 240);
            (void)snprintf(names[tag] + 240, 16, "%08u%07u", count, tag);
            tags[tag] = names[tag];
        }
        cr_assert_eq(event_add(table, "s", "T", tags, TAGS_COUNT_MAX, 1).failure, FAILURE_NONE);
        count++;
    }
    cr_assert_eq(names_table_count(table), count * TAGS_COUNT_MAX + 2);
    names_table_free(table);
    return count;
}

Test(names_table, it_is_full_by_bytes_and_always_at_the_same_event) {
    const uint32_t count = events_until_full();
    cr_assert_lt(count, NAMES_TABLE_BYTES_MAX / (TAGS_COUNT_MAX * 255) + 1);
    cr_assert_gt(count, NAMES_TABLE_BYTES_MAX / (TAGS_COUNT_MAX * 320));
    cr_assert_eq(events_until_full(), count);
}

static int compare(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The order is that of the bytes, and seek finds every place in it. */
static void expect_order(const struct names_table *table, const char **names, uint32_t count) {
    qsort(names, count, sizeof *names, compare);
    cr_assert_eq(names_table_count(table), count);
    for (uint32_t place = 0; place < count; place++) {
        const struct names_entry entry = names_table_at(table, place);
        char name[257];
        cr_assert_leq(entry.key.size, sizeof name);
        cr_assert_eq(entry.key.data[0], TERM_STREAM);
        memcpy(name, entry.key.data + 1, entry.key.size - 1);
        name[entry.key.size - 1] = '\0';
        cr_assert_str_eq(name, names[place]);
        cr_assert_eq(names_table_seek(table, entry.key), place);
        const struct bytes shorter = bytes_of(entry.key.data, entry.key.size - 1);
        const uint32_t found = names_table_seek(table, shorter);
        cr_assert(found <= place);
        cr_assert(found == 0 || names_key_compare(names_table_at(table, found - 1).key, shorter) < 0);
        cr_assert(names_key_compare(names_table_at(table, found).key, shorter) >= 0);
    }
}

/* Names that differ early, late, and by their length alone, around every multiple of eight bytes. */
static void name_make(struct random *random, char name[256]) {
    size_t size = 1 + random_below(random, random_below(random, 4) == 0 ? 255 : 30);
    for (size_t at = 0; at < size; at++) name[at] = at + 3 < size ? 'n' : "a\x01\xff~n"[random_below(random, 5)];
    name[size] = '\0';
}

Test(names_table, the_order_is_that_of_the_bytes_and_follows_what_is_added) {
    struct random random = random_start("names_table order");
    static char names[NAMES_COUNT_MAX][256];
    static const char *sorted[NAMES_COUNT_MAX];
    struct names_table *table = table_new(1, 10 * NAMES_COUNT_MAX);
    cr_assert_eq(names_table_sort(table).failure, FAILURE_NONE);
    cr_assert_eq(names_table_seek(table, bytes_of_text("\x01z")), 0);
    uint32_t count = 0;
    for (int round = 0; round < 12; round++) {
        for (uint64_t more = random_below(&random, 1u << round); more > 0 && count < NAMES_COUNT_MAX; more--) {
            name_make(&random, names[count]);
            const uint32_t before = names_table_count(table);
            cr_assert_eq(event_add(table, names[count], NULL, NULL, 0, 1).failure, FAILURE_NONE);
            if (names_table_count(table) == before) continue;
            sorted[count] = names[count];
            count++;
        }
        cr_assert_eq(names_table_sort(table).failure, FAILURE_NONE);
        expect_order(table, sorted, count);
    }
    cr_assert_gt(count, 100);
    names_table_free(table);
}

Test(names_table, a_name_that_ends_comes_before_one_that_goes_on_with_zeros) {
    static const uint8_t zeros[] = "aaaaaaa\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    struct names_table *table = table_new(1, 100);
    static uint8_t event[128];
    const struct event_parts parts = {.id = EVENTS_ID};
    for (size_t size = sizeof zeros; size > 0; size--) {
        const struct record record = {.position = names_table_position_last(table) + 1,
                                      .stream = bytes_of(zeros, size),
                                      .event = event_encode(&parts, event, sizeof event)};
        cr_assert_eq(names_table_add(table, &record, 1).failure, FAILURE_NONE);
    }
    cr_assert_eq(names_table_sort(table).failure, FAILURE_NONE);
    for (uint32_t place = 0; place < sizeof zeros; place++) {
        cr_assert_eq(names_table_at(table, place).key.size, 1 + 1 + place);
    }
    names_table_free(table);
}

Test(names_table, the_kind_comes_before_the_name) {
    struct names_table *table = table_new(1, 10);
    const char *const tags[] = {"a"};
    cr_assert_eq(event_add(table, "z", "m", tags, 1, 1).failure, FAILURE_NONE);
    cr_assert_eq(names_table_sort(table).failure, FAILURE_NONE);
    static const char *const keys[] = {"\x01z", "\x02m",
                                       "\x03"
                                       "a"};
    for (uint32_t place = 0; place < 3; place++) {
        cr_assert(bytes_equal(names_table_at(table, place).key, bytes_of_text(keys[place])));
    }
    names_table_free(table);
}

Test(names_table, keys_are_compared_as_lmdb_does) {
    cr_assert_lt(names_key_compare(bytes_of_text("a"), bytes_of_text("b")), 0);
    cr_assert_gt(names_key_compare(bytes_of_text("\xff"), bytes_of_text("b")), 0);
    cr_assert_lt(names_key_compare(bytes_of_text("a"), bytes_of_text("aa")), 0);
    cr_assert_gt(names_key_compare(bytes_of_text("aa"), bytes_of_text("a")), 0);
    cr_assert_eq(names_key_compare(bytes_of_text("aa"), bytes_of_text("aa")), 0);
    cr_assert_lt(names_key_compare(bytes_of(NULL, 0), bytes_of_text("a")), 0);
}
