/* terms.h: which index entries a record has.
 *
 * One place, used when an event is committed and when the tail is rebuilt from the log: both must agree.
 * Threads: any. */
#ifndef SERVICE_STORE_TERMS_H
#define SERVICE_STORE_TERMS_H

#include "service/base/limits.h"
#include "service/record/record.h"
#include "service/store/index.h"

/* The stream's entry; types, tags and ids join it when filters are served from the index. */
#define TERMS_COUNT_MAX (3 + TAGS_COUNT_MAX)

/* Fills up to TERMS_COUNT_MAX entries and returns their number. */
uint32_t terms_of_record(const struct record *record, struct index_entry ret_entries[TERMS_COUNT_MAX]);

/* Adds to the index what the log has after index_position, which is not ahead of the log (index_open sees to that).
 * FAILURE_CORRUPT and the storage failures. */
struct store;
MUST_USE result terms_catch_up(struct store *store, struct index *index);

#endif
