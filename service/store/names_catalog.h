/* names_catalog.h: which tables of DIR/index are names runs.
 *
 * Table `names`, one record a run; a run counts only once it is here, in the transaction that completes it:
 *   key     first position (8 bytes, big-endian)
 *   value   last position (8), entries (8), level (4), number of its table (4), all big-endian; CRC32C of key and value before
 *           it (4 bytes, little-endian)
 * Tables `names 00`.. : NAMES_TABLES_COUNT of them, made with the catalogue; each is empty, a run, or (after a crash) the rest
 * of one, which is emptied when the catalogue is opened.
 *
 * A query reads the list in its own transaction: it sees the runs as they were at one moment, and LMDB keeps their pages.
 *
 * How many tables. A level has at most NAMES_LEVEL_RUNS_COUNT_MAX runs: eight being merged, and four that arrive meanwhile or
 * wait to be emptied; nobody waits for names, so that is enough. Seven levels, as the index has.
 *
 * Ownership: part of the index; handles live as long as the environment.
 * Threads: open to nobody else, list any with its own transaction, the rest the index thread.
 * Errors: FAILURE_CORRUPT (the list is not what was written), and what environment_result says. */
#ifndef SERVICE_STORE_NAMES_CATALOG_H
#define SERVICE_STORE_NAMES_CATALOG_H

#include "service/store/index_catalog.h"
#include "service/store/names_run.h"

#define NAMES_LEVELS_COUNT         INDEX_LEVELS_COUNT
#define NAMES_LEVEL_RUNS_COUNT_MAX (INDEX_RUNS_MERGED_COUNT + INDEX_RUNS_MERGED_COUNT / 2)
#define NAMES_TABLES_COUNT         (NAMES_LEVELS_COUNT * NAMES_LEVEL_RUNS_COUNT_MAX)
/* For environment_open: the runs and `names`. */
#define NAMES_ENVIRONMENT_TABLES_COUNT (NAMES_TABLES_COUNT + 1)

struct names_catalog {
    MDB_dbi list;
    struct names_run tables[NAMES_TABLES_COUNT];
};

/* Opens the tables of an environment, or makes them. What is not a sound catalogue is emptied, with a log line; so are the tables
 * that are not listed. */
MUST_USE result names_catalog_open(struct environment *environment, struct names_catalog *ret_catalog);

/* The listed runs as a transaction sees them, ascending. Their states are of no use. */
MUST_USE result names_catalog_list(const struct names_catalog *catalog, MDB_txn *transaction,
                                   struct names_run ret_runs[NAMES_TABLES_COUNT], uint32_t *ret_count);

/* The listed runs of a level, ascending. Returns their number. */
uint32_t names_catalog_level(struct names_catalog *catalog, uint32_t level,
                             struct names_run *ret_runs[NAMES_TABLES_COUNT]);
/* Whether a level has a table left for one more run. */
bool names_catalog_has_room(const struct names_catalog *catalog, uint32_t level);
/* Listed runs; the last position of the last of them. */
uint32_t names_catalog_count(const struct names_catalog *catalog);
uint64_t names_catalog_position(const struct names_catalog *catalog);

/* Takes a free table for a run that is written now. The level has room. */
struct names_run *names_catalog_take(struct names_catalog *catalog, uint32_t level, uint64_t position_first,
                                     uint64_t position_last);

MUST_USE result names_catalog_put(const struct names_catalog *catalog, MDB_txn *transaction,
                                  const struct names_run *run);
MUST_USE result names_catalog_remove(const struct names_catalog *catalog, MDB_txn *transaction,
                                     const struct names_run *run);

/* Unlists every run, in a transaction of its own; they are retired then. */
MUST_USE result names_catalog_clear(struct names_catalog *catalog, struct environment *environment);
/* Empties the table of a run that is not listed, in a transaction of its own; it is free then. */
MUST_USE result names_catalog_empty(struct environment *environment, struct names_run *run);

#endif
