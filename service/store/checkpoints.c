/* checkpoints.c: the table `checkpoints`; store.h has its bytes. */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

#define VALUE_BYTES 20
/* What a checkpoint takes besides its name and value: node header, pointer. */
#define OVERHEAD_BYTES 10

/* The checksum covers the name, too: a value must not pass for that of another consumer. */
static uint32_t checksum_of(struct bytes consumer, const uint8_t *value) {
    uint8_t covered[NAME_BYTES_MAX + VALUE_BYTES];
    memcpy(covered, consumer.data, consumer.size);
    memcpy(covered + consumer.size, value, VALUE_BYTES - sizeof(uint32_t));
    return checksum_crc32c(bytes_of(covered, consumer.size + VALUE_BYTES - sizeof(uint32_t)));
}

result checkpoint_read(const MDB_val *key, const MDB_val *value, struct checkpoint *ret_checkpoint) {
    const struct bytes consumer = bytes_of(key->mv_data, key->mv_size);
    uint32_t checksum = 0;
    const bool has_size = value->mv_size == VALUE_BYTES && consumer.size > 0 && consumer.size <= NAME_BYTES_MAX;
    if (has_size) memcpy(&checksum, (const uint8_t *)value->mv_data + 16, sizeof checksum);
    if (!has_size || le32toh(checksum) != checksum_of(consumer, value->mv_data)) {
        log_error("a checkpoint is damaged", "size", log_number(value->mv_size));
        return failure_result(FAILURE_CORRUPT);
    }
    uint64_t stored[2];
    memcpy(stored, value->mv_data, sizeof stored);
    *ret_checkpoint = (struct checkpoint){
        .consumer = consumer, .position = le64toh(stored[0]), .recorded_ns = (int64_t)le64toh(stored[1])};
    return RESULT_OK;
}

result store_checkpoint_put(struct store *store, const struct checkpoint *checkpoint) {
    assert(store->transaction != NULL && checkpoint->position > 0);
    const uint64_t stored[2] = {htole64(checkpoint->position), htole64((uint64_t)checkpoint->recorded_ns)};
    uint8_t bytes[VALUE_BYTES];
    memcpy(bytes, stored, sizeof stored);
    const uint32_t checksum = htole32(checksum_of(checkpoint->consumer, bytes));
    memcpy(bytes + sizeof stored, &checksum, sizeof checksum);
    MDB_val key = name_key(checkpoint->consumer);
    MDB_val value = {.mv_size = sizeof bytes, .mv_data = bytes};
    TRY(environment_write_result(
        mdb_put(store->transaction, store_log(store)->tables.handles[TABLE_CHECKPOINTS], &key, &value, 0),
        "store a checkpoint"));
    store->bytes_written += key.mv_size + value.mv_size + OVERHEAD_BYTES;
    return RESULT_OK;
}

static result checkpoint_get(MDB_txn *transaction, MDB_dbi table, struct bytes consumer,
                             struct checkpoint *ret_checkpoint) {
    MDB_val key = name_key(consumer);
    MDB_val value;
    const int code = mdb_get(transaction, table, &key, &value);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_NOT_FOUND);
    TRY(environment_result(code, "read a checkpoint"));
    return checkpoint_read(&key, &value, ret_checkpoint);
}

result store_checkpoint_get(struct store *store, struct bytes consumer, uint64_t *ret_position) {
    assert(store->transaction != NULL);
    struct checkpoint checkpoint;
    const result found =
        checkpoint_get(store->transaction, store_log(store)->tables.handles[TABLE_CHECKPOINTS], consumer, &checkpoint);
    if (found.failure == FAILURE_NOT_FOUND) {
        *ret_position = 0;
        return RESULT_OK;
    }
    TRY(found);
    *ret_position = checkpoint.position;
    return RESULT_OK;
}

result store_reader_checkpoint(struct store_reader *reader, struct bytes consumer, struct checkpoint *ret_checkpoint) {
    assert(reader->has_snapshot);
    return checkpoint_get(reader->transaction, reader->log->tables.handles[TABLE_CHECKPOINTS], consumer,
                          ret_checkpoint);
}

result store_reader_checkpoint_after(struct store_reader *reader, struct bytes consumer,
                                     struct checkpoint *ret_checkpoint) {
    assert(reader->has_snapshot);
    MDB_val key;
    MDB_val value;
    TRY(names_after(reader, TABLE_CHECKPOINTS, consumer, &key, &value));
    return checkpoint_read(&key, &value, ret_checkpoint);
}
