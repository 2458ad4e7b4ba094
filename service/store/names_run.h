/* names_run.h: a names run on disk: the names of a range of positions, each once, in a table of its own.
 *
 *   key    kind (1 byte: enum term_kind, one of TERM_STREAM, TERM_TYPE, TERM_TAG), name (1 to 255 bytes)
 *   value  number of events (8 bytes), position of the last (8), position of the first (8), encoded bytes of their records
 *          (8), all little-endian; CRC32C of key and value before it (4 bytes, little-endian)
 *
 * Ownership: caller-owned memory; what a cursor points at is valid until its transaction ends.
 * Threads: the index thread writes; a cursor belongs to its transaction's thread.
 * Errors: FAILURE_CORRUPT (an entry is not what was written), and what environment_result says. */
#ifndef SERVICE_STORE_NAMES_RUN_H
#define SERVICE_STORE_NAMES_RUN_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/store/environment.h"
#include "service/store/names_table.h"

#define NAMES_VALUE_BYTES 36

enum names_run_state {
    NAMES_RUN_FREE = 0, /* its table is empty */
    NAMES_RUN_WRITING,  /* not listed: a crash now empties it at the next open */
    NAMES_RUN_LISTED,
    NAMES_RUN_RETIRED, /* not listed any more, to be emptied; a query that began before sees all of it in its snapshot */
};

struct names_run {
    MDB_dbi table;
    uint32_t number; /* of the table */
    uint32_t level;
    enum names_run_state state; /* the index thread's */
    uint64_t position_first;
    uint64_t position_last;
    uint64_t entries_count;
};

/* Writes a run, entry by entry, over one transaction or several: begin, add..., commit, begin, add..., commit. An abort or a
 * failed commit spoils the run. */
struct names_writer {
    struct environment *environment;
    struct names_run *run;
    MDB_txn *transaction; /* while one is open; the caller may list the run in it */
    MDB_cursor *cursor;
    uint64_t bytes_written;
};

void names_writer_init(struct names_writer *writer, struct environment *environment, struct names_run *run);
MUST_USE result names_writer_begin(struct names_writer *writer);
/* The entry comes after all before it. */
MUST_USE result names_writer_add(struct names_writer *writer, const struct names_entry *entry);
/* Commits as environment_commit does, whose failures it has. The transaction is over in each case. */
MUST_USE result names_writer_commit(struct names_writer *writer);
/* Ends the transaction, if one is open. */
void names_writer_abort(struct names_writer *writer);

/* Walks the entries of a run in their order; each is checked when it is entered. */
struct names_cursor {
    MDB_cursor *handle;
    const struct names_run *run;
    bool is_ended; /* there are no more entries; `entry` is then of no use */
    struct names_entry entry;
};

MUST_USE result names_cursor_open(const struct names_run *run, MDB_txn *transaction, struct names_cursor *ret_cursor);
/* A zeroed one is allowed. */
void names_cursor_close(struct names_cursor *cursor);
/* Goes to the first entry that is not before `key`. */
MUST_USE result names_cursor_seek(struct names_cursor *cursor, struct bytes key);
MUST_USE result names_cursor_next(struct names_cursor *cursor);

#endif
