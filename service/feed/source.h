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
    bool reads_log;         /* it has taken a record from the log, and goes on there */
    uint64_t snapshot_last; /* last position of the snapshot */
    int64_t now_ns;         /* what expires expires by this time, for the whole step */
    struct chunk *chunk;    /* of the last position found in the tail */
    struct chunk *chunk_before;
    uint64_t log_records_count;
    uint64_t tail_records_count;
};

void source_begin(struct source *source, struct tail *tail, struct store_reader *reader);

/* The record at a position that is not beyond the head. The two views returned last stay valid: a reader compares
 * neighbours. FAILURE_CORRUPT, FAILURE_STORAGE. */
MUST_USE result source_get(struct source *source, uint64_t position, struct bytes *ret_record);

/* Whether a record that source_get has returned may be shown (store/visibility.h). FAILURE_CORRUPT, FAILURE_STORAGE. */
MUST_USE result source_shows(struct source *source, struct bytes record, bool *ret_shown);

/* The first revision of a stream that may be shown, at least 1; FAILURE_NOT_FOUND: the stream is deleted. Failures as above. */
MUST_USE result source_first_revision(struct source *source, struct bytes stream, uint64_t *ret_revision);

void source_end(struct source *source);

#endif
