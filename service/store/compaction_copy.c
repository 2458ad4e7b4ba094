/* compaction_copy.c: records and rows from one log to another. */
#include <assert.h>
#include <string.h>

#include "service/base/logging.h"
#include "service/store/compaction_private.h"

/* Key, node header, pointer. */
#define RECORD_OVERHEAD_BYTES 18
#define ROW_OVERHEAD_BYTES    10
/* A row of a small table is nowhere near it; a damaged length still names bytes that are in the file. */
#define ROW_BYTES_MAX MIB(1)
_Static_assert(ROW_BYTES_MAX < ENVIRONMENT_SLACK_BYTES, "a damaged length stays inside of the file");

/* Stores the record of a position as it is in the log, with its checksum, which has just been verified. */
static result record_copy(struct compaction *compaction, MDB_txn *transaction, uint64_t position, unsigned flags,
                          uint64_t *ret_bytes) {
    struct bytes record;
    const result found = store_reader_get(compaction->reader, position, &record);
    if (found.failure == FAILURE_NOT_FOUND) {
        log_error("an event is missing in the log", "position", log_number(position));
        return failure_result(FAILURE_CORRUPT);
    }
    TRY(found);
    MDB_val key = {.mv_size = sizeof position, .mv_data = &position};
    MDB_val value = {.mv_size = record.size + RECORD_CHECKSUM_BYTES, .mv_data = (void *)(uintptr_t)record.data};
    const MDB_dbi table = compaction->target->tables.handles[TABLE_EVENTS];
    TRY(environment_result(mdb_put(transaction, table, &key, &value, flags), "copy an event"));
    *ret_bytes = value.mv_size + RECORD_OVERHEAD_BYTES;
    return RESULT_OK;
}

static bool events_fit(const struct copy_budget *budget) {
    return budget->events_count < budget->events_count_max && budget->bytes < budget->bytes_max;
}

result copy_events(struct compaction *compaction, MDB_txn *transaction, uint64_t position_last,
                   struct copy_budget *budget) {
    while (compaction->position_copied < position_last && events_fit(budget)) {
        uint64_t bytes;
        TRY(record_copy(compaction, transaction, compaction->position_copied + 1, MDB_APPEND, &bytes));
        compaction->position_copied++;
        budget->events_count++;
        budget->bytes += bytes;
    }
    return RESULT_OK;
}

result copy_rewrites(struct compaction *compaction, MDB_txn *transaction, struct copy_budget *budget) {
    struct rewrites *due = &compaction->rewrites_due;
    while (due->count > 0 && events_fit(budget)) {
        const uint64_t position = due->positions[due->count - 1];
        /* One that comes later is copied from a later snapshot than this one. */
        if (position <= compaction->position_copied) {
            uint64_t bytes;
            TRY(record_copy(compaction, transaction, position, 0, &bytes));
            budget->events_count++;
            budget->bytes += bytes + compaction->target->environment.page_bytes; /* a page for one record */
        }
        due->count--;
    }
    return RESULT_OK;
}

/* Two cursors in the same table, before and after; each at a row or at the end. */
struct rows {
    MDB_txn *transaction;
    MDB_dbi table;
    uint64_t page_bytes;
    MDB_cursor *source;
    MDB_cursor *target;
    MDB_val source_key;
    MDB_val source_value;
    MDB_val target_key;
    MDB_val target_value;
    bool source_ended;
    bool target_ended;
};

/* A step of a cursor, or to the first row after a key. */
static result row_move(MDB_cursor *cursor, const struct rows_place *place, MDB_cursor_op operation, MDB_val *key,
                       MDB_val *value, bool *ret_ended) {
    int code;
    if (operation == MDB_NEXT) {
        code = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    } else if (place->key_bytes == 0) {
        code = mdb_cursor_get(cursor, key, value, MDB_FIRST);
    } else {
        *key = (MDB_val){.mv_size = place->key_bytes, .mv_data = (void *)(uintptr_t)place->key};
        code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
        const bool is_same = code == MDB_SUCCESS && key->mv_size == place->key_bytes &&
                             memcmp(key->mv_data, place->key, place->key_bytes) == 0;
        if (is_same) code = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    }
    *ret_ended = code == MDB_NOTFOUND;
    if (*ret_ended) return RESULT_OK;
    TRY(environment_result(code, "compare rows"));
    const bool is_sound = key->mv_size > 0 && key->mv_size <= ROW_KEY_BYTES_MAX && value->mv_size <= ROW_BYTES_MAX;
    return is_sound ? RESULT_OK : failure_result(FAILURE_CORRUPT);
}

static result source_move(struct rows *rows, const struct rows_place *place, MDB_cursor_op operation) {
    return row_move(rows->source, place, operation, &rows->source_key, &rows->source_value, &rows->source_ended);
}

static result target_move(struct rows *rows, const struct rows_place *place, MDB_cursor_op operation) {
    return row_move(rows->target, place, operation, &rows->target_key, &rows->target_value, &rows->target_ended);
}

static bool values_equal(const MDB_val *first, const MDB_val *second) {
    return first->mv_size == second->mv_size && memcmp(first->mv_data, second->mv_data, first->mv_size) == 0;
}

/* Which of the two rows comes first; negative: that of the log. */
static int rows_order(const struct rows *rows) {
    if (rows->source_ended) return 1;
    if (rows->target_ended) return -1;
    return mdb_cmp(rows->transaction, rows->table, &rows->source_key, &rows->target_key);
}

static result row_put(struct rows *rows, struct copy_budget *budget, unsigned flags) {
    const int code = mdb_cursor_put(rows->target, &rows->source_key, &rows->source_value, flags);
    budget->rows_copied_count++;
    budget->bytes += rows->source_key.mv_size + rows->source_value.mv_size + ROW_OVERHEAD_BYTES;
    if ((flags & MDB_APPEND) == 0) budget->bytes += rows->page_bytes; /* a page for one row */
    return environment_result(code, "copy a row");
}

static void place_set(struct rows_place *place, const MDB_val *key) {
    place->key_bytes = key->mv_size;
    memcpy(place->key, key->mv_data, key->mv_size);
}

/* Makes the row that comes first equal and goes on behind it. After a change the copy's cursor is placed anew by the key. */
static result row_settle(struct rows *rows, struct rows_place *place, struct copy_budget *budget) {
    const int order = rows_order(rows);
    if (order > 0) { /* it was deleted */
        place_set(place, &rows->target_key);
        TRY(environment_result(mdb_cursor_del(rows->target, 0), "delete a row"));
        budget->rows_copied_count++;
        return target_move(rows, place, MDB_SET_RANGE);
    }
    place_set(place, &rows->source_key);
    if (order < 0) {
        TRY(row_put(rows, budget, rows->target_ended ? MDB_APPEND : 0));
        if (!rows->target_ended) TRY(target_move(rows, place, MDB_SET_RANGE));
    } else if (values_equal(&rows->source_value, &rows->target_value)) {
        TRY(target_move(rows, place, MDB_NEXT));
    } else {
        TRY(row_put(rows, budget, 0));
        TRY(target_move(rows, place, MDB_SET_RANGE));
    }
    return source_move(rows, place, MDB_NEXT);
}

static bool rows_fit(const struct copy_budget *budget) {
    return budget->rows_compared_count < budget->rows_count_max && budget->bytes < budget->bytes_max;
}

static result rows_settle(struct rows *rows, struct rows_place *place, struct copy_budget *budget, bool *ret_done) {
    TRY(source_move(rows, place, MDB_SET_RANGE));
    TRY(target_move(rows, place, MDB_SET_RANGE));
    while (!(rows->source_ended && rows->target_ended) && rows_fit(budget)) {
        TRY(row_settle(rows, place, budget));
        budget->rows_compared_count++;
    }
    *ret_done = rows->source_ended && rows->target_ended;
    return RESULT_OK;
}

static result table_copy(struct compaction *compaction, MDB_txn *transaction, struct rows_place *place,
                         struct copy_budget *budget, bool *ret_done) {
    struct rows rows = {.transaction = transaction,
                        .table = compaction->target->tables.handles[place->table],
                        .page_bytes = compaction->target->environment.page_bytes};
    MDB_txn *snapshot = compaction->reader->transaction;
    TRY(environment_result(mdb_cursor_open(snapshot, compaction->source->tables.handles[place->table], &rows.source),
                           "compare rows"));
    result outcome = environment_result(mdb_cursor_open(transaction, rows.table, &rows.target), "compare rows");
    if (!failed(outcome)) {
        outcome = rows_settle(&rows, place, budget, ret_done);
        mdb_cursor_close(rows.target);
    }
    mdb_cursor_close(rows.source);
    return outcome;
}

result copy_rows(struct compaction *compaction, MDB_txn *transaction, struct rows_place *place,
                 struct copy_budget *budget, bool *ret_done) {
    assert(compaction->reader->has_snapshot && compaction->reader->log == compaction->source);
    while (place->table < TABLES_COUNT) {
        bool table_done = place->table == TABLE_EVENTS;
        if (!table_done) TRY(table_copy(compaction, transaction, place, budget, &table_done));
        if (!table_done) break;
        *place = (struct rows_place){.table = place->table + 1};
    }
    *ret_done = place->table == TABLES_COUNT;
    return RESULT_OK;
}
