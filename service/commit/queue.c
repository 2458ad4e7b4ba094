#include "service/commit/queue.h"

#include <assert.h>
#include <sched.h>

#include "service/base/clock.h"
#include "service/base/limits.h"

#define YIELDS_COUNT_MAX 4

void queue_init(struct queue *queue) {
    *queue = (struct queue){
        .last_link = &queue->first, .tasks_last_link = &queue->tasks_first, .waiters_last_link = &queue->waiters_first};
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->filled, NULL);
}

void queue_deinit(struct queue *queue) {
    assert(queue->first == NULL && queue->tasks_first == NULL && queue->waiters_first == NULL);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->mutex);
}

static uint64_t weight_bytes(const struct append_request *request) {
    return request->memory_bytes > request->size_bytes ? request->memory_bytes : request->size_bytes;
}

/* One request alone has room, however large it is. */
static bool has_room(const struct queue *queue, const struct append_request *request) {
    if (queue->requests_count == 0) return true;
    return queue->requests_count < QUEUE_REQUESTS_COUNT_MAX &&
           queue->memory_bytes + weight_bytes(request) <= QUEUE_BYTES_MAX;
}

static result push_locked(struct queue *queue, struct append_request *request) {
    if (queue->closed) return failure_result(FAILURE_STOPPED);
    if (!has_room(queue, request)) return failure_result(FAILURE_LIMIT);
    request->next = NULL;
    *queue->last_link = request;
    queue->last_link = &request->next;
    queue->requests_count++;
    queue->memory_bytes += weight_bytes(request);
    return RESULT_OK;
}

/* Without room there is something to take, and the next take tells the waiter: one request alone always fits. */
static void wait_locked(struct queue *queue, struct queue_waiter *waiter) {
    assert(queue->first != NULL);
    waiter->next = NULL;
    *queue->waiters_last_link = waiter;
    queue->waiters_last_link = &waiter->next;
}

static result push(struct queue *queue, struct append_request *request, struct queue_waiter *waiter) {
    pthread_mutex_lock(&queue->mutex);
    const result outcome = push_locked(queue, request);
    if (outcome.failure == FAILURE_LIMIT) {
        if (waiter == NULL) {
            queue->rejected_count++;
            atomic_store_explicit(&queue->is_full, true, memory_order_relaxed);
        } else {
            wait_locked(queue, waiter);
        }
    }
    const bool wake = !failed(outcome) && queue->taker_waits;
    if (wake) queue->taker_waits = false;
    pthread_mutex_unlock(&queue->mutex);
    if (wake) pthread_cond_signal(&queue->filled);
    return outcome;
}

result queue_push(struct queue *queue, struct append_request *request) {
    return push(queue, request, NULL);
}

result queue_push_or_wait(struct queue *queue, struct append_request *request, struct queue_waiter *waiter) {
    return push(queue, request, waiter);
}

/* How long what is before a new request takes, by the pace that was learned. */
static uint64_t wait_expected_ns(const struct queue *queue, int64_t now_ns) {
    const uint64_t pace_ns = atomic_load_explicit(&queue->pace_ns, memory_order_relaxed);
    const uint64_t waiting_ns = atomic_load_explicit(&queue->memory_bytes, memory_order_relaxed) / KIB(1) * pace_ns;
    const uint64_t group_ns = atomic_load_explicit(&queue->taken_bytes, memory_order_relaxed) / KIB(1) * pace_ns;
    const int64_t taken_ns = atomic_load_explicit(&queue->taken_ns, memory_order_relaxed);
    const uint64_t passed_ns = now_ns > taken_ns ? (uint64_t)(now_ns - taken_ns) : 0;
    return waiting_ns + (group_ns > passed_ns ? group_ns - passed_ns : 0);
}

static bool is_too_long(const struct queue *queue, int64_t deadline_ns) {
    if (deadline_ns == 0 || atomic_load_explicit(&queue->pace_ns, memory_order_relaxed) == 0) return false;
    if (atomic_load_explicit(&queue->memory_bytes, memory_order_relaxed) < QUEUE_PACE_BYTES_MIN) return false;
    const int64_t now_ns = clock_monotonic_ns();
    if (deadline_ns <= now_ns) return true;
    return QUEUE_PATIENCE_DIVISOR * wait_expected_ns(queue, now_ns) > (uint64_t)(deadline_ns - now_ns);
}

static bool is_full(const struct queue *queue, uint64_t memory_bytes) {
    if (atomic_load_explicit(&queue->is_full, memory_order_relaxed)) return true;
    const uint64_t held_bytes = atomic_load_explicit(&queue->memory_bytes, memory_order_relaxed);
    return held_bytes > 0 && held_bytes + memory_bytes > QUEUE_BYTES_MAX;
}

enum queue_prospect queue_prospect(struct queue *queue, uint64_t memory_bytes, int64_t deadline_ns) {
    const bool full = is_full(queue, memory_bytes);
    if (!full && !is_too_long(queue, deadline_ns)) return QUEUE_HAS_ROOM;
    pthread_mutex_lock(&queue->mutex);
    const bool is_refused = !queue->closed && (!full || is_full(queue, memory_bytes));
    if (is_refused) queue->rejected_count++;
    pthread_mutex_unlock(&queue->mutex);
    if (!is_refused) return QUEUE_HAS_ROOM;
    return full ? QUEUE_IS_FULL : QUEUE_IS_TOO_LONG;
}

result queue_push_task(struct queue *queue, struct queue_task *task) {
    pthread_mutex_lock(&queue->mutex);
    const bool is_closed = queue->closed;
    if (!is_closed) {
        task->next = NULL;
        *queue->tasks_last_link = task;
        queue->tasks_last_link = &task->next;
        queue->taker_waits = false;
    }
    pthread_mutex_unlock(&queue->mutex);
    if (is_closed) return failure_result(FAILURE_STOPPED);
    pthread_cond_signal(&queue->filled);
    return RESULT_OK;
}

/* The first request always fits: each limit of a request is below the group's. */
static bool group_has_room(const struct queue_group *group, const struct append_request *request) {
    if (group->requests_count == 0) return true;
    return group->requests_count < GROUP_REQUESTS_COUNT_MAX &&
           group->events_count + request->events_count <= GROUP_EVENTS_COUNT_MAX &&
           group->size_bytes + request->size_bytes <= GROUP_BYTES_MAX;
}

static void take_locked(struct queue *queue, struct queue_group *ret_group) {
    struct queue_group group = {.first = queue->first};
    const uint64_t bytes_before = queue->memory_bytes;
    struct append_request *request = queue->first;
    struct append_request *last = NULL;
    while (request != NULL && group_has_room(&group, request)) {
        group.requests_count++;
        group.events_count += request->events_count;
        group.size_bytes += request->size_bytes;
        queue->memory_bytes -= weight_bytes(request);
        last = request;
        request = request->next;
    }
    assert(last != NULL);
    last->next = NULL;
    queue->first = request;
    if (request == NULL) queue->last_link = &queue->first;
    queue->requests_count -= group.requests_count;
    atomic_store_explicit(&queue->is_full, false, memory_order_relaxed);
    atomic_store_explicit(&queue->taken_bytes, bytes_before - queue->memory_bytes, memory_order_relaxed);
    atomic_store_explicit(&queue->taken_ns, clock_monotonic_ns(), memory_order_relaxed);
    *ret_group = group;
}

static void take_task_locked(struct queue *queue, struct queue_group *ret_group) {
    struct queue_task *task = queue->tasks_first;
    queue->tasks_first = task->next;
    if (task->next == NULL) queue->tasks_last_link = &queue->tasks_first;
    *ret_group = (struct queue_group){.task = task};
}

static uint64_t requests_count(struct queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    const uint64_t count = queue->requests_count;
    pthread_mutex_unlock(&queue->mutex);
    return count;
}

/* When the processors are busy, those who fill the queue go first: the group grows, and its commit serves more of them. When
 * a processor is idle, or nobody adds anything, this returns at once. */
static void fillers_go_first(struct queue *queue) {
    uint64_t before = requests_count(queue);
    for (uint32_t count = 0; count < YIELDS_COUNT_MAX; count++) {
        sched_yield();
        const uint64_t after = requests_count(queue);
        if (after == before) return;
        before = after;
    }
}

static struct queue_waiter *waiters_take_locked(struct queue *queue) {
    struct queue_waiter *first = queue->waiters_first;
    queue->waiters_first = NULL;
    queue->waiters_last_link = &queue->waiters_first;
    return first;
}

/* A waiter that is told may wait again at once. */
static void waiters_tell(struct queue_waiter *waiter) {
    while (waiter != NULL) {
        struct queue_waiter *next = waiter->next;
        waiter->has_room(waiter);
        waiter = next;
    }
}

/* The taker is back: what it has done since the last take tells how fast requests are written. The newest counts a quarter. */
static void pace_learn(struct queue *queue) {
    const uint64_t bytes = atomic_load_explicit(&queue->taken_bytes, memory_order_relaxed);
    if (bytes >= QUEUE_PACE_BYTES_MIN) {
        const int64_t passed_ns = clock_monotonic_ns() - atomic_load_explicit(&queue->taken_ns, memory_order_relaxed);
        const uint64_t newest_ns = (uint64_t)passed_ns / (bytes / KIB(1));
        const uint64_t before_ns = atomic_load_explicit(&queue->pace_ns, memory_order_relaxed);
        const uint64_t pace_ns = before_ns == 0 ? newest_ns : (3 * before_ns + newest_ns) / 4;
        atomic_store_explicit(&queue->pace_ns, pace_ns, memory_order_relaxed);
    }
    atomic_store_explicit(&queue->taken_bytes, 0, memory_order_relaxed);
}

bool queue_take(struct queue *queue, struct queue_group *ret_group) {
    pace_learn(queue);
    fillers_go_first(queue);
    pthread_mutex_lock(&queue->mutex);
    while (queue->first == NULL && queue->tasks_first == NULL && !queue->closed) {
        queue->taker_waits = true;
        pthread_cond_wait(&queue->filled, &queue->mutex);
    }
    const bool has_task = queue->tasks_first != NULL;
    const bool found = has_task || queue->first != NULL;
    struct queue_waiter *waiters = NULL;
    if (has_task) {
        take_task_locked(queue, ret_group);
    } else if (found) {
        take_locked(queue, ret_group);
        waiters = waiters_take_locked(queue);
    }
    pthread_mutex_unlock(&queue->mutex);
    waiters_tell(waiters);
    return found;
}

void queue_close(struct queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    queue->taker_waits = false;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->filled);
}
