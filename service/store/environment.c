/* environment.c: opening and closing; environment_space.c has the rest. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/directory.h"
#include "service/store/environment.h"
#include "service/store/map_faults.h"
#include "service/store/meta_page.h"

static result meta_read(int descriptor, uint64_t offset, const char *file, struct meta_page *ret_meta,
                        struct problem *ret_problem) {
    const result outcome = meta_page_read(descriptor, offset, ret_meta);
    if (failed(outcome)) problem_set(ret_problem, "cannot read %s: %s", file, strerror(errno));
    return outcome;
}

/* Compares the length of an existing file with what its newest meta page says. */
static result file_check(int descriptor, uint64_t file_bytes, const char *file, struct problem *ret_problem) {
    struct meta_page first;
    struct meta_page second;
    TRY(meta_read(descriptor, 0, file, &first, ret_problem));
    if (!meta_page_is_sound(&first)) {
        problem_set(ret_problem, "%s is damaged (no LMDB file): restore it from a backup", file);
        return failure_result(FAILURE_CORRUPT);
    }
    if (first.version != META_PAGE_VERSION) {
        problem_set(ret_problem, "%s was written by another version of LMDB (format %" PRIu32 "): use a newer daybookd",
                    file, first.version);
        return failure_result(FAILURE_FORMAT);
    }
    TRY(meta_read(descriptor, first.page_bytes, file, &second, ret_problem));
    if (!meta_page_is_sound(&second)) {
        problem_set(ret_problem, "%s is damaged (its second meta page): restore it from a backup", file);
        return failure_result(FAILURE_CORRUPT);
    }
    if (!meta_pages_agree(&first, &second)) {
        problem_set(ret_problem,
                    "%s is damaged (its meta pages are not of two commits in a row): restore it from a backup", file);
        return failure_result(FAILURE_CORRUPT);
    }
    const struct meta_page *newest = first.transaction < second.transaction ? &second : &first;
    const uint64_t pages_count = file_bytes / first.page_bytes;
    if (pages_count <= newest->last_page) {
        problem_set(ret_problem,
                    "%s is cut short (%" PRIu64 " pages, its newest commit needs %" PRIu64
                    "): restore it from a backup",
                    file, pages_count, newest->last_page + 1);
        return failure_result(FAILURE_CORRUPT);
    }
    return RESULT_OK;
}

/* Looks at data.mdb before LMDB does. `ret_is_new`: there is nothing in it. */
static result file_inspect(const struct environment_options *options, const char *file, bool *ret_is_new,
                           struct problem *ret_problem) {
    const int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno != ENOENT) {
        problem_set(ret_problem, "cannot read %s: %s", file, strerror(errno));
        return failure_result(errno == EACCES ? FAILURE_INPUT : FAILURE_STORAGE);
    }
    struct stat status = {0};
    if (descriptor >= 0 && fstat(descriptor, &status) != 0) {
        problem_set(ret_problem, "cannot read %s: %s", file, strerror(errno));
        close(descriptor);
        return failure_result(FAILURE_STORAGE);
    }
    result outcome = RESULT_OK;
    const bool is_new = descriptor < 0 || status.st_size == 0;
    if (!is_new) {
        outcome = file_check(descriptor, (uint64_t)status.st_size, file, ret_problem);
    } else if (options->must_exist) {
        problem_set(ret_problem, "%s is missing or empty: restore it from a backup", file);
        outcome = failure_result(FAILURE_CORRUPT);
    }
    if (descriptor >= 0) close(descriptor);
    if (!failed(outcome)) *ret_is_new = is_new;
    return outcome;
}

/* A new environment is begun only where its first growth fits, so that what is begun can be finished. */
static result space_check(const char *directory, uint64_t reserve_bytes, struct problem *ret_problem) {
    const int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        const int error = errno;
        problem_set(ret_problem, "cannot open %s: %s", directory, strerror(error));
        return failure_result(directory_failure(error));
    }
    const uint64_t free_bytes = environment_free_bytes(descriptor);
    close(descriptor);
    const uint64_t needed_bytes = reserve_bytes + ENVIRONMENT_GROWTH_BYTES;
    if (free_bytes >= needed_bytes) return RESULT_OK;
    problem_set(ret_problem, "no space for %s: %" PRIu64 " MiB are free, %" PRIu64 " MiB are needed to begin",
                directory, free_bytes >> 20, needed_bytes >> 20);
    return failure_result(FAILURE_STORAGE_FULL);
}

/* LMDB opens its files without O_CLOEXEC and does not show all its descriptors: every descriptor of this process that
 * is on data.mdb or lock.mdb is marked. */
static void descriptors_close_on_exec(const struct environment *environment, const char *directory) {
    char lock_file[4096];
    struct stat data_status;
    struct stat lock_status = {0};
    (void)fcntl(environment->descriptor, F_SETFD, FD_CLOEXEC);
    if (fstat(environment->descriptor, &data_status) != 0) return;
    if (snprintf(lock_file, sizeof lock_file, "%s/lock.mdb", directory) < (int)sizeof lock_file) {
        (void)stat(lock_file, &lock_status);
    }
    DIR *descriptors = opendir("/proc/self/fd");
    if (descriptors == NULL) return; /* without /proc the one above is what can be done */
    for (const struct dirent *entry = readdir(descriptors); entry != NULL; entry = readdir(descriptors)) {
        char *end = NULL;
        const long descriptor = strtol(entry->d_name, &end, 10);
        struct stat status;
        if (end == entry->d_name || *end != '\0' || fstat((int)descriptor, &status) != 0) continue;
        const bool is_data = status.st_dev == data_status.st_dev && status.st_ino == data_status.st_ino;
        const bool is_lock = status.st_dev == lock_status.st_dev && status.st_ino == lock_status.st_ino;
        if (is_data || is_lock) (void)fcntl((int)descriptor, F_SETFD, FD_CLOEXEC);
    }
    closedir(descriptors);
}

static int handle_open(const struct environment_options *options, uint64_t map_bytes, MDB_env **ret_handle) {
    const unsigned flags = DAYBOOK_IS_BROKEN(META_SYNC) ? MDB_NOTLS | MDB_NOMETASYNC : MDB_NOTLS;
    MDB_env *handle = NULL;
    int code = mdb_env_create(&handle);
    if (code != MDB_SUCCESS) return code;
    code = mdb_env_set_mapsize(handle, (size_t)map_bytes);
    if (code == MDB_SUCCESS) code = mdb_env_set_maxreaders(handle, STORE_READERS_COUNT_MAX);
    if (code == MDB_SUCCESS) code = mdb_env_set_maxdbs(handle, options->tables_count_max);
    if (code == MDB_SUCCESS) code = mdb_env_open(handle, options->directory, flags, 0640);
    if (code != MDB_SUCCESS) {
        mdb_env_close(handle);
        return code;
    }
    *ret_handle = handle;
    return MDB_SUCCESS;
}

/* The second is what a file system says whose files cannot be as long as the map. */
static bool is_too_large(int code) {
    return code == ENOMEM || code == EOVERFLOW;
}

static result open_failure(const struct environment_options *options, int code, uint64_t map_bytes,
                           struct problem *ret_problem) {
    if (is_too_large(code)) {
        problem_set(ret_problem, "cannot map %" PRIu64 " MiB of address space for %s: raise the limit (ulimit -v)",
                    map_bytes >> 20, options->directory);
        return failure_result(FAILURE_MEMORY);
    }
    problem_set(ret_problem, "cannot open %s/data.mdb: %s", options->directory, mdb_strerror(code));
    if (code == ENOSPC || code == EDQUOT || code == EFBIG) return failure_result(FAILURE_STORAGE_FULL);
    if (code == EACCES || code == EPERM || code == EROFS) return failure_result(FAILURE_INPUT);
    if (code == MDB_INVALID || code == MDB_CORRUPTED) return failure_result(FAILURE_CORRUPT);
    if (code == MDB_VERSION_MISMATCH) return failure_result(FAILURE_FORMAT);
    return failure_result(FAILURE_STORAGE);
}

static void figures_read(struct environment *environment) {
    MDB_stat statistics;
    MDB_envinfo information;
    struct stat status;
    const int stat_code = mdb_env_stat(environment->handle, &statistics);
    const int info_code = mdb_env_info(environment->handle, &information);
    const int descriptor_code = mdb_env_get_fd(environment->handle, &environment->descriptor);
    assert(stat_code == MDB_SUCCESS && info_code == MDB_SUCCESS && descriptor_code == MDB_SUCCESS);
    environment->page_bytes = statistics.ms_psize;
    environment->map_bytes = information.me_mapsize;
    environment->file_bytes = fstat(environment->descriptor, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void on_assertion(MDB_env *handle, const char *text) {
    map_faults_assertion((uint32_t)(uintptr_t)mdb_env_get_userctx(handle), text);
}

static void faults_watch(struct environment *environment, const char *note) {
    environment->watch = map_faults_watch(environment->descriptor, environment->map_bytes, environment->file, note);
    (void)mdb_env_set_userctx(environment->handle, (void *)(uintptr_t)environment->watch);
    (void)mdb_env_set_assert(environment->handle, on_assertion);
}

result environment_open(const struct environment_options *options, struct environment *ret_environment,
                        struct problem *ret_problem) {
    assert(options->map_bytes > 0);
    struct environment environment = {
        .reserve_bytes = options->reserve_bytes != 0 ? options->reserve_bytes : ENVIRONMENT_RESERVE_BYTES,
    };
    if (asprintf(&environment.file, "%s/data.mdb", options->directory) < 0) return failure_result(FAILURE_MEMORY);

    bool is_new = false;
    result outcome = file_inspect(options, environment.file, &is_new, ret_problem);
    if (!failed(outcome) && is_new) outcome = space_check(options->directory, environment.reserve_bytes, ret_problem);
    if (failed(outcome)) {
        free(environment.file);
        return outcome;
    }
    uint64_t map_bytes = options->map_bytes;
    int code = handle_open(options, map_bytes, &environment.handle);
    while (is_too_large(code) && options->map_may_shrink && map_bytes / 2 >= ENVIRONMENT_MAP_BYTES_MIN) {
        map_bytes /= 2;
        log_warn("address space is short, mapping less", "file", environment.file, "map_bytes", log_number(map_bytes));
        code = handle_open(options, map_bytes, &environment.handle);
    }
    if (code != MDB_SUCCESS) {
        free(environment.file);
        return open_failure(options, code, map_bytes, ret_problem);
    }
    figures_read(&environment);
    faults_watch(&environment, options->damage_note);
    descriptors_close_on_exec(&environment, options->directory);
    int readers_dead_count = 0;
    if (mdb_reader_check(environment.handle, &readers_dead_count) == MDB_SUCCESS && readers_dead_count > 0) {
        log_info("readers of an ended process removed", "file", environment.file, "count",
                 log_number((uint64_t)readers_dead_count));
    }
    /* A full disk does not keep anybody from reading. */
    outcome = environment_reserve(&environment, 0);
    if (failed(outcome) && outcome.failure != FAILURE_STORAGE_FULL) {
        problem_set(ret_problem, "cannot grow %s: the disk fails, see the log", environment.file);
        environment_close(&environment);
        return outcome;
    }
    *ret_environment = environment;
    return RESULT_OK;
}

void environment_renamed(struct environment *environment) {
    map_faults_unwatch(environment->watch);
    faults_watch(environment, NULL);
}

void environment_close(struct environment *environment) {
    map_faults_unwatch(environment->watch);
    if (environment->handle != NULL) mdb_env_close(environment->handle);
    free(environment->file);
    *environment = (struct environment){0};
}

uint64_t environment_used_bytes(const struct environment *environment) {
    MDB_envinfo information;
    const int code = mdb_env_info(environment->handle, &information);
    assert(code == MDB_SUCCESS);
    return ((uint64_t)information.me_last_pgno + 1) * environment->page_bytes;
}
