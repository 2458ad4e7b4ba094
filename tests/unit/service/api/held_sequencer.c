#include "tests/unit/service/api/held_sequencer.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "service/commit/queue.h"
#include "service/commit/sequencer.h"

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct append_request *requests[HELD_COUNT_MAX];
    uint32_t taken_count;
    uint32_t decided_count;
    uint32_t refused_count;
    uint32_t held_most;
    enum failure refusal;
    struct queue_waiter *waiter;
} held = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void held_open(void) {
    held.taken_count = held.decided_count = held.refused_count = held.held_most = 0;
    held.refusal = FAILURE_NONE;
    held.waiter = NULL;
}

static void take_locked(struct append_request *request) {
    cr_assert_lt(held.taken_count, HELD_COUNT_MAX);
    request->outcome = APPEND_PENDING;
    held.requests[held.taken_count++] = request;
    const uint32_t count = held.taken_count - held.decided_count;
    if (count > held.held_most) held.held_most = count;
}

result sequencer_submit_or_wait(struct sequencer *sequencer, struct append_request *request,
                                struct queue_waiter *waiter) {
    cr_assert_null(sequencer);
    pthread_mutex_lock(&held.mutex);
    const enum failure failure = held.refusal;
    if (failure == FAILURE_NONE) {
        take_locked(request);
    } else {
        held.refused_count++;
        if (failure == FAILURE_LIMIT) held.waiter = waiter;
    }
    pthread_cond_broadcast(&held.changed);
    pthread_mutex_unlock(&held.mutex);
    return failure == FAILURE_NONE ? RESULT_OK : failure_result(failure);
}

/* The way of the unary call, which nobody takes here: without it the real one would come along. */
result sequencer_submit(struct sequencer *sequencer, struct append_request *request) {
    return sequencer_submit_or_wait(sequencer, request, NULL);
}

/* Of the other handlers, for the same reason. */
enum queue_prospect sequencer_prospect(struct sequencer *sequencer, uint64_t memory_bytes, int64_t deadline_ns) {
    cr_assert_null(sequencer);
    (void)memory_bytes;
    (void)deadline_ns;
    return QUEUE_HAS_ROOM;
}

struct sequencer_counts sequencer_count(struct sequencer *sequencer) {
    cr_assert_null(sequencer);
    return (struct sequencer_counts){0};
}

result sequencer_run(struct sequencer *sequencer, sequencer_function *function, void *context, result *ret_outcome) {
    cr_assert_null(sequencer);
    (void)function;
    (void)context;
    (void)ret_outcome;
    return failure_result(FAILURE_STOPPED);
}

void held_refuse(enum failure failure) {
    pthread_mutex_lock(&held.mutex);
    held.refusal = failure;
    pthread_mutex_unlock(&held.mutex);
}

static void wait_for(const uint32_t *counter, uint32_t count) {
    pthread_mutex_lock(&held.mutex);
    while (*counter < count) pthread_cond_wait(&held.changed, &held.mutex);
    pthread_mutex_unlock(&held.mutex);
}

void held_wait_taken(uint32_t count) {
    wait_for(&held.taken_count, count);
}

void held_wait_refused(uint32_t count) {
    wait_for(&held.refused_count, count);
}

uint32_t held_count(void) {
    pthread_mutex_lock(&held.mutex);
    const uint32_t count = held.taken_count - held.decided_count;
    pthread_mutex_unlock(&held.mutex);
    return count;
}

uint32_t held_count_most(void) {
    pthread_mutex_lock(&held.mutex);
    const uint32_t count = held.held_most;
    pthread_mutex_unlock(&held.mutex);
    return count;
}

struct append_request *held_request(uint32_t number) {
    held_wait_taken(number + 1);
    pthread_mutex_lock(&held.mutex);
    struct append_request *request = held.requests[number];
    pthread_mutex_unlock(&held.mutex);
    return request;
}

void held_decide(uint32_t number, enum append_outcome outcome) {
    struct append_request *request = held_request(number);
    for (uint32_t index = 0; outcome == APPEND_COMMITTED && index < request->writes_count; index++) {
        const uint64_t place = (uint64_t)number + 1;
        request->results[index] = (struct append_result){place, place, place, place};
    }
    request->outcome = outcome;
    pthread_mutex_lock(&held.mutex);
    held.decided_count++;
    pthread_mutex_unlock(&held.mutex);
    request->done(request);
}

bool held_tell_room(void) {
    pthread_mutex_lock(&held.mutex);
    struct queue_waiter *waiter = held.waiter;
    held.waiter = NULL;
    pthread_mutex_unlock(&held.mutex);
    if (waiter != NULL) waiter->has_room(waiter);
    return waiter != NULL;
}
