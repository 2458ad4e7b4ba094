/* index.h: from names to events; derived from the log, hidden behind add, last and range.
 *
 * An entry says: `term` (a stream, a type, a tag, an event id; see checksum.h) has, under `number`, the event at
 * `position`. For streams the number is the revision, for types and tags the position, for ids 0 (INDEX_ID_NUMBER), which
 * tells an id's entry from all others. Within one term numbers do not descend with positions, and a number is never greater
 * than its position.
 *
 * Shape (ARCHITECTURE.md): entries of the newest events live in memory (the tail, index_segment.h). Every
 * INDEX_RUN_EVENTS_COUNT events the index thread sorts them into one new run, a table of DIR/index filled in key order
 * (index_run.h has its bytes); INDEX_RUNS_MERGED_COUNT runs of a level are merged into one of the next, in bounded steps
 * (index_merge.h). Runs cover disjoint, ascending ranges of positions. The table `runs` lists them (index_catalog.h); a
 * run counts only once it is listed, in the same transaction that completes it.
 *
 * The caller verifies each hit against the event's own bytes: two names may share a term. All entries of both are found;
 * the numbers then ascend within each run and each segment of the tail only.
 * Threads: add belongs to one thread; queries to any, at any time, and see everything added before they began. */
#ifndef SERVICE_STORE_INDEX_H
#define SERVICE_STORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/checksum.h"
#include "service/base/result.h"

struct index;
struct store;

struct index_options {
    const char *directory;     /* DIR/index; made when it is not there */
    uint64_t map_bytes;        /* 0: INDEX_MAP_BYTES_DEFAULT */
    uint32_t run_events_count; /* 0: INDEX_RUN_EVENTS_COUNT; tests use small ones */
    const char *store_id;      /* an index of another store is thrown away and built anew */
    uint64_t ids_window;       /* ids of this many of the newest events are kept, at least; 0: of all */
    uint64_t log_position_end; /* one that has this position or a later one, too: the log was restored; 0: not asked */
    struct store
        *store; /* whose names are catalogued (index_names.h), and which is closed after the index; NULL: no names */
    bool
        is_inspected; /* to be looked at (index_verification.h): nothing is made, repaired or written, no thread runs */
};

#define INDEX_ID_NUMBER 0

struct index_entry {
    struct term term;
    uint64_t number;
    uint64_t position;
};

/* Opens the index. One that is missing, damaged, of another store or of another format, or that has not kept the ids that
 * `ids_window` asks for, is begun anew (a log line says so):
 * the caller then adds the whole log. Failures: FAILURE_STORAGE, FAILURE_STORAGE_FULL, FAILURE_MEMORY. An index that is
 * inspected is not begun anew: FAILURE_NOT_FOUND, FAILURE_CORRUPT and FAILURE_FORMAT say why it would be. */
MUST_USE result index_open(const struct index_options *options, struct index **ret_index, struct problem *ret_problem);

/* Stops the thread after its current step. What is only in memory is added again after the next open. NULL is allowed.
 * Returns NULL. */
struct index *index_close(struct index *index);

/* The option; does not change. Ids of older events may still be found. */
uint64_t index_ids_window(const struct index *index);

/* Everything up to this position is in runs; the caller adds what the log has after it, before the first query. */
uint64_t index_position(struct index *index);

/* Adds all entries of the event at `position`, the one after the last added; an entry that is there twice is added once.
 * Waits while the tail is full (back-pressure: the index is slower than the appends, or its disk is full, which the log's
 * larger reserve keeps from happening first), and while a rebuild (index_rebuild.h) is about to take its place.
 * FAILURE_STORAGE: the index thread has failed. FAILURE_MEMORY: nothing was added. */
MUST_USE result index_add(struct index *index, uint64_t position, const struct index_entry *entries, uint32_t count);

enum index_direction { INDEX_FORWARD, INDEX_BACKWARD };

/* Finds up to `count_max` entries of a term from `number` (inclusive) on, ascending or descending. Fewer than asked for:
 * there are no more. FAILURE_CORRUPT: the index is damaged, and begun anew at the next open or by a rebuild. At most
 * STORE_READERS_COUNT_MAX queries run at once; FAILURE_LIMIT beyond. */
MUST_USE result index_range(struct index *index, struct term term, uint64_t number, enum index_direction direction,
                            uint32_t count_max, struct index_entry *ret_entries, uint32_t *ret_count);

/* The entry of a term with the greatest number; FAILURE_NOT_FOUND when there is none. */
MUST_USE result index_last(struct index *index, struct term term, struct index_entry *ret_entry);

/* The entry with the greatest number of each of `count` terms; position 0 where there is none. One query for all of them:
 * cheaper than as many of index_last. Failures as above. */
MUST_USE result index_newest(struct index *index, const struct term *terms, uint32_t count,
                             struct index_entry *ret_entries);

/* The least number of a term whose entry is at `position` or after it (forward), or the greatest whose entry is at it or before
 * (backward); 0: there is none. By bisection: numbers, of which none is 0 here, ascend with positions. Failures as above. */
MUST_USE result index_number_at(struct index *index, struct term term, uint64_t position,
                                enum index_direction direction, uint64_t *ret_number);

struct index_counts {
    uint64_t position; /* index_position */
    uint64_t runs_count;
    uint64_t tail_events_count;
    uint64_t used_bytes;
    uint64_t waits_count; /* adds that had to wait */
};
struct index_counts index_count(struct index *index);

#endif
