#include "service/commit/sequencer.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/base/clock.h"
#include "service/base/failpoint.h"
#include "service/base/thread.h"
#include "service/commit/committer.h"
#include "service/commit/log.h"
#include "service/commit/queue.h"

struct sequencer {
    struct queue queue;
    struct log log;
    struct committer committer;
    pthread_t thread;
    bool storage_failed;                  /* the sequencer's thread alone */
    atomic_int_fast64_t writing_since_ns; /* 0: it waits for something to do */
    atomic_uint_fast64_t groups_committed;
    atomic_uint_fast64_t requests_committed;
    atomic_uint_fast64_t events_committed;
    atomic_uint_fast64_t requests_refused;
    atomic_uint_fast64_t requests_expired;
};

/* Only the sequencer's thread writes the counters: a plain load and store is enough. */
static void count_add(atomic_uint_fast64_t *counter, uint64_t count) {
    const uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + count, memory_order_relaxed);
}

/* Answers in the order of arrival. `done` gives the request back to its owner: it is not touched afterwards. */
static void group_answer(struct sequencer *sequencer, const struct log_group *group) {
    uint64_t committed = 0;
    struct append_request *request = group->requests.first;
    while (request != NULL) {
        struct append_request *next = request->next;
        if (request->outcome == APPEND_COMMITTED) committed++;
        request->done(request);
        DAYBOOK_FAILPOINT(ANSWER_AFTER);
        request = next;
    }
    count_add(&sequencer->requests_committed, committed);
    count_add(&sequencer->requests_refused, group->requests.requests_count - committed);
}

/* A function on its way to the sequencer's thread and back; lives on the stack of the one who waits for it. */
struct run {
    struct queue_task task; /* the first member */
    struct sequencer *sequencer;
    sequencer_function *function;
    void *context;
    bool was_run;
    result outcome;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended;
};

static void storage_fail(struct sequencer *sequencer) {
    sequencer->storage_failed = true;
    queue_close(&sequencer->queue);
}

static void run_now(struct queue_task *task, bool is_stopped) {
    struct run *run = (struct run *)task;
    if (!is_stopped) {
        struct sequencer *sequencer = run->sequencer;
        run->outcome = run->function(run->context);
        run->was_run = true;
        if (run->outcome.failure == FAILURE_STORAGE) {
            storage_fail(sequencer);
            const struct commit_listener *listener = sequencer->committer.listener;
            listener->storage_failed(listener->context, FAILURE_STORAGE);
        }
    }
    pthread_mutex_lock(&run->mutex);
    run->has_ended = true;
    pthread_cond_signal(&run->ended);
    pthread_mutex_unlock(&run->mutex);
}

static void group_deliver(void *context, const struct log_group *group) {
    struct sequencer *sequencer = context;
    uint32_t events_count = 0;
    const result outcome = committer_commit(&sequencer->committer, group, &events_count);
    if (failed(outcome)) storage_fail(sequencer);
    if (events_count > 0) count_add(&sequencer->groups_committed, 1);
    count_add(&sequencer->events_committed, events_count);
    DAYBOOK_FAILPOINT(ANSWER_BEFORE);
    group_answer(sequencer, group);
    DAYBOOK_FAILPOINT(GROUP_ANSWERED);
    if (DAYBOOK_IS_BROKEN(ACK_EARLY)) committer_commit_late(&sequencer->committer);
}

/* After a storage failure nothing is written any more: LMDB's next commit might succeed on a broken file. */
static void group_refuse(struct sequencer *sequencer, const struct log_group *group) {
    for (struct append_request *request = group->requests.first; request != NULL; request = request->next) {
        request->outcome = APPEND_STOPPED;
    }
    group_answer(sequencer, group);
}

/* Takes those out of the group for whom nobody waits any more, and answers them. */
static void expired_refuse(struct sequencer *sequencer, struct queue_group *group, int64_t now_ns) {
    struct append_request **link = &group->first;
    while (*link != NULL) {
        struct append_request *request = *link;
        if (request->deadline_ns == 0 || request->deadline_ns > now_ns) {
            link = &request->next;
            continue;
        }
        *link = request->next;
        group->requests_count--;
        group->events_count -= request->events_count;
        group->size_bytes -= request->size_bytes;
        request->outcome = APPEND_EXPIRED;
        count_add(&sequencer->requests_expired, 1);
        request->done(request);
    }
}

static void *sequence(void *context) {
    struct sequencer *sequencer = context;
    struct log_group group;
    for (;;) {
        atomic_store_explicit(&sequencer->writing_since_ns, 0, memory_order_relaxed);
        if (!queue_take(&sequencer->queue, &group.requests)) return NULL;
        const int64_t taken_ns = clock_monotonic_ns();
        atomic_store_explicit(&sequencer->writing_since_ns, taken_ns, memory_order_relaxed);
        if (group.requests.task != NULL) {
            group.requests.task->run(group.requests.task, sequencer->storage_failed);
            continue;
        }
        DAYBOOK_FAILPOINT(GROUP_TAKEN);
        expired_refuse(sequencer, &group.requests, taken_ns);
        if (group.requests.first == NULL) continue;
        group.now_ns = clock_wall_ns();
        if (sequencer->storage_failed) {
            group_refuse(sequencer, &group);
        } else {
            sequencer->log.propose(&sequencer->log, &group);
        }
    }
}

result sequencer_open(const struct sequencer_options *options, struct sequencer **ret_sequencer) {
    struct sequencer *sequencer = calloc(1, sizeof *sequencer);
    if (sequencer == NULL) return failure_result(FAILURE_MEMORY);
    const result outcome = committer_init(&sequencer->committer, options->store, options->index, options->listener);
    if (failed(outcome)) {
        free(sequencer);
        return outcome;
    }
    queue_init(&sequencer->queue);
    log_local_init(&sequencer->log, group_deliver, sequencer);
    const result started = thread_start("sequencer", sequence, sequencer, &sequencer->thread);
    if (failed(started)) {
        queue_deinit(&sequencer->queue);
        committer_deinit(&sequencer->committer);
        free(sequencer);
        return started;
    }
    *ret_sequencer = sequencer;
    return RESULT_OK;
}

struct sequencer *sequencer_close(struct sequencer *sequencer) {
    if (sequencer == NULL) return NULL;
    queue_close(&sequencer->queue);
    pthread_join(sequencer->thread, NULL);
    queue_deinit(&sequencer->queue);
    committer_deinit(&sequencer->committer);
    free(sequencer);
    return NULL;
}

static void request_prepare(struct append_request *request) {
    assert(request->events_count > 0 || request->change != NULL || request->rewrite != NULL);
    assert((request->events_count > 0) == (request->writes_count > 0) && request->done != NULL);
    request->outcome = APPEND_PENDING;
    request->conflicts_count = 0;
}

result sequencer_submit(struct sequencer *sequencer, struct append_request *request) {
    request_prepare(request);
    return queue_push(&sequencer->queue, request);
}

result sequencer_submit_or_wait(struct sequencer *sequencer, struct append_request *request,
                                struct queue_waiter *waiter) {
    request_prepare(request);
    return queue_push_or_wait(&sequencer->queue, request, waiter);
}

enum queue_prospect sequencer_prospect(struct sequencer *sequencer, uint64_t memory_bytes, int64_t deadline_ns) {
    return queue_prospect(&sequencer->queue, memory_bytes, deadline_ns);
}

result sequencer_run(struct sequencer *sequencer, sequencer_function *function, void *context, result *ret_outcome) {
    assert(!pthread_equal(pthread_self(), sequencer->thread));
    struct run run = {.task = {.run = run_now}, .sequencer = sequencer, .function = function, .context = context};
    pthread_mutex_init(&run.mutex, NULL);
    pthread_cond_init(&run.ended, NULL);
    const result queued = queue_push_task(&sequencer->queue, &run.task);
    if (!failed(queued)) {
        pthread_mutex_lock(&run.mutex);
        while (!run.has_ended) pthread_cond_wait(&run.ended, &run.mutex);
        pthread_mutex_unlock(&run.mutex);
    }
    pthread_cond_destroy(&run.ended);
    pthread_mutex_destroy(&run.mutex);
    if (failed(queued)) return queued;
    if (!run.was_run) return failure_result(FAILURE_STOPPED);
    *ret_outcome = run.outcome;
    return RESULT_OK;
}

int64_t sequencer_writing_since_ns(const struct sequencer *sequencer) {
    return atomic_load_explicit(&sequencer->writing_since_ns, memory_order_relaxed);
}

struct sequencer_counts sequencer_count(struct sequencer *sequencer) {
    struct queue *queue = &sequencer->queue;
    struct sequencer_counts counts = {
        .groups_committed = atomic_load_explicit(&sequencer->groups_committed, memory_order_relaxed),
        .requests_committed = atomic_load_explicit(&sequencer->requests_committed, memory_order_relaxed),
        .events_committed = atomic_load_explicit(&sequencer->events_committed, memory_order_relaxed),
        .requests_refused = atomic_load_explicit(&sequencer->requests_refused, memory_order_relaxed),
        .requests_expired = atomic_load_explicit(&sequencer->requests_expired, memory_order_relaxed),
    };
    pthread_mutex_lock(&queue->mutex);
    counts.requests_rejected = queue->rejected_count;
    counts.queue_requests_count = queue->requests_count;
    counts.queue_bytes = queue->memory_bytes;
    pthread_mutex_unlock(&queue->mutex);
    return counts;
}
