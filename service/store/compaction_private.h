/* compaction_private.h: what compaction.c, compaction_copy.c and compaction_switch.c share; nobody else includes it.
 *
 * Ownership: see compaction.h. Threads: see compaction.h. */
#ifndef SERVICE_STORE_COMPACTION_PRIVATE_H
#define SERVICE_STORE_COMPACTION_PRIVATE_H

#include "service/store/compaction.h"
#include "service/store/store_private.h"

/* LMDB's keys are no longer. */
#define ROW_KEY_BYTES_MAX 511

/* Where the comparison of the small tables has come to. */
struct rows_place {
    enum table table;
    size_t key_bytes; /* of the last row that was compared; 0: none */
    uint8_t key[ROW_KEY_BYTES_MAX];
};

struct compaction {
    struct store *store;
    struct store_reader *reader;    /* of the log */
    struct log_environment *source; /* the log that is copied */
    struct log_environment *target;
    uint64_t position_copied;
    struct rewrites rewrites_due; /* positions to be copied again */
    struct rows_place rows;
    bool rows_copied;    /* all of them, once: the switch finds few differences */
    bool log_is_unknown; /* the exchange of the directories failed in the middle */
    uint32_t switches_tried_count;
    struct compaction_switch_counts switch_counts;
    char *file_after; /* path of the copy once it is the log, for messages */

    atomic_uint_fast64_t events_copied_count;
    atomic_uint_fast64_t events_count;
    atomic_uint_fast64_t reclaimed_bytes;

    /* Guarded by the store's mutex. */
    struct rewrites rewrites_heard;
    enum failure rewrites_failure; /* one was not noted */
};

/* How much one transaction of the copy may take, and has taken. */
struct copy_budget {
    uint64_t events_count_max;
    uint64_t bytes_max;
    uint64_t rows_count_max;
    uint64_t events_count;
    uint64_t rows_compared_count;
    uint64_t rows_copied_count;
    uint64_t bytes;
};

/* The reader has a snapshot. Copies the positions after `position_copied` up to `position_last`, as far as the budget goes. */
MUST_USE result copy_events(struct compaction *compaction, MDB_txn *transaction, uint64_t position_last,
                            struct copy_budget *budget);
/* Copies the rewritten positions that are due and were copied before, as far as the budget goes. Those that are left stay. */
MUST_USE result copy_rewrites(struct compaction *compaction, MDB_txn *transaction, struct copy_budget *budget);
/* Makes the small tables equal, from a place on, as far as the budget goes. `ret_done`: they are. */
MUST_USE result copy_rows(struct compaction *compaction, MDB_txn *transaction, struct rows_place *place,
                          struct copy_budget *budget, bool *ret_done);

/* Takes over what was rewritten since the last call. FAILURE_LIMIT, FAILURE_MEMORY: something was not noted. */
MUST_USE result rewrites_collect(struct compaction *compaction);

#endif
