/* streams.c: the table `streams`; store.h has its bytes. */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

#define NUMBERS_COUNT   5
#define HEAD_BYTES      (1 + NUMBERS_COUNT * sizeof(uint64_t))
#define VALUE_BYTES_MIN (HEAD_BYTES + RECORD_CHECKSUM_BYTES)
/* What a row takes besides its name and value: node header, pointer. */
#define OVERHEAD_BYTES 10

/* --- Which streams may have a row. -------------------------------------------------------------------------------- */

struct bit {
    uint64_t word;
    uint64_t mask;
};

static struct bit bit_of(struct bytes stream) {
    const struct term term = term_of(TERM_STREAM, stream);
    uint64_t hash;
    memcpy(&hash, term.bytes, sizeof hash);
    hash %= STREAM_BITS_COUNT;
    return (struct bit){.word = hash / 64, .mask = UINT64_C(1) << (hash % 64)};
}

/* Set before the row is committed, so whoever sees the row sees the bit; an aborted one costs others a search. */
static void bit_set(struct store *store, struct bytes stream) {
    const struct bit bit = bit_of(stream);
    atomic_fetch_or_explicit(&store->stream_bits[bit.word], bit.mask, memory_order_release);
    atomic_store_explicit(&store->has_streams, true, memory_order_release);
}

static bool may_have_row(const struct store *store, struct bytes stream) {
    if (!atomic_load_explicit(&store->has_streams, memory_order_acquire)) return false;
    const struct bit bit = bit_of(stream);
    return (atomic_load_explicit(&store->stream_bits[bit.word], memory_order_acquire) & bit.mask) != 0;
}

result stream_bits_read(struct store *store, MDB_txn *transaction) {
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    TRY(environment_result(mdb_cursor_open(transaction, store_log(store)->tables.handles[TABLE_STREAMS], &cursor),
                           "list streams"));
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        bit_set(store, bytes_of(key.mv_data, key.mv_size));
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? RESULT_OK : environment_result(code, "list streams");
}

/* --- Rows. -------------------------------------------------------------------------------------------------------- */

/* Covers the name, too: a row must not pass for that of another stream. */
static uint32_t checksum_of(struct bytes stream, struct bytes covered) {
    const uint32_t parts[2] = {checksum_crc32c(stream), checksum_crc32c(covered)};
    const uint32_t stored[2] = {htole32(parts[0]), htole32(parts[1])};
    return checksum_crc32c(bytes_of(stored, sizeof stored));
}

static bool state_is_known(uint8_t state) {
    return state >= STREAM_ACTIVE && state <= STREAM_TOMBSTONED;
}

result stream_row_read(const MDB_val *key, const MDB_val *value, struct stream_row *ret_row) {
    const struct bytes stream = bytes_of(key->mv_data, key->mv_size);
    const uint8_t *data = value->mv_data;
    bool sound = value->mv_size >= VALUE_BYTES_MIN && value->mv_size <= STREAM_ROW_BYTES_MAX && stream.size > 0 &&
                 stream.size <= NAME_BYTES_MAX;
    if (sound) {
        const struct bytes covered = bytes_of(data, value->mv_size - RECORD_CHECKSUM_BYTES);
        sound = checksum_of(stream, covered) == stored_checksum_read(data + covered.size) && state_is_known(data[0]);
    }
    if (!sound) {
        log_error("the row of a stream is damaged", "size", log_number(value->mv_size));
        return failure_result(FAILURE_CORRUPT);
    }
    uint64_t numbers[NUMBERS_COUNT];
    memcpy(numbers, data + 1, sizeof numbers);
    *ret_row = (struct stream_row){.state = (enum stream_state)data[0],
                                   .first_revision = le64toh(numbers[0]),
                                   .removed_before = le64toh(numbers[1]),
                                   .max_age_seconds = le64toh(numbers[2]),
                                   .max_count = le64toh(numbers[3]),
                                   .truncate_before = le64toh(numbers[4]),
                                   .metadata = bytes_of(data + HEAD_BYTES, value->mv_size - VALUE_BYTES_MIN)};
    return RESULT_OK;
}

static void row_write(struct bytes stream, const struct stream_row *row, uint8_t *out) {
    const uint64_t numbers[NUMBERS_COUNT] = {htole64(row->first_revision), htole64(row->removed_before),
                                             htole64(row->max_age_seconds), htole64(row->max_count),
                                             htole64(row->truncate_before)};
    out[0] = (uint8_t)row->state;
    memcpy(out + 1, numbers, sizeof numbers);
    if (row->metadata.size > 0) memcpy(out + HEAD_BYTES, row->metadata.data, row->metadata.size);
    const size_t size = HEAD_BYTES + row->metadata.size;
    stored_checksum_write(out + size, checksum_of(stream, bytes_of(out, size)));
}

result stream_row_get(const struct store *store, const struct log_environment *log, MDB_txn *transaction,
                      struct bytes stream, struct stream_row *ret_row) {
    if (!may_have_row(store, stream)) return failure_result(FAILURE_NOT_FOUND);
    MDB_val key = name_key(stream);
    MDB_val value;
    const int code = mdb_get(transaction, log->tables.handles[TABLE_STREAMS], &key, &value);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_NOT_FOUND);
    TRY(environment_result(code, "read the row of a stream"));
    return stream_row_read(&key, &value, ret_row);
}

result store_stream_get(struct store *store, struct bytes stream, struct stream_row *ret_row) {
    assert(store->transaction != NULL);
    return stream_row_get(store, store_log(store), store->transaction, stream, ret_row);
}

result store_reader_stream(struct store_reader *reader, struct bytes stream, struct stream_row *ret_row) {
    assert(reader->has_snapshot);
    return stream_row_get(reader->store, reader->log, reader->transaction, stream, ret_row);
}

/* The metadata may be a view of the row that is replaced, so the value is made aside. */
result store_stream_put(struct store *store, struct bytes stream, const struct stream_row *row) {
    const size_t size = VALUE_BYTES_MIN + row->metadata.size;
    assert(store->transaction != NULL && state_is_known((uint8_t)row->state) && size <= STREAM_ROW_BYTES_MAX);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) return failure_result(FAILURE_MEMORY);
    row_write(stream, row, bytes);
    MDB_val key = name_key(stream);
    MDB_val value = {.mv_size = size, .mv_data = bytes};
    bit_set(store, stream);
    const int code = mdb_put(store->transaction, store_log(store)->tables.handles[TABLE_STREAMS], &key, &value, 0);
    free(bytes);
    TRY(environment_write_result(code, "store the row of a stream"));
    store->bytes_written += key.mv_size + size + OVERHEAD_BYTES;
    return RESULT_OK;
}

result store_reader_stream_after(struct store_reader *reader, struct bytes stream, struct bytes *ret_stream,
                                 struct stream_row *ret_row) {
    assert(reader->has_snapshot);
    MDB_val key;
    MDB_val value;
    TRY(names_after(reader, TABLE_STREAMS, stream, &key, &value));
    TRY(stream_row_read(&key, &value, ret_row));
    *ret_stream = bytes_of(key.mv_data, key.mv_size);
    return RESULT_OK;
}
