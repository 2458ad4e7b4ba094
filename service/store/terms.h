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

/* Adds to the index what the log has after index_position, which is not ahead of the log (index_open sees to that).
 * FAILURE_CORRUPT and the storage failures. */
struct store;
MUST_USE result terms_catch_up(struct store *store, struct index *index);

#endif
