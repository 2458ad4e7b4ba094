/* measure.h: clocks, and what a process has used.
 *
 * Ownership: nothing is kept. Threads: any. Errors: the functions that look at another process return false when it is
 * gone, those that look at the machine when /proc cannot be read. */
#ifndef DAYBOOK_TESTS_BENCH_MEASURE_H
#define DAYBOOK_TESTS_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds of the monotonic clock. */
uint64_t measure_now_ns(void);

/* Microseconds since 1970, for comparison with a time that a shell took. */
uint64_t measure_wall_us(void);

/* Returns at `end_ns` of the monotonic clock, or at once when that has passed. */
void measure_wait_until_ns(uint64_t end_ns);

/* Processor time of this process, all threads. */
uint64_t measure_own_cpu_us(void);

/* Processor time of the process `pid`, user and system, all threads it ever had. */
bool measure_cpu_us(pid_t pid, uint64_t *ret_cpu_us);

/* Processor time that everything on this machine has used, over all cores, with what its host has stolen from it. */
bool measure_machine_cpu_us(uint64_t *ret_cpu_us);

#endif
