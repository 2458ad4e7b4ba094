/* compaction.h: gives back the space of what was removed from the log, by a copy that takes its place while it is used.
 *
 * The log is copied, record by record in order of position and with full pages, to DIR/log.new, while appends, rewrites and
 * readers go on: steps copy what is there, each in a short snapshot of its own, and sync it. When little is left, the switch,
 * between two transactions of the writing thread, copies the rest, exchanges the two directories and moves the readers over.
 * Whatever interrupts it, DIR/log is a complete log and what was acknowledged is in it. Every record's checksum is verified
 * on the way: damage ends a compaction, it is never copied.
 *
 * A copy leaves twice ENVIRONMENT_RESERVE_BYTES free, so that it gives up before appends are refused.
 * Ownership: borrows the store, which must outlive it. Threads: begin, step and end belong to one thread, which waits
 * while the switch runs on the store's writing thread; progress is any thread's. */
#ifndef SERVICE_STORE_COMPACTION_H
#define SERVICE_STORE_COMPACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct compaction;
struct store;

/* Begins a copy. FAILURE_BUSY: one is being made. FAILURE_LIMIT: no reader is left. FAILURE_MEMORY (address space),
 * FAILURE_STORAGE_FULL, FAILURE_STORAGE and the other failures of environment_open; the log is as it was. */
MUST_USE result compaction_begin(struct store *store, struct compaction **ret_compaction, struct problem *ret_problem);

/* Copies a part. `ret_is_ready`: so little is left that a switch may do. FAILURE_CORRUPT: a record is damaged;
 * FAILURE_STORAGE_FULL; FAILURE_STORAGE: of the copy, the log may be sound; FAILURE_LIMIT: REWRITES_COUNT_MAX records were
 * rewritten during one step. After a failure only compaction_end is allowed. */
MUST_USE result compaction_step(struct compaction *compaction, bool *ret_is_ready);

/* On the store's writing thread, between transactions: puts the copy in the place of the log. `ret_is_switched` false: more
 * was left than a switch may copy; go on with steps. The failures of a step, and those of the exchange. */
MUST_USE result compaction_switch(struct compaction *compaction, bool *ret_is_switched);

/* False after a switch that failed at the exchange of the directories, which may or may not be on disk: nothing may be
 * acknowledged any more and the process must end. After any other failure the log is as it was. */
bool compaction_log_is_known(const struct compaction *compaction);

/* Removes what is not used any more: the copy, or after the switch the log that was copied, whose blocks are free once the
 * last snapshot of it has ended. Returns NULL; NULL is allowed. */
struct compaction *compaction_end(struct compaction *compaction);

struct compaction_progress {
    uint64_t events_copied_count;
    uint64_t events_count;
    uint64_t reclaimed_bytes; /* after the switch: by how much the log takes less of the disk */
};
struct compaction_progress compaction_progress(const struct compaction *compaction);

/* What the switch did while appends waited. After it, any thread. */
struct compaction_switch_counts {
    uint64_t events_copied;
    uint64_t rows_compared; /* of the small tables */
    uint64_t rows_copied;
};
struct compaction_switch_counts compaction_switch_count(const struct compaction *compaction);

#endif
