/* The feed's threads: each takes the next reading that has something to do and runs one step of it.
 *
 * The run queue links the readings themselves and holds each at most once, so it is bounded by their number. Threads that
 * have nothing to do wake up every HEARTBEAT_TICK_MS while readings are parked, to see whose heartbeat is due. */
#include <assert.h>
#include <errno.h>
#include <time.h>

#include "service/base/clock.h"
#include "service/base/thread.h"
#include "service/feed/reading.h"
#include "service/store/store.h"

#define HEARTBEAT_TICK_MS           50
#define NANOSECONDS_PER_MILLISECOND 1000000
#define NANOSECONDS_PER_SECOND      1000000000

void pool_queue(struct feed *feed, struct reading *reading, bool wake) {
    if (reading->queued || reading->running) return;
    reading->queued = true;
    reading->queue_next = NULL;
    *feed->queue_last_link = reading;
    feed->queue_last_link = &reading->queue_next;
    if (wake) pthread_cond_signal(&feed->work);
}

static struct reading *queue_take(struct feed *feed) {
    struct reading *reading = feed->queue_first;
    if (reading == NULL) return NULL;
    feed->queue_first = reading->queue_next;
    if (feed->queue_first == NULL) feed->queue_last_link = &feed->queue_first;
    reading->queued = false;
    reading->running = true;
    return reading;
}

static void heartbeats_look(struct feed *feed) {
    const int64_t now_ns = clock_monotonic_ns();
    if (feed->waiting_count == 0 || now_ns < feed->tick_at_ns) return;
    feed->tick_at_ns = now_ns + (int64_t)HEARTBEAT_TICK_MS * NANOSECONDS_PER_MILLISECOND;
    for (struct reading *reading = feed->all_first; reading != NULL; reading = reading->all_next) {
        if (reading->state.current != READING_WAITING || now_ns < reading->heartbeat_at_ns) continue;
        reading->heartbeat_due = true;
        reading_wake(reading);
    }
}

static void work_wait(struct feed *feed) {
    if (feed->waiting_count == 0) {
        pthread_cond_wait(&feed->work, &feed->mutex);
        return;
    }
    const int64_t until_ns = clock_monotonic_ns() + (int64_t)HEARTBEAT_TICK_MS * NANOSECONDS_PER_MILLISECOND;
    const struct timespec until = {.tv_sec = until_ns / NANOSECONDS_PER_SECOND,
                                   .tv_nsec = until_ns % NANOSECONDS_PER_SECOND};
    const int outcome = pthread_cond_timedwait(&feed->work, &feed->mutex, &until);
    assert(outcome == 0 || outcome == ETIMEDOUT);
}

static void *work(void *context) {
    struct feed *feed = context;
    pthread_mutex_lock(&feed->mutex);
    struct store_reader *reader = feed->readers[feed->readers_taken_count++];
    for (;;) {
        heartbeats_look(feed);
        struct reading *reading = queue_take(feed);
        if (reading != NULL) {
            pthread_mutex_unlock(&feed->mutex);
            reading_run(reading, reader);
            pthread_mutex_lock(&feed->mutex);
        } else if (feed->stopping) {
            break;
        } else {
            work_wait(feed);
        }
    }
    pthread_mutex_unlock(&feed->mutex);
    return NULL;
}

/* A thread with a reader of its own, which is opened here: a feed whose threads cannot read must not open. */
static result thread_add(struct feed *feed, uint32_t number) {
    TRY(store_reader_open(feed->store, &feed->readers[number]));
    const result started = thread_start("reader", work, feed, &feed->threads[number]);
    if (failed(started)) store_reader_close(feed->readers[number]);
    return started;
}

/* The waits are timed by the clock that never jumps. */
static void work_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

result pool_start(struct feed *feed) {
    work_condition_init(&feed->work);
    uint32_t started = 0;
    result outcome = RESULT_OK;
    while (started < feed->threads_count && !failed(outcome)) {
        outcome = thread_add(feed, started);
        if (!failed(outcome)) started++;
    }
    if (!failed(outcome)) return RESULT_OK;
    feed->threads_count = started;
    pool_stop(feed);
    return outcome;
}

void pool_stop(struct feed *feed) {
    pthread_mutex_lock(&feed->mutex);
    feed->stopping = true;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->mutex);
    for (uint32_t index = 0; index < feed->threads_count; index++) pthread_join(feed->threads[index], NULL);
    for (uint32_t index = 0; index < feed->threads_count; index++) store_reader_close(feed->readers[index]);
    pthread_cond_destroy(&feed->work);
}
