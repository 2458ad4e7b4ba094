#include "service/store/index_filter.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/logging.h"
#include "service/store/environment.h"

#define BITS_BYTES   60
#define BITS_COUNT   480
#define PROBES_COUNT 7
#define PROBE_BITS   9 /* a probe is a number below 512, scaled to 480 */
#define CHUNK_BYTES  (INDEX_FILTER_CHUNK_BLOCKS_COUNT * INDEX_FILTER_BLOCK_BYTES)

_Static_assert(BITS_BYTES * 8 == BITS_COUNT && BITS_BYTES + 4 == INDEX_FILTER_BLOCK_BYTES, "bits and a checksum");
_Static_assert(PROBES_COUNT *PROBE_BITS <= 64, "the probes of a term come from 64 bits");
/* LMDB keeps a value of up to half a page among others, in a page that moves when they change; its pages have up to 32 KiB. */
_Static_assert(CHUNK_BYTES > 32768 / 2, "a chunk has pages of its own");
_Static_assert(16 + CHUNK_BYTES <= 32768, "they are full, LMDB's header of 16 bytes included");

struct chunk_key {
    uint8_t bytes[8];
};

static struct chunk_key chunk_key_of(const struct index_filter *filter, uint32_t chunk) {
    const uint32_t numbers[2] = {htobe32(filter->number), htobe32(chunk)};
    struct chunk_key key;
    memcpy(key.bytes, numbers, sizeof numbers);
    return key;
}

uint32_t index_filter_blocks_count(uint64_t terms_count) {
    const uint64_t blocks_count = terms_count / INDEX_FILTER_BLOCK_TERMS_COUNT + 1;
    assert(blocks_count <= UINT32_MAX);
    return (uint32_t)blocks_count;
}

static uint32_t chunks_count(const struct index_filter *filter) {
    return (filter->blocks_count - 1) / INDEX_FILTER_CHUNK_BLOCKS_COUNT + 1;
}

uint32_t index_filter_seed(uint64_t position_first, uint64_t position_last) {
    const uint64_t positions[2] = {htole64(position_first), htole64(position_last)};
    return checksum_crc32c(bytes_of(positions, sizeof positions));
}

/* Of the bits of a block, where they belong. The factor is odd, so that no two blocks of a filter are mixed with the same. */
static uint32_t checksum_of(const struct index_filter *filter, uint32_t block, const uint8_t *bits) {
    return checksum_crc32c(bytes_of(bits, BITS_BYTES)) ^ filter->seed ^ block * 0x9E3779B1u;
}

/* Ascends with the term, and spreads terms evenly: their first bytes are those of a hash. */
static uint32_t block_of(const struct index_filter *filter, struct term term) {
    uint64_t prefix;
    memcpy(&prefix, term.bytes, sizeof prefix);
    return (uint32_t)(((unsigned __int128)be64toh(prefix) * filter->blocks_count) >> 64);
}

static uint64_t probes_of(struct term term) {
    uint64_t probes;
    memcpy(&probes, term.bytes + 8, sizeof probes);
    return le64toh(probes);
}

/* Takes the next probe off. */
static uint32_t probe_take(uint64_t *probes) {
    const uint32_t probe = (uint32_t)(*probes & ((1u << PROBE_BITS) - 1));
    *probes >>= PROBE_BITS;
    return probe * BITS_COUNT >> PROBE_BITS;
}

void index_filter_writer_init(struct index_filter_writer *writer, const struct index_filter *filter) {
    assert(filter->blocks_count > 0);
    writer->filter = *filter;
    writer->bytes_written = 0;
    writer->block = 0;
    memset(writer->chunk, 0, sizeof writer->chunk);
}

static uint8_t *block_at(struct index_filter_writer *writer) {
    return writer->chunk + (size_t)(writer->block % INDEX_FILTER_CHUNK_BLOCKS_COUNT) * INDEX_FILTER_BLOCK_BYTES;
}

static result chunk_write(struct index_filter_writer *writer, MDB_txn *transaction, uint32_t chunk) {
    struct chunk_key key_bytes = chunk_key_of(&writer->filter, chunk);
    MDB_val key = {.mv_size = sizeof key_bytes.bytes, .mv_data = key_bytes.bytes};
    MDB_val value = {.mv_size = sizeof writer->chunk, .mv_data = writer->chunk};
    TRY(environment_result(mdb_put(transaction, writer->filter.table, &key, &value, 0), "write a filter"));
    writer->bytes_written += key.mv_size + value.mv_size;
    memset(writer->chunk, 0, sizeof writer->chunk);
    return RESULT_OK;
}

/* Ends the block and goes on to the next. */
static result block_end(struct index_filter_writer *writer, MDB_txn *transaction) {
    uint8_t *block = block_at(writer);
    const uint32_t checksum = htole32(checksum_of(&writer->filter, writer->block, block));
    memcpy(block + BITS_BYTES, &checksum, sizeof checksum);
    writer->block++;
    if (writer->block % INDEX_FILTER_CHUNK_BLOCKS_COUNT != 0) return RESULT_OK;
    return chunk_write(writer, transaction, writer->block / INDEX_FILTER_CHUNK_BLOCKS_COUNT - 1);
}

result index_filter_writer_add(struct index_filter_writer *writer, MDB_txn *transaction, struct term term) {
    const uint32_t block = block_of(&writer->filter, term);
    assert(block >= writer->block);
    while (writer->block < block) TRY(block_end(writer, transaction));
    uint8_t *bits = block_at(writer);
    uint64_t probes = probes_of(term);
    for (uint32_t count = 0; count < PROBES_COUNT; count++) {
        const uint32_t bit = probe_take(&probes);
        bits[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
    return RESULT_OK;
}

result index_filter_writer_end(struct index_filter_writer *writer, MDB_txn *transaction) {
    while (writer->block < writer->filter.blocks_count) TRY(block_end(writer, transaction));
    if (writer->block % INDEX_FILTER_CHUNK_BLOCKS_COUNT == 0) return RESULT_OK;
    return chunk_write(writer, transaction, writer->block / INDEX_FILTER_CHUNK_BLOCKS_COUNT);
}

static result filter_damaged(const struct index_filter *filter, const char *reason) {
    log_error("a filter of the index is damaged", "reason", reason, "table", log_number(filter->number));
    return failure_result(FAILURE_CORRUPT);
}

result index_filter_reserve(struct index_filter *filter) {
    assert(filter->chunks == NULL && filter->blocks_count > 0);
    filter->chunks = calloc(chunks_count(filter), sizeof *filter->chunks);
    return filter->chunks != NULL ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

void index_filter_release(struct index_filter *filter) {
    free(filter->chunks);
    filter->chunks = NULL;
}

static result chunks_map(const struct index_filter *filter, MDB_cursor *cursor) {
    struct chunk_key sought = chunk_key_of(filter, 0);
    MDB_val key = {.mv_size = sizeof sought.bytes, .mv_data = sought.bytes};
    MDB_val value;
    const uint32_t count = chunks_count(filter);
    for (uint32_t chunk = 0; chunk < count; chunk++) {
        const int code = mdb_cursor_get(cursor, &key, &value, chunk == 0 ? MDB_SET_RANGE : MDB_NEXT);
        if (code == MDB_NOTFOUND) return filter_damaged(filter, "chunk");
        TRY(environment_result(code, "read a filter"));
        const struct chunk_key expected = chunk_key_of(filter, chunk);
        if (key.mv_size != sizeof expected.bytes || memcmp(key.mv_data, expected.bytes, sizeof expected.bytes) != 0) {
            return filter_damaged(filter, "chunk");
        }
        if (value.mv_size != CHUNK_BYTES) return filter_damaged(filter, "size");
        filter->chunks[chunk] = value.mv_data;
    }
    return RESULT_OK;
}

result index_filter_map(struct index_filter *filter, MDB_txn *reader) {
    assert(filter->chunks != NULL);
    MDB_cursor *cursor;
    TRY(environment_result(mdb_cursor_open(reader, filter->table, &cursor), "read a filter"));
    const result outcome = chunks_map(filter, cursor);
    mdb_cursor_close(cursor);
    return outcome;
}

static const uint8_t *block_mapped(const struct index_filter *filter, uint32_t block) {
    const size_t offset = (size_t)(block % INDEX_FILTER_CHUNK_BLOCKS_COUNT) * INDEX_FILTER_BLOCK_BYTES;
    return filter->chunks[block / INDEX_FILTER_CHUNK_BLOCKS_COUNT] + offset;
}

void index_filter_prefetch(const struct index_filter *filter, struct term term) {
    __builtin_prefetch(block_mapped(filter, block_of(filter, term)));
}

result index_filter_look(const struct index_filter *filter, struct term term, bool *ret_may_have) {
    const uint32_t number = block_of(filter, term);
    const uint8_t *block = block_mapped(filter, number);
    uint32_t checksum;
    memcpy(&checksum, block + BITS_BYTES, sizeof checksum);
    if (le32toh(checksum) != checksum_of(filter, number, block)) return filter_damaged(filter, "checksum");
    uint64_t probes = probes_of(term);
    bool may_have = true;
    for (uint32_t count = 0; count < PROBES_COUNT && may_have; count++) {
        const uint32_t bit = probe_take(&probes);
        may_have = (block[bit / 8] & (1u << (bit % 8))) != 0;
    }
    *ret_may_have = may_have;
    return RESULT_OK;
}

/* Removes the first chunk there is. `ret_is_removed` false: there was none. */
static result chunk_remove(const struct index_filter *filter, MDB_cursor *cursor, bool *ret_is_removed) {
    struct chunk_key key_bytes = chunk_key_of(filter, 0);
    MDB_val key = {.mv_size = sizeof key_bytes.bytes, .mv_data = key_bytes.bytes};
    const int code = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
    if (code != MDB_NOTFOUND) TRY(environment_result(code, "remove a filter"));
    *ret_is_removed = code == MDB_SUCCESS && key.mv_size == sizeof key_bytes.bytes &&
                      memcmp(key.mv_data, key_bytes.bytes, sizeof filter->number) == 0;
    if (*ret_is_removed) TRY(environment_result(mdb_cursor_del(cursor, 0), "remove a filter"));
    return RESULT_OK;
}

result index_filter_remove(const struct index_filter *filter, MDB_txn *transaction, uint64_t *ret_chunks_count) {
    MDB_cursor *cursor;
    TRY(environment_result(mdb_cursor_open(transaction, filter->table, &cursor), "remove a filter"));
    uint64_t chunks_count = 0;
    bool is_removed = true;
    result outcome = RESULT_OK;
    while (!failed(outcome) && is_removed) {
        outcome = chunk_remove(filter, cursor, &is_removed);
        if (is_removed) chunks_count++;
    }
    mdb_cursor_close(cursor);
    if (!failed(outcome)) *ret_chunks_count = chunks_count;
    return outcome;
}
