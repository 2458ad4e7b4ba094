/* index.c: opening and closing a part; index_current.c says which part is the index, index_add.c, index_query.c and
 * index_thread.c have the rest.
 *
 * Durability. The index is derived from the log, so a commit that a power cut takes back costs a moment of work at the next
 * open: MDB_NOMETASYNC, one flush a commit instead of two. LMDB never writes to pages that one of the last two commits
 * uses, so the file stays whole. (MDB_NOSYNC would not do: a power cut could leave a file that has to be rebuilt.) */
#include "service/store/index.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/index_state.h"

/* Smaller than the log's reserve: appends are refused before the index has no room to take them up. */
#define INDEX_RESERVE_BYTES (ENVIRONMENT_RESERVE_BYTES / 4)
#define PATH_BYTES          4096
/* In DIR/index while it is to be thrown away. */
#define DAMAGED_FILE "damaged"

static result path_of(const char *directory, const char *file, char ret_path[PATH_BYTES]) {
    const int size = snprintf(ret_path, PATH_BYTES, "%s/%s", directory, file);
    return size > 0 && size < PATH_BYTES ? RESULT_OK : failure_result(FAILURE_INPUT);
}

void index_directory_sync(const char *directory) {
    const int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)fsync(descriptor);
    close(descriptor);
}

static void damage_note(const char *directory) {
    char path[PATH_BYTES];
    if (failed(path_of(directory, DAMAGED_FILE, path))) return;
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0) {
        log_error("cannot note that the index is damaged: remove it by hand", "directory", directory, "error",
                  strerror(errno));
        return;
    }
    close(descriptor);
    index_directory_sync(directory);
    log_error("the index is damaged and is built anew at the next start, or by Reindex", "directory", directory);
}

void index_mark_damaged(struct index_part *part) {
    struct index *index = part->owner;
    pthread_mutex_lock(&index->mutex);
    if (index->current == part && !index->is_switching && !index->options.is_inspected)
        damage_note(index->options.directory);
    pthread_mutex_unlock(&index->mutex);
}

static bool is_marked_damaged(const char *directory) {
    char path[PATH_BYTES];
    return !failed(path_of(directory, DAMAGED_FILE, path)) && access(path, F_OK) == 0;
}

/* Throws the index away. The mark goes last: it must outlive a crash in between. */
static result discard(const char *directory, struct problem *ret_problem) {
    static const char *const files[] = {"data.mdb", "lock.mdb", DAMAGED_FILE};
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char path[PATH_BYTES];
        TRY(path_of(directory, files[index], path));
        if (unlink(path) != 0 && errno != ENOENT) {
            problem_set(ret_problem, "cannot remove the damaged index %s: %s", path, strerror(errno));
            return failure_result(FAILURE_STORAGE);
        }
        index_directory_sync(directory);
    }
    return RESULT_OK;
}

result index_part_remove(const char *directory, struct problem *ret_problem) {
    if (access(directory, F_OK) != 0 && errno == ENOENT) return RESULT_OK;
    TRY(discard(directory, ret_problem));
    if (rmdir(directory) == 0) return RESULT_OK;
    problem_set(ret_problem, "cannot remove %s: %s", directory, strerror(errno));
    return failure_result(FAILURE_STORAGE);
}

static result directory_make(const char *directory, struct problem *ret_problem) {
    if (mkdir(directory, 0750) == 0 || errno == EEXIST) return RESULT_OK;
    problem_set(ret_problem, "cannot make %s: %s", directory, strerror(errno));
    return failure_result(errno == ENOSPC || errno == EDQUOT ? FAILURE_STORAGE_FULL : FAILURE_STORAGE);
}

/* An index that is ahead of its log was left by another history of the store. */
static result log_compare(struct index_catalog *catalog, uint64_t log_position_end, struct problem *ret_problem) {
    struct index_run *runs[INDEX_TABLES_COUNT];
    const uint32_t count = index_catalog_runs(catalog, runs);
    if (log_position_end == 0 || count == 0 || runs[count - 1]->position_last < log_position_end) return RESULT_OK;
    problem_set(ret_problem, "it knows events that the log does not have");
    return failure_result(FAILURE_CORRUPT);
}

/* Whether the ids are there that the window asks for: one that was opened with a smaller window has dropped more. */
static result ids_compare(struct index_catalog *catalog, uint64_t ids_window, struct problem *ret_problem) {
    struct index_run *runs[INDEX_TABLES_COUNT];
    const uint32_t count = index_catalog_runs(catalog, runs);
    const uint64_t position_last = count > 0 ? runs[count - 1]->position_last : 0;
    const uint64_t needed = ids_window == 0 || position_last < ids_window ? 1 : position_last - ids_window + 1;
    if (catalog->ids_position_first <= needed) return RESULT_OK;
    problem_set(ret_problem, "it has not kept all ids that --id-index asks for");
    return failure_result(FAILURE_FORMAT);
}

/* Opens environment and catalog. The catalog is read before the thread runs, so it is complete. */
static result try_open(struct index_part *index, const struct index_options *options, struct problem *ret_problem) {
    if (is_marked_damaged(index->directory)) {
        problem_set(ret_problem, "it was found damaged");
        return failure_result(FAILURE_CORRUPT);
    }
    char damage_note[PATH_BYTES];
    TRY(path_of(index->directory, DAMAGED_FILE, damage_note));
    const struct environment_options environment_options = {
        .damage_note = damage_note,
        .directory = index->directory,
        .map_bytes = options->map_bytes != 0 ? options->map_bytes : INDEX_MAP_BYTES_DEFAULT,
        .map_may_shrink = options->map_bytes == 0,
        .reserve_bytes = INDEX_RESERVE_BYTES,
        .tables_count_max = INDEX_ENVIRONMENT_TABLES_COUNT + NAMES_ENVIRONMENT_TABLES_COUNT,
    };
    TRY(environment_open(&environment_options, &index->environment, ret_problem));
    const int code = mdb_env_set_flags(index->environment.handle, MDB_NOMETASYNC, 1);
    assert(code == MDB_SUCCESS);
    result outcome = index_catalog_open(&index->environment, options->store_id, &index->catalog, ret_problem);
    if (!failed(outcome)) outcome = log_compare(&index->catalog, options->log_position_end, ret_problem);
    if (!failed(outcome)) outcome = ids_compare(&index->catalog, options->ids_window, ret_problem);
    if (!failed(outcome) && !options->is_inspected) outcome = index_catalog_clean(&index->catalog, &index->environment);
    if (failed(outcome)) {
        index_catalog_close(&index->catalog);
        environment_close(&index->environment);
    }
    return outcome;
}

static bool is_worth_anew(result outcome) {
    return outcome.failure == FAILURE_CORRUPT || outcome.failure == FAILURE_FORMAT;
}

/* As it is, or not at all. */
static result open_inspected(struct index_part *index, const struct index_options *options,
                             struct problem *ret_problem) {
    char file[PATH_BYTES];
    TRY(path_of(index->directory, "data.mdb", file));
    if (access(file, F_OK) != 0) {
        problem_set(ret_problem, "%s is not there", file);
        return failure_result(FAILURE_NOT_FOUND);
    }
    return try_open(index, options, ret_problem);
}

static result open_or_begin_anew(struct index_part *index, const struct index_options *options,
                                 struct problem *ret_problem) {
    if (options->is_inspected) return open_inspected(index, options, ret_problem);
    TRY(directory_make(index->directory, ret_problem));
    struct problem problem = {.text = ""};
    result outcome = try_open(index, options, &problem);
    if (is_worth_anew(outcome)) {
        log_warn("the index is begun anew", "directory", index->directory, "reason",
                 problem.text[0] != '\0' ? problem.text : failure_name(outcome.failure));
        TRY(discard(index->directory, ret_problem));
        problem_set(&problem, "%s", "");
        outcome = try_open(index, options, &problem);
    }
    if (failed(outcome)) {
        const bool is_told = problem.text[0] != '\0';
        problem_set(ret_problem, "cannot open the index in %s: %s%s", index->directory,
                    is_told ? problem.text : failure_name(outcome.failure), is_told ? "" : "; see the log lines");
    }
    return outcome;
}

/* The first view: the listed runs. */
static result view_begin(struct index_part *index) {
    index->view = index_view_new();
    if (index->view == NULL) return failure_result(FAILURE_MEMORY);
    struct index_run *runs[INDEX_TABLES_COUNT];
    const uint32_t count = index_catalog_runs(&index->catalog, runs);
    for (uint32_t number = 0; number < count; number++) index_view_add_run(index->view, runs[number]);
    index->position_last = count > 0 ? runs[count - 1]->position_last : 0;
    atomic_init(&index->position, index->position_last);
    log_info("index opened", "directory", index->directory, "runs", log_number(count), "position",
             log_number(index->position_last));
    return RESULT_OK;
}

/* Before the thread runs, which is the one that writes then. */
static result names_begin(struct index_part *index, struct store *store) {
    if (store == NULL) return RESULT_OK;
    const struct names_options options = {.environment = &index->environment,
                                          .store = store,
                                          .events_count_max = index->run_events_count,
                                          .wake = index_thread_wake,
                                          .context = index};
    return names_open(&options, &index->names);
}

static void locks_init(struct index_part *index) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&index->mutex, NULL);
    pthread_cond_init(&index->work, &attributes);
    pthread_cond_init(&index->room, &attributes);
    pthread_condattr_destroy(&attributes);
}

result index_part_open(struct index *owner, const char *directory, struct index_part **ret_part,
                       struct problem *ret_problem) {
    const struct index_options *options = &owner->options;
    struct index_part *index = calloc(1, sizeof *index);
    if (index == NULL) return failure_result(FAILURE_MEMORY);
    locks_init(index);
    atomic_init(&index->references, 1);
    index->owner = owner;
    index->run_events_count = options->run_events_count != 0 ? options->run_events_count
                                                             : DAYBOOK_LIMIT(INDEX_RUN_EVENTS, INDEX_RUN_EVENTS_COUNT);
    index->directory = strdup(directory);
    result outcome = index->directory != NULL ? RESULT_OK : failure_result(FAILURE_MEMORY);
    if (!failed(outcome)) outcome = open_or_begin_anew(index, options, ret_problem);
    if (!failed(outcome)) outcome = view_begin(index);
    if (!failed(outcome)) outcome = names_begin(index, owner->options.store);
    if (failed(outcome)) {
        index_part_close(index);
        return outcome;
    }
    *ret_part = index;
    return RESULT_OK;
}

struct index_part *index_part_close(struct index_part *index) {
    if (index == NULL) return NULL;
    index_thread_stop(index);
    index_segment_unref(index->active);
    index_view_unref(index->view);
    index_readers_close(index);
    names_close(index->names);
    index_catalog_close(&index->catalog);
    environment_close(&index->environment);
    pthread_cond_destroy(&index->room);
    pthread_cond_destroy(&index->work);
    pthread_mutex_destroy(&index->mutex);
    free(index->directory);
    free(index);
    return NULL;
}

void index_view_release(struct index_part *index, struct index_view *view) {
    if (index_view_unref(view)) index_thread_wake(index);
}
