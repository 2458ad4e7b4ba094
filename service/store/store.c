#include "service/store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/checksum.h"
#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

/* What a record takes in `events` besides itself and its checksum: key, node header, pointer. */
#define EVENT_OVERHEAD_BYTES 18

static result store_read_failed(const struct store *store, result outcome, struct problem *ret_problem) {
    problem_set(ret_problem, "%s/log cannot be read (%s); restore it from a backup", store->directory.path,
                failure_name(outcome.failure));
    return outcome;
}

/* The log ends before its mark. What is missing can only come from a backup. */
static result loss_tell(const struct store *store, const struct commit_mark *mark, bool loss_accepted,
                        struct problem *ret_problem) {
    const char *path = store->directory.path;
    const uint64_t last = store->position_committed;
    if (loss_accepted) {
        log_warn("the log has lost its newest commits; that is accepted", "directory", path, "position",
                 log_number(last), "position_lost_last", log_number(mark->position));
        return RESULT_OK;
    }
    char what[128] = "checkpoints, settings or erasures of its newest commit are missing";
    if (last < mark->position) {
        (void)snprintf(what, sizeof what, "it ends at position %" PRIu64 ", %" PRIu64 " to %" PRIu64 " are missing",
                       last, last + 1, mark->position);
    }
    problem_set(ret_problem,
                "%s/log has lost what was acknowledged: %s; restore it from a backup, or start once with --accept-loss "
                "to go on without it: positions are then given anew",
                path, what);
    return failure_result(FAILURE_CORRUPT);
}

/* What commit_mark_compare has found, once the log is open. */
static result log_compare(const struct store *store, enum commit_mark_state state, const struct commit_mark *mark,
                          uint64_t transaction, bool loss_accepted, struct problem *ret_problem) {
    const uint64_t last = store->position_committed;
    if (state == COMMIT_MARK_ABSENT) return RESULT_OK;
    const bool is_behind = last < mark->position || (transaction == mark->transaction && last != mark->position);
    if (state == COMMIT_MARK_KEPT && !is_behind) return RESULT_OK;
    return loss_tell(store, mark, loss_accepted, ret_problem);
}

/* Reads identity and last position within a transaction, whose commit keeps the table handles. */
static result log_read(struct store *store, MDB_txn *transaction, char ret_store_id[UUID_TEXT_BYTES + 1],
                       struct problem *ret_problem) {
    struct log_environment *log = store_log(store);
    const int code = tables_open(transaction, 0, &log->tables);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
        problem_set(ret_problem, "%s/log is damaged (a table is missing); restore it from a backup",
                    store->directory.path);
        return failure_result(FAILURE_CORRUPT);
    }
    if (code != MDB_SUCCESS) return store_read_failed(store, environment_result(code, "open tables"), ret_problem);
    TRY(log_identify(store, transaction, ret_store_id, ret_problem));

    MDB_cursor *cursor = NULL;
    result outcome =
        environment_result(mdb_cursor_open(transaction, log->tables.handles[TABLE_EVENTS], &cursor), "open a cursor");
    if (failed(outcome)) return store_read_failed(store, outcome, ret_problem);
    outcome = log_position_last(cursor, &store->position_committed);
    mdb_cursor_close(cursor);
    store->position_last = store->position_committed;
    if (!failed(outcome)) outcome = stream_bits_read(store, transaction);
    return failed(outcome) ? store_read_failed(store, outcome, ret_problem) : RESULT_OK;
}

/* The log is open and read: from here on each commit leaves its mark. */
static result mark_begin(struct store *store, const char *path, const struct store_options *options,
                         uint64_t transaction, struct problem *ret_problem) {
    struct log_environment *log = store_log(store);
    struct commit_mark newest;
    if (!options->is_inspected) log->mark_descriptor = commit_mark_open(path);
    /* The mark of a commit whose loss was accepted is no mark any more. */
    if (log->mark_descriptor >= 0 && commit_mark_read(log->mark_descriptor, &newest) &&
        newest.transaction > transaction && ftruncate(log->mark_descriptor, 0) != 0) {
        problem_set(ret_problem, "cannot write %s/" COMMIT_MARK_FILE, path);
        return failure_result(FAILURE_STORAGE);
    }
    const result marked = log_environment_mark(log, transaction, store->position_committed, !options->is_inspected);
    return failed(marked) ? store_read_failed(store, marked, ret_problem) : RESULT_OK;
}

static result log_open_at(struct store *store, const char *path, const struct store_options *options,
                          uint64_t map_bytes, char ret_store_id[UUID_TEXT_BYTES + 1], struct problem *ret_problem) {
    const struct environment_options environment_options = {.directory = path,
                                                            .map_bytes = map_bytes,
                                                            .map_may_shrink = true,
                                                            .must_exist = true,
                                                            .tables_count_max = TABLES_COUNT};
    enum commit_mark_state state = COMMIT_MARK_ABSENT;
    struct commit_mark mark = {0};
    struct log_environment *log;
    TRY(commit_mark_compare(path, !options->is_inspected, &state, &mark, ret_problem));
    TRY(log_environment_open(&environment_options, &log, ret_problem));
    atomic_store(&store->log, log);

    MDB_txn *transaction = NULL;
    result outcome =
        environment_result(mdb_txn_begin(log->environment.handle, NULL, MDB_RDONLY, &transaction), "begin");
    if (failed(outcome)) return store_read_failed(store, outcome, ret_problem);
    const uint64_t number = mdb_txn_id(transaction);
    outcome = log_read(store, transaction, ret_store_id, ret_problem);
    if (!failed(outcome)) outcome = log_compare(store, state, &mark, number, options->loss_accepted, ret_problem);
    if (failed(outcome)) {
        mdb_txn_abort(transaction);
        return outcome;
    }
    outcome = environment_result(mdb_txn_commit(transaction), "keep the tables");
    if (failed(outcome)) return store_read_failed(store, outcome, ret_problem);
    return mark_begin(store, path, options, number, ret_problem);
}

static result log_open(struct store *store, const struct store_options *options, uint64_t map_bytes,
                       char ret_store_id[UUID_TEXT_BYTES + 1], struct problem *ret_problem) {
    char *path = NULL;
    if (asprintf(&path, "%s/log", store->directory.path) < 0) return failure_result(FAILURE_MEMORY);
    const result outcome = log_open_at(store, path, options, map_bytes, ret_store_id, ret_problem);
    free(path);
    return outcome;
}

/* A directory without FORMAT: begins the store. A start that was interrupted between the log and FORMAT left a log
 * without events, which is taken; a log with events has lost its FORMAT, and nobody but its owner knows why. */
static result store_begin_anew(struct store *store, const struct store_options *options, uint64_t map_bytes,
                               struct problem *ret_problem) {
    struct stat status;
    char *path = NULL;
    if (asprintf(&path, "%s/log", store->directory.path) < 0) return failure_result(FAILURE_MEMORY);
    const bool has_log = stat(path, &status) == 0;
    free(path);
    if (!has_log) TRY(log_create(&store->directory, options->new_store_id, map_bytes, ret_problem));

    char store_id[UUID_TEXT_BYTES + 1];
    TRY(log_open(store, options, map_bytes, store_id, ret_problem));
    if (store->position_last > 0) {
        problem_set(ret_problem, "%s/log has events but %s/FORMAT is missing; restore it from a backup",
                    store->directory.path, store->directory.path);
        return failure_result(FAILURE_FORMAT);
    }
    DAYBOOK_FAILPOINT(LOG_CREATED);
    TRY(directory_format_write(&store->directory, store_id, ret_problem));
    if (options->new_store_id == NULL)
        log_info("store begun", "directory", store->directory.path, "store_id", store->directory.store_id);
    return RESULT_OK;
}

static result open_steps(const struct store_options *options, struct store *store, struct problem *ret_problem) {
    const uint64_t map_bytes = options->map_bytes != 0 ? options->map_bytes : LOG_MAP_BYTES_DEFAULT;
    const struct directory_options directory_options = {
        .path = options->directory, .remote_file_system_allowed = options->remote_file_system_allowed};
    TRY(directory_open(&directory_options, &store->directory, ret_problem));
    if (store->directory.has_store) TRY(log_repair(&store->directory, ret_problem));
    if (!store->directory.has_store) return store_begin_anew(store, options, map_bytes, ret_problem);
    char store_id[UUID_TEXT_BYTES + 1];
    return log_open(store, options, map_bytes, store_id, ret_problem);
}

result store_open(const struct store_options *options, struct store **ret_store, struct problem *ret_problem) {
    problem_set(ret_problem, "out of memory while opening %s", options->directory);
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) return failure_result(FAILURE_MEMORY);
    pthread_mutex_init(&store->mutex, NULL);
    store->stream_bits = calloc(STREAM_BITS_COUNT / 64, sizeof *store->stream_bits);
    if (store->stream_bits == NULL) {
        pthread_mutex_destroy(&store->mutex);
        free(store);
        return failure_result(FAILURE_MEMORY);
    }
    const result outcome = open_steps(options, store, ret_problem);
    if (failed(outcome)) {
        store_close(store);
        return outcome;
    }
    problem_set(ret_problem, "%s", "");
    *ret_store = store;
    return RESULT_OK;
}

struct store *store_close(struct store *store) {
    if (store == NULL) return NULL;
    assert(store->transaction == NULL && store->readers_first == NULL && store->compaction == NULL);
    log_environment_unref(store_log(store));
    directory_close(&store->directory);
    free((void *)store->stream_bits);
    rewrites_deinit(&store->rewrites);
    pthread_mutex_destroy(&store->mutex);
    free(store);
    return NULL;
}

const char *store_id(const struct store *store) {
    return store->directory.store_id;
}

const char *store_directory(const struct store *store) {
    return store->directory.path;
}

result store_begin(struct store *store) {
    assert(store->transaction == NULL);
    struct log_environment *log = store_log(store);
    TRY(environment_write_result(mdb_txn_begin(log->environment.handle, NULL, 0, &store->transaction), "begin"));
    store->bytes_written = 0;
    /* After LMDB has read them. */
    const result checked = log_environment_check(log);
    if (failed(checked)) {
        store_abort(store);
        return checked;
    }
    DAYBOOK_FAILPOINT(TRANSACTION_BEGUN);
    return RESULT_OK;
}

uint64_t store_position_last(const struct store *store) {
    return store->position_last;
}

result store_append(struct store *store, uint64_t position, struct bytes record) {
    assert(store->transaction != NULL);
    assert(position == store->position_last + 1);
    assert(record_position(record) == position);
    assert(record.size + RECORD_CHECKSUM_BYTES <= STORED_RECORD_BYTES_MAX);
    MDB_val key = {.mv_size = sizeof position, .mv_data = &position};
    MDB_val value = {.mv_size = record.size + RECORD_CHECKSUM_BYTES};
    DAYBOOK_FAILPOINT(PUT_BEFORE);
    const int code = mdb_put(store->transaction, store_log(store)->tables.handles[TABLE_EVENTS], &key, &value,
                             MDB_APPEND | MDB_RESERVE);
    TRY(environment_write_result(code, "append"));
    memcpy(value.mv_data, record.data, record.size);
    stored_checksum_write((uint8_t *)value.mv_data + record.size, checksum_crc32c(record));
    store->position_last = position;
    store->bytes_written += value.mv_size + EVENT_OVERHEAD_BYTES;
    DAYBOOK_FAILPOINT(PUT_AFTER);
    return RESULT_OK;
}

result store_rewrite(struct store *store, uint64_t position, struct bytes record) {
    assert(store->transaction != NULL);
    assert(position <= store->position_last && record_position(record) == position);
    MDB_val key = {.mv_size = sizeof position, .mv_data = &position};
    MDB_val value = {.mv_size = record.size + RECORD_CHECKSUM_BYTES};
    struct log_environment *log = store_log(store);
    TRY(rewrites_add(&store->rewrites, position));
    const int code = mdb_put(store->transaction, log->tables.handles[TABLE_EVENTS], &key, &value, MDB_RESERVE);
    TRY(environment_write_result(code, "rewrite an event"));
    memcpy(value.mv_data, record.data, record.size);
    stored_checksum_write((uint8_t *)value.mv_data + record.size, checksum_crc32c(record));
    /* A page that is changed is written anew. */
    store->bytes_written += log->environment.page_bytes;
    return RESULT_OK;
}

result store_commit(struct store *store) {
    assert(store->transaction != NULL);
    MDB_txn *transaction = store->transaction;
    store->transaction = NULL;
    DAYBOOK_FAILPOINT(COMMIT_BEFORE);
    struct log_environment *log = store_log(store);
    const uint64_t number = mdb_txn_id(transaction);
    result outcome = environment_commit(&log->environment, transaction, store->bytes_written);
    /* A transaction that has written nothing is no commit of LMDB's. */
    if (!failed(outcome) && store->bytes_written > 0) {
        outcome = log_environment_mark(log, number, store->position_last, log->mark_descriptor >= 0);
    }
    if (failed(outcome)) {
        store->position_last = store->position_committed;
        rewrites_clear(&store->rewrites);
        return outcome;
    }
    store->position_committed = store->position_last;
    DAYBOOK_FAILPOINT(COMMIT_AFTER);
    if (store->rewrites.count > 0) compaction_rewritten(store);
    return RESULT_OK;
}

void store_abort(struct store *store) {
    assert(store->transaction != NULL);
    mdb_txn_abort(store->transaction);
    store->transaction = NULL;
    store->position_last = store->position_committed;
    rewrites_clear(&store->rewrites);
}

result store_check(struct store *store) {
    pthread_mutex_lock(&store->mutex);
    struct log_environment *log = log_environment_ref(store_log(store));
    pthread_mutex_unlock(&store->mutex);
    const result outcome = log_environment_check(log);
    log_environment_unref(log);
    return outcome;
}

uint64_t store_used_bytes(struct store *store) {
    pthread_mutex_lock(&store->mutex);
    const uint64_t used_bytes = environment_used_bytes(&store_log(store)->environment);
    pthread_mutex_unlock(&store->mutex);
    return used_bytes;
}
