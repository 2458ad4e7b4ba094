/* rewrites.h: positions whose records were rewritten in place, for a compaction to copy again.
 *
 * Ownership: caller-owned memory; zeroed is an empty list. Threads: one at a time. */
#ifndef SERVICE_STORE_REWRITES_H
#define SERVICE_STORE_REWRITES_H

#include <stdint.h>

#include "service/base/result.h"

struct rewrites {
    uint64_t *positions;
    uint32_t count;
    uint32_t capacity;
};

/* FAILURE_LIMIT: REWRITES_COUNT_MAX are in it. FAILURE_MEMORY. */
MUST_USE result rewrites_add(struct rewrites *rewrites, uint64_t position);

/* Moves all to the end of another list; the source is empty afterwards, also on failure. As rewrites_add. */
MUST_USE result rewrites_move(struct rewrites *source, struct rewrites *target);

/* Empties the list; keeps its memory. */
void rewrites_clear(struct rewrites *rewrites);
/* Gives the memory back. */
void rewrites_deinit(struct rewrites *rewrites);

#endif
