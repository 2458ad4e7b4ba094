/* measure.h: clocks, and what a process has used.
 *
 * Ownership: nothing is kept. Threads: any. Errors: none; a time that cannot be learned is 0. */
#ifndef DAYBOOK_TESTS_BENCH_MEASURE_H
#define DAYBOOK_TESTS_BENCH_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds of the monotonic clock. */
uint64_t measure_now_ns(void);

/* Microseconds since 1970, for comparison with a time that a shell took. */
uint64_t measure_wall_us(void);

/* Returns at `end_ns` of the monotonic clock, or at once when that has passed. */
void measure_wait_until_ns(uint64_t end_ns);

/* Processor times, in microseconds: at one moment, or between two. What is not known is 0. */
struct measure_times {
    /* The server's process: user and system, all threads that it ever had. */
    uint64_t server_us;
    /* This process. */
    uint64_t client_us;
    /* Everything on this machine, over all cores, with what its host has stolen from it. */
    uint64_t machine_us;
};

/* The times now. `server_pid` 0: there is no such process. */
struct measure_times measure_times_now(pid_t server_pid);

/* The times that have passed since `begin`. */
struct measure_times measure_times_since(const struct measure_times *begin, pid_t server_pid);

/* How many cores others than the server and this process have used in that time: whether a measurement had the machine
 * to itself. Noise of a tick may make it negative. */
double measure_others_cores(const struct measure_times *times, uint64_t elapsed_ns);

#endif
