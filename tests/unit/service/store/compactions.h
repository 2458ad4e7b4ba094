/* compactions.h: a store whose every record is known, and compactions of it.
 *
 * Ownership: the caller closes and frees. Threads: one. Errors: what must not fail is asserted. */
#ifndef TESTS_UNIT_SERVICE_STORE_COMPACTIONS_H
#define TESTS_UNIT_SERVICE_STORE_COMPACTIONS_H

#include "service/store/compaction.h"
#include "service/store/store.h"

/* What a store must hold: the size of each position's payload. */
struct history {
    uint64_t position_last;
    uint64_t capacity;
    size_t *payloads; /* by position */
    uint64_t rows_count;
};

void history_free(struct history *history);

/* One transaction of `count` events. */
void history_append(struct history *history, struct store *store, uint64_t count, size_t payload_bytes);
/* One transaction that rewrites every `stride`-th position of [first, last] to another payload. */
void history_rewrite(struct history *history, struct store *store, uint64_t first, uint64_t last, uint64_t stride,
                     size_t payload_bytes);
/* One transaction that stores a checkpoint of "consumer-<n>" and a row of the stream of this name, n below `count`, each with
 * the number n + `offset`. */
void history_rows(struct history *history, struct store *store, uint64_t count, uint64_t offset);

/* The store holds exactly this, byte for byte. `offset` is that of the last rows. */
void history_expect(const struct history *history, struct store *store, uint64_t offset);

/* Begins, which must succeed. */
struct compaction *compactions_begin(struct store *store);
/* Steps until a switch may do. */
void compactions_step_until_ready(struct compaction *compaction);
/* A whole compaction; what it reports at its end. */
struct compaction_progress compactions_run(struct store *store);

/* Descriptors of this process on a data.mdb that has no name any more. */
uint32_t compactions_removed_files_open(void);

#endif
