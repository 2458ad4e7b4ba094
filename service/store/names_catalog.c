#include "service/store/names_catalog.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"

#define TABLE_NAME_BYTES 16

/* The record of a run, key and value in one; see names_catalog.h. */
#define RECORD_KEY_BYTES    8
#define RECORD_SUMMED_BYTES 32
#define RECORD_BYTES        36

_Static_assert(NAMES_TABLES_COUNT <= 99, "a table's name has two digits");

struct record_bytes {
    uint8_t bytes[RECORD_BYTES];
};

static struct record_bytes record_of(const struct names_run *run) {
    const uint64_t numbers[3] = {htobe64(run->position_first), htobe64(run->position_last),
                                 htobe64(run->entries_count)};
    const uint32_t small[2] = {htobe32(run->level), htobe32(run->number)};
    struct record_bytes record;
    _Static_assert(sizeof numbers + sizeof small == RECORD_SUMMED_BYTES, "a record has no gap");
    memcpy(record.bytes, numbers, sizeof numbers);
    memcpy(record.bytes + sizeof numbers, small, sizeof small);
    const uint32_t checksum = htole32(checksum_crc32c(bytes_of(record.bytes, RECORD_SUMMED_BYTES)));
    memcpy(record.bytes + RECORD_SUMMED_BYTES, &checksum, sizeof checksum);
    return record;
}

/* Reads the record of a run; false: it is not what record_of makes. */
static bool record_take(const struct names_catalog *catalog, const MDB_val *key, const MDB_val *value,
                        struct names_run *ret_run) {
    struct record_bytes record;
    if (key->mv_size != RECORD_KEY_BYTES || value->mv_size != RECORD_BYTES - RECORD_KEY_BYTES) return false;
    memcpy(record.bytes, key->mv_data, key->mv_size);
    memcpy(record.bytes + RECORD_KEY_BYTES, value->mv_data, value->mv_size);
    uint64_t numbers[3];
    uint32_t small[2];
    uint32_t checksum;
    memcpy(numbers, record.bytes, sizeof numbers);
    memcpy(small, record.bytes + sizeof numbers, sizeof small);
    memcpy(&checksum, record.bytes + RECORD_SUMMED_BYTES, sizeof checksum);
    if (le32toh(checksum) != checksum_crc32c(bytes_of(record.bytes, RECORD_SUMMED_BYTES))) return false;
    const uint32_t number = be32toh(small[1]);
    if (number >= NAMES_TABLES_COUNT) return false;
    *ret_run = (struct names_run){.table = catalog->tables[number].table,
                                  .number = number,
                                  .level = be32toh(small[0]),
                                  .state = NAMES_RUN_LISTED,
                                  .position_first = be64toh(numbers[0]),
                                  .position_last = be64toh(numbers[1]),
                                  .entries_count = be64toh(numbers[2])};
    return ret_run->level < NAMES_LEVELS_COUNT && ret_run->position_first <= ret_run->position_last;
}

/* Runs follow each other from position 1 on, older ones on higher levels, each in a table of its own with all its entries. */
static result run_check(const struct names_run *runs, uint32_t at, MDB_txn *transaction) {
    const struct names_run *run = &runs[at];
    const uint64_t position_expected = at == 0 ? 1 : runs[at - 1].position_last + 1;
    const uint32_t level_max = at == 0 ? NAMES_LEVELS_COUNT : runs[at - 1].level;
    bool is_sound = run->position_first == position_expected && run->level <= level_max;
    for (uint32_t index = 0; index < at; index++) is_sound = is_sound && runs[index].number != run->number;
    MDB_stat statistics;
    TRY(environment_result(mdb_stat(transaction, run->table, &statistics), "look at a names run"));
    is_sound = is_sound && statistics.ms_entries == run->entries_count;
    return is_sound ? RESULT_OK : failure_result(FAILURE_CORRUPT);
}

static result list_read(const struct names_catalog *catalog, MDB_cursor *cursor,
                        struct names_run ret_runs[NAMES_TABLES_COUNT], uint32_t *ret_count) {
    for (uint32_t count = 0;; count++) {
        MDB_val key;
        MDB_val value;
        const int code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (code == MDB_NOTFOUND) {
            *ret_count = count;
            return RESULT_OK;
        }
        TRY(environment_result(code, "read the list of names runs"));
        const bool is_sound = count < NAMES_TABLES_COUNT && record_take(catalog, &key, &value, &ret_runs[count]);
        if (!is_sound) return failure_result(FAILURE_CORRUPT);
        TRY(run_check(ret_runs, count, mdb_cursor_txn(cursor)));
    }
}

result names_catalog_list(const struct names_catalog *catalog, MDB_txn *transaction,
                          struct names_run ret_runs[NAMES_TABLES_COUNT], uint32_t *ret_count) {
    MDB_cursor *cursor;
    TRY(environment_result(mdb_cursor_open(transaction, catalog->list, &cursor), "open the list of names runs"));
    const result outcome = list_read(catalog, cursor, ret_runs, ret_count);
    mdb_cursor_close(cursor);
    return outcome;
}

static result tables_open(struct names_catalog *catalog, MDB_txn *transaction) {
    TRY(environment_result(mdb_dbi_open(transaction, "names", MDB_CREATE, &catalog->list), "open a table of names"));
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        char name[TABLE_NAME_BYTES];
        (void)snprintf(name, sizeof name, "names %02" PRIu32, number);
        struct names_run *run = &catalog->tables[number];
        run->number = number;
        TRY(environment_result(mdb_dbi_open(transaction, name, MDB_CREATE, &run->table), "open a table of names"));
    }
    return RESULT_OK;
}

/* Fills the states of the tables; a list that is not sound is emptied. */
static result catalog_read(struct names_catalog *catalog, MDB_txn *transaction) {
    TRY(tables_open(catalog, transaction));
    struct names_run runs[NAMES_TABLES_COUNT];
    uint32_t count = 0;
    const result listed = names_catalog_list(catalog, transaction, runs, &count);
    if (listed.failure == FAILURE_CORRUPT) {
        log_warn("the names are begun anew", "reason", "their catalogue is damaged");
        return environment_result(mdb_drop(transaction, catalog->list, 0), "empty the list of names runs");
    }
    TRY(listed);
    for (uint32_t index = 0; index < count; index++) catalog->tables[runs[index].number] = runs[index];
    return RESULT_OK;
}

result names_catalog_open(struct environment *environment, struct names_catalog *ret_catalog) {
    memset(ret_catalog, 0, sizeof *ret_catalog);
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "open the names"));
    const result outcome = catalog_read(ret_catalog, transaction);
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    /* The names and records of the tables, when they are new. */
    TRY(environment_commit(environment, transaction, NAMES_TABLES_COUNT * KIB(1)));
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        if (ret_catalog->tables[number].state == NAMES_RUN_LISTED) continue;
        TRY(names_catalog_empty(environment, &ret_catalog->tables[number]));
    }
    return RESULT_OK;
}

uint32_t names_catalog_level(struct names_catalog *catalog, uint32_t level,
                             struct names_run *ret_runs[NAMES_TABLES_COUNT]) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        struct names_run *run = &catalog->tables[number];
        if (run->state != NAMES_RUN_LISTED || run->level != level) continue;
        uint32_t place = count++;
        while (place > 0 && ret_runs[place - 1]->position_first > run->position_first) {
            ret_runs[place] = ret_runs[place - 1];
            place--;
        }
        ret_runs[place] = run;
    }
    return count;
}

bool names_catalog_has_room(const struct names_catalog *catalog, uint32_t level) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        const struct names_run *run = &catalog->tables[number];
        if (run->state != NAMES_RUN_FREE && run->level == level) count++;
    }
    return count < NAMES_LEVEL_RUNS_COUNT_MAX;
}

uint32_t names_catalog_count(const struct names_catalog *catalog) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        if (catalog->tables[number].state == NAMES_RUN_LISTED) count++;
    }
    return count;
}

uint64_t names_catalog_position(const struct names_catalog *catalog) {
    uint64_t position = 0;
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        const struct names_run *run = &catalog->tables[number];
        if (run->state == NAMES_RUN_LISTED && run->position_last > position) position = run->position_last;
    }
    return position;
}

struct names_run *names_catalog_take(struct names_catalog *catalog, uint32_t level, uint64_t position_first,
                                     uint64_t position_last) {
    assert(level < NAMES_LEVELS_COUNT && names_catalog_has_room(catalog, level));
    struct names_run *run = catalog->tables;
    while (run->state != NAMES_RUN_FREE) run++; /* there is one: no level has more than its share */
    run->state = NAMES_RUN_WRITING;
    run->level = level;
    run->position_first = position_first;
    run->position_last = position_last;
    run->entries_count = 0;
    return run;
}

result names_catalog_put(const struct names_catalog *catalog, MDB_txn *transaction, const struct names_run *run) {
    struct record_bytes record = record_of(run);
    MDB_val key = {.mv_size = RECORD_KEY_BYTES, .mv_data = record.bytes};
    MDB_val value = {.mv_size = RECORD_BYTES - RECORD_KEY_BYTES, .mv_data = record.bytes + RECORD_KEY_BYTES};
    return environment_result(mdb_put(transaction, catalog->list, &key, &value, MDB_NOOVERWRITE), "list a names run");
}

result names_catalog_remove(const struct names_catalog *catalog, MDB_txn *transaction, const struct names_run *run) {
    struct record_bytes record = record_of(run);
    MDB_val key = {.mv_size = RECORD_KEY_BYTES, .mv_data = record.bytes};
    return environment_result(mdb_del(transaction, catalog->list, &key, NULL), "unlist a names run");
}

result names_catalog_clear(struct names_catalog *catalog, struct environment *environment) {
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "begin the names anew"));
    const result outcome = environment_result(mdb_drop(transaction, catalog->list, 0), "empty the list of names runs");
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    TRY(environment_commit(environment, transaction, KIB(4)));
    for (uint32_t number = 0; number < NAMES_TABLES_COUNT; number++) {
        if (catalog->tables[number].state != NAMES_RUN_FREE) catalog->tables[number].state = NAMES_RUN_RETIRED;
    }
    return RESULT_OK;
}

static result table_drop(MDB_txn *transaction, const struct names_run *run, uint64_t *ret_bytes_written) {
    MDB_stat statistics;
    TRY(environment_result(mdb_stat(transaction, run->table, &statistics), "empty a table of names"));
    *ret_bytes_written = 0;
    if (statistics.ms_entries == 0) return RESULT_OK;
    /* The commit writes the list of the pages that are free now. */
    *ret_bytes_written = (statistics.ms_leaf_pages + statistics.ms_branch_pages) * sizeof(size_t);
    return environment_result(mdb_drop(transaction, run->table, 0), "empty a table of names");
}

result names_catalog_empty(struct environment *environment, struct names_run *run) {
    assert(run->state != NAMES_RUN_LISTED);
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "empty a table of names"));
    uint64_t bytes_written;
    const result outcome = table_drop(transaction, run, &bytes_written);
    if (failed(outcome) || bytes_written == 0) {
        mdb_txn_abort(transaction);
        TRY(outcome);
    } else {
        TRY(environment_commit(environment, transaction, bytes_written));
    }
    run->state = NAMES_RUN_FREE;
    return RESULT_OK;
}
