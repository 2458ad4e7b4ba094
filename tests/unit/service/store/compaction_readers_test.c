/* Readers and a log that is replaced under them: a snapshot stays what it was, and nobody keeps the old file for nothing. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/compactions.h"

static struct temporary_directory directory;
static struct store *store;
static struct history history;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
}

static void teardown(void) {
    store_close(store);
    history_free(&history);
    temporary_directory_remove(&directory);
}

TestSuite(compaction_readers, .init = setup, .fini = teardown, .timeout = 600);

static struct store_reader *reader_open(void) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    return reader;
}

static void expect_record(struct store_reader *reader, uint64_t position, size_t payload_bytes) {
    struct bytes found;
    const struct bytes expected = stores_record(position, payload_bytes);
    cr_assert_eq(store_reader_get(reader, position, &found).failure, FAILURE_NONE);
    cr_assert(bytes_equal(found, expected), "position %lu", (unsigned long)position);
    stores_record_free(expected);
}

Test(compaction_readers, an_idle_reader_is_moved_at_once) {
    struct store_reader *never_used = reader_open();
    struct store_reader *used = reader_open();
    history_append(&history, store, 100, 50);
    cr_assert_eq(store_reader_begin(used, NULL).failure, FAILURE_NONE);
    expect_record(used, 100, 50);
    store_reader_end(used);
    compactions_run(store);
    cr_assert_eq(compactions_removed_files_open(), 0, "nobody holds the old file");
    history_append(&history, store, 1, 50);
    uint64_t position_last = 0;
    cr_assert_eq(store_reader_begin(used, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, 101);
    cr_assert_eq(store_reader_begin(never_used, NULL).failure, FAILURE_NONE);
    expect_record(used, 101, 50);
    expect_record(never_used, 1, 50);
    store_reader_end(used);
    store_reader_end(never_used);
    store_reader_close(used);
    store_reader_close(never_used);
}

Test(compaction_readers, a_snapshot_stays_as_it_was) {
    struct store_reader *reader = reader_open();
    uint64_t position_last = 0;
    history_append(&history, store, 100, 50);
    history_rows(&history, store, 10, 1);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    history_rewrite(&history, store, 1, 100, 1, 10);
    history_rows(&history, store, 10, 5);
    compactions_run(store);
    cr_assert_gt(compactions_removed_files_open(), 0, "the snapshot holds the old file");
    history_append(&history, store, 100, 50);
    for (uint64_t position = 1; position <= 100; position++) expect_record(reader, position, 50);
    struct bytes record;
    struct checkpoint checkpoint;
    cr_assert_eq(store_reader_get(reader, 101, &record).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(store_reader_checkpoint(reader, bytes_of("consumer-3", 10), &checkpoint).failure, FAILURE_NONE);
    cr_assert_eq(checkpoint.position, 4);
    store_reader_end(reader);
    cr_assert_eq(compactions_removed_files_open(), 0, "its end lets go of it");
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, 200);
    expect_record(reader, 1, 10);
    store_reader_end(reader);
    store_reader_close(reader);
    history_expect(&history, store, 5);
}

Test(compaction_readers, a_snapshot_may_outlive_several_logs) {
    struct store_reader *readers[4];
    for (uint32_t round = 0; round < 4; round++) {
        history_append(&history, store, 10, 50);
        readers[round] = reader_open();
        cr_assert_eq(store_reader_begin(readers[round], NULL).failure, FAILURE_NONE);
        history_rewrite(&history, store, 1, 1, 1, 10 + round);
        compactions_run(store);
    }
    for (uint32_t round = 0; round < 4; round++) {
        expect_record(readers[round], 1, round == 0 ? 50 : 9 + round);
        store_reader_end(readers[round]);
        store_reader_close(readers[round]);
    }
    cr_assert_eq(compactions_removed_files_open(), 0);
}

/* Every reader of the old log finds a slot in the new one. */
Test(compaction_readers, as_many_as_there_may_be_are_moved) {
    static struct store_reader *readers[STORE_READERS_COUNT_MAX - 1]; /* the compaction has one itself */
    history_append(&history, store, 10, 50);
    for (uint32_t index = 0; index < STORE_READERS_COUNT_MAX - 1; index++) {
        readers[index] = reader_open();
        if (index % 2 == 0) cr_assert_eq(store_reader_begin(readers[index], NULL).failure, FAILURE_NONE);
    }
    compactions_run(store);
    history_append(&history, store, 1, 50);
    for (uint32_t index = 0; index < STORE_READERS_COUNT_MAX - 1; index++) {
        if (index % 2 == 0) store_reader_end(readers[index]);
        uint64_t position_last = 0;
        cr_assert_eq(store_reader_begin(readers[index], &position_last).failure, FAILURE_NONE);
        cr_assert_eq(position_last, 11);
        store_reader_end(readers[index]);
    }
    cr_assert_eq(compactions_removed_files_open(), 0);
    for (uint32_t index = 0; index < STORE_READERS_COUNT_MAX - 1; index++) store_reader_close(readers[index]);
}

/* --- Threads. ------------------------------------------------------------------------------------------------------- */

enum { READERS_COUNT = 3, COMPACTIONS_COUNT = 12, PAYLOAD_BYTES = 100 };

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* the writing thread is whoever holds it */
static atomic_uint_fast64_t acknowledged;
static atomic_bool stopping;

/* Whoever begins a snapshot sees everything that was acknowledged before. */
static void *read_always(void *context) {
    struct random *random = context;
    struct store_reader *reader = reader_open();
    while (!atomic_load(&stopping)) {
        const uint64_t known = atomic_load(&acknowledged);
        uint64_t position_last = 0;
        cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
        cr_assert_geq(position_last, known);
        uint64_t position = 1 + random_below(random, position_last);
        for (int count = 0; count < 20 && position <= position_last; count++, position++) {
            expect_record(reader, position, PAYLOAD_BYTES);
        }
        store_reader_end(reader);
        if (random_below(random, 50) == 0) {
            store_reader_close(reader);
            reader = reader_open();
        }
    }
    store_reader_close(reader);
    return NULL;
}

static void *write_always(void *context) {
    (void)context;
    while (!atomic_load(&stopping)) {
        pthread_mutex_lock(&writing);
        history_append(&history, store, 20, PAYLOAD_BYTES);
        history_rewrite(&history, store, 1, history.position_last, 50, PAYLOAD_BYTES);
        pthread_mutex_unlock(&writing);
        atomic_store(&acknowledged, history.position_last);
    }
    return NULL;
}

static void compact_once(void) {
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = false;
    while (!is_switched) {
        compactions_step_until_ready(compaction);
        pthread_mutex_lock(&writing);
        cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
        pthread_mutex_unlock(&writing);
    }
    compaction_end(compaction);
}

Test(compaction_readers, readers_and_appends_never_notice) {
    pthread_t threads[READERS_COUNT + 1];
    struct random randoms[READERS_COUNT];
    history_append(&history, store, 5000, PAYLOAD_BYTES);
    atomic_store(&acknowledged, 5000);
    for (uint32_t index = 0; index < READERS_COUNT; index++) {
        randoms[index] = random_start("compaction_readers");
        cr_assert_eq(pthread_create(&threads[index], NULL, read_always, &randoms[index]), 0);
    }
    cr_assert_eq(pthread_create(&threads[READERS_COUNT], NULL, write_always, NULL), 0);
    for (uint32_t count = 0; count < COMPACTIONS_COUNT; count++) compact_once();
    atomic_store(&stopping, true);
    for (uint32_t index = 0; index <= READERS_COUNT; index++) pthread_join(threads[index], NULL);
    cr_assert_eq(compactions_removed_files_open(), 0);
    history_expect(&history, store, 0);
}
