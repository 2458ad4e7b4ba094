/* offline.h: what daybookd does to a data directory instead of serving it: --verify and --restore.
 *
 * Verify reads in a child process, because LMDB trusts its pages: a damaged one may end whoever follows it with SIGSEGV, SIGBUS
 * or SIGABRT. The parent takes that for damage of the position that was being read, or of the index, and lets another child go on
 * behind it. (A
 * file that is shorter than its pages say is found before it is mapped.)
 * Ownership: texts are the caller's. Threads: the main thread of a process that has no other.
 * Errors: results with a one-line problem that says what to do; what is found goes to standard output. */
#ifndef SERVICE_OFFLINE_OFFLINE_H
#define SERVICE_OFFLINE_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct offline_options {
    const char *directory;
    uint64_t map_bytes;
    bool remote_file_system_allowed;
};

/* A line for each thing that is wrong, and one at the end. FAILURE_CORRUPT: something is; FAILURE_NOT_FOUND: DIR has no store;
 * FAILURE_BUSY: a daemon has it; and the failures of store_open. */
MUST_USE result offline_verify(const struct offline_options *options, struct problem *ret_problem);

/* Makes a store of a backup, from a file or with "-" from standard input. The failures of restore (store/restore.h). */
MUST_USE result offline_restore(const struct offline_options *options, const char *file, struct problem *ret_problem);

#endif
