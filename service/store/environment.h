/* environment.h: one LMDB environment, opened and grown safely; the log and the index each have one.
 *
 * What it adds to LMDB 0.9:
 * - The file is measured before it is mapped. A file shorter than its meta pages say would end the process with SIGBUS.
 * - The file is grown ahead of each commit (environment_reserve), block by block, so that a full disk is found before
 *   anything is written (LMDB reports a short write as EIO, like a broken disk), and so that the file is never shorter
 *   than the last page that a meta page names: LMDB itself does not write pages it allocated and freed again.
 * - The slack: the file goes on for ENVIRONMENT_SLACK_BYTES after its last page in use, so that a damaged length of a
 *   value, smaller than it, names bytes that are there.
 * - The reserve: growth stops while the file system has less than this left, so that others (the index keeps a
 *   smaller one, logs, repairs) still have room when appends are refused.
 * - Descriptors are closed on exec.
 * - A damaged page that leads LMDB astray ends the process with a line (map_faults.h).
 * - One table maps LMDB's codes to failures.
 *
 * Flags: MDB_NOTLS only. NOSYNC, NOMETASYNC, WRITEMAP and MAPASYNC lose acknowledged commits in a power cut.
 * Ownership: caller-owned memory, filled by environment_open and emptied by environment_close.
 * Threads: open and close to nobody else; reserve and commit belong to the writing thread; the rest to any. */
#ifndef SERVICE_STORE_ENVIRONMENT_H
#define SERVICE_STORE_ENVIRONMENT_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/base/limits.h"
#include "service/base/result.h"

/* Space that stays free on the file system; more than twice the largest group of appends. */
#define ENVIRONMENT_RESERVE_BYTES MIB(64)
/* The file grows by at least this much, so that growing (and measuring the free space) is rare. */
#define ENVIRONMENT_GROWTH_BYTES MIB(16)
/* More than the largest value (EVENT_BYTES_MAX_CEILING and its frame) and than what a commit writes besides its values
 * (branches, tables, free lists). */
#define ENVIRONMENT_SLACK_BYTES MIB(9)
/* The default map is halved down to this when the machine refuses the address space. */
#define ENVIRONMENT_MAP_BYTES_MIN GIB(64)

struct environment {
    MDB_env *handle;
    char *file;          /* path of data.mdb, for messages */
    int descriptor;      /* of data.mdb, LMDB's own */
    bool space_is_short; /* the last environment_reserve found the disk full */
    uint64_t file_bytes;
    uint64_t map_bytes;
    uint64_t page_bytes;
    uint64_t reserve_bytes;
    uint32_t watch; /* of map_faults.h */
};

struct environment_options {
    const char *directory;  /* exists; holds data.mdb and lock.mdb */
    uint64_t map_bytes;     /* of address space; required */
    bool map_may_shrink;    /* halve map_bytes when it cannot be had; for defaults, not for what somebody asked for */
    bool must_exist;        /* a missing or empty data.mdb is FAILURE_CORRUPT instead of a new environment */
    uint64_t reserve_bytes; /* kept free on the file system; 0: ENVIRONMENT_RESERVE_BYTES */
    uint32_t tables_count_max;
    const char *damage_note; /* a file that is made when a damaged page ends the process (map_faults.h); NULL: none */
};

/* Opens or makes the environment. Failures, each with a one-line problem: FAILURE_CORRUPT (the file is shorter than its
 * pages, no LMDB file, or its meta pages are not of two commits in a row), FAILURE_FORMAT (another version of LMDB),
 * FAILURE_INPUT (not writable), FAILURE_STORAGE_FULL
 * (a new one would not fit; an existing one opens on a full disk), FAILURE_MEMORY (address space), FAILURE_STORAGE. */
MUST_USE result environment_open(const struct environment_options *options, struct environment *ret_environment,
                                 struct problem *ret_problem);

/* The directory has another name now, and `file` says so. */
void environment_renamed(struct environment *environment);

/* Every transaction and cursor must have ended. A zeroed environment is allowed. */
void environment_close(struct environment *environment);

/* Before a commit that wrote keys and values of about `bytes_written`: makes the file long enough, with blocks on disk
 * where the file system can promise them. FAILURE_STORAGE_FULL: nothing was written and the caller aborts; a later call
 * looks again. */
MUST_USE result environment_reserve(struct environment *environment, uint64_t bytes_written);

/* Commits, after environment_reserve; the transaction is over in each case. FAILURE_STORAGE_FULL: nothing of it is on
 * disk and the environment goes on. FAILURE_STORAGE: whether it is on disk is unknown, and the process must stop. */
MUST_USE result environment_commit(struct environment *environment, MDB_txn *transaction, uint64_t bytes_written);

/* What a code of LMDB means outside of a commit; `action` is for the log line of an error nobody expects. */
MUST_USE result environment_result(int code, const char *action);
/* The same where something is written: a damaged page there is FAILURE_STORAGE, because no later write would go better. */
MUST_USE result environment_write_result(int code, const char *action);

/* Bytes of pages in use, for figures. */
uint64_t environment_used_bytes(const struct environment *environment);

/* Free bytes of the file system that a descriptor is on; UINT64_MAX when it does not say. */
uint64_t environment_free_bytes(int descriptor);

#endif
