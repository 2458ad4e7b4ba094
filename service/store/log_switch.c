/* log_switch.c: one log in the place of another, so that every moment of it can be opened again.
 *
 * With an exchange of the two names there is no moment without a complete DIR/log, and what is in DIR/log.new is never
 * needed: before the exchange it is a copy, after it the log that was copied. A file system that cannot exchange has three
 * moments, each on disk before the next begins:
 *
 *     log      log.new      log.old
 *     before   after        -          log.new is thrown away
 *     -        after        before     log.old is put back: nothing was acknowledged since
 *     after    -            before     log.old is thrown away
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/store_private.h"

static bool rename_entry(const struct directory *directory, const char *from, const char *to) {
    return renameat(directory->descriptor, from, directory->descriptor, to) == 0;
}

/* What is not on disk is not known: a sync that failed has no second chance. */
static result names_sync(const struct directory *directory) {
    if (fsync(directory->descriptor) == 0) return RESULT_OK;
    log_error("the directory cannot be synced", "directory", directory->path, "error", strerror(errno));
    return failure_result(FAILURE_STORAGE);
}

static result rename_failure(const struct directory *directory) {
    const int error = errno;
    log_error("the log cannot be replaced", "directory", directory->path, "error", strerror(error));
    return failure_result(directory_failure(error));
}

static result exchange_in_steps(const struct directory *directory) {
    if (!rename_entry(directory, "log", "log.old")) return rename_failure(directory);
    TRY(names_sync(directory));
    if (!rename_entry(directory, "log.new", "log")) {
        const result failure = rename_failure(directory);
        if (!rename_entry(directory, "log.old", "log")) return failure_result(FAILURE_STORAGE);
        TRY(names_sync(directory));
        return failure;
    }
    return names_sync(directory);
}

result log_exchange(const struct directory *directory) {
    const int descriptor = directory->descriptor;
    if (renameat2(descriptor, "log.new", descriptor, "log", RENAME_EXCHANGE) == 0) {
        DAYBOOK_FAILPOINT(SWITCH_EXCHANGED);
        return names_sync(directory);
    }
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) return exchange_in_steps(directory);
    return rename_failure(directory);
}

static void leftover_remove(const struct directory *directory, const char *name) {
    static const char *const files[] = {"data.mdb", "lock.mdb", COMMIT_MARK_FILE};
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", name, files[index]);
        if (unlinkat(directory->descriptor, path, 0) != 0 && errno != ENOENT) {
            log_warn("a file that is not needed any more cannot be removed", "directory", directory->path, "file", path,
                     "error", strerror(errno));
        }
    }
    if (unlinkat(directory->descriptor, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        log_warn("a directory that is not needed any more cannot be removed", "directory", directory->path, "name",
                 name, "error", strerror(errno));
    }
}

void log_leftovers_remove(const struct directory *directory) {
    leftover_remove(directory, "log.new");
    leftover_remove(directory, "log.old");
    DAYBOOK_FAILPOINT(LEFTOVERS_REMOVED);
}

static bool entry_is_there(const struct directory *directory, const char *name) {
    struct stat status;
    return fstatat(directory->descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

result log_repair(const struct directory *directory, struct problem *ret_problem) {
    if (!entry_is_there(directory, "log")) {
        if (!entry_is_there(directory, "log.old"))
            return RESULT_OK; /* opening says what is missing; nothing is removed */
        if (!rename_entry(directory, "log.old", "log") || fsync(directory->descriptor) != 0) {
            const int error = errno;
            problem_set(ret_problem, "cannot rename %s/log.old to %s/log: %s", directory->path, directory->path,
                        strerror(error));
            return failure_result(directory_failure(error));
        }
        log_info("an interrupted compaction was undone", "directory", directory->path);
    }
    log_leftovers_remove(directory);
    return RESULT_OK;
}
