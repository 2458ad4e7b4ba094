/* compactor.h: compactions of the log (store/compaction.h) beside everything else, one at a time.
 *
 * A thread of its own copies, and then rebuilds the index; the switch runs on the sequencer's, between two groups.
 * Ownership: borrows store, index and sequencer, which outlive it. Threads: start, cancel, progress and stop
 * from any; open and close to nobody else. */
#ifndef SERVICE_COMMIT_COMPACTOR_H
#define SERVICE_COMMIT_COMPACTOR_H

#include "service/base/result.h"
#include "service/store/compaction.h"

struct compactor;
struct index;
struct sequencer;
struct store;

/* `index` is rebuilt after each compaction, so that nothing of what is gone stays in its files either; NULL: it is not. */
MUST_USE result compactor_open(struct store *store, struct index *index, struct sequencer *sequencer,
                               struct compactor **ret_compactor);
/* Stops the one at work and waits for it. NULL is allowed. Returns NULL. */
struct compactor *compactor_close(struct compactor *compactor);

struct compactor_end {
    enum failure
        failure; /* FAILURE_STOPPED: cancelled, or the daemon is stopping; else as the functions of a compaction */
    struct problem problem; /* of a beginning that failed; else empty */
    struct compaction_progress progress;
};

/* A compaction has ended. Once, on the compactor's thread; another may have been started already. */
typedef void compactor_ended(void *context, const struct compactor_end *end);

/* Starts a compaction. FAILURE_BUSY: one is at work. FAILURE_STOPPED: after compactor_stop. FAILURE_MEMORY: no thread. In these
 * cases `ended` is not called. */
MUST_USE result compactor_start(struct compactor *compactor, compactor_ended *ended, void *context);

/* Asks the compaction that was started with this context, if it is at work, to give up: the log stays as it was. */
void compactor_cancel(struct compactor *compactor, const void *context);

/* Asks the one at work to give up and lets no other start: the daemon drains. */
void compactor_stop(struct compactor *compactor);

/* Of the compaction that was started last. */
struct compaction_progress compactor_progress(struct compactor *compactor);

#endif
