/* verification.h: reads everything that is stored in the log and says what is wrong with it, while the store is used.
 *
 * Every record up to the head of the beginning: its checksum, and what log_check.h says; that no position is missing and that
 * the table has as many records as positions; every row of `streams` and `checkpoints`: its checksum, and that no checkpoint is
 * beyond the head; the identity in `meta`. Each step reads in a short snapshot of its own, so the file does not grow under it.
 * What LMDB's own pages say is checked as far as reads need it: a page that leads nowhere is damage of every position on it.
 * Then the index is compared with the log, where there is one (index_verification.h).
 * Ownership: borrows the store, which must outlive it. Threads: one at a time; progress from any. */
#ifndef SERVICE_STORE_VERIFICATION_H
#define SERVICE_STORE_VERIFICATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct index;
struct store;
struct verification;

/* Something is wrong: with the event at a position, or, when that is 0, with something else. `text` is one line, "the event at
 * position 7 is damaged (its checksum is wrong)", and valid until this returns. */
typedef void verification_found(void *context, uint64_t position, const char *text);

struct verification_options {
    struct store *store;
    struct index *index;       /* of the store; NULL: it is not looked at */
    verification_found *found; /* called by steps */
    void *context;
    uint64_t position_after; /* events up to here were checked before; 0: none */
    /* Where it is, for whoever sees it die; or NULL: a position, or one of the next. */
    _Atomic uint64_t *reading;
};
#define VERIFICATION_READS_ROWS  UINT64_MAX
#define VERIFICATION_READS_INDEX (UINT64_MAX - 1)

/* FAILURE_BUSY: one is at work. FAILURE_LIMIT: no reader is left. FAILURE_MEMORY, FAILURE_STORAGE. */
MUST_USE result verification_begin(const struct verification_options *options, struct verification **ret_verification);

/* Reads a part. `ret_is_done`: it was the last. What is damaged is not a failure but found; FAILURE_STORAGE: the disk could not
 * be read. After a failure only verification_end is allowed. */
MUST_USE result verification_step(struct verification *verification, bool *ret_is_done);

/* NULL is allowed. Returns NULL. */
struct verification *verification_end(struct verification *verification);

struct verification_progress {
    uint64_t events_checked_count;
    uint64_t events_count;
    uint64_t found_count; /* of whatever is wrong */
};
struct verification_progress verification_progress(const struct verification *verification);

#endif
