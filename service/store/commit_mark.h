/* commit_mark.h: DIR/log/COMMIT, which tells of the last commit beside LMDB's file.
 *
 * LMDB 0.9 has no checksums. When the newer of its two meta pages is damaged it opens the older one, and a commit that was
 * acknowledged is gone without a word. So each commit leaves a mark: its number, the last position, a copy of its meta page and
 * the checksum of the page that names the tables. At the start the log is compared with its mark, and while it is written
 * each transaction looks whether the file still has what the one before it left.
 *
 * The mark is written once the commit is on disk, and is not synced: a write of two hundred bytes to the page cache, where it
 * outlives the process. After a power cut it may be older than the log, which finds less; it is never ahead of the log, so a log
 * behind its mark has lost something.
 *
 *   COMMIT   two slots of 512 bytes, a sector each, of which an even commit writes the first and an odd one the second, so
 *            that a torn write leaves the other
 *   slot     "daybkcm1"; number of the commit, last position, number of the page that names the tables (8 bytes each,
 *            little-endian); CRC32C of that page (4), nothing (4); the meta page's first 152 bytes; CRC32C of all that (4)
 *
 * Ownership: the caller's memory and descriptors. Threads: one at a time for a descriptor.
 * Errors: results; what a start finds wrong has a one-line problem that says what to do. */
#ifndef SERVICE_STORE_COMMIT_MARK_H
#define SERVICE_STORE_COMMIT_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"
#include "service/store/meta_page.h"

#define COMMIT_MARK_FILE "COMMIT"

struct commit_mark {
    uint64_t transaction;
    uint64_t position;
    uint64_t tables_page;
    uint32_t tables_checksum;
    uint8_t meta[META_PAGE_BYTES];
};

/* Makes the mark of a commit from LMDB's file, after it. FAILURE_CORRUPT: the file does not have this commit. FAILURE_STORAGE. */
MUST_USE result commit_mark_take(int file, uint64_t page_bytes, uint64_t transaction, uint64_t position,
                                 struct commit_mark *ret_mark);

/* Whether LMDB's file has the commit as its mark says, byte for byte. FAILURE_CORRUPT, FAILURE_STORAGE. */
MUST_USE result commit_mark_check(int file, uint64_t page_bytes, const struct commit_mark *mark);

/* Opens or makes COMMIT in a directory; -1 where that cannot be, errno says why. Closed with close. */
int commit_mark_open(const char *directory);
/* False: it could not be written. */
bool commit_mark_write(int descriptor, const struct commit_mark *mark);
/* The newest whole slot. False: there is none. */
bool commit_mark_read(int descriptor, struct commit_mark *ret_mark);

enum commit_mark_state {
    COMMIT_MARK_ABSENT, /* there is none: a log that an older daybookd wrote */
    COMMIT_MARK_KEPT,   /* the commit is there, or a later one */
    COMMIT_MARK_LOST,   /* it is not; LMDB would open an older one, or another */
};

/* Before a log is opened: compares DIR/log with its mark. A meta page that is damaged while everything it leads to is there
 * is written anew (`may_repair`), which a log line tells; else that is FAILURE_CORRUPT. `ret_mark` is what the state is about,
 * untouched with COMMIT_MARK_ABSENT. Says nothing of a file that is not there. FAILURE_STORAGE. */
MUST_USE result commit_mark_compare(const char *directory, bool may_repair, enum commit_mark_state *ret_state,
                                    struct commit_mark *ret_mark, struct problem *ret_problem);

#endif
