/* An index that is not what was written is noticed, thrown away and begun anew. */
#include <criterion/criterion.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/index.h"
#include "service/store/index_catalog.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define STORE_ID         "01890a5d-ac96-774b-bcce-b302099a8057"
#define RUN_EVENTS_COUNT 64
#define EVENTS_COUNT     (7 * RUN_EVENTS_COUNT) /* as many runs as are not merged yet */
#define MORE_COUNT       (100 * RUN_EVENTS_COUNT)

struct scene {
    struct temporary_directory directory;
    struct temporary_path path;
    struct model *model;
    struct random random;
};

static struct index *index_opened_for(const struct scene *scene, uint64_t log_position_end) {
    const struct index_options options = {
        .log_position_end = log_position_end,
        .directory = scene->path.text,
        .map_bytes = GIB(1),
        .run_events_count = RUN_EVENTS_COUNT,
        .store_id = STORE_ID,
    };
    struct index *index = NULL;
    struct problem problem = {.text = ""};
    const result outcome = index_open(&options, &index, &problem);
    cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", problem.text);
    return index;
}

static struct index *index_opened(const struct scene *scene) {
    return index_opened_for(scene, 0);
}

/* Leaves an index with seven runs, closed. */
static struct scene scene_make(const char *name) {
    struct scene scene = {.directory = temporary_directory_make(), .random = random_start(name)};
    scene.path = temporary_path(&scene.directory, "index");
    scene.model = model_new(random_next(&scene.random), MORE_COUNT);
    for (uint64_t position = 0; position < EVENTS_COUNT;) {
        /* Closing may come before the last runs are written: they are added again. */
        struct index *index = index_opened(&scene);
        model_add(scene.model, index, index_position(index) + 1, EVENTS_COUNT);
        index_close(index);
        index = index_opened(&scene);
        position = index_position(index);
        index_close(index);
    }
    return scene;
}

static void scene_remove(struct scene *scene) {
    model_free(scene->model);
    temporary_directory_remove(&scene->directory);
}

/* The index must be empty now, and work. */
static void expect_begun_anew(struct scene *scene) {
    struct index *index = index_opened(scene);
    cr_assert_eq(index_position(index), 0);
    model_add(scene->model, index, 1, EVENTS_COUNT);
    for (uint32_t question = 0; question < 200; question++) {
        model_ask(scene->model, index, &scene->random, EVENTS_COUNT);
    }
    index_close(index);
}

static void expect_whole(struct scene *scene) {
    struct index *index = index_opened(scene);
    cr_assert_eq(index_position(index), EVENTS_COUNT);
    for (uint32_t question = 0; question < 200; question++) {
        model_ask(scene->model, index, &scene->random, EVENTS_COUNT);
    }
    index_close(index);
}

/* Opens a table behind the index's back; edit_end commits. */
struct edit {
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
};

static struct edit edit_begin(const struct scene *scene, const char *table) {
    struct edit edit;
    cr_assert_eq(mdb_env_create(&edit.environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(edit.environment, 1), 0);
    cr_assert_eq(mdb_env_set_mapsize(edit.environment, GIB(1)), 0);
    cr_assert_eq(mdb_env_open(edit.environment, scene->path.text, MDB_NOTLS, 0640), 0);
    cr_assert_eq(mdb_txn_begin(edit.environment, NULL, 0, &edit.transaction), 0);
    cr_assert_eq(mdb_dbi_open(edit.transaction, table, 0, &edit.table), 0);
    return edit;
}

static void edit_end(struct edit *edit) {
    cr_assert_eq(mdb_txn_commit(edit->transaction), 0);
    mdb_env_close(edit->environment);
}

/* Changes one byte of the first value of a table. */
static void byte_flip(const struct scene *scene, const char *table, size_t offset) {
    struct edit edit = edit_begin(scene, table);
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t copy[32768];
    cr_assert_eq(mdb_cursor_open(edit.transaction, edit.table, &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    cr_assert(value.mv_size <= sizeof copy && offset < value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[offset] ^= 0x10;
    value.mv_data = copy;
    cr_assert_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    edit_end(&edit);
}

Test(index_damage, a_truncated_file_is_begun_anew) {
    struct scene scene = scene_make("index truncated");
    static const off_t sizes[] = {1, 4096, 8192, 65536};
    for (size_t number = 0; number < sizeof sizes / sizeof sizes[0]; number++) {
        const struct temporary_path file = temporary_path(&scene.directory, "index/data.mdb");
        cr_assert_eq(truncate(file.text, sizes[number]), 0);
        expect_begun_anew(&scene);
    }
    scene_remove(&scene);
}

Test(index_damage, a_garbled_file_is_begun_anew) {
    struct scene scene = scene_make("index garbled");
    const struct temporary_path file = temporary_path(&scene.directory, "index/data.mdb");
    uint8_t *garbage = malloc(MIB(1));
    cr_assert_not_null(garbage);
    random_fill(&scene.random, garbage, MIB(1));
    temporary_file_write(file.text, garbage, MIB(1));
    free(garbage);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, a_missing_file_is_begun_anew) {
    struct scene scene = scene_make("index missing");
    const struct temporary_path file = temporary_path(&scene.directory, "index/data.mdb");
    cr_assert_eq(unlink(file.text), 0);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, a_changed_catalog_is_begun_anew) {
    struct scene scene = scene_make("index catalog");
    for (size_t offset = 0; offset < 40; offset += 9) {
        byte_flip(&scene, "runs", offset);
        expect_begun_anew(&scene);
        scene_remove(&scene);
        scene = scene_make("index catalog");
    }
    scene_remove(&scene);
}

Test(index_damage, a_run_that_is_missing_in_the_catalog_begins_it_anew) {
    struct scene scene = scene_make("index gap");
    struct edit edit = edit_begin(&scene, "runs");
    const uint64_t position_stored = htobe64(1 + 2 * RUN_EVENTS_COUNT);
    uint64_t copy = position_stored;
    MDB_val key = {.mv_size = sizeof copy, .mv_data = &copy};
    cr_assert_eq(mdb_del(edit.transaction, edit.table, &key, NULL), 0);
    edit_end(&edit);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, a_run_without_some_blocks_begins_it_anew) {
    struct scene scene = scene_make("index blocks");
    struct edit edit = edit_begin(&scene, "run 003");
    MDB_cursor *cursor;
    cr_assert_eq(mdb_cursor_open(edit.transaction, edit.table, &cursor), 0);
    MDB_val key;
    MDB_val value;
    cr_assert_eq(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    cr_assert_eq(mdb_cursor_del(cursor, 0), 0);
    mdb_cursor_close(cursor);
    edit_end(&edit);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, another_format_is_begun_anew) {
    struct scene scene = scene_make("index format");
    byte_flip(&scene, "meta", 0); /* "format" is before "store" */
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

/* What a crash leaves of a run that was not completed. */
Test(index_damage, one_that_is_ahead_of_its_log_is_begun_anew) {
    struct scene scene = scene_make("ahead");
    struct index *index = index_opened_for(&scene, EVENTS_COUNT + 1);
    cr_assert_eq(index_position(index), EVENTS_COUNT);
    index_close(index);
    index_close(index_opened_for(&scene, EVENTS_COUNT));
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, the_rest_of_an_unlisted_run_is_emptied) {
    struct scene scene = scene_make("index rest");
    struct edit edit = edit_begin(&scene, "run 050");
    for (uint32_t number = 0; number < 1000; number++) {
        uint8_t bytes[INDEX_BLOCK_BYTES_MAX];
        random_fill(&scene.random, bytes, sizeof bytes);
        MDB_val key = {.mv_size = INDEX_KEY_BYTES, .mv_data = bytes};
        MDB_val value = {.mv_size = sizeof bytes, .mv_data = bytes};
        cr_assert_eq(mdb_put(edit.transaction, edit.table, &key, &value, 0), 0);
    }
    edit_end(&edit);
    expect_whole(&scene);
    edit = edit_begin(&scene, "run 050");
    MDB_stat statistics;
    cr_assert_eq(mdb_stat(edit.transaction, edit.table, &statistics), 0);
    cr_assert_eq(statistics.ms_entries, 0);
    edit_end(&edit);
    scene_remove(&scene);
}

/* Asks until the damaged block is met. */
static enum failure ask_all(const struct scene *scene, struct index *index) {
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) {
        uint32_t entries_count;
        const struct index_entry *entries = model_event(scene->model, position, &entries_count);
        for (uint32_t number = 0; number < entries_count; number++) {
            struct index_entry found;
            uint32_t count;
            const result outcome =
                index_range(index, entries[number].term, entries[number].number, INDEX_FORWARD, 1, &found, &count);
            if (failed(outcome)) return outcome.failure;
        }
    }
    return FAILURE_NONE;
}

static void expect_damage_is_met(const char *name, const char *table, size_t offset) {
    struct scene scene = scene_make(name);
    struct index *index = index_opened(&scene);
    cr_assert_eq(ask_all(&scene, index), FAILURE_NONE);
    index_close(index);
    byte_flip(&scene, table, offset);
    index = index_opened(&scene);
    cr_assert_eq(index_position(index), EVENTS_COUNT);
    cr_assert_eq(ask_all(&scene, index), FAILURE_CORRUPT);
    index_close(index);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}

Test(index_damage, a_query_that_meets_a_damaged_block_fails_and_the_next_open_begins_anew) {
    static const size_t offsets[] = {0, 20, 31, 1000, 1987};
    for (size_t number = 0; number < sizeof offsets / sizeof offsets[0]; number++) {
        expect_damage_is_met("index block", "run 002", offsets[number]);
    }
}

Test(index_damage, a_query_that_meets_a_damaged_filter_fails_and_the_next_open_begins_anew) {
    static const size_t offsets[] = {0, 59, 60, 63};
    for (size_t number = 0; number < sizeof offsets / sizeof offsets[0]; number++) {
        expect_damage_is_met("index filter", "filters", offsets[number]);
    }
}

Test(index_damage, a_merge_that_meets_a_damaged_block_fails_the_adds_and_the_next_open_begins_anew) {
    struct scene scene = scene_make("index merge");
    byte_flip(&scene, "run 002", 700);
    struct index *index = index_opened(&scene);
    result outcome = RESULT_OK;
    for (uint64_t position = EVENTS_COUNT + 1; position <= MORE_COUNT && !failed(outcome); position++) {
        uint32_t count;
        const struct index_entry *entries = model_event(scene.model, position, &count);
        outcome = index_add(index, position, entries, count);
    }
    /* Its eighth run makes the thread merge, long before the tail has taken all of this. */
    cr_assert_eq(outcome.failure, FAILURE_STORAGE);
    index_close(index);
    expect_begun_anew(&scene);
    scene_remove(&scene);
}
