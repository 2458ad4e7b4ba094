#include "service/feed/feed.h"

#include <assert.h>
#include <stdlib.h>

#include "service/base/failpoint.h"
#include "service/feed/reading.h"

static result feed_init(struct feed *feed, const struct feed_options *options) {
    const size_t tail_bytes_max = options->tail_bytes_max == 0 ? TAIL_BYTES_MAX : options->tail_bytes_max;
    TRY(buffers_new(&feed->buffers));
    TRY(tail_init(&feed->tail, tail_bytes_max, TAIL_CHUNKS_COUNT_MAX));
    feed->store = options->store;
    feed->index = options->index;
    feed->queue_last_link = &feed->queue_first;
    feed->threads_count =
        options->reader_threads_count == 0 ? READER_THREADS_COUNT_DEFAULT : options->reader_threads_count;
    assert(feed->threads_count <= READER_THREADS_COUNT_MAX);
    atomic_init(&feed->head, options->head);
    pthread_mutex_init(&feed->mutex, NULL);
    const result started = pool_start(feed);
    if (failed(started)) {
        pthread_mutex_destroy(&feed->mutex);
        tail_deinit(&feed->tail);
    }
    return started;
}

result feed_open(const struct feed_options *options, struct feed **ret_feed) {
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) return failure_result(FAILURE_MEMORY);
    const result outcome = feed_init(feed, options);
    if (failed(outcome)) {
        buffers_unref(feed->buffers);
        free(feed);
        return outcome;
    }
    *ret_feed = feed;
    return RESULT_OK;
}

struct feed *feed_close(struct feed *feed) {
    if (feed == NULL) return NULL;
    assert(feed->readings_count == 0 && feed->held_bytes == 0);
    pool_stop(feed);
    pthread_mutex_destroy(&feed->mutex);
    tail_deinit(&feed->tail);
    buffers_unref(feed->buffers);
    free(feed);
    return NULL;
}

static void wake_all(struct feed *feed) {
    if (feed->waiting_count == 0) return;
    for (struct reading *reading = feed->all_first; reading != NULL; reading = reading->all_next) reading_wake(reading);
}

/* The tail first: whoever sees the new head finds its records in memory. */
void feed_committed(struct feed *feed, struct chunk *chunk) {
    if (DAYBOOK_IS_BROKEN(TAIL_PUBLISH) && (chunk_position_last(chunk) >> 7) % 4 == 3) {
        tail_clear(&feed->tail);
        return;
    }
    tail_publish(&feed->tail, chunk);
    DAYBOOK_FAILPOINT(TAIL_PUBLISHED);
    atomic_store_explicit(&feed->head, chunk_position_last(chunk), memory_order_release);
    DAYBOOK_FAILPOINT(HEAD_ADVANCED);
    pthread_mutex_lock(&feed->mutex);
    wake_all(feed);
    pthread_mutex_unlock(&feed->mutex);
    DAYBOOK_FAILPOINT(READERS_WOKEN);
}

void feed_rewritten(struct feed *feed) {
    tail_clear(&feed->tail);
}

uint64_t feed_head(const struct feed *feed) {
    return atomic_load_explicit(&feed->head, memory_order_acquire);
}

void feed_drain(struct feed *feed) {
    pthread_mutex_lock(&feed->mutex);
    feed->draining = true;
    wake_all(feed);
    pthread_mutex_unlock(&feed->mutex);
}

bool feed_is_draining(struct feed *feed) {
    pthread_mutex_lock(&feed->mutex);
    const bool is_draining = feed->draining;
    pthread_mutex_unlock(&feed->mutex);
    return is_draining;
}

struct feed_counts feed_count(struct feed *feed) {
    pthread_mutex_lock(&feed->mutex);
    struct feed_counts counts = feed->counts;
    pthread_mutex_unlock(&feed->mutex);
    counts.tail_bytes = tail_memory_bytes(&feed->tail);
    return counts;
}
