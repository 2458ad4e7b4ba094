/* queue.h: the bounded queue between the API edge and the sequencer.
 *
 * Ownership: it links the callers' requests and tasks (`next`) and owns nothing else.
 * Threads: push from any; take from the sequencer's; close from any. */
#ifndef SERVICE_COMMIT_QUEUE_H
#define SERVICE_COMMIT_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/base/result.h"
#include "service/commit/request.h"

/* Somebody who waits for room; memory of the one who waits. */
struct queue_waiter {
    void (*has_room)(struct queue_waiter *waiter); /* once, on the sequencer's thread; must not block */
    struct queue_waiter *next;
};

/* Something to do between two groups. */
struct queue_task {
    /* Once, on the taker's thread. `is_stopped`: the disk has failed; it is to do nothing but tell of its end. */
    void (*run)(struct queue_task *task, bool is_stopped);
    struct queue_task *next;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct append_request *first;
    struct append_request **last_link;
    struct queue_task *tasks_first;
    struct queue_task **tasks_last_link;
    uint64_t requests_count;
    _Atomic uint64_t memory_bytes;
    _Atomic uint64_t rejected_count;
    atomic_bool is_full;          /* one was turned away since the last take */
    _Atomic uint64_t pace_ns;     /* for a KiB of memory of requests; 0: not known */
    _Atomic uint64_t taken_bytes; /* the memory of the group that was taken last, 0 once the taker is back, and when */
    atomic_int_fast64_t taken_ns;
    struct queue_waiter *waiters_first; /* only while the queue is not empty: the next take tells them */
    struct queue_waiter **waiters_last_link;
    bool taker_waits;
    bool closed;
};

/* What one take brought: requests in the order of their arrival, or a task. */
struct queue_group {
    struct queue_task *task; /* NULL: requests */
    struct append_request *first;
    uint32_t requests_count;
    uint64_t events_count;
    uint64_t size_bytes;
};

void queue_init(struct queue *queue);
void queue_deinit(struct queue *queue);

/* FAILURE_LIMIT at QUEUE_REQUESTS_COUNT_MAX or QUEUE_BYTES_MAX, though not for one alone; FAILURE_STOPPED after close. */
MUST_USE result queue_push(struct queue *queue, struct append_request *request);

/* The same, but FAILURE_LIMIT makes the waiter wait: it is told when a group has been taken. Another may be faster then; who
 * waits the longest is told first. */
MUST_USE result queue_push_or_wait(struct queue *queue, struct append_request *request, struct queue_waiter *waiter);

/* What becomes of a request that would be pushed now. */
enum queue_prospect {
    QUEUE_HAS_ROOM,
    QUEUE_IS_FULL,    /* one was turned away since the last group was taken, or this one would be */
    QUEUE_IS_TOO_LONG /* at the pace of the last groups, what is before it takes too much of the time that it can wait */
};

/* Told before anything is done for a request: what is refused under overload must not take the time of what is accepted. One
 * that is refused counts as rejected. It will hold about `memory_bytes`; `deadline_ns` as a request's, without one the queue is
 * never too long. */
enum queue_prospect queue_prospect(struct queue *queue, uint64_t memory_bytes, int64_t deadline_ns);

/* Queues a task, which comes before the requests that wait. FAILURE_STOPPED after close. */
MUST_USE result queue_push_task(struct queue *queue, struct queue_task *task);

/* Waits for tasks and requests and takes a task, or as many requests as a group may hold, at least one. False: closed and
 * empty. */
bool queue_take(struct queue *queue, struct queue_group *ret_group);

/* Refuses what comes from now on; what is queued can still be taken. */
void queue_close(struct queue *queue);

#endif
