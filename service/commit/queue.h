/* queue.h: the bounded queue between the API edge and the sequencer.
 *
 * Ownership: it links the callers' requests (`next`) and owns nothing else.
 * Threads: push from any; take from the sequencer's; close from any. */
#ifndef SERVICE_COMMIT_QUEUE_H
#define SERVICE_COMMIT_QUEUE_H

#include <pthread.h>

#include "service/base/result.h"
#include "service/commit/request.h"

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct append_request *first;
    struct append_request **last_link;
    uint64_t requests_count;
    uint64_t size_bytes;
    uint64_t rejected_count;
    bool taker_waits;
    bool closed;
};

/* What one take brought: requests in the order of their arrival. */
struct queue_group {
    struct append_request *first;
    uint32_t requests_count;
    uint64_t events_count;
    uint64_t size_bytes;
};

void queue_init(struct queue *queue);
void queue_deinit(struct queue *queue);

/* FAILURE_LIMIT at QUEUE_REQUESTS_COUNT_MAX or QUEUE_BYTES_MAX, FAILURE_STOPPED after close. */
MUST_USE result queue_push(struct queue *queue, struct append_request *request);

/* Waits for requests and takes as many as a group may hold, at least one. False: closed and empty. */
bool queue_take(struct queue *queue, struct queue_group *ret_group);

/* Refuses what comes from now on; what is queued can still be taken. */
void queue_close(struct queue *queue);

#endif
