/* append_streams.h: the open AppendMany streams: what they share, and who has to hear that the daemon drains.
 *
 * Ownership: borrows its members, which leave before they go. Threads: any. */
#ifndef SERVICE_API_APPEND_STREAMS_H
#define SERVICE_API_APPEND_STREAMS_H

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

/* Nobody may be a member any more. NULL is allowed. Returns NULL. */
struct append_streams *append_streams_free(struct append_streams *streams);

/* FAILURE_STOPPED when it drains. */
MUST_USE result append_streams_enter(struct append_streams *streams, struct append_member *member);

/* Afterwards `drain` is not called any more. */
void append_streams_leave(struct append_streams *streams, struct append_member *member);

/* Tells every member, and lets no other in. */
void append_streams_drain(struct append_streams *streams);

/* The memory of responses. */
struct buffers *append_streams_buffers(struct append_streams *streams);

#endif
