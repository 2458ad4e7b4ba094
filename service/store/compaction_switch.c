/* compaction_switch.c: the moment in which the copy becomes the log. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/compaction_private.h"

#define BLOCK_BYTES 512 /* what st_blocks counts */

static uint64_t disk_bytes(const struct environment *environment) {
    struct stat status;
    return fstat(environment->descriptor, &status) == 0 ? (uint64_t)status.st_blocks * BLOCK_BYTES : 0;
}

/* Both logs have as many rows in every table; what they say was compared, or copied with its checksum. */
static result sizes_compare(struct compaction *compaction, MDB_txn *transaction) {
    for (uint32_t table = 0; table < TABLES_COUNT; table++) {
        MDB_stat source;
        MDB_stat target;
        TRY(environment_result(
            mdb_stat(compaction->reader->transaction, compaction->source->tables.handles[table], &source), "compare"));
        TRY(environment_result(mdb_stat(transaction, compaction->target->tables.handles[table], &target), "compare"));
        if (source.ms_entries == target.ms_entries) continue;
        log_error("the copy of the log differs from it", "file", compaction->source->environment.file, "table",
                  log_number(table), "rows", log_number(source.ms_entries), "rows_copied",
                  log_number(target.ms_entries));
        return failure_result(FAILURE_CORRUPT);
    }
    return RESULT_OK;
}

/* The reader has a snapshot of everything there is. Copies what is left, if that is little enough. */
static result rest_copy(struct compaction *compaction, MDB_txn *transaction, uint64_t position_last,
                        struct copy_budget *budget, bool *ret_is_complete) {
    struct rows_place place = {0};
    bool rows_done = false;
    TRY(copy_rewrites(compaction, transaction, budget));
    TRY(copy_events(compaction, transaction, position_last, budget));
    if (compaction->position_copied < position_last || compaction->rewrites_due.count > 0) {
        *ret_is_complete = false;
        return RESULT_OK;
    }
    TRY(copy_rows(compaction, transaction, &place, budget, &rows_done));
    if (rows_done) TRY(sizes_compare(compaction, transaction));
    *ret_is_complete = rows_done;
    return RESULT_OK;
}

/* The copy has a mark of its own before it becomes the log. */
static result target_mark(struct compaction *compaction) {
    struct log_environment *target = compaction->target;
    MDB_txn *transaction;
    char *path = NULL;
    TRY(environment_result(mdb_txn_begin(target->environment.handle, NULL, MDB_RDONLY, &transaction), "mark the copy"));
    const uint64_t number = mdb_txn_id(transaction);
    mdb_txn_abort(transaction);
    if (target->mark_descriptor < 0) {
        if (asprintf(&path, "%s/log.new", compaction->store->directory.path) < 0) return failure_result(FAILURE_MEMORY);
        target->mark_descriptor = commit_mark_open(path);
        free(path);
    }
    return log_environment_mark(target, number, compaction->position_copied, true);
}

/* Synced when it returns, also what was not enough: the next steps go on from there. */
static result rest_commit(struct compaction *compaction, struct copy_budget *budget, bool *ret_is_complete) {
    struct environment *target = &compaction->target->environment;
    MDB_txn *transaction;
    uint64_t position_last = 0;
    TRY(rewrites_collect(compaction));
    TRY(environment_result(mdb_txn_begin(target->handle, NULL, 0, &transaction), "copy"));
    result outcome = store_reader_begin(compaction->reader, &position_last);
    if (!failed(outcome)) {
        assert(position_last == compaction->store->position_committed);
        outcome = rest_copy(compaction, transaction, position_last, budget, ret_is_complete);
        store_reader_end(compaction->reader);
    }
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    TRY(environment_commit(target, transaction, budget->bytes));
    if (*ret_is_complete) TRY(target_mark(compaction));
    atomic_store(&compaction->events_count, position_last);
    atomic_store(&compaction->events_copied_count, compaction->position_copied);
    return RESULT_OK;
}

/* The names are exchanged: the copy serves. */
static void target_publish(struct compaction *compaction) {
    struct environment *target = &compaction->target->environment;
    free(target->file);
    target->file = compaction->file_after;
    compaction->file_after = NULL;
    environment_renamed(target);
    target->reserve_bytes = compaction->source->environment.reserve_bytes;
    const uint64_t before_bytes = disk_bytes(&compaction->source->environment);
    const uint64_t after_bytes = disk_bytes(target);
    atomic_store(&compaction->reclaimed_bytes, before_bytes > after_bytes ? before_bytes - after_bytes : 0);
    readers_switch(compaction->store, compaction->target);
}

result compaction_switch(struct compaction *compaction, bool *ret_is_switched) {
    struct store *store = compaction->store;
    assert(store->transaction == NULL && store_log(store) == compaction->source && !compaction->log_is_unknown);
    const uint32_t doublings = compaction->switches_tried_count < 32 ? compaction->switches_tried_count++ : 32;
    struct copy_budget budget = {.events_count_max = (uint64_t)COMPACTION_SWITCH_EVENTS_COUNT_MAX << doublings,
                                 .rows_count_max = UINT64_MAX,
                                 .bytes_max = COMPACTION_SWITCH_BYTES_MAX << doublings};
    bool is_complete = false;
    TRY(rest_commit(compaction, &budget, &is_complete));
    if (!is_complete) {
        *ret_is_switched = false;
        return RESULT_OK;
    }
    DAYBOOK_FAILPOINT(SWITCH_BEFORE);
    const result exchanged = log_exchange(&store->directory);
    compaction->log_is_unknown = exchanged.failure == FAILURE_STORAGE;
    TRY(exchanged);
    DAYBOOK_FAILPOINT(SWITCH_SYNCED);
    target_publish(compaction);
    DAYBOOK_FAILPOINT(SWITCH_PUBLISHED);
    compaction->switch_counts = (struct compaction_switch_counts){.events_copied = budget.events_count,
                                                                  .rows_compared = budget.rows_compared_count,
                                                                  .rows_copied = budget.rows_copied_count};
    *ret_is_switched = true;
    return RESULT_OK;
}
