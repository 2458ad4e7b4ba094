/* tail.h: the newest records, in memory, for those who follow the log.
 *
 * A ring of the chunks that the sequencer has committed, oldest given up first, bounded by bytes and by number. Whoever
 * needs a position outside the window reads the log on disk.
 * Ownership: the tail holds one reference to each of its chunks. Threads: any. */
#ifndef SERVICE_FEED_TAIL_H
#define SERVICE_FEED_TAIL_H

#include <pthread.h>

#include "service/base/result.h"
#include "service/record/chunk.h"

struct tail {
    pthread_mutex_t mutex;
    struct chunk **ring;
    uint32_t ring_count; /* places */
    uint32_t first;      /* place of the oldest chunk */
    uint32_t count;
    size_t memory_bytes;
    size_t memory_bytes_max;
};

/* FAILURE_MEMORY. */
MUST_USE result tail_init(struct tail *tail, size_t memory_bytes_max, uint32_t chunks_count_max);
void tail_deinit(struct tail *tail);

/* Takes a reference to the chunk, whose first position follows the last one published. */
void tail_publish(struct tail *tail, struct chunk *chunk);

/* The chunk that holds a position, with a reference for the caller; NULL outside the window. */
struct chunk *tail_find(struct tail *tail, uint64_t position);

/* Forgets all chunks: what they hold is no longer what is stored. Who has a reference to one keeps it. */
void tail_clear(struct tail *tail);

size_t tail_memory_bytes(struct tail *tail);

#endif
