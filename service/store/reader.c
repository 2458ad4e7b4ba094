/* reader.c: snapshots of the log and the records in them. */
#include <assert.h>

#include "service/base/checksum.h"
#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

#define LINE_BYTES           64 /* of the processor's cache */
#define PREFETCH_BYTES_AHEAD 1024
#define NEAR_RECORDS_COUNT   16 /* of a page, if they are small */

static result snapshot_take(struct store_reader *reader, uint64_t *ret_position_last, bool position_wanted) {
    TRY(environment_result(mdb_txn_renew(reader->transaction), "take a snapshot"));
    result outcome = environment_result(mdb_cursor_renew(reader->transaction, reader->cursor), "take a snapshot");
    if (!failed(outcome) && position_wanted) outcome = log_position_last(reader->cursor, ret_position_last);
    if (failed(outcome)) mdb_txn_reset(reader->transaction);
    return outcome;
}

result store_reader_begin(struct store_reader *reader, uint64_t *ret_position_last) {
    assert(!reader->has_snapshot);
    uint64_t position_last = 0;
    TRY(store_reader_take(reader));
    const result outcome = snapshot_take(reader, &position_last, ret_position_last != NULL);
    if (failed(outcome)) {
        store_reader_give(reader);
        return outcome;
    }
    reader->has_snapshot = true;
    reader->cursor_position = position_last;
    if (ret_position_last != NULL) *ret_position_last = position_last;
    return RESULT_OK;
}

void store_reader_end(struct store_reader *reader) {
    assert(reader->has_snapshot);
    mdb_txn_reset(reader->transaction);
    reader->has_snapshot = false;
    store_reader_give(reader);
}

/* LMDB fills a page from its end, so that following records lie at descending addresses, then at the end of the next
 * page: an order that processors do not foresee. This asks for the bytes a few records ahead, which makes a scan of
 * small records three times as fast. An address that is not there does no harm. Inlined by force, because GCC takes a
 * function that only prefetches for one without effect and drops the call. */
static inline __attribute__((always_inline)) void ahead_prefetch(const MDB_val *value, uint64_t page_bytes) {
    if (value->mv_size > page_bytes / 2) return; /* it has pages of its own, which are read in order */
    const uintptr_t begin = (uintptr_t)value->mv_data;
    const uintptr_t page = begin & ~(uintptr_t)(page_bytes - 1);
    uintptr_t line = begin - PREFETCH_BYTES_AHEAD;
    for (size_t size = 0; size < value->mv_size + LINE_BYTES; size += LINE_BYTES) {
        line -= LINE_BYTES;
        __builtin_prefetch((const void *)(line >= page ? line : line + 2 * page_bytes));
    }
}

/* LMDB begins a search where the cursor stands, by a look at both ends of that page. A position that is not near is not there,
 * so the looks would be for nothing, and each waits for memory: a cursor that was renewed searches from the root. */
static int cursor_leap(struct store_reader *reader, uint64_t position) {
    const uint64_t from = reader->cursor_position;
    const uint64_t distance = position > from ? position - from : from - position;
    return distance <= NEAR_RECORDS_COUNT ? MDB_SUCCESS : mdb_cursor_renew(reader->transaction, reader->cursor);
}

/* Brings the cursor to a position, by a step where one is enough. */
static int cursor_move(struct store_reader *reader, uint64_t position, MDB_val *ret_value) {
    MDB_cursor_op operation = MDB_SET;
    if (reader->cursor_position != 0) {
        if (position == reader->cursor_position + 1) operation = MDB_NEXT;
        if (position == reader->cursor_position) operation = MDB_GET_CURRENT;
        if (position == reader->cursor_position - 1) operation = MDB_PREV;
    }
    if (operation == MDB_SET) {
        const int code = cursor_leap(reader, position);
        if (code != MDB_SUCCESS) return code;
    }
    reader->cursor_position = 0;
    uint64_t wanted = position;
    MDB_val key = {.mv_size = sizeof wanted, .mv_data = &wanted};
    const int code = mdb_cursor_get(reader->cursor, &key, ret_value, operation);
    if (code != MDB_SUCCESS) return code;
    uint64_t found = 0;
    if (key.mv_size == sizeof found) memcpy(&found, key.mv_data, sizeof found);
    if (found != position) return MDB_NOTFOUND; /* a step over a gap */
    reader->cursor_position = position;
    if (operation == MDB_NEXT) ahead_prefetch(ret_value, reader->log->environment.page_bytes);
    return MDB_SUCCESS;
}

static int step_after(MDB_cursor *cursor, struct bytes name, MDB_val *ret_key, MDB_val *ret_value) {
    if (name.size == 0) return mdb_cursor_get(cursor, ret_key, ret_value, MDB_FIRST);
    *ret_key = name_key(name);
    const int code = mdb_cursor_get(cursor, ret_key, ret_value, MDB_SET_RANGE);
    if (code != MDB_SUCCESS || !bytes_equal(bytes_of(ret_key->mv_data, ret_key->mv_size), name)) return code;
    return mdb_cursor_get(cursor, ret_key, ret_value, MDB_NEXT);
}

result names_after(struct store_reader *reader, enum table table, struct bytes name, MDB_val *ret_key,
                   MDB_val *ret_value) {
    assert(reader->has_snapshot);
    MDB_cursor *cursor;
    TRY(environment_result(mdb_cursor_open(reader->transaction, reader->log->tables.handles[table], &cursor),
                           "list names"));
    const int code = step_after(cursor, name, ret_key, ret_value);
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_NOT_FOUND);
    return environment_result(code, "list names");
}

/* Whether a stored value is the record of this position, with its checksum. */
static bool value_is_sound(const MDB_val *value, uint64_t position) {
    if (value->mv_size <= RECORD_CHECKSUM_BYTES || value->mv_size > STORED_RECORD_BYTES_MAX) return false;
    const struct bytes record = bytes_of(value->mv_data, value->mv_size - RECORD_CHECKSUM_BYTES);
    if (DAYBOOK_IS_BROKEN(CHECKSUM)) return true;
    return checksum_crc32c(record) == stored_checksum_read(record.data + record.size) &&
           record_position(record) == position;
}

static result value_take(const struct log_environment *log, const MDB_val *value, uint64_t position,
                         struct bytes *ret_record) {
    if (!value_is_sound(value, position)) {
        log_error("a stored event is damaged", "file", log->environment.file, "position", log_number(position));
        return failure_result(FAILURE_CORRUPT);
    }
    *ret_record = bytes_of(value->mv_data, value->mv_size - RECORD_CHECKSUM_BYTES);
    return RESULT_OK;
}

result store_reader_get(struct store_reader *reader, uint64_t position, struct bytes *ret_record) {
    assert(reader->has_snapshot && position > 0);
    MDB_val value;
    const int code = cursor_move(reader, position, &value);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_NOT_FOUND);
    if (code != MDB_SUCCESS) return environment_result(code, "read an event");
    return value_take(reader->log, &value, position, ret_record);
}

result store_get(struct store *store, uint64_t position, struct bytes *ret_record) {
    assert(store->transaction != NULL && position > 0);
    MDB_val key = {.mv_size = sizeof position, .mv_data = &position};
    MDB_val value;
    const int code = mdb_get(store->transaction, store_log(store)->tables.handles[TABLE_EVENTS], &key, &value);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_NOT_FOUND);
    TRY(environment_result(code, "read an event"));
    return value_take(store_log(store), &value, position, ret_record);
}
