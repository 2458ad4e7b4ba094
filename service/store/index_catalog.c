#include "service/store/index_catalog.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"

#define TABLE_NAME_BYTES 16

/* The record of a run, key and value in one; see index_catalog.h. */
#define RECORD_KEY_BYTES    8
#define RECORD_SUMMED_BYTES 52
#define RECORD_BYTES        56

struct record_bytes {
    uint8_t bytes[RECORD_BYTES];
};

_Static_assert(INDEX_TABLES_COUNT <= 999, "a table's name has three digits");

static struct record_bytes record_of(const struct index_run *run) {
    const uint64_t numbers[5] = {htobe64(run->position_first), htobe64(run->position_last), htobe64(run->entries_count),
                                 htobe64(run->terms_count), htobe64(run->ids_count)};
    const uint32_t small[3] = {htobe32(run->level), htobe32(run->filter.number), htobe32(run->filter.blocks_count)};
    struct record_bytes record;
    _Static_assert(sizeof numbers + sizeof small == RECORD_SUMMED_BYTES, "a record has no gap");
    memcpy(record.bytes, numbers, sizeof numbers);
    memcpy(record.bytes + sizeof numbers, small, sizeof small);
    const uint32_t checksum = htole32(checksum_crc32c(bytes_of(record.bytes, RECORD_SUMMED_BYTES)));
    memcpy(record.bytes + RECORD_SUMMED_BYTES, &checksum, sizeof checksum);
    return record;
}

static MDB_val record_key(struct record_bytes *record) {
    return (MDB_val){.mv_size = RECORD_KEY_BYTES, .mv_data = record->bytes};
}

static MDB_val record_value(struct record_bytes *record) {
    return (MDB_val){.mv_size = RECORD_BYTES - RECORD_KEY_BYTES, .mv_data = record->bytes + RECORD_KEY_BYTES};
}

/* Fills the run of a record's table; false when the record is not what record_of makes. */
static bool record_take(struct index_catalog *catalog, const MDB_val *key, const MDB_val *value) {
    struct record_bytes record;
    if (key->mv_size != RECORD_KEY_BYTES || value->mv_size != RECORD_BYTES - RECORD_KEY_BYTES) return false;
    memcpy(record.bytes, key->mv_data, key->mv_size);
    memcpy(record.bytes + RECORD_KEY_BYTES, value->mv_data, value->mv_size);
    uint64_t numbers[5];
    uint32_t small[3];
    uint32_t checksum;
    memcpy(numbers, record.bytes, sizeof numbers);
    memcpy(small, record.bytes + sizeof numbers, sizeof small);
    memcpy(&checksum, record.bytes + RECORD_SUMMED_BYTES, sizeof checksum);
    if (le32toh(checksum) != checksum_crc32c(bytes_of(record.bytes, RECORD_SUMMED_BYTES))) return false;
    const uint32_t number = be32toh(small[1]);
    if (number >= INDEX_TABLES_COUNT || catalog->tables[number].state != INDEX_RUN_FREE) return false;
    struct index_run *run = &catalog->tables[number];
    run->position_first = be64toh(numbers[0]);
    run->position_last = be64toh(numbers[1]);
    run->entries_count = be64toh(numbers[2]);
    run->terms_count = be64toh(numbers[3]);
    run->ids_count = be64toh(numbers[4]);
    run->filter.blocks_count = be32toh(small[2]);
    run->filter.seed = index_filter_seed(run->position_first, run->position_last);
    run->level = be32toh(small[0]);
    run->state = INDEX_RUN_LISTED;
    return run->level < INDEX_LEVELS_COUNT && run->position_first <= run->position_last && run->filter.blocks_count > 0;
}

static result meta_write(const struct index_catalog *catalog, MDB_txn *transaction, struct bytes name,
                         struct bytes content) {
    MDB_val key = {.mv_size = name.size, .mv_data = (void *)(uintptr_t)name.data};
    MDB_val value = {.mv_size = content.size, .mv_data = (void *)(uintptr_t)content.data};
    return environment_result(mdb_put(transaction, catalog->meta, &key, &value, 0), "write the index's meta");
}

static result meta_compare(const struct index_catalog *catalog, MDB_txn *transaction, struct bytes name,
                           struct bytes content) {
    MDB_val key = {.mv_size = name.size, .mv_data = (void *)(uintptr_t)name.data};
    MDB_val value;
    const int code = mdb_get(transaction, catalog->meta, &key, &value);
    if (code == MDB_NOTFOUND) return failure_result(FAILURE_FORMAT);
    TRY(environment_result(code, "read the index's meta"));
    const bool is_equal = bytes_equal(bytes_of(value.mv_data, value.mv_size), content);
    return is_equal ? RESULT_OK : failure_result(FAILURE_FORMAT);
}

/* Writes meta into a new index, or compares it with what it should be. */
static result meta_check(const struct index_catalog *catalog, MDB_txn *transaction, const char *store_id, bool is_new,
                         struct problem *ret_problem) {
    const uint32_t format = htole32(INDEX_FORMAT);
    const struct bytes format_name = bytes_of_text("format");
    const struct bytes format_content = bytes_of(&format, sizeof format);
    const struct bytes store_name = bytes_of_text("store");
    const struct bytes store_content = bytes_of_text(store_id);
    if (is_new) {
        TRY(meta_write(catalog, transaction, format_name, format_content));
        return meta_write(catalog, transaction, store_name, store_content);
    }
    result outcome = meta_compare(catalog, transaction, format_name, format_content);
    if (failed(outcome)) {
        problem_set(ret_problem, "it has another format");
        return outcome;
    }
    outcome = meta_compare(catalog, transaction, store_name, store_content);
    if (failed(outcome)) problem_set(ret_problem, "it is of another store");
    return outcome;
}

/* "ids" as it is stored. */
struct ids_bytes {
    uint8_t bytes[12];
};

static struct ids_bytes ids_of(uint64_t ids_position_first) {
    const uint64_t stored = htole64(ids_position_first);
    const uint32_t checksum = htole32(checksum_crc32c(bytes_of(&stored, sizeof stored)));
    struct ids_bytes ids;
    memcpy(ids.bytes, &stored, sizeof stored);
    memcpy(ids.bytes + sizeof stored, &checksum, sizeof checksum);
    return ids;
}

result index_catalog_ids_put(const struct index_catalog *catalog, MDB_txn *transaction, uint64_t ids_position_first) {
    const struct ids_bytes ids = ids_of(ids_position_first);
    return meta_write(catalog, transaction, bytes_of_text("ids"), bytes_of(ids.bytes, sizeof ids.bytes));
}

static result ids_read(struct index_catalog *catalog, MDB_txn *transaction) {
    MDB_val key = {.mv_size = 3, .mv_data = (void *)(uintptr_t) "ids"};
    MDB_val value;
    catalog->ids_position_first = 1;
    const int code = mdb_get(transaction, catalog->meta, &key, &value);
    if (code == MDB_NOTFOUND) return RESULT_OK;
    TRY(environment_result(code, "read the index's meta"));
    uint64_t stored = 0;
    if (value.mv_size == sizeof(struct ids_bytes)) memcpy(&stored, value.mv_data, sizeof stored);
    const struct ids_bytes expected = ids_of(le64toh(stored));
    if (!bytes_equal(bytes_of(value.mv_data, value.mv_size), bytes_of(expected.bytes, sizeof expected.bytes))) {
        return failure_result(FAILURE_CORRUPT);
    }
    catalog->ids_position_first = le64toh(stored);
    return RESULT_OK;
}

static result runs_read(struct index_catalog *catalog, MDB_txn *transaction) {
    MDB_cursor *cursor;
    TRY(environment_result(mdb_cursor_open(transaction, catalog->runs, &cursor), "open the index's catalog"));
    result outcome = RESULT_OK;
    while (!failed(outcome)) {
        MDB_val key;
        MDB_val value;
        outcome = environment_result(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), "read the index's catalog");
        if (!failed(outcome) && !record_take(catalog, &key, &value)) outcome = failure_result(FAILURE_CORRUPT);
    }
    mdb_cursor_close(cursor);
    return outcome.failure == FAILURE_NOT_FOUND ? RESULT_OK : outcome;
}

/* The runs must follow each other from position 1 on without a gap, older ones on higher levels, each with as many blocks
 * as its entries fill. */
static result runs_check(struct index_catalog *catalog, MDB_txn *transaction) {
    struct index_run *runs[INDEX_TABLES_COUNT];
    const uint32_t count = index_catalog_runs(catalog, runs);
    for (uint32_t index = 0; index < count; index++) {
        const struct index_run *run = runs[index];
        const uint64_t position_expected = index == 0 ? 1 : runs[index - 1]->position_last + 1;
        const uint32_t level_max = index == 0 ? INDEX_LEVELS_COUNT : runs[index - 1]->level;
        const uint64_t blocks_expected =
            (run->entries_count + INDEX_BLOCK_ENTRIES_COUNT_MAX - 1) / INDEX_BLOCK_ENTRIES_COUNT_MAX;
        MDB_stat statistics;
        TRY(environment_result(mdb_stat(transaction, run->table, &statistics), "look at a run"));
        if (run->position_first != position_expected || run->level > level_max ||
            statistics.ms_entries != blocks_expected) {
            return failure_result(FAILURE_CORRUPT);
        }
    }
    return RESULT_OK;
}

static result tables_open(struct index_catalog *catalog, MDB_txn *transaction) {
    TRY(environment_result(mdb_dbi_open(transaction, "meta", MDB_CREATE, &catalog->meta), "open a table of the index"));
    TRY(environment_result(mdb_dbi_open(transaction, "runs", MDB_CREATE, &catalog->runs), "open a table of the index"));
    const int filters_code = mdb_dbi_open(transaction, "filters", MDB_CREATE, &catalog->filters);
    TRY(environment_result(filters_code, "open a table of the index"));
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        char name[TABLE_NAME_BYTES];
        (void)snprintf(name, sizeof name, "run %03" PRIu32, number);
        struct index_run *run = &catalog->tables[number];
        run->filter = (struct index_filter){.table = catalog->filters, .number = number};
        TRY(environment_result(mdb_dbi_open(transaction, name, MDB_CREATE, &run->table), "open a table of the index"));
    }
    return RESULT_OK;
}

static result catalog_read(struct index_catalog *catalog, MDB_txn *transaction, const char *store_id, bool is_new,
                           struct problem *ret_problem) {
    TRY(tables_open(catalog, transaction));
    TRY(meta_check(catalog, transaction, store_id, is_new, ret_problem));
    TRY(ids_read(catalog, transaction));
    TRY(runs_read(catalog, transaction));
    return runs_check(catalog, transaction);
}

static result filters_map(struct index_catalog *catalog, struct environment *environment) {
    MDB_txn *reader;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, MDB_RDONLY, &reader), "read the filters"));
    result outcome = RESULT_OK;
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT && !failed(outcome); number++) {
        struct index_run *run = &catalog->tables[number];
        if (run->state != INDEX_RUN_LISTED) continue;
        outcome = index_filter_reserve(&run->filter);
        if (!failed(outcome)) outcome = index_filter_map(&run->filter, reader);
    }
    mdb_txn_abort(reader);
    return outcome;
}

result index_catalog_open(struct environment *environment, const char *store_id, struct index_catalog *ret_catalog,
                          struct problem *ret_problem) {
    memset(ret_catalog, 0, sizeof *ret_catalog);
    MDB_stat statistics;
    TRY(environment_result(mdb_env_stat(environment->handle, &statistics), "open the index"));
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "open the index"));
    struct problem problem = {.text = "its catalog is damaged"};
    const result outcome = catalog_read(ret_catalog, transaction, store_id, statistics.ms_entries == 0, &problem);
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        *ret_problem = problem;
        return outcome;
    }
    /* The names and records of the tables, when the index is new. */
    TRY(environment_commit(environment, transaction, INDEX_TABLES_COUNT * KIB(1)));
    const result mapped = filters_map(ret_catalog, environment);
    if (failed(mapped)) {
        index_catalog_close(ret_catalog);
        *ret_problem = problem;
    }
    return mapped;
}

void index_catalog_close(struct index_catalog *catalog) {
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        index_filter_release(&catalog->tables[number].filter);
    }
}

result index_catalog_clean(struct index_catalog *catalog, struct environment *environment) {
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        if (catalog->tables[number].state == INDEX_RUN_LISTED) continue;
        TRY(index_catalog_empty(environment, &catalog->tables[number]));
    }
    return RESULT_OK;
}

uint32_t index_catalog_runs(struct index_catalog *catalog, struct index_run *ret_runs[INDEX_TABLES_COUNT]) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        struct index_run *run = &catalog->tables[number];
        if (run->state != INDEX_RUN_LISTED) continue;
        uint32_t place = count++;
        while (place > 0 && ret_runs[place - 1]->position_first > run->position_first) {
            ret_runs[place] = ret_runs[place - 1];
            place--;
        }
        ret_runs[place] = run;
    }
    return count;
}

uint32_t index_catalog_level_count(const struct index_catalog *catalog, uint32_t level) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        const struct index_run *run = &catalog->tables[number];
        if (run->state != INDEX_RUN_FREE && run->level == level) count++;
    }
    return count;
}

result index_catalog_take(struct index_catalog *catalog, uint32_t level, uint64_t terms_count_max,
                          struct index_run **ret_run) {
    assert(level < INDEX_LEVELS_COUNT && index_catalog_level_count(catalog, level) < INDEX_LEVEL_RUNS_COUNT_MAX);
    struct index_run *run = catalog->tables;
    while (run->state != INDEX_RUN_FREE) run++; /* there is one: no level has more than its share */
    run->filter.blocks_count = index_filter_blocks_count(terms_count_max);
    TRY(index_filter_reserve(&run->filter));
    run->state = INDEX_RUN_WRITING;
    run->level = level;
    run->entries_count = 0;
    run->terms_count = 0;
    run->ids_count = 0;
    *ret_run = run;
    return RESULT_OK;
}

void index_catalog_give(struct index_run *run) {
    assert(run->state != INDEX_RUN_LISTED && atomic_load_explicit(&run->views_count, memory_order_acquire) == 0);
    run->state = INDEX_RUN_FREE;
    index_filter_release(&run->filter);
}

result index_catalog_put(const struct index_catalog *catalog, MDB_txn *transaction, const struct index_run *run) {
    struct record_bytes record = record_of(run);
    MDB_val key = record_key(&record);
    MDB_val value = record_value(&record);
    return environment_result(mdb_put(transaction, catalog->runs, &key, &value, MDB_NOOVERWRITE), "list a run");
}

result index_catalog_remove(const struct index_catalog *catalog, MDB_txn *transaction, const struct index_run *run) {
    struct record_bytes record = record_of(run);
    MDB_val key = record_key(&record);
    return environment_result(mdb_del(transaction, catalog->runs, &key, NULL), "unlist a run");
}

/* Drops the run's records. `ret_bytes_written`: what environment_commit wants to know; 0: there were none. */
static result table_drop(MDB_txn *transaction, const struct index_run *run, uint64_t *ret_bytes_written) {
    MDB_stat statistics;
    TRY(environment_result(mdb_stat(transaction, run->table, &statistics), "empty a table of the index"));
    if (statistics.ms_entries > 0) {
        TRY(environment_result(mdb_drop(transaction, run->table, 0), "empty a table of the index"));
    }
    uint64_t chunks_count;
    TRY(index_filter_remove(&run->filter, transaction, &chunks_count));
    /* The commit writes the list of the pages that are free now. */
    const uint64_t filter_pages = chunks_count * INDEX_FILTER_CHUNK_PAGES_COUNT;
    *ret_bytes_written = (statistics.ms_leaf_pages + statistics.ms_branch_pages + filter_pages) * sizeof(size_t);
    return RESULT_OK;
}

result index_catalog_empty(struct environment *environment, struct index_run *run) {
    assert(run->state != INDEX_RUN_LISTED);
    MDB_txn *transaction;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "empty a table of the index"));
    uint64_t bytes_written;
    const result outcome = table_drop(transaction, run, &bytes_written);
    if (failed(outcome) || bytes_written == 0) {
        mdb_txn_abort(transaction);
        TRY(outcome);
    } else {
        TRY(environment_commit(environment, transaction, bytes_written));
    }
    index_catalog_give(run);
    return RESULT_OK;
}
