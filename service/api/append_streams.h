/* append_streams.h: the open AppendMany streams: what they share, what they hold together, and who has to hear that the daemon
 * drains.
 *
 * Ownership: borrows its members, which leave before they go. Threads: any. */
#ifndef SERVICE_API_APPEND_STREAMS_H
#define SERVICE_API_APPEND_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct append_streams;
struct buffers;

/* Embedded in a stream. */
struct append_member {
    void (*drain)(struct append_member *member); /* at most once, while it is a member; must not block nor leave */
    struct append_member *next;
    struct append_member **link;
};

/* FAILURE_MEMORY. */
MUST_USE result append_streams_new(struct append_streams **ret_streams);

/* Nobody may be a member any more, nor hold anything. NULL is allowed. Returns NULL. */
struct append_streams *append_streams_free(struct append_streams *streams);

/* FAILURE_STOPPED when it drains. */
MUST_USE result append_streams_enter(struct append_streams *streams, struct append_member *member);

/* Afterwards `drain` is not called any more. */
void append_streams_leave(struct append_streams *streams, struct append_member *member);

/* Tells every member, and lets no other in. */
void append_streams_drain(struct append_streams *streams);

/* The memory of responses. */
struct buffers *append_streams_buffers(struct append_streams *streams);

/* --- What they hold together ------------------------------------------------------------------------------------------- */

/* A stream holds so much more than it last told; less as a number below zero. Its responses are known without it. */
void append_streams_hold(struct append_streams *streams, int64_t change_bytes);

/* What the requests of one stream may hold at this moment for it to receive another; 0: nothing is left. */
uint64_t append_streams_window_bytes(const struct append_streams *streams);

/* Whether a request that holds so much may stay; else it counts as refused. One that fits its slot always may. */
MUST_USE bool append_streams_admit(struct append_streams *streams, uint64_t size_bytes);

struct append_streams_counts {
    uint64_t held_bytes;
    uint64_t refused_count; /* since the start */
};
struct append_streams_counts append_streams_count(const struct append_streams *streams);

#endif
