/* Rows of streams on disk, and what they hide. */
#include <criterion/criterion.h>
#include <lmdb.h>
#include <stdio.h>

#include "service/record/remains.h"
#include "service/store/store.h"
#include "service/store/visibility.h"
#include "tests/support/events.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define SECOND_NS INT64_C(1000000000)

static struct temporary_directory directory;
static struct store *store;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
}

static void teardown(void) {
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(streams, .init = setup, .fini = teardown);

static struct stream_row example(void) {
    return (struct stream_row){.state = STREAM_DELETED,
                               .first_revision = 9,
                               .removed_before = 5,
                               .max_age_seconds = 3600,
                               .max_count = 1000,
                               .truncate_before = 3,
                               .metadata = bytes_of_text("owner")};
}

static void put(const char *stream, const struct stream_row *row) {
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_put(store, bytes_of_text(stream), row).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

static struct store_reader *snapshot(void) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    return reader;
}

static void snapshot_end(struct store_reader *reader) {
    store_reader_end(reader);
    store_reader_close(reader);
}

static void expect_equal(const struct stream_row *left, const struct stream_row *right) {
    cr_assert_eq(left->state, right->state);
    cr_assert_eq(left->first_revision, right->first_revision);
    cr_assert_eq(left->removed_before, right->removed_before);
    cr_assert_eq(left->max_age_seconds, right->max_age_seconds);
    cr_assert_eq(left->max_count, right->max_count);
    cr_assert_eq(left->truncate_before, right->truncate_before);
    cr_assert(bytes_equal(left->metadata, right->metadata));
}

Test(streams, a_row_is_kept_through_a_restart) {
    const struct stream_row expected = example();
    struct stream_row row;
    put("order-1", &expected);
    for (int round = 0; round < 2; round++) {
        struct store_reader *reader = snapshot();
        cr_assert_eq(store_reader_stream(reader, bytes_of_text("order-1"), &row).failure, FAILURE_NONE);
        expect_equal(&row, &expected);
        cr_assert_eq(store_reader_stream(reader, bytes_of_text("order-2"), &row).failure, FAILURE_NOT_FOUND);
        snapshot_end(reader);
        store_close(store);
        store = stores_open(directory.path);
        cr_assert(store_has_streams(store));
    }
}

Test(streams, the_transaction_sees_its_own_row_and_an_abort_takes_it_back) {
    struct stream_row row = example();
    cr_assert_not(store_has_streams(store));
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_get(store, bytes_of_text("order-1"), &row).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(store_stream_put(store, bytes_of_text("order-1"), &row).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_get(store, bytes_of_text("order-1"), &row).failure, FAILURE_NONE);
    /* With the metadata of the row that it replaces. */
    row.max_count = 7;
    cr_assert_eq(store_stream_put(store, bytes_of_text("order-1"), &row).failure, FAILURE_NONE);
    struct stream_row again;
    cr_assert_eq(store_stream_get(store, bytes_of_text("order-1"), &again).failure, FAILURE_NONE);
    cr_assert_eq(again.max_count, 7);
    cr_assert(bytes_equal(again.metadata, bytes_of_text("owner")));
    store_abort(store);
    struct store_reader *reader = snapshot();
    cr_assert_eq(store_reader_stream(reader, bytes_of_text("order-1"), &row).failure, FAILURE_NOT_FOUND);
    snapshot_end(reader);
}

Test(streams, rows_are_walked_by_name) {
    static const char *const names[] = {"a", "ab", "b"};
    const struct stream_row row = example();
    for (size_t index = 3; index > 0; index--) put(names[index - 1], &row);
    struct store_reader *reader = snapshot();
    struct bytes name = bytes_of(NULL, 0);
    struct stream_row found;
    for (size_t index = 0; index < 3; index++) {
        cr_assert_eq(store_reader_stream_after(reader, name, &name, &found).failure, FAILURE_NONE);
        cr_assert(bytes_equal(name, bytes_of_text(names[index])));
        expect_equal(&found, &row);
    }
    cr_assert_eq(store_reader_stream_after(reader, name, &name, &found).failure, FAILURE_NOT_FOUND);
    snapshot_end(reader);
}

/* Changes one byte of the stored row, behind the store's back. */
static void row_damage(size_t at) {
    const struct temporary_path path = temporary_path(&directory, "log");
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    cr_assert_eq(mdb_env_create(&environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(environment, 8), 0);
    cr_assert_eq(mdb_env_set_mapsize(environment, STORES_MAP_BYTES), 0);
    cr_assert_eq(mdb_env_open(environment, path.text, 0, 0640), 0);
    cr_assert_eq(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "streams", 0, &table), 0);
    MDB_val key = {.mv_size = 7, .mv_data = "order-1"};
    MDB_val value;
    uint8_t copy[256];
    cr_assert_eq(mdb_get(transaction, table, &key, &value), 0);
    cr_assert(value.mv_size <= sizeof copy && at < value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[at] ^= 0x10;
    value.mv_data = copy;
    cr_assert_eq(mdb_put(transaction, table, &key, &value, 0), 0);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
}

Test(streams, a_damaged_row_is_never_taken_for_one) {
    const struct stream_row row = example();
    for (size_t at = 0; at < 1 + 5 * 8 + 5 + 4; at++) {
        put("order-1", &row);
        store_close(store);
        row_damage(at);
        store = stores_open(directory.path);
        struct store_reader *reader = snapshot();
        struct stream_row read;
        cr_assert_eq(store_reader_stream(reader, bytes_of_text("order-1"), &read).failure, FAILURE_CORRUPT, "byte %zu",
                     at);
        snapshot_end(reader);
    }
}

/* --- What rows hide. ------------------------------------------------------------------------------------------------ */

static bool is_shown(const char *type, uint64_t revision, int64_t recorded_ns, int64_t now_ns) {
    uint8_t event_buffer[128];
    uint8_t buffer[256];
    const struct event_parts parts = {.id = EVENTS_ID, .type = type};
    const struct record record = {.position = 100,
                                  .stream = bytes_of_text("order-1"),
                                  .revision = revision,
                                  .recorded_ns = recorded_ns,
                                  .event = event_encode(&parts, event_buffer, sizeof event_buffer)};
    const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
    bool by_reader;
    bool by_store;
    struct store_reader *reader = snapshot();
    cr_assert_eq(store_reader_shows(reader, encoded, now_ns, &by_reader).failure, FAILURE_NONE);
    snapshot_end(reader);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_shows(store, encoded, now_ns, &by_store).failure, FAILURE_NONE);
    store_abort(store);
    cr_assert_eq(by_reader, by_store);
    return by_reader;
}

Test(streams, a_row_hides_what_is_before_its_first_revision_and_what_is_too_old) {
    cr_assert(is_shown("T", 1, 0, INT64_MAX));
    put("order-1", &(struct stream_row){.state = STREAM_ACTIVE, .first_revision = 5});
    cr_assert_not(is_shown("T", 4, 0, INT64_MAX));
    cr_assert(is_shown("T", 5, 0, INT64_MAX));
    put("order-1", &(struct stream_row){.state = STREAM_ACTIVE, .max_age_seconds = 10});
    cr_assert(is_shown("T", 1, 90 * SECOND_NS, 100 * SECOND_NS));
    cr_assert_not(is_shown("T", 1, 90 * SECOND_NS - 1, 100 * SECOND_NS));
    /* What tells of a deletion is shown. */
    put("order-1", &(struct stream_row){.state = STREAM_DELETED, .first_revision = 5, .max_age_seconds = 1});
    cr_assert(is_shown("$StreamDeleted", 4, 0, 100 * SECOND_NS));
}

Test(streams, a_removed_event_is_shown_to_nobody) {
    uint8_t event_buffer[128];
    const struct event_parts parts = {.id = EVENTS_ID, .type = "T"};
    const struct record record = {.position = 1,
                                  .stream = bytes_of_text("order-1"),
                                  .revision = 1,
                                  .recorded_ns = 1,
                                  .event = event_encode(&parts, event_buffer, sizeof event_buffer)};
    struct remains remains;
    bool shown = true;
    cr_assert_eq(remains_of_removed(&record, &remains).failure, FAILURE_NONE);
    struct store_reader *reader = snapshot();
    cr_assert_eq(store_reader_shows(reader, bytes_of(remains.bytes, remains.size), 1, &shown).failure, FAILURE_NONE);
    cr_assert_not(shown);
    snapshot_end(reader);
}

Test(streams, a_record_is_rewritten_in_its_place) {
    cr_assert_eq(stores_append(store, 1, 3, 500).failure, FAILURE_NONE);
    struct bytes encoded;
    struct record record;
    uint8_t event_buffer[128];
    uint8_t buffer[256];
    const struct event_parts parts = {.id = EVENTS_ID, .type = "T"};
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_get(store, 2, &encoded).failure, FAILURE_NONE);
    cr_assert_eq(store_get(store, 4, &encoded).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(store_get(store, 2, &encoded).failure, FAILURE_NONE);
    cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
    record.event = event_encode(&parts, event_buffer, sizeof event_buffer);
    const struct bytes smaller = event_record_encode(&record, buffer, sizeof buffer);
    cr_assert_eq(store_rewrite(store, 2, smaller).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
    struct store_reader *reader = snapshot();
    cr_assert_eq(store_reader_get(reader, 2, &encoded).failure, FAILURE_NONE);
    cr_assert(bytes_equal(encoded, smaller));
    for (uint64_t position = 1; position <= 3; position += 2) {
        const struct bytes expected = stores_record(position, 500);
        cr_assert_eq(store_reader_get(reader, position, &encoded).failure, FAILURE_NONE);
        cr_assert(bytes_equal(encoded, expected));
        stores_record_free(expected);
    }
    snapshot_end(reader);
}
