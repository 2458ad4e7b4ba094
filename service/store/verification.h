/* verification.h: reads everything that is stored in the log and says what is wrong with it, while the store is used.
 *
 * Every record up to the head of the beginning: its checksum, and what log_check.h says; that no position is missing and that
 * the table has as many records as positions; every row of `streams` and `checkpoints`: its checksum, and that no checkpoint is
 * beyond the head; the identity in `meta`. Each step reads in a short snapshot of its own, so the file does not grow under it.
 * What LMDB's own pages say is checked as far as reads need it: a page that leads nowhere is damage of every position on it.
 * The index is not looked at: it is derived from the log, checks itself, and can be built anew (Reindex).
 * Ownership: borrows the store, which must outlive it. Threads: one at a time; progress from any. */
#ifndef SERVICE_STORE_VERIFICATION_H
#define SERVICE_STORE_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct store;
struct verification;

/* Something is wrong: with the event at a position, or, when that is 0, with something else. `text` is one line, "the event at
 * position 7 is damaged (its checksum is wrong)", and valid until this returns. */
typedef void verification_found(void *context, uint64_t position, const char *text);

/* FAILURE_BUSY: one is at work. FAILURE_LIMIT: no reader is left. FAILURE_MEMORY, FAILURE_STORAGE. `found` is called by steps. */
MUST_USE result verification_begin(struct store *store, verification_found *found, void *context,
                                   struct verification **ret_verification);

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
