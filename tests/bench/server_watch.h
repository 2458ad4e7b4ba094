/* server_watch.h: the server's process from outside: what it has in memory, and how much of the processors it may have.
 *
 * A server that has a quarter of the cores can carry a quarter of the load, and the load generator, which has only the same
 * cores, can then offer several times that. As a container's limit does, signals stop it for the rest of each short period
 * once it has used its part of the period; what others take meanwhile does not count.
 * Ownership: the watch is the caller's; it runs between begin and end. Threads: one of its own; peak_take from the caller's.
 * Errors: what cannot be learned is 0. */
#ifndef DAYBOOK_TESTS_BENCH_SERVER_WATCH_H
#define DAYBOOK_TESTS_BENCH_SERVER_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server_watch {
    pid_t server_pid;
    uint32_t share_percent;
    pthread_t thread;
    atomic_bool ends;
    _Atomic uint64_t anonymous_kib_most;
};

/* Begins to watch; the process has `share_percent` of the time of all cores, 1 to 100. */
void server_watch_begin(struct server_watch *watch, pid_t server_pid, uint32_t share_percent);

/* The most anonymous memory that was seen since the last time it was asked for, in KiB. */
uint64_t server_watch_peak_take(struct server_watch *watch);

/* Ends the watch; the process runs. */
void server_watch_end(struct server_watch *watch);

/* Memory that only the process itself can free, in KiB, and its open descriptors, now. */
uint64_t server_anonymous_kib(pid_t server_pid);
uint64_t server_descriptors_count(pid_t server_pid);

#endif
