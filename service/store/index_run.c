#include "service/store/index_run.h"

#include <assert.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"
#include "service/store/index_cursor.h"

void index_run_writer_init(struct index_run_writer *writer, struct environment *environment, struct index_run *run) {
    assert(run->state == INDEX_RUN_WRITING);
    writer->environment = environment;
    writer->run = run;
    writer->transaction = NULL;
    writer->cursor = NULL;
    writer->count = 0;
    run->filter.seed = index_filter_seed(run->position_first, run->position_last);
    index_filter_writer_init(&writer->filter, &run->filter);
}

result index_run_writer_begin(struct index_run_writer *writer) {
    assert(writer->transaction == NULL);
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(writer->environment->handle, NULL, 0, &transaction), "write a run"));
    const result outcome =
        environment_result(mdb_cursor_open(transaction, writer->run->table, &writer->cursor), "write a run");
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    writer->transaction = transaction;
    writer->bytes_written = 0;
    writer->filter.bytes_written = 0;
    return RESULT_OK;
}

static result block_write(struct index_run_writer *writer) {
    const size_t size = (size_t)writer->count * INDEX_KEY_BYTES;
    const uint32_t checksum = htole32(checksum_crc32c(bytes_of(writer->block, size)));
    memcpy(writer->block + size, &checksum, sizeof checksum);
    MDB_val key = {.mv_size = INDEX_KEY_BYTES, .mv_data = writer->block + size - INDEX_KEY_BYTES};
    MDB_val value = {.mv_size = size + sizeof checksum, .mv_data = writer->block};
    TRY(environment_result(mdb_cursor_put(writer->cursor, &key, &value, MDB_APPEND), "write a block of the index"));
    writer->bytes_written += INDEX_KEY_BYTES + INDEX_BLOCK_BYTES_MAX;
    writer->count = 0;
    return RESULT_OK;
}

static result term_add(struct index_run_writer *writer, const uint8_t key[INDEX_KEY_BYTES]) {
    memcpy(writer->term.bytes, key, sizeof writer->term.bytes);
    writer->run->terms_count++;
    return index_filter_writer_add(&writer->filter, writer->transaction, writer->term);
}

result index_run_writer_add(struct index_run_writer *writer, const uint8_t key[INDEX_KEY_BYTES]) {
    const bool is_first = writer->run->entries_count == 0;
    if (is_first || memcmp(writer->term.bytes, key, sizeof writer->term.bytes) != 0) TRY(term_add(writer, key));
    if (writer->count == INDEX_BLOCK_ENTRIES_COUNT_MAX) TRY(block_write(writer));
    memcpy(writer->block + (size_t)writer->count * INDEX_KEY_BYTES, key, INDEX_KEY_BYTES);
    writer->count++;
    writer->run->entries_count++;
    if (index_key_is_id(key)) writer->run->ids_count++;
    return RESULT_OK;
}

result index_run_writer_end(struct index_run_writer *writer) {
    if (writer->count > 0) TRY(block_write(writer));
    return index_filter_writer_end(&writer->filter, writer->transaction);
}

result index_run_writer_commit(struct index_run_writer *writer) {
    MDB_txn *transaction = writer->transaction;
    mdb_cursor_close(writer->cursor);
    writer->cursor = NULL;
    writer->transaction = NULL;
    return environment_commit(writer->environment, transaction, writer->bytes_written + writer->filter.bytes_written);
}

void index_run_writer_abort(struct index_run_writer *writer) {
    if (writer->transaction == NULL) return;
    mdb_cursor_close(writer->cursor);
    mdb_txn_abort(writer->transaction);
    writer->cursor = NULL;
    writer->transaction = NULL;
}

/* Collects entries of the term from where the cursor is. */
static result collect(struct index_cursor *cursor, struct term term, enum index_direction direction, uint32_t count_max,
                      struct index_entry *ret_entries, uint32_t *ret_count) {
    const struct index_run *run = cursor->run;
    uint32_t count = 0;
    while (memcmp(index_cursor_key(cursor), term.bytes, sizeof term.bytes) == 0) {
        const struct index_entry entry = index_key_entry(index_cursor_key(cursor));
        if (entry.position < run->position_first || entry.position > run->position_last) {
            log_error("an entry of the index is not of its run", "position", log_number(entry.position));
            return failure_result(FAILURE_CORRUPT);
        }
        ret_entries[count++] = entry;
        if (count == count_max) break;
        const result moved = direction == INDEX_FORWARD ? index_cursor_next(cursor) : index_cursor_previous(cursor);
        if (moved.failure == FAILURE_NOT_FOUND) break;
        TRY(moved);
    }
    *ret_count = count;
    return RESULT_OK;
}

result index_run_range(const struct index_run *run, MDB_txn *transaction, struct term term, uint64_t number,
                       enum index_direction direction, uint32_t count_max, struct index_entry *ret_entries,
                       uint32_t *ret_count) {
    assert(count_max > 0);
    uint32_t count = 0;
    struct index_cursor cursor;
    TRY(index_cursor_open(run, transaction, &cursor));
    result outcome;
    if (direction == INDEX_FORWARD) {
        const struct index_key key = index_key_of(term, number, 0);
        outcome = index_cursor_seek_forward(&cursor, &key);
    } else {
        const struct index_key key = index_key_of(term, number, UINT64_MAX);
        outcome = index_cursor_seek_backward(&cursor, &key);
    }
    if (!failed(outcome)) outcome = collect(&cursor, term, direction, count_max, ret_entries, &count);
    index_cursor_close(&cursor);
    if (failed(outcome) && outcome.failure != FAILURE_NOT_FOUND) return outcome;
    *ret_count = count;
    return RESULT_OK;
}
