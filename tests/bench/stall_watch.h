/* stall_watch.h: a thread that asks to be woken every millisecond and notes how much later it was.
 *
 * Beside a measurement it tells the machine's own pauses (a host that takes the processors away, too many threads for the
 * cores) from those of the server.
 * Ownership: the watch belongs to whoever started it. Threads: start and stop by one; take by any.
 * Errors: a thread that cannot be created aborts. */
#ifndef DAYBOOK_TESTS_BENCH_STALL_WATCH_H
#define DAYBOOK_TESTS_BENCH_STALL_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stall_watch {
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t longest_us;
};

/* Starts the thread. */
void stall_watch_start(struct stall_watch *watch);

/* The longest delay since the last take, microseconds. */
uint64_t stall_watch_take(struct stall_watch *watch);

/* Ends the thread. */
void stall_watch_stop(struct stall_watch *watch);

#endif
