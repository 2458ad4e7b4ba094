#include "service/store/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/store/backup_reader.h"
#include "service/store/commit_mark.h"
#include "service/store/verification.h"

#define WORK_NAME "restore.new"
/* What one commit takes: as much as the largest group of appends. */
#define COMMIT_ENTRIES_COUNT_MAX GROUP_EVENTS_COUNT_MAX
#define COMMIT_BYTES_MAX         GROUP_BYTES_MAX

struct restore {
    const struct restore_options *options;
    struct directory directory;
    bool directory_was_there;
    char *work; /* DIR/restore.new */
    struct backup_reader *reader;
    struct store *store; /* in it */
    bool log_is_moved;
    bool format_is_moved;
    struct problem *problem;
};

/* --- DIR and DIR/restore.new. --------------------------------------------------------------------------------------------- */

static void work_remove(const struct restore *restore) {
    static const char *const files[] = {
        "log/data.mdb", "log/lock.mdb", "log.new/data.mdb", "log.new/lock.mdb", "log/" COMMIT_MARK_FILE, "FORMAT",
        "FORMAT.new",   "LOCK",         "backup.rows"};
    static const char *const folders[] = {"log", "log.new"};
    char path[64];
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        (void)snprintf(path, sizeof path, WORK_NAME "/%s", files[index]);
        (void)unlinkat(restore->directory.descriptor, path, 0);
    }
    for (size_t index = 0; index < sizeof folders / sizeof folders[0]; index++) {
        (void)snprintf(path, sizeof path, WORK_NAME "/%s", folders[index]);
        (void)unlinkat(restore->directory.descriptor, path, AT_REMOVEDIR);
    }
    (void)unlinkat(restore->directory.descriptor, WORK_NAME, AT_REMOVEDIR);
}

static result system_failure(const struct restore *restore, const char *action, const char *path) {
    const int error = errno;
    problem_set(restore->problem, "cannot %s %s: %s", action, path, strerror(error));
    return failure_result(directory_failure(error));
}

/* A restore that ended between its two moves has left a log that nobody can open: it is a part of its remains. */
static void remains_gather(const struct restore *restore) {
    const int descriptor = restore->directory.descriptor;
    if (faccessat(descriptor, WORK_NAME "/FORMAT", F_OK, AT_SYMLINK_NOFOLLOW) != 0) return;
    (void)renameat2(descriptor, "log", descriptor, WORK_NAME "/log", RENAME_NOREPLACE);
}

static result target_open(struct restore *restore) {
    struct stat status;
    const char *path = restore->options->directory;
    restore->directory_was_there = stat(path, &status) == 0;
    const struct directory_options options = {.path = path,
                                              .remote_file_system_allowed =
                                                  restore->options->remote_file_system_allowed,
                                              .entry_allowed = WORK_NAME};
    const result opened = directory_open(&options, &restore->directory, restore->problem);
    if (opened.failure == FAILURE_FORMAT || opened.failure == FAILURE_CORRUPT) return failure_result(FAILURE_INPUT);
    TRY(opened);
    if (restore->directory.has_store) {
        problem_set(restore->problem, "%s has a store already (%s); restore into an empty directory", path,
                    restore->directory.store_id);
        return failure_result(FAILURE_INPUT);
    }
    remains_gather(restore);
    if (fstatat(restore->directory.descriptor, "log", &status, AT_SYMLINK_NOFOLLOW) == 0) {
        problem_set(restore->problem, "%s has a log without FORMAT; restore into an empty directory", path);
        return failure_result(FAILURE_INPUT);
    }
    return RESULT_OK;
}

static result work_open(struct restore *restore) {
    if (asprintf(&restore->work, "%s/" WORK_NAME, restore->options->directory) < 0) {
        restore->work = NULL;
        return failure_result(FAILURE_MEMORY);
    }
    work_remove(restore);
    const struct store_options options = {.directory = restore->work,
                                          .map_bytes = restore->options->map_bytes,
                                          .remote_file_system_allowed = restore->options->remote_file_system_allowed,
                                          .new_store_id = backup_reader_header(restore->reader)->store_id};
    return store_open(&options, &restore->store, restore->problem);
}

/* --- Entries. ------------------------------------------------------------------------------------------------------------- */

static result entry_store(struct restore *restore, const struct backup_entry *entry, uint64_t *bytes) {
    result outcome = RESULT_OK;
    switch (entry->kind) {
    case BACKUP_STREAM:
        *bytes += entry->row.metadata.size;
        outcome = store_stream_put(restore->store, entry->stream, &entry->row);
        break;
    case BACKUP_CHECKPOINT:
        outcome = store_checkpoint_put(restore->store, &entry->checkpoint);
        break;
    case BACKUP_EVENT:
        *bytes += entry->record.size;
        outcome = store_append(restore->store, entry->position, entry->record);
        break;
    case BACKUP_END:
        break;
    }
    if (failed(outcome)) {
        problem_set(restore->problem, "cannot write %s (%s); see the log lines", restore->work,
                    failure_name(outcome.failure));
    }
    return outcome;
}

/* As much as one commit takes, within a transaction. */
static result group_store(struct restore *restore, bool *ret_is_end) {
    struct backup_entry entry = {0};
    uint64_t bytes = 0;
    for (uint32_t count = 0; count < COMMIT_ENTRIES_COUNT_MAX && bytes < COMMIT_BYTES_MAX; count++) {
        TRY(backup_reader_next(restore->reader, &entry, restore->problem));
        if (entry.kind == BACKUP_END) {
            *ret_is_end = true;
            return RESULT_OK;
        }
        TRY(entry_store(restore, &entry, &bytes));
    }
    return RESULT_OK;
}

static result entries_store(struct restore *restore) {
    bool is_end = false;
    while (!is_end) {
        result outcome = store_begin(restore->store);
        if (!failed(outcome)) {
            outcome = group_store(restore, &is_end);
            if (failed(outcome)) {
                store_abort(restore->store);
                return outcome;
            }
            outcome = store_commit(restore->store);
        }
        if (!failed(outcome)) continue;
        problem_set(restore->problem, "cannot write %s (%s)", restore->work, failure_name(outcome.failure));
        return outcome;
    }
    return RESULT_OK;
}

/* --- What was written, read again. ---------------------------------------------------------------------------------------- */

static void wrong_found(void *context, uint64_t position, const char *text) {
    const struct restore *restore = context;
    (void)position;
    problem_set(restore->problem, "%s is not what was written to it: %s; the disk is not sound", restore->work, text);
}

static result work_verify(struct restore *restore) {
    struct verification *verification;
    bool is_done = false;
    const struct verification_options options = {.store = restore->store, .found = wrong_found, .context = restore};
    problem_set(restore->problem, "%s cannot be read again", restore->work);
    TRY(verification_begin(&options, &verification));
    result outcome = RESULT_OK;
    while (!failed(outcome) && !is_done) outcome = verification_step(verification, &is_done);
    if (!failed(outcome) && verification_progress(verification).found_count > 0) {
        outcome = failure_result(FAILURE_STORAGE);
    }
    verification_end(verification);
    return outcome;
}

/* --- The end. ------------------------------------------------------------------------------------------------------------- */

/* From DIR/restore.new to DIR; on disk when it returns. `ret_is_moved`, also on failure: whether it is there. */
static result entry_move(struct restore *restore, const char *name, bool *ret_is_moved) {
    char from[64];
    (void)snprintf(from, sizeof from, WORK_NAME "/%s", name);
    const int descriptor = restore->directory.descriptor;
    if (renameat(descriptor, from, descriptor, name) != 0) return system_failure(restore, "rename", from);
    *ret_is_moved = true;
    if (fsync(descriptor) != 0) return system_failure(restore, "sync", restore->options->directory);
    return RESULT_OK;
}

static result work_move(struct restore *restore) {
    restore->store = store_close(restore->store);
    TRY(entry_move(restore, "log", &restore->log_is_moved));
    return entry_move(restore, "FORMAT", &restore->format_is_moved);
}

static result restore_steps(struct restore *restore) {
    TRY(target_open(restore));
    TRY(backup_reader_open(restore->options->descriptor, restore->options->name, &restore->reader, restore->problem));
    TRY(work_open(restore));
    TRY(entries_store(restore));
    TRY(work_verify(restore));
    return work_move(restore);
}

/* What a restore has made besides the store goes. What was moved already goes in the opposite order, so that a FORMAT never is
 * without its log. */
static void leave_nothing(struct restore *restore, bool is_restored) {
    const int descriptor = restore->directory.descriptor;
    if (restore->work == NULL) return;
    if (!is_restored && restore->format_is_moved &&
        renameat(descriptor, "FORMAT", descriptor, WORK_NAME "/FORMAT") != 0) {
        return; /* it is all there, and nobody knows whether it is on disk */
    }
    if (!is_restored && restore->log_is_moved && renameat(descriptor, "log", descriptor, WORK_NAME "/log") != 0) {
        return; /* the next restore finds FORMAT in DIR/restore.new, and takes both away */
    }
    work_remove(restore);
}

static void target_close(struct restore *restore, bool is_restored) {
    const bool had_store = restore->directory.has_store;
    const bool was_opened = restore->directory.path != NULL;
    if (was_opened && !is_restored && !had_store) {
        /* Before the lock is let go of, so that nobody else has taken it. */
        (void)unlinkat(restore->directory.descriptor, "LOCK", 0);
        if (!restore->directory_was_there) (void)rmdir(restore->options->directory);
    }
    directory_close(&restore->directory);
}

result restore(const struct restore_options *options, struct restored *ret_restored, struct problem *ret_problem) {
    struct restore restore = {.options = options, .problem = ret_problem};
    problem_set(ret_problem, "out of memory");
    const result outcome = restore_steps(&restore);
    struct restored restored = {0};
    if (!failed(outcome)) {
        const struct backup_counts counts = backup_reader_counts(restore.reader);
        restored.events_count = counts.events_count;
        restored.streams_count = counts.streams_count;
        restored.checkpoints_count = counts.checkpoints_count;
        memcpy(restored.store_id, backup_reader_header(restore.reader)->store_id, sizeof restored.store_id);
    }
    store_close(restore.store);
    leave_nothing(&restore, !failed(outcome));
    backup_reader_close(restore.reader);
    free(restore.work);
    target_close(&restore, !failed(outcome));
    if (failed(outcome)) return outcome;
    problem_set(ret_problem, "%s", "");
    *ret_restored = restored;
    return RESULT_OK;
}
