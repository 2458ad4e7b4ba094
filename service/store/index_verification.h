/* index_verification.h: compares the index with the log that it was made of, while both are used.
 *
 * There and back: each event up to the last that was added at the beginning is found by its stream, its type, its id and each
 * of its tags; and each entry of a run on disk is one of the event that it leads to. What is in memory was made by this
 * process and is looked at on the way there alone. Ids that --id-index lets go, and entries of an event that has been
 * removed or erased since, are as they should be. An event that cannot be read is left out: verification.h tells of it.
 *
 * Ownership: borrows store and index, and keeps the index's runs of its beginning until the end, for which a rebuild that
 * wants to take the index's place waits. Threads: one at a time.
 * Errors: what is wrong is not a failure but found. FAILURE_LIMIT: no reader is left. FAILURE_MEMORY, FAILURE_STORAGE. */
#ifndef SERVICE_STORE_INDEX_VERIFICATION_H
#define SERVICE_STORE_INDEX_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct index;
struct index_verification;
struct store;

/* As verification_found: position 0 when it is about no event. */
typedef void index_verification_found(void *context, uint64_t position, const char *text);

struct index_verification_options {
    struct store *store;
    struct index *index;
    index_verification_found *found; /* called by steps */
    void *context;
};

MUST_USE result index_verification_begin(const struct index_verification_options *options,
                                         struct index_verification **ret_verification);
/* Compares a part. `ret_is_done`: it was the last. After a failure only the end is allowed. */
MUST_USE result index_verification_step(struct index_verification *verification, bool *ret_is_done);
/* NULL is allowed. Returns NULL. */
struct index_verification *index_verification_end(struct index_verification *verification);

#endif
