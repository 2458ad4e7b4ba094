/* log.h: the seam between the sequencer and whatever puts groups of appends in their final order.
 *
 * A group is proposed once and delivered once, in the log's order, with the time that was fixed before it entered the log.
 * The local log delivers at once; a replicated one delivers when a quorum has the group. Nothing behind the seam reads a
 * clock.
 * Ownership: groups belong to the proposer until they have been delivered. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_LOG_H
#define SERVICE_COMMIT_LOG_H

#include <stdint.h>

#include "service/commit/queue.h"

struct log_group {
    struct queue_group requests;
    int64_t now_ns; /* wall clock of the proposer */
};

/* Applies, commits and answers a group. */
typedef void log_deliver(void *context, const struct log_group *group);

struct log {
    void (*propose)(struct log *log, const struct log_group *group);
    log_deliver *deliver;
    void *context;
};

/* A log of one: what is proposed is delivered before propose returns. */
void log_local_init(struct log *log, log_deliver *deliver, void *context);

#endif
