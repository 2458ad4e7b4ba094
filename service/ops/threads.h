/* threads.h: what the kernel says of threads of this process.
 *
 * Ownership: nothing is kept. Threads: any. Errors: without a descriptor nothing is known, and the answer is no. */
#ifndef SERVICE_OPS_THREADS_H
#define SERVICE_OPS_THREADS_H

#include <stdbool.h>

/* Whether all threads whose names begin so are at work, or wait for a processor or a disk, and there is one. */
bool threads_all_busy(const char *name_begin);

#endif
