/* terms.h: which index entries a record has.
 *
 * One place, used when an event is committed and when the tail is rebuilt from the log: both must agree.
 * Threads: any. */
#ifndef SERVICE_STORE_TERMS_H
#define SERVICE_STORE_TERMS_H

#include "service/base/limits.h"
#include "service/record/record.h"
#include "service/store/index.h"

/* Its stream, its type, its id and each tag. */
#define TERMS_COUNT_MAX (3 + TAGS_COUNT_MAX)

/* Fills up to TERMS_COUNT_MAX entries. FAILURE_CORRUPT when the event's bytes are no event. */
MUST_USE result terms_of_record(const struct record *record, struct index_entry ret_entries[TERMS_COUNT_MAX],
                                uint32_t *ret_count);

struct store;
struct store_reader;

/* Events that are read from one snapshot: adding may wait, and an old snapshot keeps pages from being reused. */
#define TERMS_SNAPSHOT_EVENTS_COUNT_MAX 4096

/* The entries of the event at a position of the reader's snapshot. FAILURE_CORRUPT (also when it is not there: the log has no
 * gaps) and the storage failures. */
MUST_USE result terms_read(struct store_reader *reader, uint64_t position,
                           struct index_entry ret_entries[TERMS_COUNT_MAX], uint32_t *ret_count);

/* Adds to the index what the log has after index_position, which is not ahead of the log (index_open sees to that).
 * FAILURE_CORRUPT and the storage failures. */
MUST_USE result terms_catch_up(struct store *store, struct index *index);

#endif
