/* environment_space.c: room for commits, and what a failed commit means. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/store/environment.h"

/* Pages a commit may take, in bytes, for a byte of its keys and values: a value just over half a page takes a whole
 * one, and splits leave room. */
#define PAGE_BYTES_PER_BYTE_WRITTEN 3

uint64_t environment_free_bytes(int descriptor) {
    struct statvfs figures;
    if (fstatvfs(descriptor, &figures) != 0) return UINT64_MAX; /* not known: the write itself decides */
    return (uint64_t)figures.f_bavail * figures.f_frsize;
}

static uint64_t bytes_needed(const struct environment *environment, uint64_t bytes_written) {
    assert(bytes_written < UINT64_MAX / (2 * PAGE_BYTES_PER_BYTE_WRITTEN));
    const uint64_t needed =
        environment_used_bytes(environment) + PAGE_BYTES_PER_BYTE_WRITTEN * bytes_written + ENVIRONMENT_SLACK_BYTES;
    return needed < environment->map_bytes ? needed : environment->map_bytes; /* beyond it LMDB says MDB_MAP_FULL */
}

/* Takes blocks for [file_bytes, bytes); only lengthens the file where the file system has no fallocate. */
static int file_grow(const struct environment *environment, uint64_t bytes) {
    int code = 0;
    do {
        code = fallocate(environment->descriptor, 0, (off_t)environment->file_bytes,
                         (off_t)(bytes - environment->file_bytes));
    } while (code != 0 && errno == EINTR);
    if (code != 0 && errno == EOPNOTSUPP) code = ftruncate(environment->descriptor, (off_t)bytes);
    if (code != 0) return errno;
    /* The length is part of what a commit promises, because environment_open compares with it. */
    return fdatasync(environment->descriptor) == 0 ? 0 : errno;
}

static void file_measure(struct environment *environment) {
    struct stat status;
    if (fstat(environment->descriptor, &status) == 0) environment->file_bytes = (uint64_t)status.st_size;
}

static result space_short(struct environment *environment, uint64_t free_bytes, uint64_t needed_bytes) {
    if (!environment->space_is_short) {
        log_error("no space left, writing is refused until there is", "file", environment->file, "free_bytes",
                  log_number(free_bytes), "needed_bytes", log_number(needed_bytes));
    }
    environment->space_is_short = true;
    return failure_result(FAILURE_STORAGE_FULL);
}

result environment_reserve(struct environment *environment, uint64_t bytes_written) {
    const uint64_t needed = bytes_needed(environment, bytes_written);
    if (needed <= environment->file_bytes) return RESULT_OK;

    uint64_t grown = environment->file_bytes + ENVIRONMENT_GROWTH_BYTES;
    if (grown < needed) grown = needed;
    if (grown > environment->map_bytes) grown = environment->map_bytes;
    const uint64_t free_needed = grown - environment->file_bytes + environment->reserve_bytes;
    const uint64_t free_bytes = environment_free_bytes(environment->descriptor);
    if (free_bytes < free_needed) return space_short(environment, free_bytes, free_needed);

    const int error = file_grow(environment, grown);
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        file_measure(environment); /* it may have grown by a part */
        return space_short(environment, free_bytes, free_needed);
    }
    if (error != 0) {
        log_error("cannot grow the file", "file", environment->file, "error", strerror(error));
        return failure_result(FAILURE_STORAGE);
    }
    if (environment->space_is_short) log_info("there is space again", "file", environment->file);
    environment->space_is_short = false;
    environment->file_bytes = grown;
    DAYBOOK_FAILPOINT(FILE_GROWN);
    return RESULT_OK;
}

/* After a failed write of its meta page LMDB refuses every further transaction. */
static bool environment_is_broken(const struct environment *environment) {
    MDB_txn *probe = NULL;
    const int code = mdb_txn_begin(environment->handle, NULL, MDB_RDONLY, &probe);
    if (code == MDB_SUCCESS) mdb_txn_abort(probe);
    return code == MDB_PANIC;
}

/* LMDB reports a short write as EIO. It was a full disk when there is no space now and the meta page, which decides
 * what the file holds, was not being written: then the pages of the failed commit are free pages, whatever became of
 * them. */
static result commit_failure(struct environment *environment, int code, uint64_t bytes_written) {
    if (code == MDB_MAP_FULL) {
        return space_short(environment, environment->map_bytes - environment_used_bytes(environment), bytes_written);
    }
    const uint64_t free_bytes = environment_free_bytes(environment->descriptor);
    const uint64_t needed_bytes = PAGE_BYTES_PER_BYTE_WRITTEN * bytes_written + ENVIRONMENT_SLACK_BYTES;
    const bool may_be_full = code == ENOSPC || code == EDQUOT || code == EIO;
    if (may_be_full && free_bytes < needed_bytes && !environment_is_broken(environment)) {
        return space_short(environment, free_bytes, needed_bytes);
    }
    log_error("a commit failed, its outcome is unknown", "file", environment->file, "error", mdb_strerror(code));
    return failure_result(FAILURE_STORAGE);
}

result environment_commit(struct environment *environment, MDB_txn *transaction, uint64_t bytes_written) {
    const result reserved = environment_reserve(environment, bytes_written);
    if (failed(reserved)) {
        mdb_txn_abort(transaction);
        return reserved;
    }
    const int code = mdb_txn_commit(transaction);
    if (code != MDB_SUCCESS) return commit_failure(environment, code, bytes_written);

    const uint64_t used_bytes = environment_used_bytes(environment);
    if (used_bytes > environment->file_bytes) {
        /* The estimate was too low and LMDB lengthened the file itself, perhaps not up to its last page. */
        log_warn("a commit took more pages than expected", "file", environment->file, "bytes_written",
                 log_number(bytes_written), "used_bytes", log_number(used_bytes));
        file_measure(environment);
        if (environment->file_bytes < used_bytes && ftruncate(environment->descriptor, (off_t)used_bytes) == 0) {
            environment->file_bytes = used_bytes;
        }
    }
    return RESULT_OK;
}

result environment_result(int code, const char *action) {
    switch (code) {
    case MDB_SUCCESS:
        return RESULT_OK;
    case MDB_NOTFOUND:
        return failure_result(FAILURE_NOT_FOUND);
    case MDB_MAP_FULL:
        return failure_result(FAILURE_STORAGE_FULL);
    case MDB_READERS_FULL:
        return failure_result(FAILURE_LIMIT);
    case ENOMEM:
        return failure_result(FAILURE_MEMORY);
    default:
        break;
    }
    log_error("storage error", "action", action, "error", mdb_strerror(code));
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND) return failure_result(FAILURE_CORRUPT);
    return failure_result(FAILURE_STORAGE);
}

result environment_write_result(int code, const char *action) {
    const result outcome = environment_result(code, action);
    return outcome.failure == FAILURE_CORRUPT ? failure_result(FAILURE_STORAGE) : outcome;
}
