/* timers.c: see timers.h. The heap is Fredman, Sedgewick, Sleator and Tarjan's: each timer is no later than its children,
 * and children are put in order only when what was before them is removed. */
#include "sdk/runtime/timers.h"

#include <assert.h>
#include <stddef.h>

/* Joins two heaps, each without siblings; either may be NULL. */
static struct timer *join(struct timer *left, struct timer *right) {
    if (left == NULL) return right;
    if (right == NULL) return left;
    if (gpr_time_cmp(right->at, left->at) < 0) {
        struct timer *earlier = right;
        right = left;
        left = earlier;
    }
    right->previous = left;
    right->next = left->child;
    if (left->child != NULL) left->child->previous = right;
    left->child = right;
    return left;
}

static struct timer *detach(struct timer *timer) {
    timer->previous = NULL;
    timer->next = NULL;
    return timer;
}

/* Joins siblings: by pairs from the left, then the pairs from the right, which is what keeps the heap flat. */
static struct timer *join_siblings(struct timer *first) {
    struct timer *pairs = NULL; /* the last one first, linked by `next` */
    while (first != NULL) {
        struct timer *left = first;
        struct timer *right = left->next;
        first = right == NULL ? NULL : right->next;
        struct timer *pair = join(detach(left), right == NULL ? NULL : detach(right));
        pair->next = pairs;
        pairs = pair;
    }
    struct timer *joined = NULL;
    while (pairs != NULL) {
        struct timer *pair = pairs;
        pairs = pair->next;
        joined = join(joined, detach(pair));
    }
    return joined;
}

void daybook__timers_add(struct timers *timers, struct timer *timer) {
    assert(!timer->is_in_heap);
    timer->is_in_heap = true;
    timer->child = NULL;
    timers->first = join(timers->first, detach(timer));
}

void daybook__timers_remove(struct timers *timers, struct timer *timer) {
    assert(timer->is_in_heap);
    struct timer *children = join_siblings(timer->child);
    if (timer == timers->first) {
        timers->first = children;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->next;
        else
            timer->previous->next = timer->next;
        if (timer->next != NULL) timer->next->previous = timer->previous;
        timers->first = join(timers->first, children);
    }
    timer->child = NULL;
    (void)detach(timer);
    timer->is_in_heap = false;
}
