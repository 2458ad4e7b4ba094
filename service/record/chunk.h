/* chunk.h: a run of records, framed as they are sent, shared by everybody who sends it.
 *
 * Field 1 of ReadResponse and of SubscribeResponse is `repeated RecordedEvent events`: each record is framed as
 * 0a <length> <record>, so the framed bytes of several records are the beginning of a valid response.
 * Built by one thread (chunk_new, chunk_append), then shared and immutable.
 * Ownership: reference-counted; the last unref frees. Threads: a shared chunk may be used by any thread. */
#ifndef SERVICE_RECORD_CHUNK_H
#define SERVICE_RECORD_CHUNK_H

#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/record/record.h"

struct chunk;

/* Bytes that a record of this size takes in a frame. */
size_t chunk_frame_size(size_t record_size);

/* An empty chunk with one reference. It grows as needed; the sizes are what is expected. FAILURE_MEMORY. */
MUST_USE result chunk_new(size_t bytes_expected, uint32_t records_count_expected, struct chunk **ret_chunk);
struct chunk *chunk_ref(struct chunk *chunk);
struct chunk *chunk_unref(struct chunk *chunk);

/* Encodes a record at the end. `ret_encoded` (may be NULL) is valid until the next append. FAILURE_MEMORY. */
MUST_USE result chunk_append(struct chunk *chunk, const struct record *record, struct bytes *ret_encoded);

/* Copies an encoded record to the end; `position` is the record's own. FAILURE_MEMORY. */
MUST_USE result chunk_append_encoded(struct chunk *chunk, uint64_t position, struct bytes encoded);

/* Forgets the records from index `records_count` on: the request they belong to was refused. */
void chunk_truncate(struct chunk *chunk, uint32_t records_count);

uint32_t chunk_records_count(const struct chunk *chunk);
uint64_t chunk_position_first(const struct chunk *chunk); /* of the record at index 0; the chunk is not empty */
uint64_t chunk_position_last(const struct chunk *chunk);  /* of the last record; the chunk is not empty */
uint64_t chunk_position(const struct chunk *chunk, uint32_t index);

/* The record at an index, without its frame; and the framed bytes of `count` records from an index on. Valid while the
 * chunk is referenced. */
struct bytes chunk_record(const struct chunk *chunk, uint32_t index);
struct bytes chunk_framed(const struct chunk *chunk, uint32_t index, uint32_t count);

/* Memory the chunk holds. */
size_t chunk_memory_bytes(const struct chunk *chunk);

#endif
