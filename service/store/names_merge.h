/* names_merge.h: makes one names run of the next level out of INDEX_RUNS_MERGED_COUNT that follow each other, each name once.
 *
 * It goes on in steps, each a write transaction of at most NAMES_STEP_ENTRIES_COUNT_MAX entries of its sources, so that the
 * index thread can do what is more urgent in between. The last step lists the new run and unlists its sources, in one
 * transaction. What has been merged when the index is closed is not kept: the merge begins again after the next open.
 *
 * Ownership: borrows environment, catalog and runs; the caller says what becomes of the runs.
 * Threads: the index thread's.
 * Errors: FAILURE_CORRUPT (a source is not what was written), what environment_result and environment_commit say. A merge
 * that failed can only be freed. */
#ifndef SERVICE_STORE_NAMES_MERGE_H
#define SERVICE_STORE_NAMES_MERGE_H

#include <stdbool.h>

#include "service/store/names_catalog.h"

/* A MiB of pages for names of twenty bytes. */
#define NAMES_STEP_ENTRIES_COUNT_MAX 8192

struct names_merge;

/* `sources` ascend; `output` has just been taken. FAILURE_MEMORY. */
MUST_USE result names_merge_new(struct environment *environment, struct names_catalog *catalog,
                                struct names_run *const sources[INDEX_RUNS_MERGED_COUNT], struct names_run *output,
                                struct names_merge **ret_merge);
/* NULL is allowed. Returns NULL. */
struct names_merge *names_merge_free(struct names_merge *merge);

/* `reader` is a read transaction that began after the sources were listed; it is only used during the step.
 * `ret_is_complete`: the new run is listed, the sources are not any more. */
MUST_USE result names_merge_step(struct names_merge *merge, MDB_txn *reader, bool *ret_is_complete);

struct names_run *const *names_merge_sources(const struct names_merge *merge);
struct names_run *names_merge_output(const struct names_merge *merge);

#endif
