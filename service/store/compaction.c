/* compaction.c: begin, steps and end; compaction_copy.c has what a step copies, compaction_switch.c the switch. */
#include "service/store/compaction.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/compaction_private.h"

/* The map of the copy has to have room for more than the log takes at this time. */
#define MAP_ROOM_FACTOR 2

void compaction_rewritten(struct store *store) {
    pthread_mutex_lock(&store->mutex);
    struct compaction *compaction = store->compaction;
    if (compaction != NULL) {
        const result moved = rewrites_move(&store->rewrites, &compaction->rewrites_heard);
        if (failed(moved)) compaction->rewrites_failure = moved.failure;
    }
    pthread_mutex_unlock(&store->mutex);
    rewrites_clear(&store->rewrites);
}

result rewrites_collect(struct compaction *compaction) {
    pthread_mutex_lock(&compaction->store->mutex);
    result outcome = failure_result(compaction->rewrites_failure);
    if (!failed(outcome)) outcome = rewrites_move(&compaction->rewrites_heard, &compaction->rewrites_due);
    pthread_mutex_unlock(&compaction->store->mutex);
    return outcome;
}

/* Makes this compaction the one that hears of rewrites, before its first snapshot. */
static result compaction_enter(struct compaction *compaction) {
    struct store *store = compaction->store;
    pthread_mutex_lock(&store->mutex);
    const bool is_first = store->compaction == NULL;
    if (is_first) {
        store->compaction = compaction;
        compaction->source = log_environment_ref(store_log(store));
    }
    pthread_mutex_unlock(&store->mutex);
    return is_first ? RESULT_OK : failure_result(FAILURE_BUSY);
}

static result tables_make(struct log_environment *log) {
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(log->environment.handle, NULL, 0, &transaction), "begin a copy"));
    const int code = tables_open(transaction, MDB_CREATE, &log->tables);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(transaction);
        return environment_result(code, "begin a copy");
    }
    return environment_commit(&log->environment, transaction, 0);
}

static result target_open(struct compaction *compaction, const char *path, struct problem *ret_problem) {
    const struct environment *source = &compaction->source->environment;
    const struct environment_options options = {.directory = path,
                                                .map_bytes = source->map_bytes,
                                                .map_may_shrink = true,
                                                .reserve_bytes = 2 * source->reserve_bytes,
                                                .tables_count_max = TABLES_COUNT};
    TRY(log_environment_open(&options, &compaction->target, ret_problem));
    const uint64_t map_bytes = compaction->target->environment.map_bytes;
    if (map_bytes < source->map_bytes && map_bytes / MAP_ROOM_FACTOR < environment_used_bytes(source)) {
        problem_set(ret_problem,
                    "no address space for a second log: restart the daemon, or raise the limit (ulimit -v)");
        return failure_result(FAILURE_MEMORY);
    }
    TRY(tables_make(compaction->target));
    return directory_sync(path, ret_problem);
}

static result begin_steps(struct compaction *compaction, struct problem *ret_problem) {
    const struct directory *directory = &compaction->store->directory;
    char *path = NULL;
    TRY(store_reader_open(compaction->store, &compaction->reader));
    log_leftovers_remove(directory);
    TRY(log_new_make(directory, ret_problem));
    compaction->file_after = strdup(compaction->source->environment.file);
    if (compaction->file_after == NULL) return failure_result(FAILURE_MEMORY);
    if (asprintf(&path, "%s/log.new", directory->path) < 0) return failure_result(FAILURE_MEMORY);
    const result outcome = target_open(compaction, path, ret_problem);
    free(path);
    return outcome;
}

result compaction_begin(struct store *store, struct compaction **ret_compaction, struct problem *ret_problem) {
    problem_set(ret_problem, "no memory or reader for a compaction; retry later");
    struct compaction *compaction = calloc(1, sizeof *compaction);
    if (compaction == NULL) return failure_result(FAILURE_MEMORY);
    compaction->store = store;
    const result entered = compaction_enter(compaction);
    if (failed(entered)) {
        problem_set(ret_problem, "a compaction is running already");
        free(compaction);
        return entered;
    }
    const result begun = begin_steps(compaction, ret_problem);
    if (failed(begun)) {
        compaction_end(compaction);
        return begun;
    }
    problem_set(ret_problem, "%s", "");
    *ret_compaction = compaction;
    return RESULT_OK;
}

/* The reader has a snapshot. Rewrites come first, so that they do not pile up during a long copy. */
static result step_copy(struct compaction *compaction, MDB_txn *transaction, uint64_t position_last,
                        struct copy_budget *budget) {
    TRY(copy_rewrites(compaction, transaction, budget));
    TRY(copy_events(compaction, transaction, position_last, budget));
    if (compaction->position_copied < position_last || compaction->rows_copied) return RESULT_OK;
    return copy_rows(compaction, transaction, &compaction->rows, budget, &compaction->rows_copied);
}

result compaction_step(struct compaction *compaction, bool *ret_is_ready) {
    struct copy_budget budget = {.events_count_max = COMPACTION_STEP_EVENTS_COUNT_MAX,
                                 .rows_count_max = COMPACTION_STEP_ROWS_COUNT_MAX,
                                 .bytes_max = COMPACTION_STEP_BYTES_MAX};
    struct environment *target = &compaction->target->environment;
    MDB_txn *transaction;
    uint64_t position_last = 0;
    TRY(rewrites_collect(compaction));
    TRY(environment_result(mdb_txn_begin(target->handle, NULL, 0, &transaction), "copy"));
    result outcome = store_reader_begin(compaction->reader, &position_last);
    if (!failed(outcome)) {
        outcome = step_copy(compaction, transaction, position_last, &budget);
        store_reader_end(compaction->reader);
    }
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    TRY(environment_commit(target, transaction, budget.bytes));
    DAYBOOK_FAILPOINT(COPY_STEPPED);
    atomic_store(&compaction->events_count, position_last);
    atomic_store(&compaction->events_copied_count, compaction->position_copied);
    *ret_is_ready =
        compaction->position_copied == position_last && compaction->rewrites_due.count == 0 && compaction->rows_copied;
    return RESULT_OK;
}

struct compaction *compaction_end(struct compaction *compaction) {
    if (compaction == NULL) return NULL;
    struct store *store = compaction->store;
    store_reader_close(compaction->reader);
    log_environment_unref(compaction->target);
    /* Names first: an interrupted end leaves nothing that the next start has to remove. With an unknown outcome the next start
     * decides what is the log. */
    if (!compaction->log_is_unknown) log_leftovers_remove(&store->directory);
    log_environment_unref(compaction->source);
    pthread_mutex_lock(&store->mutex);
    store->compaction = NULL;
    pthread_mutex_unlock(&store->mutex);
    rewrites_deinit(&compaction->rewrites_due);
    rewrites_deinit(&compaction->rewrites_heard);
    free(compaction->file_after);
    free(compaction);
    return NULL;
}

struct compaction_progress compaction_progress(const struct compaction *compaction) {
    return (struct compaction_progress){.events_copied_count = atomic_load(&compaction->events_copied_count),
                                        .events_count = atomic_load(&compaction->events_count),
                                        .reclaimed_bytes = atomic_load(&compaction->reclaimed_bytes)};
}

bool compaction_log_is_known(const struct compaction *compaction) {
    return !compaction->log_is_unknown;
}

struct compaction_switch_counts compaction_switch_count(const struct compaction *compaction) {
    return compaction->switch_counts;
}
