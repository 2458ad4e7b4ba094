#include "service/store/names_merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COUNT INDEX_RUNS_MERGED_COUNT

struct names_merge {
    struct names_catalog *catalog;
    struct names_run *runs[COUNT];
    struct names_cursor cursors[COUNT]; /* during a step */
    struct names_writer writer;
    size_t next_size; /* between steps: where to go on */
    uint8_t next[NAMES_KEY_BYTES_MAX];
};

result names_merge_new(struct environment *environment, struct names_catalog *catalog,
                       struct names_run *const sources[COUNT], struct names_run *output,
                       struct names_merge **ret_merge) {
    struct names_merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL) return failure_result(FAILURE_MEMORY);
    merge->catalog = catalog;
    for (uint32_t index = 0; index < COUNT; index++) {
        assert(sources[index]->state == NAMES_RUN_LISTED);
        assert(index == 0 || sources[index]->position_first == sources[index - 1]->position_last + 1);
        merge->runs[index] = sources[index];
    }
    assert(output->position_first == sources[0]->position_first);
    assert(output->position_last == sources[COUNT - 1]->position_last);
    names_writer_init(&merge->writer, environment, output);
    merge->next_size = 1; /* a kind before all others */
    *ret_merge = merge;
    return RESULT_OK;
}

struct names_merge *names_merge_free(struct names_merge *merge) {
    free(merge);
    return NULL;
}

struct names_run *const *names_merge_sources(const struct names_merge *merge) {
    return merge->runs;
}

struct names_run *names_merge_output(const struct names_merge *merge) {
    return merge->writer.run;
}

static result cursors_open(struct names_merge *merge, MDB_txn *reader) {
    const struct bytes next = bytes_of(merge->next, merge->next_size);
    for (uint32_t index = 0; index < COUNT; index++) {
        TRY(names_cursor_open(merge->runs[index], reader, &merge->cursors[index]));
        TRY(names_cursor_seek(&merge->cursors[index], next));
    }
    return RESULT_OK;
}

static void cursors_close(struct names_merge *merge) {
    for (uint32_t index = 0; index < COUNT; index++) names_cursor_close(&merge->cursors[index]);
}

/* The cursor with the least name; NULL: all have ended. */
static const struct names_cursor *cursor_least(const struct names_merge *merge) {
    const struct names_cursor *least = NULL;
    for (uint32_t index = 0; index < COUNT; index++) {
        const struct names_cursor *cursor = &merge->cursors[index];
        if (cursor->is_ended) continue;
        if (least == NULL || names_key_compare(cursor->entry.key, least->entry.key) < 0) least = cursor;
    }
    return least;
}

/* Takes the least name out of all sources that have it. `ret_count`: how many they were. */
static result name_take(struct names_merge *merge, const struct names_cursor *least, struct names_entry *ret_entry,
                        uint32_t *ret_count) {
    struct names_entry entry = least->entry;
    uint32_t count = 0;
    for (uint32_t index = 0; index < COUNT; index++) {
        struct names_cursor *cursor = &merge->cursors[index];
        const bool is_least = cursor == least;
        if (cursor->is_ended || !bytes_equal(cursor->entry.key, entry.key)) continue;
        if (!is_least) name_figures_add(&entry.figures, &cursor->entry.figures);
        TRY(names_cursor_next(cursor));
        count++;
    }
    *ret_entry = entry;
    *ret_count = count;
    return RESULT_OK;
}

/* Moves names into the new run. `ret_is_complete`: there are no more. */
static result entries_move(struct names_merge *merge, bool *ret_is_complete) {
    uint32_t taken = 0;
    while (taken < NAMES_STEP_ENTRIES_COUNT_MAX) {
        const struct names_cursor *least = cursor_least(merge);
        if (least == NULL) {
            *ret_is_complete = true;
            return RESULT_OK;
        }
        struct names_entry entry;
        uint32_t count;
        TRY(name_take(merge, least, &entry, &count));
        TRY(names_writer_add(&merge->writer, &entry));
        taken += count;
    }
    const struct names_cursor *least = cursor_least(merge);
    *ret_is_complete = least == NULL;
    if (least == NULL) return RESULT_OK;
    merge->next_size = least->entry.key.size;
    memcpy(merge->next, least->entry.key.data, merge->next_size);
    return RESULT_OK;
}

/* Puts the new run in the place of its sources. */
static result output_list(struct names_merge *merge) {
    MDB_txn *transaction = merge->writer.transaction;
    for (uint32_t index = 0; index < COUNT; index++) {
        TRY(names_catalog_remove(merge->catalog, transaction, merge->runs[index]));
    }
    return names_catalog_put(merge->catalog, transaction, merge->writer.run);
}

static result step(struct names_merge *merge, MDB_txn *reader, bool *ret_is_complete) {
    TRY(names_writer_begin(&merge->writer));
    TRY(cursors_open(merge, reader));
    TRY(entries_move(merge, ret_is_complete));
    if (*ret_is_complete) TRY(output_list(merge));
    return names_writer_commit(&merge->writer);
}

result names_merge_step(struct names_merge *merge, MDB_txn *reader, bool *ret_is_complete) {
    bool is_complete = false;
    const result outcome = step(merge, reader, &is_complete);
    cursors_close(merge);
    names_writer_abort(&merge->writer);
    if (!failed(outcome)) *ret_is_complete = is_complete;
    return outcome;
}
