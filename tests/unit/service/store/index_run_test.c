/* Runs and their cursors, on an environment of their own. */
#include "service/store/index_run.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/store/index_cursor.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define ENTRIES_COUNT_MAX 3000
#define POSITION_MAX      100000

struct scene {
    struct temporary_directory directory;
    struct environment environment;
    struct index_run run;
    uint32_t count;
    struct index_key keys[ENTRIES_COUNT_MAX];
};

static int compare(const void *left, const void *right) {
    return memcmp(left, right, sizeof(struct index_key));
}

static struct term term_numbered(uint64_t number) {
    return term_of(TERM_TAG, bytes_of(&number, sizeof number));
}

/* Writes a run of `count` entries of `terms_count` terms, over two transactions. */
static struct scene *scene_make(struct random *random, uint32_t count, uint32_t terms_count) {
    struct scene *scene = calloc(1, sizeof *scene);
    cr_assert_not_null(scene);
    scene->directory = temporary_directory_make();
    const struct environment_options options = {
        .directory = scene->directory.path, .map_bytes = GIB(1), .tables_count_max = 2};
    struct problem problem;
    cr_assert_eq(environment_open(&options, &scene->environment, &problem).failure, FAILURE_NONE);
    scene->run = (struct index_run){.state = INDEX_RUN_WRITING, .position_first = 1, .position_last = POSITION_MAX};
    scene->run.filter.blocks_count = index_filter_blocks_count(terms_count);
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "run", MDB_CREATE, &scene->run.table), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "filters", MDB_CREATE, &scene->run.filter.table), 0);
    cr_assert_eq(mdb_txn_commit(transaction), 0);

    for (uint32_t index = 0; index < count; index++) {
        const uint64_t position = 1 + random_below(random, POSITION_MAX);
        scene->keys[index] = index_key_of(term_numbered(random_below(random, terms_count)), position / 2, position);
    }
    qsort(scene->keys, count, sizeof scene->keys[0], compare);
    for (uint32_t index = 0; index < count; index++) { /* all entries of a run are different */
        if (scene->count > 0 && compare(&scene->keys[scene->count - 1], &scene->keys[index]) == 0) continue;
        scene->keys[scene->count++] = scene->keys[index];
    }
    struct index_run_writer writer;
    index_run_writer_init(&writer, &scene->environment, &scene->run);
    cr_assert_eq(index_run_writer_begin(&writer).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < scene->count; index++) {
        if (index == scene->count / 2) {
            cr_assert_eq(index_run_writer_commit(&writer).failure, FAILURE_NONE);
            cr_assert_eq(index_run_writer_begin(&writer).failure, FAILURE_NONE);
        }
        cr_assert_eq(index_run_writer_add(&writer, scene->keys[index].bytes).failure, FAILURE_NONE);
    }
    cr_assert_eq(index_run_writer_end(&writer).failure, FAILURE_NONE);
    cr_assert_eq(index_run_writer_commit(&writer).failure, FAILURE_NONE);
    cr_assert_eq(scene->run.entries_count, scene->count);
    return scene;
}

static void scene_remove(struct scene *scene) {
    environment_close(&scene->environment);
    temporary_directory_remove(&scene->directory);
    free(scene);
}

static MDB_txn *reader_begin(const struct scene *scene) {
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, MDB_RDONLY, &transaction), 0);
    return transaction;
}

/* The sizes around the ends of blocks, and larger ones. */
static const uint32_t sizes[] = {0, 1, 2, 61, 62, 63, 124, 125, 1000, ENTRIES_COUNT_MAX};
#define SIZES_COUNT (sizeof sizes / sizeof sizes[0])

Test(index_run, a_cursor_walks_both_ways_from_anywhere) {
    struct random random = random_start("index cursor");
    for (size_t round = 0; round < SIZES_COUNT; round++) {
        struct scene *scene = scene_make(&random, sizes[round], 40);
        MDB_txn *transaction = reader_begin(scene);
        struct index_cursor cursor;
        cr_assert_eq(index_cursor_open(&scene->run, transaction, &cursor).failure, FAILURE_NONE);
        for (uint32_t question = 0; question < 200; question++) {
            struct index_key key =
                index_key_of(term_numbered(random_below(&random, 50)), random_below(&random, POSITION_MAX),
                             random_below(&random, POSITION_MAX));
            if (scene->count > 0 && question % 2 == 0) key = scene->keys[random_below(&random, scene->count)];
            uint32_t place = 0;
            while (place < scene->count && compare(&scene->keys[place], &key) < 0) place++;
            result outcome = index_cursor_seek_forward(&cursor, &key);
            for (uint32_t step = 0; step < 150 && place + step < scene->count; step++) {
                cr_assert_eq(outcome.failure, FAILURE_NONE);
                cr_assert_eq(compare(index_cursor_key(&cursor), &scene->keys[place + step]), 0);
                outcome = index_cursor_next(&cursor);
            }
            if (place + 150 > scene->count) cr_assert_eq(outcome.failure, FAILURE_NOT_FOUND);
            while (place < scene->count && compare(&scene->keys[place], &key) <= 0) place++;
            outcome = index_cursor_seek_backward(&cursor, &key);
            for (uint32_t step = 0; step < 150 && step < place; step++) {
                cr_assert_eq(outcome.failure, FAILURE_NONE);
                cr_assert_eq(compare(index_cursor_key(&cursor), &scene->keys[place - 1 - step]), 0);
                outcome = index_cursor_previous(&cursor);
            }
            if (place < 150) cr_assert_eq(outcome.failure, FAILURE_NOT_FOUND);
        }
        index_cursor_close(&cursor);
        mdb_txn_abort(transaction);
        scene_remove(scene);
    }
}

Test(index_run, an_entry_outside_of_the_runs_positions_is_damage) {
    struct random random = random_start("index run positions");
    struct scene *scene = scene_make(&random, 100, 1);
    MDB_txn *transaction = reader_begin(scene);
    struct index_entry entries[100];
    uint32_t count;
    cr_assert_eq(
        index_run_range(&scene->run, transaction, term_numbered(0), 0, INDEX_FORWARD, 100, entries, &count).failure,
        FAILURE_NONE);
    cr_assert_eq(count, scene->count);
    scene->run.position_first = POSITION_MAX;
    cr_assert_eq(
        index_run_range(&scene->run, transaction, term_numbered(0), 0, INDEX_FORWARD, 100, entries, &count).failure,
        FAILURE_CORRUPT);
    mdb_txn_abort(transaction);
    scene_remove(scene);
}
