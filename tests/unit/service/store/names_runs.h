/* names_runs.h: an environment with a names catalogue, for tests of runs and merges without an index.
 *
 * Ownership: the caller closes. Threads: one. Errors: what fails is an assertion of Criterion. */
#ifndef TESTS_UNIT_SERVICE_STORE_NAMES_RUNS_H
#define TESTS_UNIT_SERVICE_STORE_NAMES_RUNS_H

#include "service/store/names_catalog.h"
#include "tests/support/temporary_directory.h"

struct names_runs {
    struct temporary_directory directory;
    struct environment environment;
    struct names_catalog catalog;
};

struct names_runs *names_runs_open(void);
struct names_runs *names_runs_close(struct names_runs *runs);
/* Closes the environment and opens it again. */
void names_runs_reopen(struct names_runs *runs);

/* Writes and lists a run of level 0 with the streams of a sorted list of names; the figures follow from the position. */
struct names_run *names_runs_write(struct names_runs *runs, uint64_t position_first, uint64_t position_last,
                                   const char *const *names, uint32_t count);

/* A read transaction; names_runs_read_end. */
MDB_txn *names_runs_read(const struct names_runs *runs);
void names_runs_read_end(MDB_txn *transaction);

#endif
