/* buffers.h: the memory of messages. Buffers are used again: to give half a megabyte back to the kernel and fault it in
 * anew for each message would cost a reader a fifth of its time, and a short read's few kilobytes a twentieth.
 *
 * Ownership: the feed refers to its buffers, and so does each buffer that is out, for gRPC may hold a message for longer than
 * the feed lives. Threads: any. */
#ifndef SERVICE_FEED_BUFFERS_H
#define SERVICE_FEED_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#include "service/base/result.h"

struct buffers;

struct buffer {
    struct buffers *buffers;
    struct buffer *next;
    size_t capacity;
    _Alignas(16) uint8_t data[];
};

MUST_USE result buffers_new(struct buffers **ret_buffers);

/* The feed's reference ends; the last buffer that comes back takes the rest along. NULL is allowed. Returns NULL. */
struct buffers *buffers_unref(struct buffers *buffers);

/* A buffer of at least this capacity. FAILURE_MEMORY. */
MUST_USE result buffer_take(struct buffers *buffers, size_t capacity, struct buffer **ret_buffer);

/* The capacities of all buffers that are out. */
size_t buffers_out_bytes(const struct buffers *buffers);

/* The buffer goes to somebody who gives it back from any thread, once everything is done with it. gRPC counts for that,
 * which ThreadSanitizer does not see: it is told here. NULL is allowed. */
void buffer_pass(struct buffer *buffer);

/* Gives a buffer back; NULL is allowed. Takes a void pointer, so that it can be a message's release function. */
void buffer_give(void *buffer);

#endif
