#include "service/api/append_streams.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "service/feed/buffers.h"

struct append_streams {
    pthread_mutex_t mutex;
    struct append_member *first;
    struct buffers *buffers;
    bool draining;
    _Atomic int64_t held_bytes; /* without the responses */
    _Atomic uint64_t refused_count;
};

result append_streams_new(struct append_streams **ret_streams) {
    struct append_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) return failure_result(FAILURE_MEMORY);
    const result outcome = buffers_new(&streams->buffers);
    if (failed(outcome)) {
        free(streams);
        return outcome;
    }
    pthread_mutex_init(&streams->mutex, NULL);
    *ret_streams = streams;
    return RESULT_OK;
}

struct append_streams *append_streams_free(struct append_streams *streams) {
    if (streams == NULL) return NULL;
    assert(streams->first == NULL);
    assert(atomic_load(&streams->held_bytes) == 0);
    buffers_unref(streams->buffers);
    pthread_mutex_destroy(&streams->mutex);
    free(streams);
    return NULL;
}

static void member_link(struct append_streams *streams, struct append_member *member) {
    member->next = streams->first;
    member->link = &streams->first;
    if (member->next != NULL) member->next->link = &member->next;
    streams->first = member;
}

result append_streams_enter(struct append_streams *streams, struct append_member *member) {
    pthread_mutex_lock(&streams->mutex);
    const bool draining = streams->draining;
    if (!draining) member_link(streams, member);
    pthread_mutex_unlock(&streams->mutex);
    return draining ? failure_result(FAILURE_STOPPED) : RESULT_OK;
}

void append_streams_leave(struct append_streams *streams, struct append_member *member) {
    pthread_mutex_lock(&streams->mutex);
    *member->link = member->next;
    if (member->next != NULL) member->next->link = member->link;
    pthread_mutex_unlock(&streams->mutex);
}

void append_streams_drain(struct append_streams *streams) {
    pthread_mutex_lock(&streams->mutex);
    const bool draining = streams->draining;
    streams->draining = true;
    for (struct append_member *member = streams->first; member != NULL && !draining; member = member->next) {
        member->drain(member);
    }
    pthread_mutex_unlock(&streams->mutex);
}

struct buffers *append_streams_buffers(struct append_streams *streams) {
    return streams->buffers;
}

/* --- What they hold together ------------------------------------------------------------------------------------------- */

void append_streams_hold(struct append_streams *streams, int64_t change_bytes) {
    atomic_fetch_add_explicit(&streams->held_bytes, change_bytes, memory_order_relaxed);
}

/* Nothing but the sum counts here, so it does not matter in what order others see the parts. */
static uint64_t held_bytes(const struct append_streams *streams) {
    return (uint64_t)atomic_load_explicit(&streams->held_bytes, memory_order_relaxed) +
           buffers_out_bytes(streams->buffers);
}

uint64_t append_streams_window_bytes(const struct append_streams *streams) {
    const uint64_t held = held_bytes(streams);
    const uint64_t left = held < APPEND_STREAMS_BYTES_MAX ? APPEND_STREAMS_BYTES_MAX - held : 0;
    const uint64_t share = left / APPEND_STREAMS_SHARE;
    return share < APPEND_MANY_BYTES_MAX ? share : APPEND_MANY_BYTES_MAX;
}

bool append_streams_admit(struct append_streams *streams, uint64_t size_bytes) {
    if (size_bytes <= APPEND_SLOT_BYTES || held_bytes(streams) + size_bytes <= APPEND_STREAMS_BYTES_MAX) return true;
    atomic_fetch_add_explicit(&streams->refused_count, 1, memory_order_relaxed);
    return false;
}

struct append_streams_counts append_streams_count(const struct append_streams *streams) {
    return (struct append_streams_counts){.held_bytes = held_bytes(streams),
                                          .refused_count =
                                              atomic_load_explicit(&streams->refused_count, memory_order_relaxed)};
}
