/* Merges: each name once, with the sum of its figures; interrupted ones leave the sources as they were. */
#include "service/store/names_merge.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"
#include "tests/unit/service/store/names_runs.h"

#define COUNT       INDEX_RUNS_MERGED_COUNT
#define NAMES_COUNT 4000 /* of which each run has about half, so that a merge takes two steps */

struct scene {
    struct names_runs *runs;
    struct names_run *sources[COUNT];
    struct names_run *output;
    struct names_merge *merge;
    char texts[NAMES_COUNT][24];
    struct name_figures figures[NAMES_COUNT]; /* sums over all runs */
};

static void source_write(struct scene *scene, struct random *random, uint32_t number) {
    const char **names = calloc(NAMES_COUNT, sizeof *names);
    const uint64_t position_first = 1 + number * 10;
    uint32_t count = 0;
    for (uint32_t index = 0; index < NAMES_COUNT; index++) {
        if (random_below(random, 2) == 0) continue;
        const struct name_figures figures = {.events_count = 1 + count,
                                             .bytes_count = position_first * 1000 + count,
                                             .position_first = position_first,
                                             .position_last = position_first + 9};
        names[count++] = scene->texts[index];
        if (scene->figures[index].events_count == 0) {
            scene->figures[index] = figures;
        } else {
            name_figures_add(&scene->figures[index], &figures);
        }
    }
    scene->sources[number] = names_runs_write(scene->runs, position_first, position_first + 9, names, count);
    free(names);
}

static void merge_begin(struct scene *scene) {
    scene->output = names_catalog_take(&scene->runs->catalog, 1, 1, COUNT * 10);
    cr_assert_eq(
        names_merge_new(&scene->runs->environment, &scene->runs->catalog, scene->sources, scene->output, &scene->merge)
            .failure,
        FAILURE_NONE);
    cr_assert_eq(names_merge_output(scene->merge), scene->output);
    cr_assert_eq(names_merge_sources(scene->merge)[3], scene->sources[3]);
}

static struct scene *scene_make(const char *name) {
    struct random random = random_start(name);
    struct scene *scene = calloc(1, sizeof *scene);
    cr_assert_not_null(scene);
    scene->runs = names_runs_open();
    for (uint32_t index = 0; index < NAMES_COUNT; index++) {
        (void)snprintf(scene->texts[index], sizeof scene->texts[index], "order-%05u", index);
    }
    for (uint32_t number = 0; number < COUNT; number++) source_write(scene, &random, number);
    merge_begin(scene);
    return scene;
}

static void scene_remove(struct scene *scene) {
    cr_assert_null(names_merge_free(scene->merge));
    names_runs_close(scene->runs);
    free(scene);
}

static result merge_step(struct scene *scene, bool *ret_is_complete) {
    MDB_txn *reader = names_runs_read(scene->runs);
    const result outcome = names_merge_step(scene->merge, reader, ret_is_complete);
    names_runs_read_end(reader);
    return outcome;
}

static void merge_all(struct scene *scene) {
    uint32_t steps = 0;
    for (bool is_complete = false; !is_complete; steps++) {
        cr_assert_eq(merge_step(scene, &is_complete).failure, FAILURE_NONE);
    }
    cr_assert_gt(steps, 1);
    scene->output->state = NAMES_RUN_LISTED;
    for (uint32_t number = 0; number < COUNT; number++) scene->sources[number]->state = NAMES_RUN_RETIRED;
}

static uint32_t runs_listed(const struct scene *scene, struct names_run runs[NAMES_TABLES_COUNT]) {
    uint32_t count;
    MDB_txn *reader = names_runs_read(scene->runs);
    cr_assert_eq(names_catalog_list(&scene->runs->catalog, reader, runs, &count).failure, FAILURE_NONE);
    names_runs_read_end(reader);
    return count;
}

static void expect_merged(const struct scene *scene) {
    struct names_run runs[NAMES_TABLES_COUNT];
    cr_assert_eq(runs_listed(scene, runs), 1);
    cr_assert_eq(runs[0].level, 1);
    cr_assert_eq(runs[0].position_first, 1);
    cr_assert_eq(runs[0].position_last, COUNT * 10);
    MDB_txn *reader = names_runs_read(scene->runs);
    struct names_cursor cursor;
    cr_assert_eq(names_cursor_open(&runs[0], reader, &cursor).failure, FAILURE_NONE);
    const uint8_t first[] = {0};
    cr_assert_eq(names_cursor_seek(&cursor, bytes_of(first, 1)).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < NAMES_COUNT; index++) {
        if (scene->figures[index].events_count == 0) continue;
        const size_t size = strlen(scene->texts[index]);
        cr_assert_not(cursor.is_ended);
        cr_assert_eq(cursor.entry.key.size, 1 + size);
        cr_assert_eq(memcmp(cursor.entry.key.data + 1, scene->texts[index], size), 0);
        cr_assert_eq(memcmp(&cursor.entry.figures, &scene->figures[index], sizeof cursor.entry.figures), 0);
        cr_assert_eq(names_cursor_next(&cursor).failure, FAILURE_NONE);
    }
    cr_assert(cursor.is_ended);
    names_cursor_close(&cursor);
    names_runs_read_end(reader);
}

Test(names_merge, each_name_is_once_with_the_sum_of_its_figures) {
    struct scene *scene = scene_make("names_merge");
    merge_all(scene);
    expect_merged(scene);
    scene_remove(scene);
}

Test(names_merge, one_that_is_interrupted_leaves_its_sources_and_can_be_done_again) {
    struct scene *scene = scene_make("names_merge interrupted");
    bool is_complete = true;
    cr_assert_eq(merge_step(scene, &is_complete).failure, FAILURE_NONE);
    cr_assert_not(is_complete);
    struct names_run runs[NAMES_TABLES_COUNT];
    cr_assert_eq(runs_listed(scene, runs), COUNT);
    scene->merge = names_merge_free(scene->merge);
    names_runs_reopen(scene->runs); /* as after a crash: what was written of the new run is emptied */
    cr_assert_eq(runs_listed(scene, runs), COUNT);
    for (uint32_t number = 0; number < COUNT; number++) {
        scene->sources[number] = &scene->runs->catalog.tables[runs[number].number];
    }
    merge_begin(scene);
    merge_all(scene);
    expect_merged(scene);
    scene_remove(scene);
}

Test(names_merge, a_query_that_began_before_sees_the_sources_though_they_are_emptied) {
    struct scene *scene = scene_make("names_merge snapshot");
    MDB_txn *before = names_runs_read(scene->runs);
    merge_all(scene);
    for (uint32_t number = 0; number < COUNT; number++) {
        cr_assert_eq(names_catalog_empty(&scene->runs->environment, scene->sources[number]).failure, FAILURE_NONE);
        cr_assert_eq(scene->sources[number]->state, NAMES_RUN_FREE);
    }
    struct names_run runs[NAMES_TABLES_COUNT];
    uint32_t count;
    cr_assert_eq(names_catalog_list(&scene->runs->catalog, before, runs, &count).failure, FAILURE_NONE);
    cr_assert_eq(count, COUNT);
    names_runs_read_end(before);
    expect_merged(scene);
    scene_remove(scene);
}

Test(names_merge, a_source_that_is_damaged_fails_it) {
    struct scene *scene = scene_make("names_merge damage");
    scene->sources[3]->position_last--; /* its entries are not of these positions */
    bool is_complete;
    cr_assert_eq(merge_step(scene, &is_complete).failure, FAILURE_CORRUPT);
    struct names_run runs[NAMES_TABLES_COUNT];
    cr_assert_eq(runs_listed(scene, runs), COUNT);
    scene_remove(scene);
}
