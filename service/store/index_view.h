/* index_view.h: what a query looks at: some runs and the segments after them, ascending, without a gap or an overlap.
 *
 * A view does not change. When a segment has become a run, or runs have been merged, a new view takes the place of the
 * current one; a query that has begun goes on with its own. So no query misses an entry or sees one twice, and a run is
 * emptied only once no view shows it.
 * Ownership: reference-counted; the last unref frees it and lets go of its segments and runs.
 * Threads: the building functions belong to whoever makes the view, before it is current; ref and unref to any. */
#ifndef SERVICE_STORE_INDEX_VIEW_H
#define SERVICE_STORE_INDEX_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>

#include "service/store/index_catalog.h"
#include "service/store/index_segment.h"

/* Full segments that wait for the index thread; one more is being filled. */
#define INDEX_SEGMENTS_WAITING_COUNT_MAX (INDEX_TAIL_EVENTS_COUNT_MAX / INDEX_RUN_EVENTS_COUNT)
#define INDEX_SEGMENTS_COUNT_MAX         (INDEX_SEGMENTS_WAITING_COUNT_MAX + 1)

struct index_view {
    atomic_uint references;
    uint32_t runs_count;
    uint32_t segments_count;
    struct index_run *runs[INDEX_TABLES_COUNT];
    struct index_segment *segments[INDEX_SEGMENTS_COUNT_MAX];
};

/* An empty view with one reference; NULL: no memory. */
struct index_view *index_view_new(void);
struct index_view *index_view_ref(struct index_view *view);
/* Whether it was the last reference. NULL is allowed. */
bool index_view_unref(struct index_view *view);

/* Building: all of another view, then one change. */
void index_view_copy(struct index_view *view, const struct index_view *other);
void index_view_add_run(struct index_view *view, struct index_run *run);
void index_view_add_segment(struct index_view *view, struct index_segment *segment);
/* The oldest segment has become this run. */
void index_view_flush(struct index_view *view, struct index_run *run);
/* These runs, which follow each other, have become this one. */
void index_view_merge(struct index_view *view, struct index_run *const *sources, uint32_t sources_count,
                      struct index_run *run);

#endif
