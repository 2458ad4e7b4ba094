/* revisions.h: the last revision of every stream, as the group that is being applied sees it.
 *
 * Three layers, asked in this order: what this group has written and nobody may see yet (pending), what was used last (the
 * cache), everything (the index, each hit verified against the record's own bytes).
 * Ownership: pending entries point at the stream names of the group's requests, which live until the group is answered.
 * Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_REVISIONS_H
#define SERVICE_COMMIT_REVISIONS_H

#include "service/base/bytes.h"
#include "service/base/checksum.h"
#include "service/base/result.h"

struct index;
struct revisions;
struct store;

/* Borrows store and index. FAILURE_MEMORY and the failures of store_reader_open. */
MUST_USE result revisions_new(struct store *store, struct index *index, struct revisions **ret_revisions);
struct revisions *revisions_free(struct revisions *revisions);

/* The last revision of a stream; 0 when it has no events. FAILURE_CORRUPT and FAILURE_STORAGE from below. */
MUST_USE result revisions_get(struct revisions *revisions, struct term term, struct bytes stream,
                              uint64_t *ret_revision);

/* The first revision of a stream, from `first` up to `last`, whose event was recorded at `oldest_ns` or later, by bisection:
 * times ascend with revisions. Events of the group itself are that young. `last` + 1: there is none. */
MUST_USE result revisions_first_young(struct revisions *revisions, struct term term, struct bytes stream,
                                      uint64_t first, uint64_t last, int64_t oldest_ns, uint64_t *ret_revision);

/* Sets the revision for the rest of the group. At most GROUP_EVENTS_COUNT_MAX + REQUEST_EVENTS_COUNT_MAX streams a group. */
void revisions_set(struct revisions *revisions, struct term term, struct bytes stream, uint64_t revision);

/* Ends the group: what it wrote is true now, or it never happened. */
void revisions_commit(struct revisions *revisions);
void revisions_abort(struct revisions *revisions);

/* The stream of this term is asked for soon. */
void revisions_prefetch(const struct revisions *revisions, struct term term);

#endif
