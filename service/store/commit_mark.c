#include "service/store/commit_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/base/checksum.h"
#include "service/base/logging.h"

#define MAGIC            "daybkcm1"
#define SLOT_BYTES       512
#define PAGE_BYTES_MAX   65536
#define META_OFFSET      40
#define CHECKSUM_OFFSET  (META_OFFSET + META_PAGE_BYTES)
#define MARK_BYTES       (CHECKSUM_OFFSET + 4)
#define TABLES_SUM_PLACE 32

_Static_assert(MARK_BYTES <= SLOT_BYTES, "a mark is written in one sector");

static void number_write(uint8_t *out, uint64_t number, uint32_t bytes_count) {
    for (uint32_t index = 0; index < bytes_count; index++) out[index] = (uint8_t)(number >> (8 * index));
}

static uint64_t number_read(const uint8_t *bytes, uint32_t bytes_count) {
    uint64_t number = 0;
    for (uint32_t index = 0; index < bytes_count; index++) number |= (uint64_t)bytes[index] << (8 * index);
    return number;
}

/* --- What LMDB's file says. --------------------------------------------------------------------------------------------- */

static uint64_t meta_offset(uint64_t transaction, uint64_t page_bytes) {
    return transaction % 2 * page_bytes;
}

static result tables_checksum(int file, uint64_t page_bytes, uint64_t page, uint32_t *ret_checksum) {
    uint8_t bytes[PAGE_BYTES_MAX] __attribute__((uninitialized)); /* twice a commit, and mostly 4 KiB of it are read */
    if (page_bytes > sizeof bytes || page > INT64_MAX / page_bytes - 1) return failure_result(FAILURE_CORRUPT);
    const ssize_t size = pread(file, bytes, page_bytes, (off_t)(page * page_bytes));
    if (size < 0) return failure_result(FAILURE_STORAGE);
    if ((uint64_t)size < page_bytes) return failure_result(FAILURE_CORRUPT);
    *ret_checksum = checksum_crc32c(bytes_of(bytes, page_bytes));
    return RESULT_OK;
}

result commit_mark_take(int file, uint64_t page_bytes, uint64_t transaction, uint64_t position,
                        struct commit_mark *ret_mark) {
    struct meta_page meta;
    TRY(meta_page_read(file, meta_offset(transaction, page_bytes), &meta));
    if (!meta_page_is_sound(&meta) || meta.transaction != transaction) return failure_result(FAILURE_CORRUPT);
    struct commit_mark mark = {.transaction = transaction, .position = position, .tables_page = meta.tables_page};
    memcpy(mark.meta, meta.bytes, sizeof mark.meta);
    TRY(tables_checksum(file, page_bytes, meta.tables_page, &mark.tables_checksum));
    *ret_mark = mark;
    return RESULT_OK;
}

static result tables_check(int file, uint64_t page_bytes, const struct commit_mark *mark) {
    uint32_t checksum = 0;
    TRY(tables_checksum(file, page_bytes, mark->tables_page, &checksum));
    return checksum == mark->tables_checksum ? RESULT_OK : failure_result(FAILURE_CORRUPT);
}

result commit_mark_check(int file, uint64_t page_bytes, const struct commit_mark *mark) {
    struct meta_page meta;
    TRY(meta_page_read(file, meta_offset(mark->transaction, page_bytes), &meta));
    if (memcmp(meta.bytes, mark->meta, sizeof mark->meta) != 0) return failure_result(FAILURE_CORRUPT);
    return tables_check(file, page_bytes, mark);
}

/* --- The file COMMIT. --------------------------------------------------------------------------------------------------- */

int commit_mark_open(const char *directory) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" COMMIT_MARK_FILE, directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
}

static off_t slot_offset(uint64_t transaction) {
    return (off_t)(transaction % 2 * SLOT_BYTES);
}

bool commit_mark_write(int descriptor, const struct commit_mark *mark) {
    uint8_t slot[MARK_BYTES] = {0};
    memcpy(slot, MAGIC, 8);
    number_write(slot + 8, mark->transaction, 8);
    number_write(slot + 16, mark->position, 8);
    number_write(slot + 24, mark->tables_page, 8);
    number_write(slot + TABLES_SUM_PLACE, mark->tables_checksum, 4);
    memcpy(slot + META_OFFSET, mark->meta, sizeof mark->meta);
    number_write(slot + CHECKSUM_OFFSET, checksum_crc32c(bytes_of(slot, CHECKSUM_OFFSET)), 4);
    return pwrite(descriptor, slot, sizeof slot, slot_offset(mark->transaction)) == (ssize_t)sizeof slot;
}

/* The mark in the slot of even or odd commits. */
static bool slot_read(int descriptor, uint64_t parity, struct commit_mark *ret_mark) {
    uint8_t slot[MARK_BYTES];
    if (pread(descriptor, slot, sizeof slot, slot_offset(parity)) != (ssize_t)sizeof slot) return false;
    if (memcmp(slot, MAGIC, 8) != 0) return false;
    if (number_read(slot + CHECKSUM_OFFSET, 4) != checksum_crc32c(bytes_of(slot, CHECKSUM_OFFSET))) return false;
    struct commit_mark mark = {.transaction = number_read(slot + 8, 8),
                               .position = number_read(slot + 16, 8),
                               .tables_page = number_read(slot + 24, 8),
                               .tables_checksum = (uint32_t)number_read(slot + TABLES_SUM_PLACE, 4)};
    memcpy(mark.meta, slot + META_OFFSET, sizeof mark.meta);
    *ret_mark = mark;
    return true;
}

bool commit_mark_read(int descriptor, struct commit_mark *ret_mark) {
    struct commit_mark even = {0};
    struct commit_mark odd = {0};
    const bool has_even = slot_read(descriptor, 0, &even);
    const bool has_odd = slot_read(descriptor, 1, &odd);
    if (!has_even && !has_odd) return false;
    *ret_mark = !has_odd || (has_even && even.transaction > odd.transaction) ? even : odd;
    return true;
}

/* --- The log against its mark. ------------------------------------------------------------------------------------------ */

struct comparison {
    const char *directory;
    int mark_file;
    int file; /* LMDB's */
    bool may_repair;
    struct commit_mark mark;
    uint64_t page_bytes;
    struct meta_page metas[2];
};

static result metas_read(struct comparison *comparison) {
    TRY(meta_page_read(comparison->file, 0, &comparison->metas[0]));
    return meta_page_read(comparison->file, comparison->page_bytes, &comparison->metas[1]);
}

static uint64_t newest_transaction(const struct comparison *comparison) {
    const uint64_t first = comparison->metas[0].transaction;
    const uint64_t second = comparison->metas[1].transaction;
    return first > second ? first : second;
}

static result meta_put(const struct comparison *comparison, const struct commit_mark *mark) {
    const off_t offset = (off_t)meta_offset(mark->transaction, comparison->page_bytes);
    const bool is_written =
        pwrite(comparison->file, mark->meta, sizeof mark->meta, offset) == (ssize_t)sizeof mark->meta;
    return is_written ? RESULT_OK : failure_result(FAILURE_STORAGE);
}

/* The commit's own meta page, and the one before it, which LMDB compares it with; the latter leads nobody anywhere. */
static result metas_repair(struct comparison *comparison) {
    struct commit_mark before;
    TRY(meta_put(comparison, &comparison->mark));
    TRY(metas_read(comparison));
    const bool has_before = slot_read(comparison->mark_file, (comparison->mark.transaction + 1) % 2, &before) &&
                            before.transaction + 1 == comparison->mark.transaction;
    if (!meta_pages_agree(&comparison->metas[0], &comparison->metas[1]) && has_before) {
        TRY(meta_put(comparison, &before));
    }
    if (fdatasync(comparison->file) != 0) return failure_result(FAILURE_STORAGE);
    log_warn("a damaged meta page of the log was written anew from its copy", "directory", comparison->directory,
             "commit", log_number(comparison->mark.transaction), "position", log_number(comparison->mark.position));
    return RESULT_OK;
}

static result compare(struct comparison *comparison, enum commit_mark_state *ret_state, struct problem *ret_problem) {
    const struct commit_mark *mark = &comparison->mark;
    TRY(metas_read(comparison));
    const bool agree = meta_pages_agree(&comparison->metas[0], &comparison->metas[1]);
    const struct meta_page *own = &comparison->metas[mark->transaction % 2];
    const bool is_there = memcmp(own->bytes, mark->meta, sizeof mark->meta) == 0;
    if (agree && (is_there || newest_transaction(comparison) > mark->transaction)) {
        *ret_state = COMMIT_MARK_KEPT;
        return RESULT_OK;
    }
    /* The page that names the tables is the last thing that a commit makes before its meta page: where it is whole, so is the
     * commit, and the meta page is all that is damaged. */
    const result whole = tables_check(comparison->file, comparison->page_bytes, mark);
    if (whole.failure == FAILURE_CORRUPT) {
        *ret_state = COMMIT_MARK_LOST;
        return RESULT_OK;
    }
    TRY(whole);
    if (!comparison->may_repair) {
        problem_set(ret_problem, "a meta page of %s/data.mdb is damaged; the next start of daybookd repairs it",
                    comparison->directory);
        return failure_result(FAILURE_CORRUPT);
    }
    *ret_state = COMMIT_MARK_KEPT;
    return metas_repair(comparison);
}

result commit_mark_compare(const char *directory, bool may_repair, enum commit_mark_state *ret_state,
                           struct commit_mark *ret_mark, struct problem *ret_problem) {
    char path[PATH_MAX];
    struct comparison comparison = {.directory = directory, .may_repair = may_repair};
    enum commit_mark_state state = COMMIT_MARK_ABSENT;
    result outcome = RESULT_OK;
    if (snprintf(path, sizeof path, "%s/" COMMIT_MARK_FILE, directory) >= (int)sizeof path) return RESULT_OK;
    comparison.mark_file = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    comparison.file = open(path, (may_repair ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (comparison.mark_file >= 0 && comparison.file >= 0 && commit_mark_read(comparison.mark_file, &comparison.mark)) {
        comparison.page_bytes = meta_page_parse(comparison.mark.meta).page_bytes;
        outcome = compare(&comparison, &state, ret_problem);
        if (outcome.failure == FAILURE_STORAGE) problem_set(ret_problem, "cannot read or write %s", path);
    }
    if (comparison.mark_file >= 0) close(comparison.mark_file);
    if (comparison.file >= 0) close(comparison.file);
    TRY(outcome);
    if (state != COMMIT_MARK_ABSENT) *ret_mark = comparison.mark;
    *ret_state = state;
    return RESULT_OK;
}
