/* source.h: the record at a position, from memory when the tail has it, else from the log on disk.
 *
 * A source lives for one step of a reading: the chunk and the snapshot it holds are given back at its end, never kept at a
 * client's pace.
 * Ownership: views are valid until source_end. Threads: the step's. */
#ifndef SERVICE_FEED_SOURCE_H
#define SERVICE_FEED_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/feed/tail.h"

struct store_reader;

struct source {
    struct tail *tail;
    struct store_reader *reader;
    bool snapshot_taken;
    uint64_t snapshot_last; /* last position of the snapshot */
    struct chunk *chunk;    /* of the last position found in the tail */
    struct chunk *chunk_before;
    uint64_t log_records_count;
    uint64_t tail_records_count;
};

void source_begin(struct source *source, struct tail *tail, struct store_reader *reader);

/* The record at a position that is not beyond the head. The two views returned last stay valid: a reader compares
 * neighbours. FAILURE_CORRUPT, FAILURE_STORAGE. */
MUST_USE result source_get(struct source *source, uint64_t position, struct bytes *ret_record);

void source_end(struct source *source);

#endif
