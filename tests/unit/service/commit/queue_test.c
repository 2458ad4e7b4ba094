/* The queue in front of the sequencer: in order, in groups, within its limits. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/commit/queue.h"

static struct queue queue;

static void setup(void) {
    queue_init(&queue);
}

TestSuite(queue, .init = setup);

/* Many requests that only weigh something. */
static struct append_request *requests_make(uint32_t count, uint32_t events_count, uint64_t size_bytes) {
    struct append_request *requests = calloc(count, sizeof *requests);
    cr_assert_not_null(requests);
    for (uint32_t index = 0; index < count; index++) {
        requests[index].events_count = events_count;
        requests[index].size_bytes = size_bytes;
    }
    return requests;
}

static void push_all(struct append_request *requests, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        cr_assert_eq(queue_push(&queue, &requests[index]).failure, FAILURE_NONE);
    }
}

/* Takes one group: `count` requests in order, beginning with `first`. */
static void expect_group(const struct append_request *first, uint32_t count) {
    struct queue_group group;
    cr_assert(queue_take(&queue, &group));
    cr_assert_eq(group.requests_count, count);
    const struct append_request *request = group.first;
    for (uint32_t index = 0; index < count; index++, request = request->next) cr_assert_eq(request, first + index);
    cr_assert_null(request);
}

Test(queue, a_take_brings_everything_in_order) {
    struct append_request *requests = requests_make(5, 2, 100);
    push_all(requests, 5);
    expect_group(requests, 5);
    push_all(requests, 2);
    expect_group(requests, 2);
    queue_deinit(&queue);
    free(requests);
}

Test(queue, a_group_has_as_many_requests_as_the_limit) {
    struct append_request *requests = requests_make(GROUP_REQUESTS_COUNT_MAX + 3, 1, 1);
    push_all(requests, GROUP_REQUESTS_COUNT_MAX + 3);
    expect_group(requests, GROUP_REQUESTS_COUNT_MAX);
    expect_group(requests + GROUP_REQUESTS_COUNT_MAX, 3);
    free(requests);
}

Test(queue, a_group_has_as_many_events_as_the_limit) {
    const uint32_t fitting = GROUP_EVENTS_COUNT_MAX / 1000;
    struct append_request *requests = requests_make(fitting + 1, 1000, 1);
    push_all(requests, fitting + 1);
    expect_group(requests, fitting);
    expect_group(requests + fitting, 1);
    free(requests);
}

Test(queue, a_group_has_as_many_bytes_as_the_limit) {
    struct append_request *requests = requests_make(3, 1, GROUP_BYTES_MAX / 2);
    push_all(requests, 3);
    expect_group(requests, 2);
    expect_group(requests + 2, 1);
    free(requests);
}

Test(queue, the_first_request_always_fits) {
    struct append_request *requests = requests_make(2, GROUP_EVENTS_COUNT_MAX + 1, GROUP_BYTES_MAX + 1);
    push_all(requests, 2);
    expect_group(requests, 1);
    expect_group(requests + 1, 1);
    free(requests);
}

Test(queue, a_full_queue_refuses_by_number) {
    struct append_request *requests = requests_make(QUEUE_REQUESTS_COUNT_MAX + 1, 1, 1);
    push_all(requests, QUEUE_REQUESTS_COUNT_MAX);
    cr_assert_eq(queue_push(&queue, &requests[QUEUE_REQUESTS_COUNT_MAX]).failure, FAILURE_LIMIT);
    cr_assert_eq(queue.rejected_count, 1);
    expect_group(requests, GROUP_REQUESTS_COUNT_MAX);
    cr_assert_eq(queue_push(&queue, &requests[QUEUE_REQUESTS_COUNT_MAX]).failure, FAILURE_NONE);
    free(requests);
}

Test(queue, a_full_queue_refuses_by_bytes) {
    struct append_request *requests = requests_make(3, 1, QUEUE_BYTES_MAX / 2);
    push_all(requests, 2);
    cr_assert_eq(queue_push(&queue, &requests[2]).failure, FAILURE_LIMIT);
    cr_assert_eq(queue.memory_bytes, QUEUE_BYTES_MAX);
    free(requests);
}

Test(queue, a_full_queue_says_so_until_a_group_is_taken) {
    struct append_request *requests = requests_make(3, 1, 1);
    requests[1].memory_bytes = QUEUE_BYTES_MAX;
    cr_assert_eq(queue_prospect(&queue, 1, 0), QUEUE_HAS_ROOM);
    push_all(requests, 1);
    cr_assert_eq(queue_prospect(&queue, 1, 0), QUEUE_HAS_ROOM);
    cr_assert_eq(queue_push(&queue, &requests[1]).failure, FAILURE_LIMIT, "by what it holds, not by its encoded bytes");
    cr_assert_eq(queue_prospect(&queue, 1, 0), QUEUE_IS_FULL);
    cr_assert_eq(queue.rejected_count, 2);
    expect_group(requests, 1);
    cr_assert_eq(queue_prospect(&queue, 1, 0), QUEUE_HAS_ROOM);
    cr_assert_eq(queue.memory_bytes, 0);
    requests[1].memory_bytes = 2 * QUEUE_BYTES_MAX;
    cr_assert_eq(queue_push(&queue, &requests[1]).failure, FAILURE_NONE, "one alone has room");
    cr_assert_eq(queue_push(&queue, &requests[2]).failure, FAILURE_LIMIT);
    expect_group(requests + 1, 1);
    cr_assert_eq(queue.memory_bytes, 0);
    free(requests);
}

Test(queue, a_request_that_would_not_fit_is_told_beforehand) {
    struct append_request *requests = requests_make(1, 1, 1);
    cr_assert_eq(queue_prospect(&queue, 2 * QUEUE_BYTES_MAX, 0), QUEUE_HAS_ROOM, "one alone has room");
    push_all(requests, 1);
    cr_assert_eq(queue_prospect(&queue, QUEUE_BYTES_MAX - 1, 0), QUEUE_HAS_ROOM);
    cr_assert_eq(queue_prospect(&queue, QUEUE_BYTES_MAX, 0), QUEUE_IS_FULL);
    cr_assert_eq(queue.rejected_count, 1);
    expect_group(requests, 1);
    free(requests);
}

/* One group at a time, of so much memory that the pace is learned from it and asked about it. */
static void pace_teach(struct append_request *requests) {
    for (uint32_t index = 0; index < 2; index++) {
        requests[index].memory_bytes = QUEUE_PACE_BYTES_MIN;
        push_all(&requests[index], 1);
        expect_group(&requests[index], 1);
        queue.taken_ns -= 10 * 1000 * 1000; /* so long ago */
    }
}

Test(queue, what_can_only_be_late_is_told_beforehand) {
    struct append_request *requests = requests_make(4, 1, 1);
    const int64_t hour_ns = INT64_C(3600) * 1000000000;
    requests[2].memory_bytes = QUEUE_PACE_BYTES_MIN;
    push_all(requests + 2, 1);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + 1), QUEUE_HAS_ROOM, "nothing was learned yet");
    expect_group(requests + 2, 1);
    pace_teach(requests);
    push_all(requests + 3, 1);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + 1), QUEUE_HAS_ROOM, "hardly anything waits");
    requests[2].memory_bytes = 2 * QUEUE_PACE_BYTES_MIN;
    push_all(requests + 2, 1);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + 1), QUEUE_IS_TOO_LONG);
    cr_assert_eq(queue.rejected_count, 1);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + hour_ns), QUEUE_HAS_ROOM);
    cr_assert_eq(queue_prospect(&queue, 1, 0), QUEUE_HAS_ROOM, "who waits for ever is never late");
    /* A pace of a second for a KiB: it is nearly an hour's work for a quarter of that time. */
    queue.pace_ns = 1000000000;
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + hour_ns), QUEUE_IS_TOO_LONG);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + 10 * hour_ns), QUEUE_HAS_ROOM);
    queue_close(&queue);
    cr_assert_eq(queue_prospect(&queue, 1, clock_monotonic_ns() + hour_ns), QUEUE_HAS_ROOM, "it says STOPPED itself");
    free(requests);
}

Test(queue, what_is_queued_can_be_taken_after_the_close) {
    struct append_request *requests = requests_make(2, 1, 1);
    push_all(requests, 1);
    queue_close(&queue);
    cr_assert_eq(queue_push(&queue, &requests[1]).failure, FAILURE_STOPPED);
    expect_group(requests, 1);
    struct queue_group group;
    cr_assert_not(queue_take(&queue, &group));
    cr_assert_not(queue_take(&queue, &group), "and it stays closed");
    queue_deinit(&queue);
    free(requests);
}

static void task_run(struct queue_task *task, bool is_stopped) {
    (void)task;
    (void)is_stopped;
}

Test(queue, tasks_come_one_by_one_and_before_requests) {
    struct queue_task tasks[2] = {{.run = task_run}, {.run = task_run}};
    struct append_request *requests = requests_make(2, 1, 1);
    struct queue_group group;
    push_all(requests, 1);
    cr_assert_eq(queue_push_task(&queue, &tasks[0]).failure, FAILURE_NONE);
    push_all(requests + 1, 1);
    cr_assert_eq(queue_push_task(&queue, &tasks[1]).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < 2; index++) {
        cr_assert(queue_take(&queue, &group));
        cr_assert_eq(group.task, &tasks[index]);
        cr_assert_null(group.first);
    }
    cr_assert(queue_take(&queue, &group));
    cr_assert_null(group.task);
    cr_assert_eq(group.requests_count, 2);
    cr_assert_eq(queue_push_task(&queue, &tasks[0]).failure, FAILURE_NONE);
    queue_close(&queue);
    cr_assert_eq(queue_push_task(&queue, &tasks[1]).failure, FAILURE_STOPPED);
    cr_assert(queue_take(&queue, &group), "what is queued can be taken after the close");
    cr_assert_eq(group.task, &tasks[0]);
    cr_assert_not(queue_take(&queue, &group));
    queue_deinit(&queue);
    free(requests);
}

#define PUSHERS_COUNT     4
#define PUSHES_PER_PUSHER 5000

static void *push_many(void *context) {
    struct append_request *requests = context;
    for (uint32_t index = 0; index < PUSHES_PER_PUSHER; index++) {
        while (failed(queue_push(&queue, &requests[index]))) {
        }
    }
    return NULL;
}

/* The taker waits whenever it is faster than the pushers: a wake-up that is lost would hang this test. */
Test(queue, many_threads_push_while_one_takes) {
    pthread_t threads[PUSHERS_COUNT];
    struct append_request *requests = requests_make(PUSHERS_COUNT * PUSHES_PER_PUSHER, 1, 1);
    for (uint32_t index = 0; index < PUSHERS_COUNT; index++) {
        pthread_create(&threads[index], NULL, push_many, requests + index * PUSHES_PER_PUSHER);
    }
    uint32_t next[PUSHERS_COUNT] = {0};
    for (uint32_t taken = 0; taken < PUSHERS_COUNT * PUSHES_PER_PUSHER;) {
        struct queue_group group;
        cr_assert(queue_take(&queue, &group));
        for (const struct append_request *request = group.first; request != NULL; request = request->next) {
            const size_t number = (size_t)(request - requests);
            cr_assert_eq(number % PUSHES_PER_PUSHER, next[number / PUSHES_PER_PUSHER]++, "each pusher's own order");
        }
        taken += group.requests_count;
    }
    for (uint32_t index = 0; index < PUSHERS_COUNT; index++) pthread_join(threads[index], NULL);
    queue_deinit(&queue);
    free(requests);
}

/* --- Waiting for room -------------------------------------------------------------------------------------------------- */

/* A waiter that notes in which turn it was told. */
struct turn {
    struct queue_waiter waiter; /* first: it is what is told */
    uint32_t told_count;
    uint32_t turn;
};

static uint32_t turns_count;

static void note_turn(struct queue_waiter *waiter) {
    struct turn *turn = (struct turn *)(void *)waiter;
    turn->told_count++;
    turn->turn = turns_count++;
}

Test(queue, who_waits_for_room_is_told_in_turn_when_a_group_is_taken) {
    struct append_request *requests = requests_make(QUEUE_REQUESTS_COUNT_MAX + 1, 1, 1);
    struct append_request *late = &requests[QUEUE_REQUESTS_COUNT_MAX];
    struct turn turns[3];
    push_all(requests, QUEUE_REQUESTS_COUNT_MAX);
    for (uint32_t index = 0; index < 3; index++) {
        turns[index] = (struct turn){.waiter.has_room = note_turn};
        cr_assert_eq(queue_push_or_wait(&queue, late, &turns[index].waiter).failure, FAILURE_LIMIT);
        cr_assert_eq(turns[index].told_count, 0);
    }
    cr_assert_eq(queue.rejected_count, 0, "nobody was turned away");
    expect_group(requests, GROUP_REQUESTS_COUNT_MAX);
    expect_group(requests + GROUP_REQUESTS_COUNT_MAX, GROUP_REQUESTS_COUNT_MAX);
    for (uint32_t index = 0; index < 3; index++) {
        cr_assert_eq(turns[index].told_count, 1, "once, however many groups are taken");
        cr_assert_eq(turns[index].turn, index);
    }
    cr_assert_eq(queue_push_or_wait(&queue, late, &turns[0].waiter).failure, FAILURE_NONE);
    cr_assert_eq(turns[0].told_count, 1, "there was room: nobody waits");
    free(requests);
}

static void wait_again(struct queue_waiter *waiter) {
    static struct append_request large = {.size_bytes = QUEUE_BYTES_MAX};
    note_turn(waiter);
    if (turns_count < 3) cr_assert_eq(queue_push_or_wait(&queue, &large, waiter).failure, FAILURE_LIMIT);
}

Test(queue, who_is_told_may_wait_again) {
    struct append_request *requests = requests_make(4 * GROUP_REQUESTS_COUNT_MAX, 1, 1);
    static struct append_request large = {.size_bytes = QUEUE_BYTES_MAX};
    struct turn turn = {.waiter.has_room = wait_again};
    push_all(requests, 4 * GROUP_REQUESTS_COUNT_MAX);
    cr_assert_eq(queue_push_or_wait(&queue, &large, &turn.waiter).failure, FAILURE_LIMIT);
    for (uint32_t index = 0; index < 4; index++) {
        expect_group(requests + index * GROUP_REQUESTS_COUNT_MAX, GROUP_REQUESTS_COUNT_MAX);
    }
    cr_assert_eq(turn.told_count, 3);
    queue_deinit(&queue);
    free(requests);
}

Test(queue, who_waits_at_the_close_is_told_all_the_same) {
    struct append_request *requests = requests_make(2, 1, QUEUE_BYTES_MAX / 2);
    struct append_request late = {.size_bytes = 1};
    struct turn turn = {.waiter.has_room = note_turn};
    push_all(requests, 2);
    cr_assert_eq(queue_push_or_wait(&queue, &late, &turn.waiter).failure, FAILURE_LIMIT);
    queue_close(&queue);
    expect_group(requests, 1);
    cr_assert_eq(turn.told_count, 1);
    cr_assert_eq(queue_push_or_wait(&queue, &late, &turn.waiter).failure, FAILURE_STOPPED);
    expect_group(requests + 1, 1);
    queue_deinit(&queue);
    free(requests);
}
