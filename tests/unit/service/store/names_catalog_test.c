/* The list of names runs: what is not sound is emptied. */
#include "service/store/names_catalog.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/service/store/names_runs.h"

static const char *const names[] = {"a", "b", "c"};

static struct names_runs *scene_make(void) {
    struct names_runs *runs = names_runs_open();
    for (uint64_t number = 0; number < 5; number++) {
        (void)names_runs_write(runs, 1 + 10 * number, 10 + 10 * number, names, 3);
    }
    cr_assert_eq(names_catalog_count(&runs->catalog), 5);
    cr_assert_eq(names_catalog_position(&runs->catalog), 50);
    return runs;
}

static size_t table_entries(const struct names_runs *runs, MDB_dbi table) {
    MDB_stat statistics;
    MDB_txn *transaction = names_runs_read(runs);
    cr_assert_eq(mdb_stat(transaction, table, &statistics), 0);
    names_runs_read_end(transaction);
    return statistics.ms_entries;
}

static void expect_empty(struct names_runs *runs) {
    cr_assert_eq(names_catalog_count(&runs->catalog), 0);
    cr_assert_eq(names_catalog_position(&runs->catalog), 0);
    cr_assert_eq(table_entries(runs, runs->catalog.list), 0);
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        cr_assert_eq(runs->catalog.tables[number].state, NAMES_RUN_FREE);
        cr_assert_eq(table_entries(runs, runs->catalog.tables[number].table), 0);
    }
}

Test(names_catalog, runs_are_there_after_a_reopen) {
    struct names_runs *runs = scene_make();
    names_runs_reopen(runs);
    cr_assert_eq(names_catalog_count(&runs->catalog), 5);
    cr_assert_eq(names_catalog_position(&runs->catalog), 50);
    struct names_run *level[NAMES_TABLES_COUNT];
    cr_assert_eq(names_catalog_level(&runs->catalog, 0, level), 5);
    for (uint64_t number = 0; number < 5; number++) {
        cr_assert_eq(level[number]->position_first, 1 + 10 * number);
        cr_assert_eq(level[number]->position_last, 10 + 10 * number);
        cr_assert_eq(level[number]->entries_count, 3);
    }
    cr_assert_eq(names_catalog_level(&runs->catalog, 1, level), 0);
    cr_assert(names_catalog_has_room(&runs->catalog, 0));
    names_runs_close(runs);
}

Test(names_catalog, a_level_has_room_for_twelve) {
    struct names_runs *runs = scene_make();
    for (uint64_t number = 5; number < NAMES_LEVEL_RUNS_COUNT_MAX; number++) {
        cr_assert(names_catalog_has_room(&runs->catalog, 0));
        (void)names_runs_write(runs, 1 + 10 * number, 10 + 10 * number, names, 3);
    }
    cr_assert_not(names_catalog_has_room(&runs->catalog, 0));
    cr_assert(names_catalog_has_room(&runs->catalog, 1));
    names_runs_close(runs);
}

/* Changes the stored list, or a run, and opens it again. */
static void edit(struct names_runs *runs, void (*change)(struct names_runs *runs, MDB_txn *transaction)) {
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(runs->environment.handle, NULL, 0, &transaction), 0);
    change(runs, transaction);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    names_runs_reopen(runs);
}

static size_t flipped_at;

static void record_flip(struct names_runs *runs, MDB_txn *transaction) {
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t copy[64];
    cr_assert_eq(mdb_cursor_open(transaction, runs->catalog.list, &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    cr_assert(value.mv_size == 28 && flipped_at < value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[flipped_at] ^= 0x40;
    value.mv_data = copy;
    cr_assert_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
}

static void record_remove(struct names_runs *runs, MDB_txn *transaction) {
    cr_assert_eq(names_catalog_remove(&runs->catalog, transaction, &runs->catalog.tables[1]).failure, FAILURE_NONE);
}

static void name_remove(struct names_runs *runs, MDB_txn *transaction) {
    char bytes[] = {TERM_STREAM, 'b'};
    MDB_val key = {.mv_size = sizeof bytes, .mv_data = bytes};
    cr_assert_eq(mdb_del(transaction, runs->catalog.tables[2].table, &key, NULL), 0);
}

static void record_foreign(struct names_runs *runs, MDB_txn *transaction) {
    char bytes[] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    MDB_val key = {.mv_size = 8, .mv_data = bytes};
    MDB_val value = {.mv_size = 8, .mv_data = bytes};
    cr_assert_eq(mdb_put(transaction, runs->catalog.list, &key, &value, 0), 0);
}

Test(names_catalog, a_list_with_a_wrong_byte_is_emptied) {
    for (flipped_at = 0; flipped_at < 28; flipped_at++) {
        struct names_runs *runs = scene_make();
        edit(runs, record_flip);
        expect_empty(runs);
        names_runs_close(runs);
    }
}

Test(names_catalog, a_list_with_a_gap_or_a_foreign_record_is_emptied) {
    struct names_runs *runs = scene_make();
    edit(runs, record_remove);
    expect_empty(runs);
    (void)names_runs_write(runs, 1, 10, names, 3);
    edit(runs, record_foreign);
    expect_empty(runs);
    names_runs_close(runs);
}

Test(names_catalog, a_run_that_has_lost_a_name_empties_it) {
    struct names_runs *runs = scene_make();
    edit(runs, name_remove);
    expect_empty(runs);
    names_runs_close(runs);
}

/* What a crash leaves of a run that was not completed. */
Test(names_catalog, the_rest_of_an_unlisted_run_is_emptied) {
    struct names_runs *runs = scene_make();
    struct names_run *run = names_catalog_take(&runs->catalog, 0, 51, 60);
    struct names_writer writer;
    names_writer_init(&writer, &runs->environment, run);
    cr_assert_eq(names_writer_begin(&writer).failure, FAILURE_NONE);
    const struct names_entry entry = {.key = bytes_of_text("\x01z"),
                                      .figures = {.events_count = 1, .position_first = 51, .position_last = 51}};
    cr_assert_eq(names_writer_add(&writer, &entry).failure, FAILURE_NONE);
    cr_assert_eq(names_writer_commit(&writer).failure, FAILURE_NONE);
    cr_assert_eq(table_entries(runs, run->table), 1);
    names_runs_reopen(runs);
    cr_assert_eq(names_catalog_count(&runs->catalog), 5);
    cr_assert_eq(table_entries(runs, run->table), 0);
    names_runs_close(runs);
}

Test(names_catalog, clearing_unlists_everything) {
    struct names_runs *runs = scene_make();
    cr_assert_eq(names_catalog_clear(&runs->catalog, &runs->environment).failure, FAILURE_NONE);
    cr_assert_eq(names_catalog_count(&runs->catalog), 0);
    cr_assert_eq(runs->catalog.tables[0].state, NAMES_RUN_RETIRED);
    cr_assert_eq(runs->catalog.tables[5].state, NAMES_RUN_FREE);
    names_runs_reopen(runs);
    expect_empty(runs);
    names_runs_close(runs);
}
