#include "service/feed/tail.h"

#include <assert.h>
#include <stdlib.h>

result tail_init(struct tail *tail, size_t memory_bytes_max, uint32_t chunks_count_max) {
    assert(chunks_count_max > 0);
    *tail = (struct tail){.ring_count = chunks_count_max, .memory_bytes_max = memory_bytes_max};
    tail->ring = calloc(chunks_count_max, sizeof *tail->ring);
    if (tail->ring == NULL) return failure_result(FAILURE_MEMORY);
    pthread_mutex_init(&tail->mutex, NULL);
    return RESULT_OK;
}

static struct chunk *chunk_at(const struct tail *tail, uint32_t index) {
    return tail->ring[(tail->first + index) % tail->ring_count];
}

static void drop_oldest(struct tail *tail) {
    struct chunk *oldest = chunk_at(tail, 0);
    tail->memory_bytes -= chunk_memory_bytes(oldest);
    tail->first = (tail->first + 1) % tail->ring_count;
    tail->count--;
    chunk_unref(oldest);
}

void tail_deinit(struct tail *tail) {
    while (tail->count > 0) drop_oldest(tail);
    free(tail->ring);
    pthread_mutex_destroy(&tail->mutex);
}

void tail_publish(struct tail *tail, struct chunk *chunk) {
    assert(chunk_records_count(chunk) > 0);
    pthread_mutex_lock(&tail->mutex);
    assert(tail->count == 0 || chunk_position_first(chunk) == chunk_position_last(chunk_at(tail, tail->count - 1)) + 1);
    /* The newest chunk always has a place, whatever its size: those who follow the head need it next. */
    while (tail->count > 0 && (tail->count == tail->ring_count ||
                               tail->memory_bytes + chunk_memory_bytes(chunk) > tail->memory_bytes_max)) {
        drop_oldest(tail);
    }
    tail->ring[(tail->first + tail->count) % tail->ring_count] = chunk_ref(chunk);
    tail->count++;
    tail->memory_bytes += chunk_memory_bytes(chunk);
    pthread_mutex_unlock(&tail->mutex);
}

void tail_clear(struct tail *tail) {
    pthread_mutex_lock(&tail->mutex);
    while (tail->count > 0) drop_oldest(tail);
    pthread_mutex_unlock(&tail->mutex);
}

static struct chunk *find_locked(const struct tail *tail, uint64_t position) {
    if (tail->count == 0 || position < chunk_position_first(chunk_at(tail, 0)) ||
        position > chunk_position_last(chunk_at(tail, tail->count - 1))) {
        return NULL;
    }
    uint32_t low = 0;
    uint32_t high = tail->count - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        if (chunk_position_first(chunk_at(tail, middle)) <= position) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return chunk_ref(chunk_at(tail, low));
}

struct chunk *tail_find(struct tail *tail, uint64_t position) {
    pthread_mutex_lock(&tail->mutex);
    struct chunk *chunk = find_locked(tail, position);
    pthread_mutex_unlock(&tail->mutex);
    return chunk;
}

size_t tail_memory_bytes(struct tail *tail) {
    pthread_mutex_lock(&tail->mutex);
    const size_t memory_bytes = tail->memory_bytes;
    pthread_mutex_unlock(&tail->mutex);
    return memory_bytes;
}
