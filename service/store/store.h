/* store.h: the log on disk: one data directory, one LMDB environment, one writer.
 *
 *   DIR/FORMAT          "daybook store 1\n<store id>\n"; written once, by write, fsync, rename, fsync of the directory
 *   DIR/LOCK            flock: one daemon a directory
 *   DIR/log/            LMDB: events, streams, checkpoints, meta; and COMMIT, the mark of the last commit, see commit_mark.h
 *   DIR/log.new/        a log that is being made, or one that another has replaced: thrown away when the store is opened
 *   DIR/log.old/        a log that is being replaced, where a file system cannot exchange two directories; see log_switch.c
 *   DIR/index/          LMDB: the index, derived from the log; see index.h
 *
 * Table `events`: key = position (8 bytes, native, MDB_INTEGERKEY); value = record, then its CRC32C (record.h).
 * Table `checkpoints`: key = name of the consumer; value = position (8 bytes, little-endian), time of storing in nanoseconds
 * since 1970 (8 bytes, little-endian), CRC32C of key and both (4 bytes, little-endian).
 * Table `streams`: what is to be said of a stream besides its events; most streams have no row. Key = name; value:
 *   state (1 byte: enum stream_state), first_revision, removed_before, max_age_seconds, max_count, truncate_before (8 bytes
 *   each, little-endian), the owner's metadata (as given), CRC32C of key and all that (4 bytes, little-endian).
 * Table `meta`: created with the store; holds "format" (4 bytes, little-endian: 1) and
 * "store_id" (the 36 characters of FORMAT, so that files of two stores are not mixed up).
 *
 * A commit that returned RESULT_OK is on disk (LMDB's default flags; see ARCHITECTURE.md). After FAILURE_STORAGE
 * nothing may be acknowledged any more and the process must end: LMDB's next commit might succeed on a broken file.
 * Threads: the writing functions belong to one thread; each reader to one thread at a time; open and close to nobody
 * else.
 */
#ifndef SERVICE_STORE_STORE_H
#define SERVICE_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/base/uuid.h"

struct store;
struct store_reader;

struct store_options {
    const char *directory; /* made when it is not there; its parent must be */
    uint64_t map_bytes;    /* 0: LOG_MAP_BYTES_DEFAULT */
    bool remote_file_system_allowed;
    const char *new_store_id; /* of the store when there is none yet, 36 characters; NULL: one of its own */
    bool is_inspected;        /* to be looked at: nothing is repaired */
    bool loss_accepted;       /* a log that has lost commits is opened, and its last one is the last */
};

/* Opens or creates the store. Failures, each with a one-line problem that says what to do: FAILURE_BUSY (another
 * daemon), FAILURE_FORMAT (newer or foreign; nothing is touched), FAILURE_CORRUPT (a file is shorter than LMDB's pages
 * say, or its meta pages are damaged: checked before mapping; or commits are lost: the positions are named), FAILURE_STORAGE,
 * FAILURE_STORAGE_FULL, FAILURE_INPUT (no directory, not writable,
 * remote), FAILURE_MEMORY (address space). */
MUST_USE result store_open(const struct store_options *options, struct store **ret_store, struct problem *ret_problem);

/* Every reader must be closed before. NULL is allowed. Returns NULL. */
struct store *store_close(struct store *store);

/* Identity of the store; 36 characters and an end. Valid until close. */
const char *store_id(const struct store *store);
/* The data directory. Valid until close. */
const char *store_directory(const struct store *store);

/* --- Writing: one transaction at a time. -------------------------------------------------------------------------- */

/* FAILURE_STORAGE: also when what the last commit left is not there any more. */
MUST_USE result store_begin(struct store *store);
/* The last position as the transaction sees it, 0 in an empty store. */
uint64_t store_position_last(const struct store *store);
/* Stores the record with the position after the last one, and its checksum. Asserts that positions have no gap. A damaged page
 * where something is to be written is FAILURE_STORAGE, here and in the other functions that write: nobody else can be served. */
MUST_USE result store_append(struct store *store, uint64_t position, struct bytes record);
/* How far a consumer has come. */
struct checkpoint {
    struct bytes consumer;
    uint64_t position;
    int64_t recorded_ns; /* when it was stored */
};
/* Stores a checkpoint in the place of the consumer's last one. */
MUST_USE result store_checkpoint_put(struct store *store, const struct checkpoint *checkpoint);
/* The stored position of a consumer as the transaction sees it; 0: it has none. FAILURE_CORRUPT. */
MUST_USE result store_checkpoint_get(struct store *store, struct bytes consumer, uint64_t *ret_position);
/* The record at a position as the transaction sees it, as store_reader_get. The view is valid until the transaction writes
 * or ends. */
MUST_USE result store_get(struct store *store, uint64_t position, struct bytes *ret_record);
/* Puts what is left of an event (remains.h) in the place of its record. The position is not beyond the last. At most
 * REWRITES_COUNT_MAX in a transaction (FAILURE_LIMIT). */
MUST_USE result store_rewrite(struct store *store, uint64_t position, struct bytes record);

/* What became of a stream; numbers are part of the format. */
enum stream_state { STREAM_ACTIVE = 1, STREAM_DELETED = 2, STREAM_TOMBSTONED = 3 };

struct stream_row {
    enum stream_state state;
    uint64_t first_revision;  /* events below are gone from every read; never decreases; 0 and 1: none is */
    uint64_t removed_before;  /* the bytes of the events below have been removed, but for markers of deletions */
    uint64_t max_age_seconds; /* 0: no limit, as in the next two */
    uint64_t max_count;
    uint64_t truncate_before;
    struct bytes metadata;
};

/* The row of a stream as the transaction sees it; FAILURE_NOT_FOUND when it has none (asked cheaply: a filter in memory
 * knows nearly all of these), FAILURE_CORRUPT. The view of the metadata is valid until the transaction writes or ends. */
MUST_USE result store_stream_get(struct store *store, struct bytes stream, struct stream_row *ret_row);
MUST_USE result store_stream_put(struct store *store, struct bytes stream, const struct stream_row *row);

/* On disk when it returns RESULT_OK. FAILURE_STORAGE_FULL: nothing was written and the store goes on; FAILURE_STORAGE:
 * see above. In each case the transaction is over. */
MUST_USE result store_commit(struct store *store);
void store_abort(struct store *store);

/* Whether the pages that lead to all others are still those of the last commit; each store_begin looks, too. FAILURE_STORAGE:
 * the process must end, as after a failed commit. Any thread. */
MUST_USE result store_check(struct store *store);

/* --- Reading: short transactions, never at a client's pace. ------------------------------------------------------- */

MUST_USE result store_reader_open(struct store *store, struct store_reader **ret_reader);
struct store_reader *store_reader_close(struct store_reader *reader);

/* Takes a snapshot; ends with store_reader_end. `ret_position_last` (may be NULL) is the last position in it. */
MUST_USE result store_reader_begin(struct store_reader *reader, uint64_t *ret_position_last);
void store_reader_end(struct store_reader *reader);

/* The record at a position, its checksum and its position verified and the checksum cut off; FAILURE_NOT_FOUND, or
 * FAILURE_CORRUPT when they are wrong. Following positions in order, up or down, cost a step of the cursor instead of a
 * search. The view is valid until store_reader_end. */
MUST_USE result store_reader_get(struct store_reader *reader, uint64_t position, struct bytes *ret_record);

/* The checkpoint of a consumer, or the first one whose name comes after `consumer` in the order of bytes. FAILURE_NOT_FOUND,
 * FAILURE_CORRUPT. The view of the name is valid until store_reader_end. */
MUST_USE result store_reader_checkpoint(struct store_reader *reader, struct bytes consumer,
                                        struct checkpoint *ret_checkpoint);
MUST_USE result store_reader_checkpoint_after(struct store_reader *reader, struct bytes consumer,
                                              struct checkpoint *ret_checkpoint);

/* The row of a stream, or the first one whose stream's name comes after `stream` in the order of bytes. FAILURE_NOT_FOUND,
 * FAILURE_CORRUPT. Views are valid until store_reader_end. */
MUST_USE result store_reader_stream(struct store_reader *reader, struct bytes stream, struct stream_row *ret_row);
MUST_USE result store_reader_stream_after(struct store_reader *reader, struct bytes stream, struct bytes *ret_stream,
                                          struct stream_row *ret_row);

/* Bytes of the log's file in use (pages), for figures. Any thread. */
uint64_t store_used_bytes(struct store *store);

#endif
