/* names_work.c: what the index thread does for names, one short step at a time, in this order: throw a damaged catalogue away;
 * empty a table that is not listed any more; then, in turn when both are due, go on with the merge of the lowest level, and
 * read a few thousand events or write a few thousand names of the run that is being made. Lower merges come first, because they
 * keep the number of runs, and so the cost of a query, low. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/logging.h"
#include "service/store/names_state.h"

static void counts_publish(struct names *names) {
    atomic_store_explicit(&names->position, names_catalog_position(&names->catalog), memory_order_release);
    atomic_store_explicit(&names->runs_count, names_catalog_count(&names->catalog), memory_order_relaxed);
}

static result readers_open(struct names *names, struct store *store) {
    MDB_env *handle = names->environment->handle;
    TRY(store_reader_open(store, &names->log));
    TRY(store_reader_open(store, &names->query_log));
    TRY(environment_result(mdb_txn_begin(handle, NULL, MDB_RDONLY, &names->reader), "read the names"));
    mdb_txn_reset(names->reader);
    TRY(environment_result(mdb_txn_begin(handle, NULL, MDB_RDONLY, &names->query_reader), "read the names"));
    mdb_txn_reset(names->query_reader);
    return RESULT_OK;
}

result names_open(const struct names_options *options, struct names **ret_names) {
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL) return failure_result(FAILURE_MEMORY);
    names->environment = options->environment;
    names->events_count_max = options->events_count_max;
    names->wake = options->wake;
    names->context = options->context;
    pthread_mutex_init(&names->mutex, NULL);
    result outcome = names_catalog_open(names->environment, &names->catalog);
    if (!failed(outcome)) outcome = readers_open(names, options->store);
    if (failed(outcome)) {
        names_close(names);
        return outcome;
    }
    counts_publish(names);
    *ret_names = names;
    return RESULT_OK;
}

/* Gives up the run that is made and the merges. */
static void work_drop(struct names *names) {
    if (names->writer.run != NULL) names->writer.run->state = NAMES_RUN_RETIRED;
    names->writer.run = NULL;
    names->written_count = 0;
    names->table = names_table_free(names->table);
    for (uint32_t level = 0; level < NAMES_LEVELS_COUNT; level++) {
        if (names->merges[level] == NULL) continue;
        names_merge_output(names->merges[level])->state = NAMES_RUN_RETIRED;
        names->merges[level] = names_merge_free(names->merges[level]);
    }
}

struct names *names_close(struct names *names) {
    if (names == NULL) return NULL;
    work_drop(names);
    names_tail_trim(names, UINT64_MAX);
    if (names->query_reader != NULL) mdb_txn_abort(names->query_reader);
    if (names->reader != NULL) mdb_txn_abort(names->reader);
    store_reader_close(names->query_log);
    store_reader_close(names->log);
    pthread_mutex_destroy(&names->mutex);
    free(names);
    return NULL;
}

struct names_counts names_count(const struct names *names) {
    return (struct names_counts){.position = atomic_load_explicit(&names->position, memory_order_acquire),
                                 .runs_count = atomic_load_explicit(&names->runs_count, memory_order_relaxed),
                                 .kept_count = atomic_load_explicit(&names->kept_count, memory_order_relaxed)};
}

static struct names_run *run_retired(struct names *names) {
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        if (names->catalog.tables[number].state == NAMES_RUN_RETIRED) return &names->catalog.tables[number];
    }
    return NULL;
}

/* The lowest level that has a merge to go on with or to begin; NAMES_LEVELS_COUNT: none has. */
static uint32_t merge_level(struct names *names) {
    struct names_run *runs[NAMES_TABLES_COUNT];
    for (uint32_t level = 0; level + 1 < NAMES_LEVELS_COUNT; level++) {
        if (names->merges[level] != NULL) return level;
        if (names_catalog_level(&names->catalog, level, runs) >= INDEX_RUNS_MERGED_COUNT &&
            names_catalog_has_room(&names->catalog, level + 1)) {
            return level;
        }
    }
    return NAMES_LEVELS_COUNT;
}

/* A run is begun when all its events are there, so that its bounds depend on the log alone; one whose names take much room is
 * complete with fewer. */
static bool run_is_due(const struct names *names, uint64_t position_end) {
    if (atomic_load_explicit(&names->is_log_damaged, memory_order_relaxed)) return false;
    if (names->writer.run != NULL) return true;
    if (names->table != NULL) {
        if (names_table_is_full(names->table)) return names_catalog_has_room(&names->catalog, 0);
        return names_table_position_last(names->table) < position_end;
    }
    const uint64_t position = atomic_load_explicit(&names->position, memory_order_relaxed);
    return position_end >= position + names->events_count_max;
}

bool names_has_work(struct names *names, uint64_t position_end) {
    return atomic_load_explicit(&names->is_to_begin_anew, memory_order_acquire) || run_retired(names) != NULL ||
           run_is_due(names, position_end) || merge_level(names) < NAMES_LEVELS_COUNT;
}

bool names_is_wanted(struct names *names, uint64_t position_end) {
    if (atomic_load_explicit(&names->is_to_begin_anew, memory_order_acquire)) return true;
    return atomic_load_explicit(&names->is_wanted, memory_order_relaxed) && names_has_work(names, position_end);
}

static result event_add(struct names_table *table, struct store_reader *log, uint64_t position) {
    struct bytes encoded;
    struct record record;
    const result found = store_reader_get(log, position, &encoded);
    /* The log has no gaps. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    TRY(record_read(encoded, &record));
    return names_table_add(table, &record, encoded.size);
}

result names_table_fill(struct names_table *table, struct store_reader *log, uint64_t position_end) {
    uint64_t position_last;
    TRY(store_reader_begin(log, &position_last));
    result outcome = RESULT_OK;
    /* A snapshot that is taken during a commit may show it while the next one does not yet: LMDB's readers look at a meta page
     * that is just being written. So what an earlier snapshot had is no promise, and its absence no damage. */
    if (position_end > position_last) position_end = position_last;
    for (uint32_t count = 0; count < NAMES_STEP_EVENTS_COUNT_MAX && !failed(outcome); count++) {
        const uint64_t position = names_table_position_last(table) + 1;
        if (position > position_end || names_table_is_full(table)) break;
        outcome = event_add(table, log, position);
    }
    store_reader_end(log);
    return outcome;
}

static result table_fill(struct names *names, uint64_t position_end) {
    if (names->table == NULL) {
        const uint64_t position = atomic_load_explicit(&names->position, memory_order_relaxed);
        TRY(names_table_new(position + 1, names->events_count_max, &names->table));
    }
    const result outcome = names_table_fill(names->table, names->log, position_end);
    if (!failed(outcome)) return RESULT_OK;
    names->table = names_table_free(names->table);
    if (outcome.failure != FAILURE_CORRUPT) return outcome;
    log_error("the log is damaged: lists of streams, types and tags fail from here on");
    atomic_store_explicit(&names->is_log_damaged, true, memory_order_relaxed);
    return RESULT_OK;
}

/* Whether less than a run is missing. */
static bool is_caught_up(const struct names *names, uint64_t position_end) {
    return position_end < atomic_load_explicit(&names->position, memory_order_relaxed) + names->events_count_max;
}

/* Tables of the tail that are in the run now; unless a query is going on, which will do it. */
static void run_publish(struct names *names) {
    counts_publish(names);
    if (pthread_mutex_trylock(&names->mutex) != 0) return;
    names_tail_trim(names, names_catalog_position(&names->catalog));
    pthread_mutex_unlock(&names->mutex);
}

/* Writes some names; the last piece lists the run. `ret_is_complete`: it was that. */
static result piece_write(struct names *names, bool *ret_is_complete) {
    struct names_writer *writer = &names->writer;
    const uint32_t count = names_table_count(names->table);
    uint32_t end = names->written_count + NAMES_STEP_ENTRIES_COUNT_MAX;
    if (end > count) end = count;
    TRY(names_writer_begin(writer));
    for (uint32_t place = names->written_count; place < end; place++) {
        const struct names_entry entry = names_table_at(names->table, place);
        TRY(names_writer_add(writer, &entry));
    }
    if (end == count) TRY(names_catalog_put(&names->catalog, writer->transaction, writer->run));
    TRY(names_writer_commit(writer));
    names->written_count = end;
    *ret_is_complete = end == count;
    return RESULT_OK;
}

static result table_write(struct names *names) {
    if (names->writer.run == NULL) {
        TRY(names_table_sort(names->table));
        struct names_run *run = names_catalog_take(&names->catalog, 0, names_table_position_first(names->table),
                                                   names_table_position_last(names->table));
        names_writer_init(&names->writer, names->environment, run);
        names->written_count = 0;
    }
    bool is_complete = false;
    const result outcome = piece_write(names, &is_complete);
    names_writer_abort(&names->writer);
    if (failed(outcome)) {
        /* What was written of it is emptied, then it is tried again. */
        names->writer.run->state = NAMES_RUN_RETIRED;
        names->writer.run = NULL;
        return outcome;
    }
    if (!is_complete) return RESULT_OK;
    log_debug("a names run is written", "position_last", log_number(names->writer.run->position_last), "entries",
              log_number(names->writer.run->entries_count));
    names->writer.run->state = NAMES_RUN_LISTED;
    names->writer.run = NULL;
    names->table = names_table_free(names->table);
    run_publish(names);
    return RESULT_OK;
}

static result merge_begin(struct names *names, uint32_t level) {
    struct names_run *runs[NAMES_TABLES_COUNT];
    const uint32_t count = names_catalog_level(&names->catalog, level, runs);
    assert(count >= INDEX_RUNS_MERGED_COUNT);
    struct names_run *output = names_catalog_take(&names->catalog, level + 1, runs[0]->position_first,
                                                  runs[INDEX_RUNS_MERGED_COUNT - 1]->position_last);
    const result outcome = names_merge_new(names->environment, &names->catalog, runs, output, &names->merges[level]);
    if (failed(outcome)) output->state = NAMES_RUN_FREE;
    return outcome;
}

static result merge(struct names *names, uint32_t level) {
    if (names->merges[level] == NULL) TRY(merge_begin(names, level));
    struct names_merge *merge = names->merges[level];
    bool is_complete = false;
    TRY(environment_result(mdb_txn_renew(names->reader), "read the names"));
    const result outcome = names_merge_step(merge, names->reader, &is_complete);
    mdb_txn_reset(names->reader);
    if (!failed(outcome) && !is_complete) return RESULT_OK;
    if (failed(outcome)) {
        names_merge_output(merge)->state = NAMES_RUN_RETIRED;
    } else {
        struct names_run *const *sources = names_merge_sources(merge);
        for (uint32_t index = 0; index < INDEX_RUNS_MERGED_COUNT; index++) sources[index]->state = NAMES_RUN_RETIRED;
        names_merge_output(merge)->state = NAMES_RUN_LISTED;
        counts_publish(names);
    }
    names->merges[level] = names_merge_free(merge);
    if (outcome.failure != FAILURE_CORRUPT) return outcome;
    names_begin_anew(names);
    return RESULT_OK;
}

static result begin_anew(struct names *names) {
    log_warn("the names are begun anew", "position", log_number(names_catalog_position(&names->catalog)));
    work_drop(names);
    TRY(names_catalog_clear(&names->catalog, names->environment));
    atomic_store_explicit(&names->is_to_begin_anew, false, memory_order_release);
    counts_publish(names);
    return RESULT_OK;
}

result names_step(struct names *names, uint64_t position_end) {
    if (atomic_load_explicit(&names->is_to_begin_anew, memory_order_acquire)) return begin_anew(names);
    struct names_run *retired = run_retired(names);
    if (retired != NULL) return names_catalog_empty(names->environment, retired);
    const uint32_t level = merge_level(names);
    const bool is_due = run_is_due(names, position_end);
    if (level < NAMES_LEVELS_COUNT && (!is_due || !names->merged_last)) {
        names->merged_last = true;
        return merge(names, level);
    }
    names->merged_last = false;
    if (!is_due) return RESULT_OK;
    const bool is_full = names->table != NULL && names_table_is_full(names->table);
    TRY(is_full ? table_write(names) : table_fill(names, position_end));
    if (is_caught_up(names, position_end)) atomic_store_explicit(&names->is_wanted, false, memory_order_relaxed);
    return RESULT_OK;
}
