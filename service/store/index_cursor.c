#include "service/store/index_cursor.h"

#include <endian.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"
#include "service/store/environment.h"

result index_cursor_open(const struct index_run *run, MDB_txn *transaction, struct index_cursor *ret_cursor) {
    struct index_cursor cursor = {.run = run};
    TRY(environment_result(mdb_cursor_open(transaction, run->table, &cursor.handle), "open a cursor of the index"));
    *ret_cursor = cursor;
    return RESULT_OK;
}

void index_cursor_close(struct index_cursor *cursor) {
    if (cursor->handle != NULL) mdb_cursor_close(cursor->handle);
    *cursor = (struct index_cursor){0};
}

static result block_damaged(const struct index_cursor *cursor, const char *reason) {
    log_error("a block of the index is damaged", "reason", reason, "position_first",
              log_number(cursor->run->position_first), "position_last", log_number(cursor->run->position_last));
    return failure_result(FAILURE_CORRUPT);
}

/* Takes the block that LMDB found, once it is what was written. */
static result block_enter(struct index_cursor *cursor, const MDB_val *key, const MDB_val *value) {
    if (key->mv_size != INDEX_KEY_BYTES || value->mv_size > INDEX_BLOCK_BYTES_MAX ||
        value->mv_size < INDEX_KEY_BYTES + INDEX_BLOCK_CHECKSUM_BYTES ||
        value->mv_size % INDEX_KEY_BYTES != INDEX_BLOCK_CHECKSUM_BYTES) {
        return block_damaged(cursor, "size");
    }
    const size_t size = value->mv_size - INDEX_BLOCK_CHECKSUM_BYTES;
    const uint8_t *entries = value->mv_data;
    uint32_t checksum;
    memcpy(&checksum, entries + size, sizeof checksum);
    if (le32toh(checksum) != checksum_crc32c(bytes_of(entries, size))) return block_damaged(cursor, "checksum");
    if (memcmp(key->mv_data, entries + size - INDEX_KEY_BYTES, INDEX_KEY_BYTES) != 0)
        return block_damaged(cursor, "key");
    cursor->entries = entries;
    cursor->count = (uint32_t)(size / INDEX_KEY_BYTES);
    return RESULT_OK;
}

static result block_move(struct index_cursor *cursor, MDB_cursor_op operation) {
    MDB_val key;
    MDB_val value;
    const int code = mdb_cursor_get(cursor->handle, &key, &value, operation);
    TRY(environment_result(code, "read a block of the index"));
    return block_enter(cursor, &key, &value);
}

/* Enters the first block that does not end before `sought`. */
static result block_find(struct index_cursor *cursor, const struct index_key *sought) {
    struct index_key copy = *sought;
    MDB_val key = {.mv_size = sizeof copy.bytes, .mv_data = copy.bytes};
    MDB_val value;
    const int code = mdb_cursor_get(cursor->handle, &key, &value, MDB_SET_RANGE);
    TRY(environment_result(code, "search the index"));
    return block_enter(cursor, &key, &value);
}

/* How many entries of the block are before `key`, or not after it. */
static uint32_t entries_before(const struct index_cursor *cursor, const struct index_key *key, bool is_inclusive) {
    uint32_t low = 0;
    uint32_t high = cursor->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = memcmp(cursor->entries + (size_t)middle * INDEX_KEY_BYTES, key->bytes, INDEX_KEY_BYTES);
        if (order < 0 || (order == 0 && is_inclusive)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

result index_cursor_seek_forward(struct index_cursor *cursor, const struct index_key *key) {
    TRY(block_find(cursor, key));
    cursor->at = entries_before(cursor, key, false);
    return RESULT_OK;
}

result index_cursor_seek_backward(struct index_cursor *cursor, const struct index_key *key) {
    const result found = block_find(cursor, key);
    if (found.failure == FAILURE_NOT_FOUND) {
        TRY(block_move(cursor, MDB_LAST));
    } else {
        TRY(found);
    }
    uint32_t count = entries_before(cursor, key, true);
    if (count == 0) {
        TRY(block_move(cursor, MDB_PREV));
        count = cursor->count;
    }
    cursor->at = count - 1;
    return RESULT_OK;
}

result index_cursor_next(struct index_cursor *cursor) {
    if (cursor->at + 1 < cursor->count) {
        cursor->at++;
        return RESULT_OK;
    }
    TRY(block_move(cursor, MDB_NEXT));
    cursor->at = 0;
    return RESULT_OK;
}

result index_cursor_previous(struct index_cursor *cursor) {
    if (cursor->at > 0) {
        cursor->at--;
        return RESULT_OK;
    }
    TRY(block_move(cursor, MDB_PREV));
    cursor->at = cursor->count - 1;
    return RESULT_OK;
}
