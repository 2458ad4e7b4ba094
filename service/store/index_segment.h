/* index_segment.h: the index entries of some consecutive events, in memory; the tail of the index is a few of these.
 *
 * A segment takes entries until it is full, is then sorted and written as a run by the index thread, and goes when the
 * last view that shows it goes.
 *
 * Shape. Entries are appended to blocks that never move. An open-addressing table leads from a term to the newest of its
 * entries; from there each entry leads to the one before it (`previous`) and, so that a search in a long chain takes a
 * logarithm of its length, to one further back (`jump`, the skew-binary lists of Myers, 1983). Going backward from the
 * newest is a walk; going forward finds the end of what is asked for and fills the answer from its end.
 *
 * Why no lock. The sequencer adds up to a million entries a second and must not wait for readers. An entry is complete
 * before the table names it, and is never changed: the store that names it has release order, a reader's load acquire
 * order, so a reader sees all of an entry or none of it, and everything that was added before its query began. A table
 * that grows is published the same way; the old ones stay until the segment goes, which doubles the table's memory at
 * most.
 *
 * Memory. 40 bytes an entry in blocks of 640 KiB, 8 bytes a slot with at most half of the slots used. A segment of 65,536
 * events with one entry each: 2.5 MiB + 1 MiB (and 1 MiB of old tables); the largest (INDEX_SEGMENT_ENTRIES_COUNT_MAX,
 * all different terms): 20 MiB + 16 MiB. Pages are taken as they are
 * touched, so an idle index has a table of 8 KiB and some entries, and go back to the system with the segment.
 *
 * Ownership: reference-counted; the last unref frees.
 * Threads: add belongs to one thread, is_full and the counts to any; ranges to any, while entries are added; order to one
 * thread once nothing is added any more. */
#ifndef SERVICE_STORE_INDEX_SEGMENT_H
#define SERVICE_STORE_INDEX_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/limits.h"
#include "service/base/result.h"
#include "service/store/index.h"

/* Stream, type, id and tags. */
#define INDEX_EVENT_ENTRIES_COUNT_MAX (3 + TAGS_COUNT_MAX)
/* A segment whose events have many entries is full before it has run_events_count of them. */
#define INDEX_SEGMENT_ENTRIES_COUNT_MAX (8 * INDEX_RUN_EVENTS_COUNT)

struct index_segment;

/* An empty segment with one reference, for events from `position_first` on. `terms_count_expected` is a hint: a table of
 * that size does not have to grow. FAILURE_MEMORY. */
MUST_USE result index_segment_new(uint64_t position_first, uint32_t events_count_max, uint32_t terms_count_expected,
                                  struct index_segment **ret_segment);
struct index_segment *index_segment_ref(struct index_segment *segment);
/* NULL is allowed. Returns NULL. */
struct index_segment *index_segment_unref(struct index_segment *segment);

/* Adds the entries of the next event; an entry that is there twice is added once. The segment is not full. FAILURE_MEMORY:
 * nothing was added. */
MUST_USE result index_segment_add(struct index_segment *segment, const struct index_entry *entries, uint32_t count);

bool index_segment_is_full(const struct index_segment *segment);
uint64_t index_segment_position_first(const struct index_segment *segment);
uint32_t index_segment_events_count(const struct index_segment *segment);
uint32_t index_segment_entries_count(const struct index_segment *segment);
uint32_t index_segment_terms_count(const struct index_segment *segment);

/* As index_range, of this segment; `count_max` is not 0. Returns the number of entries. */
uint32_t index_segment_range(const struct index_segment *segment, struct term term, uint64_t number,
                             enum index_direction direction, uint32_t count_max, struct index_entry *ret_entries);

/* Asks the processor for the part of the table that the term leads to. */
void index_segment_prefetch(const struct index_segment *segment, struct term term);

/* The numbers of all entries in the order of a run: by term, number, position. FAILURE_MEMORY. */
MUST_USE result index_segment_order(const struct index_segment *segment, uint32_t **ret_order);
/* Frees them. */
void index_segment_order_free(const struct index_segment *segment, uint32_t *order);

/* The entry with this number, from 0 to the count of entries. */
struct index_entry index_segment_entry(const struct index_segment *segment, uint32_t number);

/* Asks the processor for it: it is asked for soon. */
void index_segment_entry_prefetch(const struct index_segment *segment, uint32_t number);

#endif
