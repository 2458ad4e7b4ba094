#include "service/store/index_merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/logging.h"
#include "service/store/index_cursor.h"

#define COUNT INDEX_RUNS_MERGED_COUNT

/* One of the runs that are merged, and where the merge is in it. */
struct source {
    struct index_cursor cursor; /* during a step */
    struct index_key next;      /* between steps: where to go on */
    uint64_t prefix; /* of the entry it is at, the first eight bytes as a number: most comparisons end here */
    bool is_ended;
};

struct index_merge {
    struct index_catalog *catalog;
    struct index_run *runs[COUNT];
    struct source sources[COUNT];
    uint64_t ids_position_first;
    uint64_t dropped_count; /* ids before it */
    struct index_run_writer writer;
};

result index_merge_new(struct environment *environment, struct index_catalog *catalog,
                       struct index_run *const sources[COUNT], struct index_run *output, uint64_t ids_position_first,
                       struct index_merge **ret_merge) {
    struct index_merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL) return failure_result(FAILURE_MEMORY);
    merge->catalog = catalog;
    merge->ids_position_first = ids_position_first;
    for (uint32_t index = 0; index < COUNT; index++) {
        assert(sources[index]->state == INDEX_RUN_LISTED);
        assert(index == 0 || sources[index]->position_first == sources[index - 1]->position_last + 1);
        merge->runs[index] = sources[index];
    }
    output->position_first = sources[0]->position_first;
    output->position_last = sources[COUNT - 1]->position_last;
    index_run_writer_init(&merge->writer, environment, output);
    *ret_merge = merge;
    return RESULT_OK;
}

struct index_merge *index_merge_free(struct index_merge *merge) {
    free(merge);
    return NULL;
}

struct index_run *const *index_merge_sources(const struct index_merge *merge) {
    return merge->runs;
}

struct index_run *index_merge_output(const struct index_merge *merge) {
    return merge->writer.run;
}

/* Takes note of what a source is at after a move; its end is no failure. */
static result source_moved(struct source *source, result moved) {
    source->is_ended = moved.failure == FAILURE_NOT_FOUND;
    if (failed(moved)) return source->is_ended ? RESULT_OK : moved;
    uint64_t prefix;
    memcpy(&prefix, index_cursor_key(&source->cursor), sizeof prefix);
    source->prefix = be64toh(prefix);
    return RESULT_OK;
}

static result sources_open(struct index_merge *merge, MDB_txn *reader) {
    for (uint32_t index = 0; index < COUNT; index++) {
        struct source *source = &merge->sources[index];
        if (source->is_ended) continue;
        TRY(index_cursor_open(merge->runs[index], reader, &source->cursor));
        TRY(source_moved(source, index_cursor_seek_forward(&source->cursor, &source->next)));
    }
    return RESULT_OK;
}

static void sources_close(struct index_merge *merge) {
    for (uint32_t index = 0; index < COUNT; index++) {
        struct source *source = &merge->sources[index];
        if (source->cursor.handle == NULL) continue;
        if (!source->is_ended && source->cursor.entries != NULL) {
            memcpy(source->next.bytes, index_cursor_key(&source->cursor), INDEX_KEY_BYTES);
        }
        index_cursor_close(&source->cursor);
    }
}

/* The source with the least entry; NULL: all have ended. */
static struct source *source_least(struct index_merge *merge) {
    struct source *least = NULL;
    for (uint32_t index = 0; index < COUNT; index++) {
        struct source *source = &merge->sources[index];
        if (source->is_ended) continue;
        if (least == NULL || source->prefix < least->prefix) {
            least = source;
        } else if (source->prefix == least->prefix &&
                   memcmp(index_cursor_key(&source->cursor), index_cursor_key(&least->cursor), INDEX_KEY_BYTES) < 0) {
            least = source;
        }
    }
    return least;
}

/* Moves entries into the new run. `ret_is_complete`: there are no more. */
static result entries_move(struct index_merge *merge, bool *ret_is_complete) {
    for (uint32_t count = 0; count < INDEX_STEP_ENTRIES_COUNT_MAX; count++) {
        struct source *source = source_least(merge);
        if (source == NULL) {
            *ret_is_complete = true;
            return RESULT_OK;
        }
        const uint8_t *key = index_cursor_key(&source->cursor);
        if (index_key_is_id(key) && index_key_position(key) < merge->ids_position_first) {
            merge->dropped_count++;
        } else {
            TRY(index_run_writer_add(&merge->writer, key));
        }
        TRY(source_moved(source, index_cursor_next(&source->cursor)));
    }
    *ret_is_complete = false;
    return RESULT_OK;
}

/* Ends the new run and puts it in the place of its sources. */
static result output_list(struct index_merge *merge) {
    struct index_run_writer *writer = &merge->writer;
    TRY(index_run_writer_end(writer));
    uint64_t entries_count = 0;
    for (uint32_t index = 0; index < COUNT; index++) {
        entries_count += merge->runs[index]->entries_count;
        TRY(index_catalog_remove(merge->catalog, writer->transaction, merge->runs[index]));
    }
    const uint64_t found_count = writer->run->entries_count + merge->dropped_count;
    if (entries_count != found_count) {
        log_error("runs of the index have lost entries", "listed", log_number(entries_count), "found",
                  log_number(found_count));
        return failure_result(FAILURE_CORRUPT);
    }
    if (merge->ids_position_first > merge->catalog->ids_position_first) {
        TRY(index_catalog_ids_put(merge->catalog, writer->transaction, merge->ids_position_first));
    }
    return index_catalog_put(merge->catalog, writer->transaction, writer->run);
}

static result step(struct index_merge *merge, MDB_txn *reader, bool *ret_is_complete) {
    TRY(index_run_writer_begin(&merge->writer));
    TRY(sources_open(merge, reader));
    TRY(entries_move(merge, ret_is_complete));
    if (*ret_is_complete) TRY(output_list(merge));
    TRY(index_run_writer_commit(&merge->writer));
    if (*ret_is_complete && merge->ids_position_first > merge->catalog->ids_position_first) {
        merge->catalog->ids_position_first = merge->ids_position_first;
    }
    return RESULT_OK;
}

result index_merge_step(struct index_merge *merge, MDB_txn *reader, bool *ret_is_complete) {
    bool is_complete = false;
    const result outcome = step(merge, reader, &is_complete);
    sources_close(merge);
    index_run_writer_abort(&merge->writer);
    if (!failed(outcome)) *ret_is_complete = is_complete;
    return outcome;
}
