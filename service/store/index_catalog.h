/* index_catalog.h: which tables of DIR/index are runs, and whose index it is.
 *
 * Table `meta`: "format" = INDEX_FORMAT (4 bytes, little-endian), "store" = the store's id, "ids" = the position from which on
 * all ids are kept (8 bytes, little-endian, then their CRC32C; not there: all are).
 * Table `runs`, one record a run; a run counts only once it is here, in the transaction that completes it:
 *   key     first position (8 bytes, big-endian)
 *   value   last position (8), entries (8), terms (8), ids (8), level (4), number of its table (4), blocks of its filter (4), all
 *           big-endian; CRC32C of key and value before it (4 bytes, little-endian)
 * Tables `run 000`.. : INDEX_TABLES_COUNT of them, made with the index; each is empty, a run, or (after a crash) the rest
 * of one, which is emptied when the index is opened. Table `filters`: the filters of the runs, by number of table.
 *
 * How many tables. A level has at most INDEX_LEVEL_RUNS_COUNT_MAX runs: eight being merged and eight that arrive
 * meanwhile; runs that are written or wait to be emptied count, too. Seven levels: a run of level 6 holds 65,536 * 8^6 =
 * 17 * 10^9 events and takes 33 bytes each, more than the map. A transaction that begins touches 48 bytes a table: 112
 * tables cost a query 0.1 us.
 *
 * Ownership: struct index_catalog is part of the index; handles live as long as the environment.
 * Threads: open to nobody else, the rest to the index thread.
 * Errors: those of environment_result, and what is said at each function. */
#ifndef SERVICE_STORE_INDEX_CATALOG_H
#define SERVICE_STORE_INDEX_CATALOG_H

#include "service/store/environment.h"
#include "service/store/index_run.h"

#define INDEX_FORMAT               5
#define INDEX_LEVELS_COUNT         7
#define INDEX_LEVEL_RUNS_COUNT_MAX (2 * INDEX_RUNS_MERGED_COUNT)
#define INDEX_TABLES_COUNT         (INDEX_LEVELS_COUNT * INDEX_LEVEL_RUNS_COUNT_MAX)
/* For environment_open: the runs, `meta`, `runs` and `filters`. */
#define INDEX_ENVIRONMENT_TABLES_COUNT (INDEX_TABLES_COUNT + 3)

struct index_catalog {
    MDB_dbi meta;
    MDB_dbi runs;
    MDB_dbi filters;
    uint64_t ids_position_first; /* ids of the events before it may have been dropped */
    struct index_run tables[INDEX_TABLES_COUNT];
};

/* Opens the tables of an environment, or makes them in an empty one. FAILURE_FORMAT: of another format or another store;
 * FAILURE_CORRUPT: the runs are not disjoint, ascending and complete with their filters; both with a problem. */
MUST_USE result index_catalog_open(struct environment *environment, const char *store_id,
                                   struct index_catalog *ret_catalog, struct problem *ret_problem);

/* Frees what it has in memory; before the environment is closed. A zeroed one is allowed. */
void index_catalog_close(struct index_catalog *catalog);

/* Empties the tables that are not listed; each in a transaction of its own. */
MUST_USE result index_catalog_clean(struct index_catalog *catalog, struct environment *environment);

/* The listed runs, ascending. Returns their number. */
uint32_t index_catalog_runs(struct index_catalog *catalog, struct index_run *ret_runs[INDEX_TABLES_COUNT]);

/* How many tables a level has in use, whatever for. */
uint32_t index_catalog_level_count(const struct index_catalog *catalog, uint32_t level);

/* Takes a free table for a run that is written now, with a filter for this many terms. The level has room. FAILURE_MEMORY. */
MUST_USE result index_catalog_take(struct index_catalog *catalog, uint32_t level, uint64_t terms_count_max,
                                   struct index_run **ret_run);
/* Gives it back, empty. */
void index_catalog_give(struct index_run *run);

MUST_USE result index_catalog_put(const struct index_catalog *catalog, MDB_txn *transaction,
                                  const struct index_run *run);
MUST_USE result index_catalog_remove(const struct index_catalog *catalog, MDB_txn *transaction,
                                     const struct index_run *run);

/* Notes that ids before a position are dropped, in the transaction that does it. The catalog itself is changed by the caller
 * after the commit. */
MUST_USE result index_catalog_ids_put(const struct index_catalog *catalog, MDB_txn *transaction,
                                      uint64_t ids_position_first);

/* Empties the table of a run that nothing shows or lists, in a transaction of its own, and gives it back. */
MUST_USE result index_catalog_empty(struct environment *environment, struct index_run *run);

#endif
