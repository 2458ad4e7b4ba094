/* index_add.c: what the thread does that adds: fills segments, and waits when the index thread is behind. */
#include <assert.h>
#include <time.h>

#include "service/store/index_state.h"

#define AWAIT_NS               100000000
#define NANOSECONDS_PER_SECOND 1000000000

static result failure_check(struct index_part *index) {
    const int failure = atomic_load_explicit(&index->failure, memory_order_relaxed);
    return failure == FAILURE_NONE ? RESULT_OK : failure_result(FAILURE_STORAGE);
}

/* Back-pressure: as many events as may be in memory are waiting. */
static result room_wait(struct index_part *index) {
    pthread_mutex_lock(&index->mutex);
    if (index->segments_waiting_count >= INDEX_SEGMENTS_WAITING_COUNT_MAX) index->waits_count++;
    while (index->segments_waiting_count >= INDEX_SEGMENTS_WAITING_COUNT_MAX && !failed(failure_check(index))) {
        pthread_cond_wait(&index->room, &index->mutex);
    }
    pthread_mutex_unlock(&index->mutex);
    return failure_check(index);
}

static result segment_begin(struct index_part *index) {
    TRY(room_wait(index));
    struct index_segment *segment;
    TRY(index_segment_new(index->position_last + 1, index->run_events_count, index->terms_count_expected, &segment));
    struct index_view *view = index_view_new();
    if (view == NULL) {
        index_segment_unref(segment);
        return failure_result(FAILURE_MEMORY);
    }
    pthread_mutex_lock(&index->mutex);
    struct index_view *previous = index->view;
    index_view_copy(view, previous);
    index_view_add_segment(view, segment);
    index->view = view;
    pthread_mutex_unlock(&index->mutex);
    index_view_release(index, previous);
    index->active = segment;
    return RESULT_OK;
}

/* Hands a full segment to the index thread. */
static void segment_end(struct index_part *index) {
    index->terms_count_expected = index_segment_terms_count(index->active);
    pthread_mutex_lock(&index->mutex);
    index->segments_waiting_count++;
    pthread_cond_signal(&index->work);
    pthread_mutex_unlock(&index->mutex);
    index->active = index_segment_unref(index->active);
}

static void entries_check(uint64_t position, const struct index_entry *entries, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        /* Queries skip runs that end before a number. */
        assert(entries[index].position == position && entries[index].number <= position);
    }
}

result index_part_add(struct index_part *index, uint64_t position, const struct index_entry *entries, uint32_t count) {
    assert(position == index->position_last + 1);
    entries_check(position, entries, count);
    TRY(failure_check(index));
    if (index->active == NULL) TRY(segment_begin(index));
    TRY(index_segment_add(index->active, entries, count));
    index->position_last = position;
    if (index_segment_is_full(index->active)) segment_end(index);
    return RESULT_OK;
}

void index_part_settle(struct index_part *index) {
    pthread_mutex_lock(&index->mutex);
    while (index->segments_waiting_count > 1 && !failed(failure_check(index))) {
        pthread_cond_wait(&index->room, &index->mutex);
    }
    pthread_mutex_unlock(&index->mutex);
}

void index_part_await(struct index_part *index) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += AWAIT_NS;
    if (until.tv_nsec >= NANOSECONDS_PER_SECOND) {
        until.tv_nsec -= NANOSECONDS_PER_SECOND;
        until.tv_sec++;
    }
    pthread_mutex_lock(&index->mutex);
    /* Once is enough: whoever waits asks again. */
    (void)pthread_cond_timedwait(&index->room, &index->mutex, &until);
    pthread_mutex_unlock(&index->mutex);
}
