/* The record at a position: from memory while the tail has it, from the disk else, the same bytes. */
#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/feed/source.h"
#include "service/store/store.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define RECORDS_COUNT 100
#define PAYLOAD_BYTES 50

static struct temporary_directory directory;
static struct store *store;
static struct store_reader *reader;
static struct tail tail;
static struct source source;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, RECORDS_COUNT, PAYLOAD_BYTES).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(tail_init(&tail, MIB(1), 16).failure, FAILURE_NONE);
    source_begin(&source, &tail, reader);
}

static void teardown(void) {
    source_end(&source);
    tail_deinit(&tail);
    store_reader_close(reader);
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(source, .init = setup, .fini = teardown);

static void publish(uint64_t first, uint64_t last) {
    struct chunk *chunk;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    for (uint64_t position = first; position <= last; position++) {
        const struct bytes record = stores_record(position, PAYLOAD_BYTES);
        cr_assert_eq(chunk_append_encoded(chunk, position, record).failure, FAILURE_NONE);
        stores_record_free(record);
    }
    tail_publish(&tail, chunk);
    chunk_unref(chunk);
}

static struct bytes get(uint64_t position) {
    struct bytes found;
    cr_assert_eq(source_get(&source, position, &found).failure, FAILURE_NONE);
    return found;
}

static void expect_is(struct bytes found, uint64_t position) {
    const struct bytes expected = stores_record(position, PAYLOAD_BYTES);
    cr_assert(bytes_equal(found, expected), "position %lu", (unsigned long)position);
    stores_record_free(expected);
}

Test(source, memory_has_what_the_tail_has) {
    publish(91, 95);
    publish(96, 100);
    for (uint64_t position = 91; position <= 100; position++) expect_is(get(position), position);
    cr_assert_eq(source.tail_records_count, 10);
    cr_assert_eq(source.log_records_count, 0);
}

Test(source, the_disk_has_the_rest) {
    publish(91, 100);
    for (uint64_t position = 1; position <= 90; position++) expect_is(get(position), position);
    cr_assert_eq(source.log_records_count, 90);
    cr_assert_eq(source.tail_records_count, 0);
}

Test(source, a_step_goes_on_beyond_its_snapshot_in_memory) {
    expect_is(get(100), 100);
    cr_assert_eq(source.log_records_count, 1);
    cr_assert_eq(stores_append(store, 101, 110, PAYLOAD_BYTES).failure, FAILURE_NONE);
    publish(101, 110);
    for (uint64_t position = 101; position <= 110; position++) expect_is(get(position), position);
    cr_assert_eq(source.tail_records_count, 10);
}

Test(source, neighbours_stay_valid_over_the_end_of_a_chunk) {
    publish(96, 98);
    publish(99, 100);
    const struct bytes before = get(98);
    const struct bytes after = get(99);
    publish(101, 101);
    expect_is(before, 98);
    expect_is(after, 99);
}

Test(source, backwards_too) {
    publish(96, 98);
    publish(99, 100);
    for (uint64_t position = 100; position >= 90; position--) expect_is(get(position), position);
}

Test(source, a_gap_is_damage) {
    struct bytes found = bytes_of_text("untouched");
    cr_assert_eq(source_get(&source, RECORDS_COUNT + 1, &found).failure, FAILURE_CORRUPT);
    cr_assert(bytes_equal(found, bytes_of_text("untouched")));
}
