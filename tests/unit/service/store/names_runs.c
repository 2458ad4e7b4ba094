#include "tests/unit/service/store/names_runs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void environment_begin(struct names_runs *runs) {
    const struct environment_options options = {
        .directory = runs->directory.path, .map_bytes = MIB(256), .tables_count_max = NAMES_ENVIRONMENT_TABLES_COUNT};
    struct problem problem;
    cr_assert_eq(environment_open(&options, &runs->environment, &problem).failure, FAILURE_NONE);
    cr_assert_eq(names_catalog_open(&runs->environment, &runs->catalog).failure, FAILURE_NONE);
}

struct names_runs *names_runs_open(void) {
    struct names_runs *runs = calloc(1, sizeof *runs);
    cr_assert_not_null(runs);
    runs->directory = temporary_directory_make();
    environment_begin(runs);
    return runs;
}

struct names_runs *names_runs_close(struct names_runs *runs) {
    environment_close(&runs->environment);
    temporary_directory_remove(&runs->directory);
    free(runs);
    return NULL;
}

void names_runs_reopen(struct names_runs *runs) {
    environment_close(&runs->environment);
    environment_begin(runs);
}

struct names_run *names_runs_write(struct names_runs *runs, uint64_t position_first, uint64_t position_last,
                                   const char *const *names, uint32_t count) {
    struct names_run *run = names_catalog_take(&runs->catalog, 0, position_first, position_last);
    struct names_writer writer;
    names_writer_init(&writer, &runs->environment, run);
    cr_assert_eq(names_writer_begin(&writer).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < count; index++) {
        if (index == count / 2) { /* over two transactions */
            cr_assert_eq(names_writer_commit(&writer).failure, FAILURE_NONE);
            cr_assert_eq(names_writer_begin(&writer).failure, FAILURE_NONE);
        }
        uint8_t key[NAMES_KEY_BYTES_MAX] = {TERM_STREAM};
        memcpy(key + 1, names[index], strlen(names[index]));
        const struct names_entry entry = {.key = bytes_of(key, 1 + strlen(names[index])),
                                          .figures = {.events_count = 1 + index,
                                                      .bytes_count = position_first * 1000 + index,
                                                      .position_first = position_first,
                                                      .position_last = position_last}};
        cr_assert_eq(names_writer_add(&writer, &entry).failure, FAILURE_NONE);
    }
    cr_assert_eq(names_catalog_put(&runs->catalog, writer.transaction, run).failure, FAILURE_NONE);
    cr_assert_eq(names_writer_commit(&writer).failure, FAILURE_NONE);
    run->state = NAMES_RUN_LISTED;
    return run;
}

MDB_txn *names_runs_read(const struct names_runs *runs) {
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(runs->environment.handle, NULL, MDB_RDONLY, &transaction), 0);
    return transaction;
}

void names_runs_read_end(MDB_txn *transaction) {
    mdb_txn_abort(transaction);
}
