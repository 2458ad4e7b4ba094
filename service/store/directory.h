/* directory.h: the data directory itself: whose it is, that nobody else uses it, and what it holds.
 *
 *   DIR/FORMAT   "daybook store 1\n<store id>\n"; a store exists once this file does. It is written last, complete
 *                (FORMAT.new, fsync, rename, fsync of DIR), and never changed.
 *   DIR/LOCK     flock, exclusive, as long as the directory is open; holds the process id as text, for messages.
 *   DIR/log.new  a log that is being made, or was replaced; thrown away at the next start. See log_switch.c.
 *
 * Ownership: caller-owned memory, filled by directory_open and emptied by directory_close.
 * Threads: one. Errors: results with a one-line problem that says what to do. */
#ifndef SERVICE_STORE_DIRECTORY_H
#define SERVICE_STORE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"
#include "service/base/uuid.h"

#define DIRECTORY_FORMAT_VERSION 1

struct directory {
    char *path;
    int descriptor;
    int lock;
    bool has_store;                     /* FORMAT is there and of this version */
    char store_id[UUID_TEXT_BYTES + 1]; /* of FORMAT; empty without one */
};

struct directory_options {
    const char *path;
    bool remote_file_system_allowed;
    const char *entry_allowed; /* a name that may lie in a directory without a store, beside what may anyway; or NULL */
};

/* Makes the directory when it is not there (its parent must be), takes the lock and reads FORMAT. FAILURE_BUSY: another
 * process holds the lock. FAILURE_FORMAT: a newer store, or files that are not a store's; nothing was touched.
 * FAILURE_CORRUPT: FORMAT is damaged. FAILURE_INPUT: no directory, not writable, remote. FAILURE_STORAGE_FULL,
 * FAILURE_STORAGE, FAILURE_MEMORY. */
MUST_USE result directory_open(const struct directory_options *options, struct directory *ret_directory,
                               struct problem *ret_problem);

/* Frees the lock. A zeroed directory is allowed. */
void directory_close(struct directory *directory);

/* Writes FORMAT; from now on the store exists. */
MUST_USE result directory_format_write(struct directory *directory, const char *store_id, struct problem *ret_problem);

/* fsync of a directory by its path: its entries are on disk when it returns RESULT_OK. */
MUST_USE result directory_sync(const char *path, struct problem *ret_problem);

/* The name of a remote file system by its statfs f_type, on which LMDB is not safe; NULL for any other. Static text. */
const char *directory_remote_name(uint64_t file_system_type);

/* What an errno of open, mkdir, write or rename means for somebody who starts the daemon. */
enum failure directory_failure(int error);

#endif
