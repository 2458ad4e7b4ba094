/* timers.h: what is to happen at a time, the earliest first: a pairing heap of timers that their owners embed.
 *
 * Ownership: a timer belongs to its owner, which keeps it in place while it is in a heap.
 * Threads: none; a heap belongs to one thread.
 * Errors: none. */
#ifndef DAYBOOK_SDK_RUNTIME_TIMERS_H
#define DAYBOOK_SDK_RUNTIME_TIMERS_H

#include <stdbool.h>

#include <grpc/support/time.h>

struct timer {
    gpr_timespec at; /* monotonic */
    void (*expire)(struct timer *timer);
    bool is_in_heap;
    /* Places in the heap. */
    struct timer *child;
    struct timer *next;     /* the sibling to the right */
    struct timer *previous; /* the sibling to the left, the parent of a first child, NULL for the first timer */
};

/* Empty when it is zero. Adding costs nothing to speak of, removing the logarithm of how many there are. */
struct timers {
    struct timer *first; /* the earliest; NULL: none */
};

/* Adds a timer whose `at` is set and which is in no heap. */
void daybook__timers_add(struct timers *timers, struct timer *timer);

/* Removes a timer that is in this heap. */
void daybook__timers_remove(struct timers *timers, struct timer *timer);

#endif
