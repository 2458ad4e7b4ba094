/* notes.h: what other threads leave for the one that owns something.
 *
 * A stack of notes that are embedded in what they are about. Whoever leaves the first one wakes the owner, who takes all of
 * them at once: thus one wake-up is on its way at the most, and what the owner has not taken yet keeps it alive.
 * Ownership: a note belongs to its maker, and to the stack until it is taken. Threads: push any, take the owner's. */
#ifndef SERVICE_API_NOTES_H
#define SERVICE_API_NOTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct note {
    struct note *next;
    void (*take)(struct note *note); /* on the owner's thread */
};

struct notes {
    _Atomic(struct note *) newest;
};

/* True: it is the first, and the owner must be woken. Nothing may be touched otherwise: the owner may have ended. */
static inline bool notes_push(struct notes *notes, struct note *note) {
    struct note *newest = atomic_load_explicit(&notes->newest, memory_order_relaxed);
    do {
        note->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&notes->newest, &newest, note, memory_order_release,
                                                    memory_order_relaxed));
    return newest == NULL;
}

/* In no order. A note may be pushed again as it is taken. */
static inline void notes_take(struct notes *notes) {
    struct note *note = atomic_exchange_explicit(&notes->newest, NULL, memory_order_acquire);
    while (note != NULL) {
        struct note *next = note->next;
        note->take(note);
        note = next;
    }
}

#endif
