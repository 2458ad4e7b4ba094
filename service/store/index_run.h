/* index_run.h: a run on disk: the entries of a range of positions, sorted, in a table of its own.
 *
 * Entries are kept in blocks, so that LMDB handles one record where there are 62 entries: a run is written and merged with
 * a memcpy an entry, takes 33 bytes an entry, and each block has a checksum (LMDB 0.9 has none).
 *   entry   term (16 bytes), number (8 bytes, big-endian), position (8 bytes, big-endian); all entries are different
 *   block   key: its last entry; value: its entries, ascending, then their CRC32C (4 bytes, little-endian)
 * So LMDB's search for a key that is not before an entry ends in the block that the entry is in, and looks at no page behind it.
 * The position is part of the order, so that two names that share a term keep all their entries.
 *
 * The tables are made once, when the index is opened for the first time, and reused: LMDB's handles may not be opened or
 * closed while readers run.
 *
 * Ownership: struct index_run is part of the index (one for each table); writers belong to the caller.
 * Threads: the index thread writes; what a view shows does not change and may be read by any, each with its own
 * transaction.
 * Errors: FAILURE_CORRUPT (a block is not what was written), and what environment_result says. */
#ifndef SERVICE_STORE_INDEX_RUN_H
#define SERVICE_STORE_INDEX_RUN_H

#include <endian.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdint.h>

#include "service/base/result.h"
#include "service/store/environment.h"
#include "service/store/index.h"
#include "service/store/index_filter.h"

/* Two blocks fill a page of 4 KiB: LMDB keeps a key and value of up to 2,038 bytes, its own 8 included, within a page. */
#define INDEX_BLOCK_ENTRIES_COUNT_MAX 62
#define INDEX_KEY_BYTES               32
#define INDEX_BLOCK_CHECKSUM_BYTES    4
#define INDEX_BLOCK_BYTES_MAX         (INDEX_BLOCK_ENTRIES_COUNT_MAX * INDEX_KEY_BYTES + INDEX_BLOCK_CHECKSUM_BYTES)

_Static_assert(8 + INDEX_KEY_BYTES + INDEX_BLOCK_BYTES_MAX <= 2038, "two blocks fit a page");

/* An entry as it is stored; memcmp gives the order. */
struct index_key {
    uint8_t bytes[INDEX_KEY_BYTES];
};

static inline struct index_key index_key_of(struct term term, uint64_t number, uint64_t position) {
    const uint64_t number_stored = htobe64(number);
    const uint64_t position_stored = htobe64(position);
    struct index_key key;
    memcpy(key.bytes, term.bytes, 16);
    memcpy(key.bytes + 16, &number_stored, 8);
    memcpy(key.bytes + 24, &position_stored, 8);
    return key;
}

/* Of an entry as it is stored. */
static inline bool index_key_is_id(const uint8_t bytes[INDEX_KEY_BYTES]) {
    uint64_t number_stored;
    memcpy(&number_stored, bytes + 16, 8);
    return number_stored == htobe64(INDEX_ID_NUMBER);
}

static inline uint64_t index_key_position(const uint8_t bytes[INDEX_KEY_BYTES]) {
    uint64_t position_stored;
    memcpy(&position_stored, bytes + 24, 8);
    return be64toh(position_stored);
}

static inline struct index_entry index_key_entry(const uint8_t bytes[INDEX_KEY_BYTES]) {
    struct index_entry entry;
    memcpy(entry.term.bytes, bytes, 16);
    memcpy(&entry.number, bytes + 16, 8);
    memcpy(&entry.position, bytes + 24, 8);
    entry.number = be64toh(entry.number);
    entry.position = be64toh(entry.position);
    return entry;
}

enum index_run_state {
    INDEX_RUN_FREE = 0, /* its table is empty */
    INDEX_RUN_WRITING,  /* not listed: a crash now empties it at the next open */
    INDEX_RUN_LISTED,
    INDEX_RUN_RETIRED, /* merged into another; emptied once no view shows it */
};

struct index_run {
    MDB_dbi table;
    uint32_t level;
    enum index_run_state state; /* the index thread's */
    atomic_uint views_count;    /* that show it */
    uint64_t position_first;
    uint64_t position_last;
    uint64_t entries_count;
    uint64_t terms_count;
    uint64_t ids_count; /* entries that are ids' */
    struct index_filter filter;
};

/* Writes a run, entry by entry, over one transaction or several: begin, add..., commit, begin, add..., end, commit. The
 * block that is not full stays in memory between them, so an abort or a failed commit spoils the run. */
struct index_run_writer {
    struct environment *environment;
    struct index_run *run;
    MDB_txn *transaction; /* while one is open; the caller may list the run in it */
    MDB_cursor *cursor;
    uint64_t bytes_written;
    uint32_t count; /* entries of the block */
    uint8_t block[INDEX_BLOCK_BYTES_MAX];
    struct term term; /* of the last entry, when the run has any */
    struct index_filter_writer filter;
};

/* The run's positions are set and its filter is large enough for its terms. */
void index_run_writer_init(struct index_run_writer *writer, struct environment *environment, struct index_run *run);
MUST_USE result index_run_writer_begin(struct index_run_writer *writer);
/* `key` comes after all before it. */
MUST_USE result index_run_writer_add(struct index_run_writer *writer, const uint8_t key[INDEX_KEY_BYTES]);
/* Writes the last block and the rest of the filter. */
MUST_USE result index_run_writer_end(struct index_run_writer *writer);
/* Commits as environment_commit does, whose failures it has. The transaction is over in each case. */
MUST_USE result index_run_writer_commit(struct index_run_writer *writer);
void index_run_writer_abort(struct index_run_writer *writer);

/* As index_range, of this run; `count_max` is not 0. */
MUST_USE result index_run_range(const struct index_run *run, MDB_txn *transaction, struct term term, uint64_t number,
                                enum index_direction direction, uint32_t count_max, struct index_entry *ret_entries,
                                uint32_t *ret_count);

#endif
