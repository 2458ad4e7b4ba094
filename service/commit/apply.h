/* apply.h: the state machine: decides a group of appends and writes what is accepted into the open transaction.
 *
 * It knows no clock, socket or thread: the same groups with the same `now_ns` give the same positions, times and bytes on
 * every replica. A refused request leaves no trace and does not disturb the others.
 * Ownership: borrows everything. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_APPLY_H
#define SERVICE_COMMIT_APPLY_H

#include "service/base/result.h"
#include "service/commit/request.h"
#include "service/record/chunk.h"

struct conditions;
struct replays;
struct revisions;
struct store;

struct apply {
    struct store *store;
    struct revisions *revisions;
    struct replays *replays;
    struct conditions *conditions;
    uint64_t position_last;
    int64_t recorded_last_ns;
    int64_t recorded_committed_ns; /* what recorded_last_ns falls back to */
    bool is_changed;               /* the group has written something: there is something to commit */
    bool is_rewritten;             /* it has changed what may be shown of records that were there before it */
};

/* Begins after what the store holds. FAILURE_CORRUPT when its last record is damaged, and the failures of reading. */
MUST_USE result apply_init(struct apply *apply, struct store *store, struct revisions *revisions,
                           struct replays *replays, struct conditions *conditions);

/* Decides each request of the list, in order, and sets its outcome: APPEND_COMMITTED (once the caller has committed; a
 * replay was before), a conflict, or APPEND_STORAGE_CORRUPT. Accepted events are encoded at the end of `chunk` and stored.
 * All events of one append share their recorded_at, which is later than that of the append before: so the stored bytes
 * themselves tell where an append ends.
 * A failure concerns the whole group: the caller aborts the transaction and calls apply_abort. */
MUST_USE result apply_group(struct apply *apply, struct append_request *requests, int64_t now_ns, struct chunk *chunk);

/* The group is on disk, or its transaction was aborted. */
void apply_commit(struct apply *apply, const struct chunk *chunk);
void apply_abort(struct apply *apply);

#endif
