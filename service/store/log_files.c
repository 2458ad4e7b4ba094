/* log_files.c: making the log of a new store, and telling whose log it is. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

#define META_FORMAT   "format"
#define META_STORE_ID "store_id"

static const struct {
    const char *name;
    unsigned flags;
} table_descriptions[TABLES_COUNT] = {
    [TABLE_EVENTS] = {"events", MDB_INTEGERKEY},
    [TABLE_STREAMS] = {"streams", 0},
    [TABLE_CHECKPOINTS] = {"checkpoints", 0},
    [TABLE_META] = {"meta", 0},
};

int tables_open(MDB_txn *transaction, unsigned flags, struct tables *ret_tables) {
    int code = MDB_SUCCESS;
    for (uint32_t table = 0; table < TABLES_COUNT && code == MDB_SUCCESS; table++) {
        code = mdb_dbi_open(transaction, table_descriptions[table].name, flags | table_descriptions[table].flags,
                            &ret_tables->handles[table]);
    }
    return code;
}

static MDB_val key_of(const char *name) {
    return (MDB_val){.mv_size = strlen(name), .mv_data = (void *)(uintptr_t)name};
}

static void format_encode(uint8_t ret_bytes[4]) {
    for (uint32_t index = 0; index < 4; index++) ret_bytes[index] = (uint8_t)(LOG_FORMAT_VERSION >> (8 * index));
}

static uint32_t format_decode(const uint8_t bytes[4]) {
    uint32_t version = 0;
    for (uint32_t index = 0; index < 4; index++) version |= (uint32_t)bytes[index] << (8 * index);
    return version;
}

/* Writes the tables and the identity in one transaction. */
static result log_fill(struct environment *environment, const char *store_id) {
    MDB_txn *transaction = NULL;
    struct tables tables;
    uint8_t format[4];
    char id[UUID_TEXT_BYTES];
    const struct uuid uuid = uuid_new();
    uuid_format(&uuid, id);
    if (store_id != NULL) memcpy(id, store_id, sizeof id);
    format_encode(format);
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, 0, &transaction), "begin"));
    int code = tables_open(transaction, MDB_CREATE, &tables);
    MDB_val key = key_of(META_FORMAT);
    MDB_val value = {.mv_size = sizeof format, .mv_data = format};
    if (code == MDB_SUCCESS) code = mdb_put(transaction, tables.handles[TABLE_META], &key, &value, 0);
    key = key_of(META_STORE_ID);
    value = (MDB_val){.mv_size = sizeof id, .mv_data = id};
    if (code == MDB_SUCCESS) code = mdb_put(transaction, tables.handles[TABLE_META], &key, &value, 0);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(transaction);
        return environment_result(code, "make the log");
    }
    return environment_commit(environment, transaction, sizeof format + sizeof id);
}

struct log_paths {
    char *fresh;
    char *log;
};

result log_new_make(const struct directory *directory, struct problem *ret_problem) {
    (void)unlinkat(directory->descriptor, "log.new/data.mdb", 0);
    (void)unlinkat(directory->descriptor, "log.new/lock.mdb", 0);
    (void)unlinkat(directory->descriptor, "log.new/" COMMIT_MARK_FILE, 0);
    if (mkdirat(directory->descriptor, "log.new", 0750) != 0 && errno != EEXIST) {
        const int error = errno;
        problem_set(ret_problem, "cannot make %s/log.new: %s", directory->path, strerror(error));
        return failure_result(directory_failure(error));
    }
    return RESULT_OK;
}

/* In DIR/log.new, which an interrupted start may have left: nothing in it was ever promised to anybody. */
static result log_make(const struct directory *directory, const struct log_paths *paths, const char *store_id,
                       uint64_t map_bytes, struct problem *ret_problem) {
    TRY(log_new_make(directory, ret_problem));
    const struct environment_options options = {
        .directory = paths->fresh, .map_bytes = map_bytes, .map_may_shrink = true, .tables_count_max = TABLES_COUNT};
    struct environment environment;
    TRY(environment_open(&options, &environment, ret_problem));
    const result filled = log_fill(&environment, store_id);
    environment_close(&environment);
    DAYBOOK_FAILPOINT(LOG_FILLED);
    if (failed(filled)) {
        problem_set(ret_problem, "cannot write %s (%s); see the log lines", paths->fresh, failure_name(filled.failure));
        return filled;
    }
    TRY(directory_sync(paths->fresh, ret_problem));
    if (renameat(directory->descriptor, "log.new", directory->descriptor, "log") != 0) {
        const int error = errno;
        problem_set(ret_problem, "cannot rename %s to %s: %s", paths->fresh, paths->log, strerror(error));
        return failure_result(directory_failure(error));
    }
    DAYBOOK_FAILPOINT(LOG_RENAMED);
    return directory_sync(directory->path, ret_problem);
}

result log_create(const struct directory *directory, const char *store_id, uint64_t map_bytes,
                  struct problem *ret_problem) {
    struct log_paths paths = {0};
    result outcome = failure_result(FAILURE_MEMORY);
    if (asprintf(&paths.fresh, "%s/log.new", directory->path) < 0) paths.fresh = NULL;
    if (asprintf(&paths.log, "%s/log", directory->path) < 0) paths.log = NULL;
    if (paths.fresh != NULL && paths.log != NULL)
        outcome = log_make(directory, &paths, store_id, map_bytes, ret_problem);
    free(paths.fresh);
    free(paths.log);
    return outcome;
}

result log_identify(const struct store *store, MDB_txn *transaction, char ret_store_id[UUID_TEXT_BYTES + 1],
                    struct problem *ret_problem) {
    const char *path = store->directory.path;
    const MDB_dbi meta = store_log(store)->tables.handles[TABLE_META];
    MDB_val key = key_of(META_FORMAT);
    MDB_val value;
    struct uuid uuid;
    int code = mdb_get(transaction, meta, &key, &value);
    if (code != MDB_SUCCESS || value.mv_size != 4) {
        problem_set(ret_problem, "%s/log is damaged (its format is missing); restore it from a backup", path);
        return failure_result(FAILURE_CORRUPT);
    }
    const uint32_t version = format_decode(value.mv_data);
    if (version != LOG_FORMAT_VERSION) {
        problem_set(ret_problem, "%s/log has format %" PRIu32 ", this daybookd knows %d; use the one that wrote it",
                    path, version, LOG_FORMAT_VERSION);
        return failure_result(FAILURE_FORMAT);
    }
    key = key_of(META_STORE_ID);
    code = mdb_get(transaction, meta, &key, &value);
    if (code != MDB_SUCCESS || value.mv_size != UUID_TEXT_BYTES ||
        failed(uuid_parse(bytes_of(value.mv_data, UUID_TEXT_BYTES), &uuid))) {
        problem_set(ret_problem, "%s/log is damaged (its store id is missing); restore it from a backup", path);
        return failure_result(FAILURE_CORRUPT);
    }
    if (store->directory.has_store && memcmp(store->directory.store_id, value.mv_data, UUID_TEXT_BYTES) != 0) {
        problem_set(ret_problem, "%s/log belongs to another store than %s/FORMAT; restore both from one backup", path,
                    path);
        return failure_result(FAILURE_FORMAT);
    }
    memcpy(ret_store_id, value.mv_data, UUID_TEXT_BYTES);
    ret_store_id[UUID_TEXT_BYTES] = '\0';
    return RESULT_OK;
}

result log_position_last(MDB_cursor *cursor, uint64_t *ret_position) {
    MDB_val key;
    MDB_val value;
    const int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code == MDB_NOTFOUND) {
        *ret_position = 0;
        return RESULT_OK;
    }
    TRY(environment_result(code, "find the last event"));
    if (key.mv_size != sizeof *ret_position) return failure_result(FAILURE_CORRUPT);
    memcpy(ret_position, key.mv_data, sizeof *ret_position);
    return RESULT_OK;
}
