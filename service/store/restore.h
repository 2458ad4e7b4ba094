/* restore.h: makes a store of a backup (backup_reader.h).
 *
 * The store is built in DIR/restore.new, on the same file system as DIR also where that is a mount, every commit synced; then
 * it is read and checked as a whole (verification.h); then its log and last its FORMAT are moved to DIR, each on disk before the
 * next. So DIR has a store when everything is verified and on disk, and not before; whatever fails leaves DIR as it was. Of a
 * restore that was killed DIR/restore.new is left: the daemon refuses such a directory, and a restore begins anew.
 * The store has the identity of the one that the backup is of. Its index is built when the daemon starts.
 * Threads: the main thread of a process that does nothing else. */
#ifndef SERVICE_STORE_RESTORE_H
#define SERVICE_STORE_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"
#include "service/base/uuid.h"

struct restore_options {
    const char *directory;
    uint64_t map_bytes; /* 0: LOG_MAP_BYTES_DEFAULT */
    bool remote_file_system_allowed;
    int descriptor;   /* of the backup, which is read to its end */
    const char *name; /* of its file, for problems */
};

struct restored {
    char store_id[UUID_TEXT_BYTES + 1];
    uint64_t events_count;  /* the head */
    uint64_t streams_count; /* with settings or deleted */
    uint64_t checkpoints_count;
};

/* FAILURE_INPUT: DIR has a store, or other files. FAILURE_CORRUPT: the backup is damaged. FAILURE_FORMAT: it is none, or a newer
 * one. FAILURE_BUSY, FAILURE_STORAGE_FULL, FAILURE_STORAGE, FAILURE_MEMORY. Each with a one-line problem. */
MUST_USE result restore(const struct restore_options *options, struct restored *ret_restored,
                        struct problem *ret_problem);

#endif
