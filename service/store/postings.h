/* postings.h: where the events of a filter may be: positions from the index, in order, forward or backward.
 *
 * Every event that matches is among them; whether one does is for filter_match to say, because two names may share a term
 * and prefixes have no entries. A clause is the intersection of its tags, its types and its streams; each side leaps to
 * where the other is (leapfrog join), so that what is rare decides the cost.
 * Ownership: borrows index and filter. Threads: one at a time. Errors: those of index_range. */
#ifndef SERVICE_STORE_POSTINGS_H
#define SERVICE_STORE_POSTINGS_H

#include "service/base/result.h"
#include "service/record/filter.h"
#include "service/store/index.h"

struct postings;

/* Whether the index narrows the filter: it has clauses, and each names a type, a tag or a stream. NULL: everything, no. */
bool postings_serve(const struct filter *filter);

/* For a filter that they serve. FAILURE_MEMORY. */
MUST_USE result postings_new(struct index *index, const struct filter *filter, enum index_direction direction,
                             struct postings **ret_postings);
struct postings *postings_free(struct postings *postings);

/* The first candidate at `position` or beyond it in the direction; 0: there is none. Positions never go back from call to
 * call. */
MUST_USE result postings_seek(struct postings *postings, uint64_t position, uint64_t *ret_position);

#endif
