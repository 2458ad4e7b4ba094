/* timer.h: a thread that calls when a pause is over, because handlers of a server must not wait.
 *
 * Ownership: entries are memory of the caller, which stays until the entry was called or removed.
 * Threads: add and remove from any thread, also inside of a callback; init and deinit from one. */
#ifndef TESTS_INTEROP_TIMER_H
#define TESTS_INTEROP_TIMER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef void timer_due(void *context);

struct timer_entry {
    struct timer_entry *next;
    int64_t due_ns;
    timer_due *due;
    void *context;
};

struct timer {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct timer_entry *first; /* the earliest */
    bool is_stopping;
    pthread_t thread;
};

void timer_init(struct timer *timer);

/* Nothing may wait any more. */
void timer_deinit(struct timer *timer);

/* Calls `due` once, on the timer's thread, after `pause_us`. */
void timer_add(struct timer *timer, struct timer_entry *entry, int32_t pause_us, timer_due *due, void *context);

/* True: the entry waited, and is not called. False: it does not wait; its call has begun, or begins at any moment. */
bool timer_remove(struct timer *timer, struct timer_entry *entry);

#endif
