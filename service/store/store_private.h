/* store_private.h: what the files that make up the log share; nobody else includes it.
 *
 * Ownership: a store owns its directory; the log is shared by the store and by the readers whose transactions are of it,
 * because a compaction puts another log in its place while they read. A reader owns its transaction and its cursor.
 * Threads: see store.h. Errors: none of its own. */
#ifndef SERVICE_STORE_STORE_PRIVATE_H
#define SERVICE_STORE_STORE_PRIVATE_H

#include <assert.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "service/base/limits.h"
#include "service/record/record.h"
#include "service/store/commit_mark.h"
#include "service/store/directory.h"
#include "service/store/environment.h"
#include "service/store/rewrites.h"
#include "service/store/store.h"

#define LOG_FORMAT_VERSION DIRECTORY_FORMAT_VERSION

/* Larger than any value of `events`: a length beyond it is damage. */
#define STORED_RECORD_BYTES_MAX (EVENT_BYTES_MAX_CEILING + RECORD_OVERHEAD_BYTES_MAX + RECORD_CHECKSUM_BYTES)
_Static_assert(STORED_RECORD_BYTES_MAX < ENVIRONMENT_SLACK_BYTES, "a damaged length stays inside of the file");

/* The checksum behind a record, little-endian. */
static inline void stored_checksum_write(uint8_t *out, uint32_t checksum) {
    for (unsigned index = 0; index < RECORD_CHECKSUM_BYTES; index++) out[index] = (uint8_t)(checksum >> (8 * index));
}

static inline uint32_t stored_checksum_read(const uint8_t *bytes) {
    uint32_t checksum = 0;
    for (unsigned index = 0; index < RECORD_CHECKSUM_BYTES; index++) checksum |= (uint32_t)bytes[index] << (8 * index);
    return checksum;
}

/* The tables of the log, in the order in which they are made. */
enum table { TABLE_EVENTS, TABLE_STREAMS, TABLE_CHECKPOINTS, TABLE_META, TABLES_COUNT };

struct tables {
    MDB_dbi handles[TABLES_COUNT];
};

/* Which streams may have a row, in memory: a bit for the term of each that was ever put, so that a stream without one costs
 * no search. 2^23 bits are a mebibyte, touched as they are used; a million rows set one bit in nine. */
#define STREAM_BITS_COUNT (UINT64_C(1) << 23)

/* One open log. The last one to let go closes it. */
struct log_environment {
    struct environment environment;
    struct tables tables;
    atomic_uint references_count;
    int mark_descriptor; /* of COMMIT; -1: it cannot be written, which was said */
    pthread_mutex_t mark_mutex;
    bool has_mark; /* guarded, as the next */
    struct commit_mark mark;
};

struct compaction;

struct store {
    struct directory directory;
    _Atomic(struct log_environment *) log; /* replaced by the writing thread alone, with the mutex held */
    uint64_t position_last;                /* as the transaction sees it */

    MDB_txn *transaction; /* NULL between transactions */
    uint64_t position_committed;
    uint64_t bytes_written;   /* by the transaction */
    struct rewrites rewrites; /* of the transaction */

    _Atomic uint64_t *stream_bits; /* STREAM_BITS_COUNT of them; any thread */
    atomic_bool has_streams;       /* a bit is set */

    pthread_mutex_t mutex; /* guards what follows, and which log a reader that is not in use belongs to */
    struct store_reader *readers_first;
    uint32_t readers_count;
    struct compaction *compaction; /* that hears of rewrites; NULL: none is at work */

    atomic_bool has_verification; /* one is at work, as the next */
    atomic_bool has_backup;
};

/* A reader is taken by its own thread from begin to end of a snapshot, or for a moment by the one who moves it. */
enum reader_use { READER_IS_IDLE, READER_IS_TAKEN };

struct store_reader {
    struct store *store;
    atomic_int use;
    struct log_environment *log; /* whose transaction it has; changed by whoever has taken the reader */
    MDB_txn *transaction;        /* reset between snapshots: it keeps its slot in the reader table */
    MDB_cursor *cursor;
    uint64_t cursor_position; /* where the cursor stands; 0: nowhere */
    bool has_snapshot;
    struct store_reader *next; /* of the store's list */
    struct store_reader **link;
};

/* The key of a table whose keys are names. */
static inline MDB_val name_key(struct bytes name) {
    assert(name.size > 0 && name.size <= NAME_BYTES_MAX);
    return (MDB_val){.mv_size = name.size, .mv_data = (void *)(uintptr_t)name.data};
}

/* The first entry of such a table whose name comes after `name`, or the first of all when that is empty. FAILURE_NOT_FOUND. */
MUST_USE result names_after(struct store_reader *reader, enum table table, struct bytes name, MDB_val *ret_key,
                            MDB_val *ret_value);

/* What a row of these tables says; FAILURE_CORRUPT. Views are of the row. */
MUST_USE result stream_row_read(const MDB_val *key, const MDB_val *value, struct stream_row *ret_row);
MUST_USE result checkpoint_read(const MDB_val *key, const MDB_val *value, struct checkpoint *ret_checkpoint);

/* The log of the store. The pointer stays valid for the writing thread, with the mutex held, and for who has a reference. */
static inline struct log_environment *store_log(const struct store *store) {
    return atomic_load(&store->log);
}

/* --- log_environment.c ---------------------------------------------------------------------------------------------- */

/* Opens the environment, with one reference; its tables are the caller's next step. The failures of environment_open. */
MUST_USE result log_environment_open(const struct environment_options *options, struct log_environment **ret_log,
                                     struct problem *ret_problem);
struct log_environment *log_environment_ref(struct log_environment *log);
/* The last reference closes; with an old log of many gigabytes that takes a while. NULL is allowed. Returns NULL. */
struct log_environment *log_environment_unref(struct log_environment *log);

/* Marks the last commit (commit_mark.h), in memory and, `is_written`, in COMMIT. The writing thread's. FAILURE_STORAGE: LMDB's
 * file does not have that commit. */
MUST_USE result log_environment_mark(struct log_environment *log, uint64_t transaction, uint64_t position,
                                     bool is_written);
/* Whether LMDB's file still has the last commit that was marked; FAILURE_STORAGE: it is damaged, which a log line tells. Any
 * thread that has a reference. */
MUST_USE result log_environment_check(struct log_environment *log);

/* --- readers.c -------------------------------------------------------------------------------------------------------- */

/* Puts another log in the place of the store's; takes a reference to it. Moves every reader that has no snapshot; one that
 * has moves at its end. The caller has a reference to the log that is replaced and gives it back elsewhere. The writing
 * thread's, between transactions. */
void readers_switch(struct store *store, struct log_environment *log);

/* Takes a reader for its thread, on the store's log of this moment; gives it back. The failures of store_reader_open. */
MUST_USE result store_reader_take(struct store_reader *reader);
void store_reader_give(struct store_reader *reader);

/* --- compaction.c ----------------------------------------------------------------------------------------------------- */

/* Tells the compaction at work, if there is one, of what a commit has rewritten. The writing thread's. */
void compaction_rewritten(struct store *store);

/* --- log_files.c ------------------------------------------------------------------------------------------------------ */

/* Opens the tables within a transaction; `flags` is MDB_CREATE or 0. A code of LMDB. */
int tables_open(MDB_txn *transaction, unsigned flags, struct tables *ret_tables);

/* Makes DIR/log with its tables, this store id or with NULL a new one, and no events, complete or not at all. */
MUST_USE result log_create(const struct directory *directory, const char *store_id, uint64_t map_bytes,
                           struct problem *ret_problem);

/* Reads format and identity of an open log and compares them with this program and, where it is there, with FORMAT. */
MUST_USE result log_identify(const struct store *store, MDB_txn *transaction, char ret_store_id[UUID_TEXT_BYTES + 1],
                             struct problem *ret_problem);

/* Sets the bits of all rows there are, when the log is opened. */
MUST_USE result stream_bits_read(struct store *store, MDB_txn *transaction);

/* The row of a stream in a transaction of a log; FAILURE_NOT_FOUND, FAILURE_CORRUPT. */
MUST_USE result stream_row_get(const struct store *store, const struct log_environment *log, MDB_txn *transaction,
                               struct bytes stream, struct stream_row *ret_row);

/* Makes an empty DIR/log.new and removes what an interrupted run has left there. */
MUST_USE result log_new_make(const struct directory *directory, struct problem *ret_problem);

/* --- log_switch.c ----------------------------------------------------------------------------------------------------- */

/* Puts DIR/log.new, which is complete and synced, in the place of DIR/log. FAILURE_STORAGE: which of them DIR/log is after a
 * power cut is not known, and nothing may be acknowledged any more. With any other failure everything is as it was. */
MUST_USE result log_exchange(const struct directory *directory);
/* Removes DIR/log.new and DIR/log.old, whatever is there. */
void log_leftovers_remove(const struct directory *directory);
/* Before a store is opened: ends or undoes what an interrupted compaction has left. */
MUST_USE result log_repair(const struct directory *directory, struct problem *ret_problem);

/* The position of the last event, 0 in an empty log. */
MUST_USE result log_position_last(MDB_cursor *cursor, uint64_t *ret_position);

#endif
