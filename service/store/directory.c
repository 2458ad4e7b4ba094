#include "service/store/directory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "service/base/failpoint.h"

#define FORMAT_PREFIX    "daybook store "
#define FORMAT_BYTES_MAX 128

/* Not in linux/magic.h. */
#define LUSTRE_MAGIC  0x0bd00bd0
#define GFS2_FS_MAGIC 0x01161970

enum failure directory_failure(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FAILURE_STORAGE_FULL;
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ENAMETOOLONG:
    case ELOOP:
        return FAILURE_INPUT;
    case ENOMEM:
        return FAILURE_MEMORY;
    default:
        return FAILURE_STORAGE;
    }
}

/* The failure of the system call that has just failed on `path`. */
static result failure_of(const char *action, const char *path, const char *advice, struct problem *ret_problem) {
    const int error = errno;
    problem_set(ret_problem, "cannot %s %s: %s%s", action, path, strerror(error), advice);
    return failure_result(directory_failure(error));
}

const char *directory_remote_name(uint64_t file_system_type) {
    switch (file_system_type) {
    case NFS_SUPER_MAGIC:
        return "NFS";
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
        return "SMB";
    case V9FS_MAGIC:
        return "9p";
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
        return "AFS";
    case CEPH_SUPER_MAGIC:
        return "CephFS";
    case CODA_SUPER_MAGIC:
        return "Coda";
    case NCP_SUPER_MAGIC:
        return "NCP";
    case OCFS2_SUPER_MAGIC:
        return "OCFS2";
    case GFS2_FS_MAGIC:
        return "GFS2";
    case LUSTRE_MAGIC:
        return "Lustre";
    default:
        return NULL; /* FUSE too: behind it are local disks as well as remote ones, nobody can tell */
    }
}

result directory_sync(const char *path, struct problem *ret_problem) {
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return failure_of("open", path, "", ret_problem);
    result outcome = RESULT_OK;
    if (fsync(descriptor) != 0) outcome = failure_of("sync", path, "", ret_problem);
    close(descriptor);
    return outcome;
}

static result path_make(const char *path, struct problem *ret_problem) {
    if (mkdir(path, 0750) != 0) {
        if (errno == EEXIST) return RESULT_OK;
        if (errno == ENOENT) {
            problem_set(ret_problem, "cannot make %s: its parent directory does not exist; make it first", path);
            return failure_result(FAILURE_INPUT);
        }
        return failure_of("make", path, "; choose a directory that can be written (--data)", ret_problem);
    }
    char *copy = strdup(path);
    if (copy == NULL) return failure_result(FAILURE_MEMORY);
    const result synced = directory_sync(dirname(copy), ret_problem);
    free(copy);
    return synced;
}

static result file_system_check(const struct directory *directory, bool remote_allowed, struct problem *ret_problem) {
    struct statfs figures;
    if (fstatfs(directory->descriptor, &figures) != 0) return failure_of("inspect", directory->path, "", ret_problem);
    const char *remote = directory_remote_name((uint64_t)figures.f_type & UINT32_MAX);
    if (remote == NULL || remote_allowed) return RESULT_OK;
    problem_set(ret_problem,
                "%s is on a remote file system (%s), where LMDB is not safe; use a local disk, or --remote-file-system",
                directory->path, remote);
    return failure_result(FAILURE_INPUT);
}

/* Takes FORMAT's text apart. */
static result format_parse(struct directory *directory, const char *text, struct problem *ret_problem) {
    if (strncmp(text, FORMAT_PREFIX, strlen(FORMAT_PREFIX)) != 0) {
        problem_set(ret_problem, "%s/FORMAT is not a Daybook store's; choose another directory", directory->path);
        return failure_result(FAILURE_FORMAT);
    }
    const char *digits = text + strlen(FORMAT_PREFIX);
    char *end = NULL;
    const unsigned long long version = strtoull(digits, &end, 10);
    const bool is_number = end != digits && *digits >= '1' && *digits <= '9' && *end == '\n';
    if (is_number && version > DIRECTORY_FORMAT_VERSION) {
        problem_set(ret_problem, "%s was written by a newer daybookd (format %llu, this one knows %d); use that one",
                    directory->path, version, DIRECTORY_FORMAT_VERSION);
        return failure_result(FAILURE_FORMAT);
    }
    const char *id = is_number ? end + 1 : "";
    struct uuid uuid;
    if (strlen(id) != UUID_TEXT_BYTES + 1 || id[UUID_TEXT_BYTES] != '\n' ||
        failed(uuid_parse(bytes_of(id, UUID_TEXT_BYTES), &uuid))) {
        problem_set(ret_problem, "%s/FORMAT is damaged; restore it from a backup", directory->path);
        return failure_result(FAILURE_CORRUPT);
    }
    memcpy(directory->store_id, id, UUID_TEXT_BYTES);
    directory->has_store = true;
    return RESULT_OK;
}

/* What may lie in a directory that is not yet a store: what a volume has, and what an interrupted first start left. */
static bool entry_is_expected(const char *name) {
    static const char *const expected[] = {".", "..", "lost+found", "LOCK", "FORMAT.new", "log.new", "log"};
    for (size_t index = 0; index < sizeof expected / sizeof expected[0]; index++) {
        if (strcmp(name, expected[index]) == 0) return true;
    }
    return false;
}

static result foreign_check(const struct directory *directory, const char *allowed, struct problem *ret_problem) {
    DIR *entries = opendir(directory->path);
    if (entries == NULL) return failure_of("list", directory->path, "", ret_problem);
    result outcome = RESULT_OK;
    const struct dirent *entry = readdir(entries);
    while (entry != NULL &&
           (entry_is_expected(entry->d_name) || (allowed != NULL && strcmp(allowed, entry->d_name) == 0)))
        entry = readdir(entries);
    if (entry != NULL) {
        problem_set(ret_problem, "%s is not a Daybook store but holds other files (%s); choose an empty directory",
                    directory->path, entry->d_name);
        outcome = failure_result(FAILURE_FORMAT);
    }
    closedir(entries);
    return outcome;
}

/* Reads only. */
static result format_inspect(struct directory *directory, const char *allowed, struct problem *ret_problem) {
    const int descriptor = openat(directory->descriptor, "FORMAT", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) return foreign_check(directory, allowed, ret_problem);
    if (descriptor < 0) return failure_of("read FORMAT in", directory->path, "", ret_problem);
    char text[FORMAT_BYTES_MAX + 1] = {0};
    const ssize_t size = read(descriptor, text, FORMAT_BYTES_MAX);
    result outcome = RESULT_OK;
    if (size < 0) outcome = failure_of("read FORMAT in", directory->path, "", ret_problem);
    close(descriptor);
    return failed(outcome) ? outcome : format_parse(directory, text, ret_problem);
}

static result lock_busy(const struct directory *directory, struct problem *ret_problem) {
    char text[24] = {0};
    const ssize_t size = pread(directory->lock, text, sizeof text - 1, 0);
    const long process = size > 0 ? strtol(text, NULL, 10) : 0;
    if (process > 0) {
        problem_set(ret_problem, "%s is in use by process %ld; stop it or choose another directory", directory->path,
                    process);
    } else {
        problem_set(ret_problem, "%s is in use by another process; stop it or choose another directory",
                    directory->path);
    }
    return failure_result(FAILURE_BUSY);
}

static result lock_take(struct directory *directory, struct problem *ret_problem) {
    directory->lock = openat(directory->descriptor, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (directory->lock < 0) {
        return failure_of("write to", directory->path, "; choose a directory that can be written (--data)",
                          ret_problem);
    }
    if (flock(directory->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return lock_busy(directory, ret_problem);
        return failure_of("lock", directory->path, "", ret_problem);
    }
    char text[24];
    const int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    assert(size > 0 && (size_t)size < sizeof text);
    /* Only messages need it: a full disk does not keep anybody from reading. */
    if (ftruncate(directory->lock, 0) == 0) (void)!pwrite(directory->lock, text, (size_t)size, 0);
    return RESULT_OK;
}

static result open_steps(const struct directory_options *options, struct directory *directory,
                         struct problem *ret_problem) {
    TRY(path_make(options->path, ret_problem));
    directory->descriptor = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->descriptor < 0) return failure_of("open", options->path, "", ret_problem);
    TRY(file_system_check(directory, options->remote_file_system_allowed, ret_problem));
    /* Before the lock file is made, so that a foreign directory stays as it is; and again when nobody else can change
     * it, because another daemon may just have made its store here. */
    TRY(format_inspect(directory, options->entry_allowed, ret_problem));
    TRY(lock_take(directory, ret_problem));
    return format_inspect(directory, options->entry_allowed, ret_problem);
}

result directory_open(const struct directory_options *options, struct directory *ret_directory,
                      struct problem *ret_problem) {
    struct directory directory = {.path = strdup(options->path), .descriptor = -1, .lock = -1};
    if (directory.path == NULL) return failure_result(FAILURE_MEMORY);
    const result outcome = open_steps(options, &directory, ret_problem);
    if (failed(outcome)) {
        directory_close(&directory);
        return outcome;
    }
    *ret_directory = directory;
    return RESULT_OK;
}

void directory_close(struct directory *directory) {
    if (directory->path == NULL) return;
    if (directory->lock >= 0) close(directory->lock);
    if (directory->descriptor >= 0) close(directory->descriptor);
    free(directory->path);
    *directory = (struct directory){0};
}

result directory_format_write(struct directory *directory, const char *store_id, struct problem *ret_problem) {
    assert(!directory->has_store && strlen(store_id) == UUID_TEXT_BYTES);
    char text[FORMAT_BYTES_MAX];
    const int size = snprintf(text, sizeof text, FORMAT_PREFIX "%d\n%s\n", DIRECTORY_FORMAT_VERSION, store_id);
    assert(size > 0 && (size_t)size < sizeof text);

    const int file = openat(directory->descriptor, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0) return failure_of("write FORMAT in", directory->path, "", ret_problem);
    errno = ENOSPC; /* what a short write means */
    const bool written = write(file, text, (size_t)size) == size && fsync(file) == 0;
    result outcome = RESULT_OK;
    if (!written) outcome = failure_of("write FORMAT in", directory->path, "", ret_problem);
    close(file);
    if (failed(outcome)) return outcome;
    DAYBOOK_FAILPOINT(FORMAT_WRITTEN);
    if (renameat(directory->descriptor, "FORMAT.new", directory->descriptor, "FORMAT") != 0) {
        return failure_of("write FORMAT in", directory->path, "", ret_problem);
    }
    DAYBOOK_FAILPOINT(FORMAT_RENAMED);
    if (fsync(directory->descriptor) != 0) return failure_of("write FORMAT in", directory->path, "", ret_problem);
    DAYBOOK_FAILPOINT(FORMAT_SYNCED);
    memcpy(directory->store_id, store_id, UUID_TEXT_BYTES + 1);
    directory->has_store = true;
    return RESULT_OK;
}
