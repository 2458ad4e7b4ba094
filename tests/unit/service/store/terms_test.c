/* terms.c against an index that only remembers: the real one has its own tests. */
#include "service/store/terms.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/store/store.h"
#include "tests/support/events.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define EVENTS_COUNT 10000

struct index {
    uint64_t position;
    uint64_t fails_at; /* 0: never */
    struct index_entry *entries;
};

uint64_t index_position(struct index *index) {
    return index->position;
}

result index_add(struct index *index, uint64_t position, const struct index_entry *entries, uint32_t count) {
    cr_assert_eq(position, index->position + 1);
    cr_assert_eq(count, 3);
    if (position == index->fails_at) return failure_result(FAILURE_STORAGE);
    index->position = position;
    index->entries[position] = entries[0];
    return RESULT_OK;
}

static struct temporary_directory directory;
static struct store *store;
static struct index fake;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
    fake = (struct index){.entries = calloc(EVENTS_COUNT + 2, sizeof *fake.entries)};
}

static void teardown(void) {
    free(fake.entries);
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(terms, .init = setup, .fini = teardown);

static void expect_entry(const struct index_entry *entry, enum term_kind kind, const char *name, uint64_t number) {
    cr_assert(term_equal(entry->term, term_of(kind, bytes_of_text(name))), "%s", name);
    cr_assert_eq(entry->number, number, "%s", name);
    cr_assert_eq(entry->position, 300, "%s", name);
}

Test(terms, a_record_has_entries_of_its_stream_type_id_and_tags) {
    const char *const tags[] = {"customer:7", "product:8"};
    uint8_t buffer[256];
    const struct event_parts parts = {.id = EVENTS_ID, .type = "Sold", .tags = tags, .tags_count = 2};
    const struct record record = {.position = 300,
                                  .stream = bytes_of_text("order-42"),
                                  .revision = 7,
                                  .event = event_encode(&parts, buffer, sizeof buffer)};
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count = 0;
    cr_assert_eq(terms_of_record(&record, entries, &count).failure, FAILURE_NONE);
    cr_assert_eq(count, 5);
    expect_entry(&entries[0], TERM_STREAM, "order-42", 7);
    expect_entry(&entries[1], TERM_TYPE, "Sold", 300);
    expect_entry(&entries[2], TERM_EVENT_ID, EVENTS_ID, INDEX_ID_NUMBER);
    expect_entry(&entries[3], TERM_TAG, "customer:7", 300);
    expect_entry(&entries[4], TERM_TAG, "product:8", 300);
}

Test(terms, an_event_without_an_id_has_no_entry_for_it) {
    const struct record record = {
        .position = 300, .stream = bytes_of_text("order-42"), .revision = 7, .event = bytes_of_text("\x12\x01T")};
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count = 0;
    cr_assert_eq(terms_of_record(&record, entries, &count).failure, FAILURE_NONE);
    cr_assert_eq(count, 2);
    expect_entry(&entries[1], TERM_TYPE, "T", 300);
}

Test(terms, bytes_that_are_no_event_are_damage) {
    const struct record record = {
        .position = 300, .stream = bytes_of_text("order-42"), .revision = 7, .event = bytes_of_text("\x12\x09T")};
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count = 77;
    cr_assert_eq(terms_of_record(&record, entries, &count).failure, FAILURE_CORRUPT);
    cr_assert_eq(count, 77, "untouched on failure");
}

Test(terms, an_empty_store_adds_nothing) {
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_NONE);
    cr_assert_eq(fake.position, 0);
}

Test(terms, catching_up_adds_what_is_missing) {
    cr_assert_eq(stores_append(store, 1, EVENTS_COUNT, 20).failure, FAILURE_NONE);
    fake.position = 4321;
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_NONE);
    cr_assert_eq(fake.position, EVENTS_COUNT);
    for (uint64_t position = 4322; position <= EVENTS_COUNT; position++) {
        cr_assert_eq(fake.entries[position].position, position);
        cr_assert_eq(fake.entries[position].number, 1 + (position - 1) / 7);
    }
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_NONE);
    cr_assert_eq(stores_append(store, EVENTS_COUNT + 1, EVENTS_COUNT + 1, 20).failure, FAILURE_NONE);
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_NONE);
    cr_assert_eq(fake.position, EVENTS_COUNT + 1);
}

Test(terms, a_failure_of_the_index_is_handed_on) {
    cr_assert_eq(stores_append(store, 1, 100, 20).failure, FAILURE_NONE);
    fake.fails_at = 50;
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_STORAGE);
    cr_assert_eq(fake.position, 49);
    fake.fails_at = 0;
    cr_assert_eq(terms_catch_up(store, &fake).failure, FAILURE_NONE);
    cr_assert_eq(fake.position, 100);
}
