/* checkpoints.h: the stored progress of a consumer, for those who read it.
 *
 * Ownership: borrows the store. Threads: any. */
#ifndef SERVICE_API_CHECKPOINTS_H
#define SERVICE_API_CHECKPOINTS_H

#include <stdbool.h>

#include "service/api/errors.h"
#include "service/base/bytes.h"

struct store;

/* How far a consumer has come. False: it has no checkpoint, or it cannot be read; `ret_error` says which. */
bool checkpoint_position(struct store *store, struct bytes consumer, uint64_t *ret_position, struct error *ret_error);

#endif
