/* process.h: what the daemon asks of the kernel for itself at the start.
 *
 * Threads: the main thread; the first, before any other exists. */
#ifndef SERVICE_OPS_PROCESS_H
#define SERVICE_OPS_PROCESS_H

#include <stdint.h>

/* Raises the limit of open descriptors to what the system allows and returns it: gRPC 1.51 stops accepting for ever once it
 * has run out of them (CVE-2023-4785). */
uint64_t process_descriptors_raise(void);

/* Cores that this process may run on, at least one. */
uint32_t process_cores_count(void);

/* Has malloc give back what is free at the end of an arena. By default the threshold for that grows with every large block
 * that is freed, up to 64 MiB, and each thread that allocates may have an arena of its own: what the thread of a compaction had
 * used stayed, once for each compaction, and no trim takes it. To be called before there are other threads. */
void process_memory_configure(void);

/* Gives memory that is free back to the system. Takes milliseconds, in which others may wait for memory. */
void process_memory_trim(void);

#endif
