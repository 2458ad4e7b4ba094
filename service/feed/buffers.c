#include "service/feed/buffers.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/base/limits.h"

/* Sizes that are asked for often: an event, a few of them, a page of them, a full message with its last record. A message
 * that grows passes through them, so each is some times the one before. */
static const size_t capacities[] = {KIB(1), KIB(8), KIB(64), CHUNK_BYTES_TARGET + KIB(64)};
#define CLASSES_COUNT (sizeof capacities / sizeof capacities[0])

/* The address sanitizer must see a message that is used after its release, so there no small ones wait. */
#ifdef __SANITIZE_ADDRESS__
#define SMALL_COUNT_MAX 0
#else
#define SMALL_COUNT_MAX FREE_SMALL_BUFFERS_COUNT_MAX
#endif

struct buffers {
    pthread_mutex_t mutex;
    uint64_t references_count;
    atomic_size_t out_bytes;
    struct buffer *free_first[CLASSES_COUNT];
    uint32_t free_counts[CLASSES_COUNT];
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
    for (size_t class = 0; class < CLASSES_COUNT; class ++) {
        while (buffers->free_first[class] != NULL) {
            struct buffer *buffer = buffers->free_first[class];
            buffers->free_first[class] = buffer->next;
            free(buffer);
        }
    }
    pthread_mutex_destroy(&buffers->mutex);
    free(buffers);
    return NULL;
}

/* The first class that has room for so much; CLASSES_COUNT: none has. */
static size_t class_of(size_t wanted) {
    size_t class = 0;
    while (class < CLASSES_COUNT && wanted > capacities[class]) class ++;
    return class;
}

/* Counts the buffer that goes out, and takes it from the free ones if there is one. */
static struct buffer *free_take(struct buffers *buffers, size_t class) {
    struct buffer *buffer = NULL;
    pthread_mutex_lock(&buffers->mutex);
    buffers->references_count++;
    if (class < CLASSES_COUNT && buffers->free_first[class] != NULL) {
        buffer = buffers->free_first[class];
        buffers->free_first[class] = buffer->next;
        buffers->free_counts[class]--;
    }
    pthread_mutex_unlock(&buffers->mutex);
    return buffer;
}

result buffer_take(struct buffers *buffers, size_t capacity, struct buffer **ret_buffer) {
    const size_t class = class_of(capacity);
    struct buffer *buffer = free_take(buffers, class);
    if (buffer == NULL) {
        /* Doubling keeps copying in proportion where a message grows beyond the usual. */
        capacity = class < CLASSES_COUNT ? capacities[class] : capacity * 2;
        buffer = malloc(sizeof *buffer + capacity);
        if (buffer == NULL) {
            buffers_unref(buffers);
            return failure_result(FAILURE_MEMORY);
        }
        *buffer = (struct buffer){.buffers = buffers, .capacity = capacity};
    }
    atomic_fetch_add_explicit(&buffers->out_bytes, buffer->capacity, memory_order_relaxed);
    *ret_buffer = buffer;
    return RESULT_OK;
}

size_t buffers_out_bytes(const struct buffers *buffers) {
    return atomic_load_explicit(&buffers->out_bytes, memory_order_relaxed);
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
    atomic_fetch_sub_explicit(&buffers->out_bytes, buffer->capacity, memory_order_relaxed);
    const size_t class = class_of(buffer->capacity);
    const uint32_t count_max = class == CLASSES_COUNT       ? 0
                               : class == CLASSES_COUNT - 1 ? FREE_BUFFERS_COUNT_MAX
                                                            : SMALL_COUNT_MAX;
    pthread_mutex_lock(&buffers->mutex);
    const bool keep = class < CLASSES_COUNT && buffers->free_counts[class] < count_max;
    if (keep) {
        buffer->next = buffers->free_first[class];
        buffers->free_first[class] = buffer;
        buffers->free_counts[class]++;
    }
    pthread_mutex_unlock(&buffers->mutex);
    if (!keep) free(buffer);
    buffers_unref(buffers);
}
