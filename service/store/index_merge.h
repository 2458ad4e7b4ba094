/* index_merge.h: makes one run of the next level out of INDEX_RUNS_MERGED_COUNT runs that follow each other.
 *
 * It goes on in steps, each a write transaction of at most INDEX_STEP_ENTRIES_COUNT_MAX entries (2.1 MiB of pages), so that
 * new runs can be written in between and the thread can stop. The last step lists the new run and unlists its sources, in
 * one transaction. What has been merged when the index is closed is not kept: the merge begins again after the next open.
 *
 * With a window of ids a merge drops the older ones. A run that is longer than the window keeps no more than a window of them;
 * of these there are some 8, and some 16 of the level below that are not longer: the index has 24 windows of old ids or less.
 *
 * Ownership: borrows environment, catalog and runs; the caller says what becomes of the runs.
 * Threads: the index thread's.
 * Errors: FAILURE_CORRUPT (a source is not what was written), what environment_result and environment_commit say. A merge
 * that failed can only be freed. */
#ifndef SERVICE_STORE_INDEX_MERGE_H
#define SERVICE_STORE_INDEX_MERGE_H

#include <stdbool.h>

#include "service/store/index_catalog.h"

#define INDEX_STEP_ENTRIES_COUNT_MAX 65536

struct index_merge;

/* `sources` ascend; `output` has just been taken. Ids of events before `ids_position_first` are dropped, which the catalog
 * notes in the last step; 1: none. FAILURE_MEMORY. */
MUST_USE result index_merge_new(struct environment *environment, struct index_catalog *catalog,
                                struct index_run *const sources[INDEX_RUNS_MERGED_COUNT], struct index_run *output,
                                uint64_t ids_position_first, struct index_merge **ret_merge);
/* NULL is allowed. Returns NULL. */
struct index_merge *index_merge_free(struct index_merge *merge);

/* `reader` is a read transaction that began after the sources were listed; it is only used during the step.
 * `ret_is_complete`: the new run is listed, the sources are not any more. */
MUST_USE result index_merge_step(struct index_merge *merge, MDB_txn *reader, bool *ret_is_complete);

struct index_run *const *index_merge_sources(const struct index_merge *merge);
struct index_run *index_merge_output(const struct index_merge *merge);

#endif
