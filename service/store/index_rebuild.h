/* index_rebuild.h: builds the index anew from the log and puts it in the place of the old one, while it is used.
 *
 * Steps read the log and add to another part in DIR/index.new, by the path that every event takes, with a thread and runs of
 * its own, which also catalogues the names. Once it has come to where the log was at its begin and its names are near, appends
 * go no faster than it does, so that it comes near; when little is left the last step keeps appends waiting, adds the rest,
 * exchanges the two directories and makes the new part the index. Queries that run keep the old part until they end; it is
 * removed after them. Reads, appends and subscriptions go on all the time.
 *
 * Crashes. DIR/index is a whole index at every moment (or, where a file system cannot exchange two directories, for one
 * moment it is DIR/index.old, which the next open takes back); what is in DIR/index.new is removed by the next open: before
 * the exchange it is not complete, after it it is the old index. Damage that the old index was marked with goes with it.
 *
 * A rebuild leaves twice ENVIRONMENT_RESERVE_BYTES free: it gives up before appends are refused.
 * Ownership: a rebuild borrows index and store, which outlive it.
 * Threads: begin, step and end belong to one thread, any but the one that adds to the index: that may wait for a step.
 * Whoever has begun must go on with steps or end it, because of that. Progress is any thread's. */
#ifndef SERVICE_STORE_INDEX_REBUILD_H
#define SERVICE_STORE_INDEX_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct index;
struct index_rebuild;
struct store;

/* Begins with an empty part. FAILURE_BUSY: a rebuild is going on. FAILURE_STORAGE_FULL, FAILURE_STORAGE, FAILURE_MEMORY. */
MUST_USE result index_rebuild_begin(struct index *index, struct store *store, struct index_rebuild **ret_rebuild,
                                    struct problem *ret_problem);

/* Adds some thousand events, or does the switch. `ret_is_switched`: the new part is the index and the old one is removed.
 * FAILURE_CORRUPT: an event of the log is damaged; FAILURE_STORAGE_FULL; FAILURE_STORAGE, FAILURE_MEMORY: of the new part, the
 * index goes on. After a failure, and after the switch, only end is allowed. */
MUST_USE result index_rebuild_step(struct index_rebuild *rebuild, bool *ret_is_switched);

/* Lets go of what is not used: the new part, when it was not switched. NULL is allowed. Returns NULL. */
struct index_rebuild *index_rebuild_end(struct index_rebuild *rebuild);

struct index_rebuild_progress {
    uint64_t position; /* built up to here */
    uint64_t head;     /* of the index that is used */
};
struct index_rebuild_progress index_rebuild_progress(const struct index_rebuild *rebuild);

/* All of it: begins, steps until the switch, ends. For who has nothing to report meanwhile. */
MUST_USE result index_rebuild(struct index *index, struct store *store, struct problem *ret_problem);

/* Removes what a rebuild has left that did not end, before the index in `directory` is opened. */
MUST_USE result index_rebuild_remains(const char *directory, struct problem *ret_problem);

#endif
