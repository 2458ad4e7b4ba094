/* sequencer.h: the one writer: drains the queue, applies whole groups, commits once a group, answers.
 *
 * A request whose deadline has passed when its group is taken is answered at once with APPEND_EXPIRED: work that nobody waits
 * for would only make those wait longer who do. That is decided before the group enters the log, as its time is, because
 * nothing behind the log knows a clock. A request that is in the log is written, however long that takes.
 * Order after a commit: index, tail, head, then the answers: whoever holds an acknowledgement can read and subscribe to it.
 * Ownership: the sequencer borrows store, index and listener, which outlive it.
 * Threads: submit and run from any thread; everything else from the one that opened it. */
#ifndef SERVICE_COMMIT_SEQUENCER_H
#define SERVICE_COMMIT_SEQUENCER_H

#include "service/base/result.h"
#include "service/commit/listener.h"
#include "service/commit/queue.h"
#include "service/commit/request.h"

struct index;
struct queue_waiter;
struct sequencer;
struct store;

struct sequencer_options {
    struct store *store;
    struct index *index;
    const struct commit_listener *listener;
};

/* Starts the thread. FAILURE_MEMORY. */
MUST_USE result sequencer_open(const struct sequencer_options *options, struct sequencer **ret_sequencer);

/* Answers what is queued, then stops the thread and frees. NULL is allowed. Returns NULL. */
struct sequencer *sequencer_close(struct sequencer *sequencer);

/* Queues a request. FAILURE_LIMIT: the queue is full, FAILURE_STOPPED: the daemon is stopping or its disk has failed; in both
 * cases `done` is not called. */
MUST_USE result sequencer_submit(struct sequencer *sequencer, struct append_request *request);

/* What becomes of a request of this size with this deadline that is submitted now (queue.h). One that would be refused counts
 * as rejected; it need not be made at all. */
enum queue_prospect sequencer_prospect(struct sequencer *sequencer, uint64_t memory_bytes, int64_t deadline_ns);

/* The same for one who would rather wait: after FAILURE_LIMIT `waiter` is told once that there may be room (queue.h). */
MUST_USE result sequencer_submit_or_wait(struct sequencer *sequencer, struct append_request *request,
                                         struct queue_waiter *waiter);

/* Runs a function on the sequencer's thread between two groups and waits for it: no transaction is open, nothing is being
 * applied, and appends wait as long as it takes. It may use the store as the sequencer does and must leave it so; it must not
 * submit and wait, or run another. When it returns FAILURE_STORAGE, the disk has failed as in a commit: nothing is acknowledged
 * any more. `ret_outcome` is what it returned. FAILURE_STOPPED: it was not run, the daemon is stopping or its disk has
 * failed. Any thread but the sequencer's. */
typedef result sequencer_function(void *context);
MUST_USE result sequencer_run(struct sequencer *sequencer, sequencer_function *function, void *context,
                              result *ret_outcome);

/* Since when it has been at work on what it has taken last, by the monotonic clock; 0: it waits for something to do. A time that
 * is long ago means a disk that does not answer. */
int64_t sequencer_writing_since_ns(const struct sequencer *sequencer);

struct sequencer_counts {
    uint64_t groups_committed;
    uint64_t requests_committed;
    uint64_t events_committed;
    uint64_t requests_refused;  /* by what they expected */
    uint64_t requests_rejected; /* because the queue was full */
    uint64_t requests_expired;  /* because their deadline had passed in the queue */
    uint64_t queue_requests_count;
    uint64_t queue_bytes;
};
struct sequencer_counts sequencer_count(struct sequencer *sequencer);

#endif
