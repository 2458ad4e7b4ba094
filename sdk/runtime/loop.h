/* loop.h: gRPC core for this process, and completion queues with the thread that runs their completions.
 *
 * Ownership: a loop belongs to whoever opens it and is opened in memory of that owner. An operation is embedded in what
 * it belongs to (a call, a stream, a server) and must stay there until it has completed.
 * Threads: completions and timers of one loop run one after the other on its thread; those of different loops at the same
 * time.
 * open and close: one thread, never the loop's own.
 * Errors: RESOURCE_EXHAUSTED when no thread can be made. */
#ifndef DAYBOOK_SDK_RUNTIME_LOOP_H
#define DAYBOOK_SDK_RUNTIME_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>

#include "daybook/method.h"
#include "daybook/status.h"
#include "sdk/runtime/timers.h"

/* The tag of everything that is started on a completion queue. `complete` runs once for each start, may free its
 * operation and must not block. */
struct loop_operation {
    void (*complete)(struct loop_operation *operation, bool ok);
};

struct loop {
    grpc_completion_queue *queue;
    pthread_t thread;
    struct timers timers;    /* the thread's own */
    atomic_uint holds_count; /* the thread works while it is held */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing;
};

/* Counts a user of gRPC core, which is set up by the first and torn down after the last. Any thread. Threads that core
 * makes on the way take no signals, as those of a loop. */
void daybook__core_ref(void);
void daybook__core_unref(void);

/* Starts a thread; `name` has at most 15 characters. It blocks every signal that is not a fault of its own, so that a
 * program's handlers run on the program's own threads. */
DAYBOOK_MUST_USE bool daybook__thread_start(pthread_t *thread, const char *name, void *(*run)(void *context),
                                            void *context, daybook_status *ret_status);

/* Starts a loop with such a thread; core must be referenced until it is closed. */
DAYBOOK_MUST_USE bool daybook__loop_open(struct loop *loop, const char *name, daybook_status *ret_status);

/* Runs what has been started to its completion and joins the thread. Nobody holds the loop but its owner, no timer may run,
 * nothing may be started on the queue any more, and everything that has been must be on its way to its end, or this waits for
 * ever. */
void daybook__loop_close(struct loop *loop);

/* As daybook__loop_close for all of them: every thread is joined before the first queue goes, so that completions of one
 * may still use the queue of another. */
void daybook__loops_close(struct loop *loops, uint32_t count);

/* Starts a batch of operations of a call; `operation` completes when all of them have. A batch that gRPC does not take is
 * a mistake of the runtime's own. */
void daybook__loop_start(grpc_call *call, const grpc_op *batch, size_t batch_count, struct loop_operation *operation);

/* Says that everything written so far is for the thread that completes the operation. gRPC makes it so, but out of the
 * sight of a race detector; daybook__loop_start does it, and whoever gives gRPC an operation in another way calls it
 * just before. */
void daybook__loop_give(struct loop_operation *operation);

/* The other side of daybook__loop_give, for whoever takes a completion from a queue himself. */
void daybook__loop_take(struct loop_operation *operation);

/* Before something is started on a loop, and when it has completed. A loop that nobody holds sleeps: a thread that waited for
 * the network would take it from those that pluck. */
void daybook__loop_hold(struct loop *loop);
void daybook__loop_release(struct loop *loop);

/* Starts a timer on the calling thread's loop: `expire` runs once on this thread, after that long, unless the same thread
 * stops it before. It may start timers and free its own. */
void daybook__loop_timer_start(struct timer *timer, uint32_t pause_ms);

/* Stops a timer that the calling thread's loop has started; one that does not run is left alone. */
void daybook__loop_timer_stop(struct timer *timer);

/* Whether the calling thread is that of some loop: there, nothing may wait for a completion. */
bool daybook__loop_is_inside(void);

/* Whether the calling thread is this loop's. */
bool daybook__loop_is_current(const struct loop *loop);

#endif
