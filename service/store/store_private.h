/* store_private.h: what store.c, log_files.c, reader.c and checkpoints.c share; nobody else includes it.
 *
 * Ownership: a store owns its directory and its environment; a reader owns its transaction and its cursor.
 * Threads: see store.h. Errors: none of its own. */
#ifndef SERVICE_STORE_STORE_PRIVATE_H
#define SERVICE_STORE_STORE_PRIVATE_H

#include <assert.h>
#include <lmdb.h>
#include <stdatomic.h>

#include "service/base/limits.h"
#include "service/record/record.h"
#include "service/store/directory.h"
#include "service/store/environment.h"
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

struct store {
    struct directory directory;
    struct environment environment;
    struct tables tables;
    uint64_t position_last; /* as the transaction sees it */

    MDB_txn *transaction; /* NULL between transactions */
    uint64_t position_committed;
    uint64_t bytes_written; /* by the transaction */

    _Atomic uint64_t *stream_bits; /* STREAM_BITS_COUNT of them; any thread */
    atomic_bool has_streams;       /* a bit is set */
};

struct store_reader {
    const struct store *store;
    MDB_txn *transaction; /* reset between snapshots: it keeps its slot in the reader table */
    MDB_cursor *cursor;
    uint64_t cursor_position; /* where the cursor stands; 0: nowhere */
    bool has_snapshot;
};

/* The key of a table whose keys are names. */
static inline MDB_val name_key(struct bytes name) {
    assert(name.size > 0 && name.size <= NAME_BYTES_MAX);
    return (MDB_val){.mv_size = name.size, .mv_data = (void *)(uintptr_t)name.data};
}

/* The first entry of such a table whose name comes after `name`, or the first of all when that is empty. FAILURE_NOT_FOUND. */
MUST_USE result names_after(struct store_reader *reader, enum table table, struct bytes name, MDB_val *ret_key,
                            MDB_val *ret_value);

/* Opens the tables within a transaction; `flags` is MDB_CREATE or 0. A code of LMDB. */
int tables_open(MDB_txn *transaction, unsigned flags, struct tables *ret_tables);

/* Makes DIR/log with its tables, a new store id and no events, complete or not at all. */
MUST_USE result log_create(const struct directory *directory, uint64_t map_bytes, struct problem *ret_problem);

/* Reads format and identity of an open log and compares them with this program and, where it is there, with FORMAT. */
MUST_USE result log_identify(const struct store *store, MDB_txn *transaction, char ret_store_id[UUID_TEXT_BYTES + 1],
                             struct problem *ret_problem);

/* Sets the bits of all rows there are, when the log is opened. */
MUST_USE result stream_bits_read(struct store *store, MDB_txn *transaction);

/* The row of a stream in a transaction; FAILURE_NOT_FOUND, FAILURE_CORRUPT. */
MUST_USE result stream_row_get(const struct store *store, MDB_txn *transaction, struct bytes stream,
                               struct stream_row *ret_row);

/* The position of the last event, 0 in an empty log. */
MUST_USE result log_position_last(MDB_cursor *cursor, uint64_t *ret_position);

#endif
