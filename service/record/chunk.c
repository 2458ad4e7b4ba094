#include "service/record/chunk.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/base/varint.h"

/* Field 1, wire type 2: `repeated RecordedEvent events`. */
#define TAG_EVENTS 0x0a

#define BYTES_CAPACITY_MIN   1024u
#define ENTRIES_CAPACITY_MIN 16u

/* One record; its bytes end where the next one's frame begins. */
struct entry {
    uint64_t position;
    uint32_t frame_offset;
    uint32_t record_offset;
};

struct chunk {
    _Atomic uint32_t references_count;
    uint32_t entries_count;
    uint32_t entries_capacity;
    uint32_t bytes_size;
    uint32_t bytes_capacity;
    struct entry *entries;
    uint8_t *bytes;
};

size_t chunk_frame_size(size_t record_size) {
    return 1 + varint_size(record_size) + record_size;
}

result chunk_new(size_t bytes_expected, uint32_t records_count_expected, struct chunk **ret_chunk) {
    assert(bytes_expected <= UINT32_MAX / 2);
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL) return failure_result(FAILURE_MEMORY);
    atomic_init(&chunk->references_count, 1);
    chunk->bytes_capacity = bytes_expected > BYTES_CAPACITY_MIN ? (uint32_t)bytes_expected : BYTES_CAPACITY_MIN;
    chunk->entries_capacity =
        records_count_expected > ENTRIES_CAPACITY_MIN ? records_count_expected : ENTRIES_CAPACITY_MIN;
    chunk->bytes = malloc(chunk->bytes_capacity);
    chunk->entries = malloc(chunk->entries_capacity * sizeof *chunk->entries);
    if (chunk->bytes == NULL || chunk->entries == NULL) {
        chunk_unref(chunk);
        return failure_result(FAILURE_MEMORY);
    }
    *ret_chunk = chunk;
    return RESULT_OK;
}

struct chunk *chunk_ref(struct chunk *chunk) {
    const uint32_t references_count = atomic_fetch_add_explicit(&chunk->references_count, 1, memory_order_relaxed);
    assert(references_count > 0 && references_count < UINT32_MAX);
    return chunk;
}

struct chunk *chunk_unref(struct chunk *chunk) {
    if (chunk == NULL) return NULL;
    const uint32_t references_count = atomic_fetch_sub_explicit(&chunk->references_count, 1, memory_order_acq_rel);
    assert(references_count > 0);
    if (references_count > 1) return NULL;
    free(chunk->entries);
    free(chunk->bytes);
    free(chunk);
    return NULL;
}

/* Makes room for one more record of `frame_size` bytes with its frame. Doubling keeps copying in proportion. */
static result chunk_grow(struct chunk *chunk, size_t frame_size) {
    assert(atomic_load_explicit(&chunk->references_count, memory_order_relaxed) == 1); /* not shared yet */
    assert(frame_size <= UINT32_MAX / 4 && chunk->bytes_size <= UINT32_MAX / 4);
    const uint32_t bytes_needed = chunk->bytes_size + (uint32_t)frame_size;
    if (bytes_needed > chunk->bytes_capacity) {
        uint32_t capacity = chunk->bytes_capacity;
        while (capacity < bytes_needed) capacity *= 2;
        uint8_t *bytes = realloc(chunk->bytes, capacity);
        if (bytes == NULL) return failure_result(FAILURE_MEMORY);
        chunk->bytes = bytes;
        chunk->bytes_capacity = capacity;
    }
    if (chunk->entries_count == chunk->entries_capacity) {
        assert(chunk->entries_capacity <= UINT32_MAX / 2);
        const uint32_t capacity = chunk->entries_capacity * 2;
        struct entry *entries = realloc(chunk->entries, capacity * sizeof *entries);
        if (entries == NULL) return failure_result(FAILURE_MEMORY);
        chunk->entries = entries;
        chunk->entries_capacity = capacity;
    }
    return RESULT_OK;
}

/* Adds the entry and writes the frame; the caller fills the record's bytes, which begin where this returns. */
static uint8_t *chunk_frame_write(struct chunk *chunk, uint64_t position, size_t size) {
    uint8_t *frame = chunk->bytes + chunk->bytes_size;
    uint8_t *at = frame;
    *at++ = TAG_EVENTS;
    at = varint_write(at, size);
    chunk->entries[chunk->entries_count++] = (struct entry){
        .position = position,
        .frame_offset = chunk->bytes_size,
        .record_offset = (uint32_t)(at - chunk->bytes),
    };
    chunk->bytes_size += (uint32_t)((size_t)(at - frame) + size);
    return at;
}

result chunk_append(struct chunk *chunk, const struct record *record, struct bytes *ret_encoded) {
    const size_t size = record_size(record);
    TRY(chunk_grow(chunk, chunk_frame_size(size)));
    uint8_t *encoded = chunk_frame_write(chunk, record->position, size);
    const uint8_t *end = record_write(record, encoded);
    assert(end == encoded + size);
    if (ret_encoded != NULL) *ret_encoded = bytes_of(encoded, size);
    return RESULT_OK;
}

result chunk_append_encoded(struct chunk *chunk, uint64_t position, struct bytes encoded) {
    assert(encoded.size > 0);
    TRY(chunk_grow(chunk, chunk_frame_size(encoded.size)));
    memcpy(chunk_frame_write(chunk, position, encoded.size), encoded.data, encoded.size);
    return RESULT_OK;
}

void chunk_truncate(struct chunk *chunk, uint32_t records_count) {
    assert(records_count <= chunk->entries_count);
    assert(atomic_load_explicit(&chunk->references_count, memory_order_relaxed) == 1);
    if (records_count == chunk->entries_count) return;
    chunk->bytes_size = chunk->entries[records_count].frame_offset;
    chunk->entries_count = records_count;
}

uint32_t chunk_records_count(const struct chunk *chunk) {
    return chunk->entries_count;
}

uint64_t chunk_position(const struct chunk *chunk, uint32_t index) {
    assert(index < chunk->entries_count);
    return chunk->entries[index].position;
}

uint64_t chunk_position_first(const struct chunk *chunk) {
    return chunk_position(chunk, 0);
}

uint64_t chunk_position_last(const struct chunk *chunk) {
    assert(chunk->entries_count > 0);
    return chunk_position(chunk, chunk->entries_count - 1);
}

/* Where the frame at an index begins; the index after the last one is the end. */
static uint32_t frame_offset(const struct chunk *chunk, uint32_t index) {
    assert(index <= chunk->entries_count);
    return index < chunk->entries_count ? chunk->entries[index].frame_offset : chunk->bytes_size;
}

struct bytes chunk_record(const struct chunk *chunk, uint32_t index) {
    assert(index < chunk->entries_count);
    const uint32_t begin = chunk->entries[index].record_offset;
    return bytes_of(chunk->bytes + begin, frame_offset(chunk, index + 1) - begin);
}

struct bytes chunk_framed(const struct chunk *chunk, uint32_t index, uint32_t count) {
    assert(index <= chunk->entries_count && count <= chunk->entries_count - index);
    const uint32_t begin = frame_offset(chunk, index);
    return bytes_of(chunk->bytes + begin, frame_offset(chunk, index + count) - begin);
}

size_t chunk_memory_bytes(const struct chunk *chunk) {
    return sizeof *chunk + chunk->bytes_capacity + chunk->entries_capacity * sizeof *chunk->entries;
}
