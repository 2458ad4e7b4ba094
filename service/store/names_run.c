#include "service/store/names_run.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"

#define FIGURES_BYTES (NAMES_VALUE_BYTES - 4)

/* Key and value in one piece, as the checksum wants them. */
struct stored {
    uint8_t bytes[NAMES_KEY_BYTES_MAX + NAMES_VALUE_BYTES];
};

static struct stored stored_of(const struct names_entry *entry) {
    const struct name_figures *figures = &entry->figures;
    const uint64_t numbers[4] = {htole64(figures->events_count), htole64(figures->position_last),
                                 htole64(figures->position_first), htole64(figures->bytes_count)};
    const size_t key_size = entry->key.size;
    struct stored stored;
    _Static_assert(sizeof numbers == FIGURES_BYTES, "a value has no gap");
    memcpy(stored.bytes, entry->key.data, key_size);
    memcpy(stored.bytes + key_size, numbers, sizeof numbers);
    const uint32_t checksum = htole32(checksum_crc32c(bytes_of(stored.bytes, key_size + FIGURES_BYTES)));
    memcpy(stored.bytes + key_size + FIGURES_BYTES, &checksum, sizeof checksum);
    return stored;
}

/* Takes an entry apart; false: it is not what stored_of makes for an event of the run. */
static bool stored_take(const struct names_run *run, const MDB_val *key, const MDB_val *value,
                        struct names_entry *ret_entry) {
    if (key->mv_size < 2 || key->mv_size > NAMES_KEY_BYTES_MAX || value->mv_size != NAMES_VALUE_BYTES) return false;
    struct stored stored;
    memcpy(stored.bytes, key->mv_data, key->mv_size);
    memcpy(stored.bytes + key->mv_size, value->mv_data, value->mv_size);
    uint64_t numbers[4];
    uint32_t checksum;
    memcpy(numbers, value->mv_data, sizeof numbers);
    memcpy(&checksum, (const uint8_t *)value->mv_data + FIGURES_BYTES, sizeof checksum);
    if (le32toh(checksum) != checksum_crc32c(bytes_of(stored.bytes, key->mv_size + FIGURES_BYTES))) return false;
    const struct name_figures figures = {.events_count = le64toh(numbers[0]),
                                         .position_last = le64toh(numbers[1]),
                                         .position_first = le64toh(numbers[2]),
                                         .bytes_count = le64toh(numbers[3])};
    ret_entry->key = bytes_of(key->mv_data, key->mv_size);
    ret_entry->figures = figures;
    /* A whole page of another run would have right checksums, too. */
    return figures.position_first >= run->position_first && figures.position_last <= run->position_last &&
           figures.position_first <= figures.position_last;
}

void names_writer_init(struct names_writer *writer, struct environment *environment, struct names_run *run) {
    assert(run->state == NAMES_RUN_WRITING);
    *writer = (struct names_writer){.environment = environment, .run = run};
}

result names_writer_begin(struct names_writer *writer) {
    assert(writer->transaction == NULL);
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(writer->environment->handle, NULL, 0, &transaction), "write names"));
    const result outcome =
        environment_result(mdb_cursor_open(transaction, writer->run->table, &writer->cursor), "write names");
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    writer->transaction = transaction;
    writer->bytes_written = 0;
    return RESULT_OK;
}

result names_writer_add(struct names_writer *writer, const struct names_entry *entry) {
    struct stored stored = stored_of(entry);
    MDB_val key = {.mv_size = entry->key.size, .mv_data = stored.bytes};
    MDB_val value = {.mv_size = NAMES_VALUE_BYTES, .mv_data = stored.bytes + entry->key.size};
    TRY(environment_result(mdb_cursor_put(writer->cursor, &key, &value, MDB_APPEND), "write a name"));
    writer->bytes_written += key.mv_size + value.mv_size;
    writer->run->entries_count++;
    return RESULT_OK;
}

result names_writer_commit(struct names_writer *writer) {
    MDB_txn *transaction = writer->transaction;
    mdb_cursor_close(writer->cursor);
    writer->cursor = NULL;
    writer->transaction = NULL;
    return environment_commit(writer->environment, transaction, writer->bytes_written);
}

void names_writer_abort(struct names_writer *writer) {
    if (writer->transaction == NULL) return;
    mdb_cursor_close(writer->cursor);
    mdb_txn_abort(writer->transaction);
    writer->cursor = NULL;
    writer->transaction = NULL;
}

result names_cursor_open(const struct names_run *run, MDB_txn *transaction, struct names_cursor *ret_cursor) {
    struct names_cursor cursor = {.run = run, .is_ended = true};
    TRY(environment_result(mdb_cursor_open(transaction, run->table, &cursor.handle), "open a cursor of names"));
    *ret_cursor = cursor;
    return RESULT_OK;
}

void names_cursor_close(struct names_cursor *cursor) {
    if (cursor->handle != NULL) mdb_cursor_close(cursor->handle);
    *cursor = (struct names_cursor){0};
}

static result entry_damaged(const struct names_cursor *cursor) {
    log_error("a stored name is damaged", "position_first", log_number(cursor->run->position_first), "position_last",
              log_number(cursor->run->position_last));
    return failure_result(FAILURE_CORRUPT);
}

/* Takes what LMDB found. */
static result entry_enter(struct names_cursor *cursor, int code, const MDB_val *key, const MDB_val *value) {
    cursor->is_ended = code == MDB_NOTFOUND;
    if (cursor->is_ended) return RESULT_OK;
    TRY(environment_result(code, "read a name"));
    return stored_take(cursor->run, key, value, &cursor->entry) ? RESULT_OK : entry_damaged(cursor);
}

/* A damaged key may have led the search astray, and would then be the one before the place that was found. */
static result neighbour_check(struct names_cursor *cursor, struct bytes sought) {
    MDB_val key;
    MDB_val value;
    struct names_entry entry;
    int code = mdb_cursor_get(cursor->handle, &key, &value, cursor->is_ended ? MDB_LAST : MDB_PREV);
    if (code == MDB_SUCCESS) {
        if (!stored_take(cursor->run, &key, &value, &entry) || names_key_compare(entry.key, sought) >= 0) {
            return entry_damaged(cursor);
        }
        if (cursor->is_ended) return RESULT_OK;
        code = mdb_cursor_get(cursor->handle, &key, &value, MDB_NEXT);
        return environment_result(code, "read a name");
    }
    if (code != MDB_NOTFOUND) return environment_result(code, "read a name");
    if (cursor->is_ended) return RESULT_OK;
    return environment_result(mdb_cursor_get(cursor->handle, &key, &value, MDB_FIRST), "read a name");
}

result names_cursor_seek(struct names_cursor *cursor, struct bytes sought) {
    assert(sought.size <= NAMES_KEY_BYTES_MAX + 1);
    uint8_t copy[NAMES_KEY_BYTES_MAX + 1];
    memcpy(copy, sought.data, sought.size);
    MDB_val key = {.mv_size = sought.size, .mv_data = copy};
    MDB_val value;
    const int code = mdb_cursor_get(cursor->handle, &key, &value, MDB_SET_RANGE);
    TRY(entry_enter(cursor, code, &key, &value));
    if (!cursor->is_ended && names_key_compare(cursor->entry.key, sought) < 0) return entry_damaged(cursor);
    return neighbour_check(cursor, sought);
}

result names_cursor_next(struct names_cursor *cursor) {
    assert(!cursor->is_ended);
    const struct bytes previous = cursor->entry.key;
    MDB_val key;
    MDB_val value;
    const int code = mdb_cursor_get(cursor->handle, &key, &value, MDB_NEXT);
    TRY(entry_enter(cursor, code, &key, &value));
    const bool ascends = cursor->is_ended || names_key_compare(previous, cursor->entry.key) < 0;
    return ascends ? RESULT_OK : entry_damaged(cursor);
}
