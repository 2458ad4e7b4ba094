/* index_cursor.h: walks the entries of a run; every block is checked when it is entered.
 *
 * Ownership: caller-owned memory, filled by index_cursor_open and emptied by index_cursor_close, before the transaction
 * ends. What it points at is valid until the transaction ends; the transaction only reads.
 * Threads: its transaction's.
 * Errors: FAILURE_NOT_FOUND (there is no such entry), FAILURE_CORRUPT (a block is not what was written), and what
 * environment_result says. After a failure only seek and close are allowed. */
#ifndef SERVICE_STORE_INDEX_CURSOR_H
#define SERVICE_STORE_INDEX_CURSOR_H

#include <lmdb.h>
#include <stdint.h>

#include "service/base/result.h"
#include "service/store/index_run.h"

struct index_cursor {
    MDB_cursor *handle;
    const struct index_run *run;
    const uint8_t *entries; /* of the block it is in */
    uint32_t count;
    uint32_t at;
};

MUST_USE result index_cursor_open(const struct index_run *run, MDB_txn *transaction, struct index_cursor *ret_cursor);
void index_cursor_close(struct index_cursor *cursor);

/* Goes to the first entry that is not before `key`. */
MUST_USE result index_cursor_seek_forward(struct index_cursor *cursor, const struct index_key *key);
/* Goes to the last entry that is not after `key`. */
MUST_USE result index_cursor_seek_backward(struct index_cursor *cursor, const struct index_key *key);
MUST_USE result index_cursor_next(struct index_cursor *cursor);
MUST_USE result index_cursor_previous(struct index_cursor *cursor);

/* The stored bytes of the entry it is at. */
static inline const uint8_t *index_cursor_key(const struct index_cursor *cursor) {
    return cursor->entries + (size_t)cursor->at * INDEX_KEY_BYTES;
}

#endif
