/* conditions.h: whether an event that must not have happened has happened (daybook.v1.Condition).
 *
 * Looked at is everything after the condition's position: what is committed, through the index, and what earlier requests
 * of the group have written and nobody may see yet, through the chunk. So no conflict is missed, and no event that does not
 * match is one.
 * Ownership: borrows store and index. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_CONDITIONS_H
#define SERVICE_COMMIT_CONDITIONS_H

#include "service/base/result.h"
#include "service/commit/request.h"
#include "service/record/chunk.h"

struct conditions;
struct index;
struct store;

/* FAILURE_MEMORY and the failures of store_reader_open. */
MUST_USE result conditions_new(struct store *store, struct index *index, struct conditions **ret_conditions);
struct conditions *conditions_free(struct conditions *conditions);

/* The first event that violates the condition; 0: it holds. Only events that may be shown at `now_ns` do: a decision stands
 * on what could be read. `chunk` has the events of the group, whose transaction is open. FAILURE_MEMORY, FAILURE_CORRUPT
 * and FAILURE_STORAGE from below. */
MUST_USE result conditions_violation(struct conditions *conditions, const struct append_condition *condition,
                                     const struct chunk *chunk, int64_t now_ns, uint64_t *ret_position);

/* Ends the group, whichever way. */
void conditions_clear(struct conditions *conditions);

#endif
