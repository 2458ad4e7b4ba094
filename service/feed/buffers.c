#include "service/feed/buffers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "service/base/limits.h"

/* Sizes that are asked for often: a few events, a page of them, a full message with its last record. */
#define CAPACITY_SMALL  KIB(1)
#define CAPACITY_MEDIUM KIB(32)
#define CAPACITY_LARGE  (CHUNK_BYTES_TARGET + KIB(64))

struct buffers {
    pthread_mutex_t mutex;
    uint64_t references_count;
    struct buffer *free_first; /* large ones */
    uint32_t free_count;
};

result buffers_new(struct buffers **ret_buffers) {
    struct buffers *buffers = calloc(1, sizeof *buffers);
    if (buffers == NULL) return failure_result(FAILURE_MEMORY);
    pthread_mutex_init(&buffers->mutex, NULL);
    buffers->references_count = 1;
    *ret_buffers = buffers;
    return RESULT_OK;
}

struct buffers *buffers_unref(struct buffers *buffers) {
    if (buffers == NULL) return NULL;
    pthread_mutex_lock(&buffers->mutex);
    assert(buffers->references_count > 0);
    const bool last = --buffers->references_count == 0;
    pthread_mutex_unlock(&buffers->mutex);
    if (!last) return NULL;
    while (buffers->free_first != NULL) {
        struct buffer *buffer = buffers->free_first;
        buffers->free_first = buffer->next;
        free(buffer);
    }
    pthread_mutex_destroy(&buffers->mutex);
    free(buffers);
    return NULL;
}

/* Doubling keeps copying in proportion where a message grows beyond the usual. */
static size_t capacity_of(size_t wanted) {
    if (wanted <= CAPACITY_SMALL) return CAPACITY_SMALL;
    if (wanted <= CAPACITY_MEDIUM) return CAPACITY_MEDIUM;
    return wanted <= CAPACITY_LARGE ? CAPACITY_LARGE : wanted * 2;
}

/* Counts the buffer that goes out, and takes it from the free ones when it is large. */
static struct buffer *free_take(struct buffers *buffers, size_t capacity) {
    struct buffer *buffer = NULL;
    pthread_mutex_lock(&buffers->mutex);
    buffers->references_count++;
    if (capacity == CAPACITY_LARGE && buffers->free_first != NULL) {
        buffer = buffers->free_first;
        buffers->free_first = buffer->next;
        buffers->free_count--;
    }
    pthread_mutex_unlock(&buffers->mutex);
    return buffer;
}

result buffer_take(struct buffers *buffers, size_t capacity, struct buffer **ret_buffer) {
    capacity = capacity_of(capacity);
    struct buffer *buffer = free_take(buffers, capacity);
    if (buffer == NULL) {
        buffer = malloc(sizeof *buffer + capacity);
        if (buffer == NULL) {
            buffers_unref(buffers);
            return failure_result(FAILURE_MEMORY);
        }
        *buffer = (struct buffer){.buffers = buffers, .capacity = capacity};
    }
    *ret_buffer = buffer;
    return RESULT_OK;
}

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);

static void hand_over(struct buffer *buffer) {
    __tsan_release(buffer);
}

static void take_over(struct buffer *buffer) {
    __tsan_acquire(buffer);
}
#else
static void hand_over(struct buffer *buffer) {
    (void)buffer;
}

static void take_over(struct buffer *buffer) {
    (void)buffer;
}
#endif

void buffer_pass(struct buffer *buffer) {
    if (buffer != NULL) hand_over(buffer);
}

void buffer_give(void *given) {
    struct buffer *buffer = given;
    if (buffer == NULL) return;
    take_over(buffer);
    struct buffers *buffers = buffer->buffers;
    pthread_mutex_lock(&buffers->mutex);
    const bool keep = buffer->capacity == CAPACITY_LARGE && buffers->free_count < FREE_BUFFERS_COUNT_MAX;
    if (keep) {
        buffer->next = buffers->free_first;
        buffers->free_first = buffer;
        buffers->free_count++;
    }
    pthread_mutex_unlock(&buffers->mutex);
    if (!keep) free(buffer);
    buffers_unref(buffers);
}
