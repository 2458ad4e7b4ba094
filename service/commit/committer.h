/* committer.h: one group from the log to the disk and to the readers.
 *
 * Transaction, apply, commit, index, tail and head, in this order; the answers are the sequencer's business.
 * Ownership: borrows store, index and listener. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_COMMITTER_H
#define SERVICE_COMMIT_COMMITTER_H

#include "service/commit/apply.h"
#include "service/commit/listener.h"
#include "service/commit/log.h"

struct index;
struct conditions;
struct replays;
struct revisions;
struct store;

struct committer {
    struct store *store;
    struct index *index;
    const struct commit_listener *listener;
    struct revisions *revisions;
    struct replays *replays;
    struct conditions *conditions;
    struct apply apply;
    bool commit_is_late; /* broken on purpose, see base/failpoint.h */
};

MUST_USE result committer_init(struct committer *committer, struct store *store, struct index *index,
                               const struct commit_listener *listener);
void committer_deinit(struct committer *committer);

/* Sets the outcome of every request of the group. `ret_events_count` is how many events were written. FAILURE_STORAGE: the
 * disk has failed and the listener was told; nothing may be committed any more. Every other failure concerned this group
 * alone and is in the outcomes. */
MUST_USE result committer_commit(struct committer *committer, const struct log_group *group,
                                 uint32_t *ret_events_count);

/* Builds with failpoints alone: the commit that an acknowledgement has not waited for. */
void committer_commit_late(struct committer *committer);

#endif
