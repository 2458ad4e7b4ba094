/* backup.h: makes a backup of the log (backup_format.h), part by part, while the store is used.
 *
 * Begin takes one snapshot for head, rows and checkpoints, which it puts aside in a file without a name in the data directory.
 * Then every call reads the next events in a short snapshot of its own: how fast the parts are taken does not matter to the
 * store. Every checksum is verified on the way: damage ends a backup, it is never copied.
 * What has disappeared must keep its bytes from before the beginning to the end (retention_pause).
 * Ownership: borrows the store, which must outlive it. Takes a mebibyte of memory, 8 MiB for log_check.h, and as much as
 * the largest event on top.
 * Threads: one at a time. */
#ifndef SERVICE_STORE_BACKUP_H
#define SERVICE_STORE_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/digest.h"
#include "service/base/result.h"

#define BACKUP_PART_BYTES_MAX (UINT64_C(1) << 20)

struct backup;
struct store;

/* FAILURE_BUSY: one is being made. FAILURE_LIMIT: no reader is left. FAILURE_CORRUPT: a row is damaged. FAILURE_STORAGE_FULL: the
 * rows do not fit beside the log and leave it room. FAILURE_MEMORY, FAILURE_STORAGE. */
MUST_USE result backup_begin(struct store *store, struct backup **ret_backup);

/* The next part, of at most BACKUP_PART_BYTES_MAX, valid until the next call; an empty one behind the last. FAILURE_CORRUPT: the
 * event behind backup_position is damaged or missing. FAILURE_STORAGE. After a failure only backup_end is allowed. */
MUST_USE result backup_next(struct backup *backup, struct bytes *ret_part);

/* The head of the copy, and the position up to which it has come. */
uint64_t backup_head(const struct backup *backup);
uint64_t backup_position(const struct backup *backup);

/* The part that was handed out last is the last of all. */
bool backup_is_last(const struct backup *backup);

/* XXH3-128 of all parts, once the last was handed out. */
void backup_checksum(const struct backup *backup, char ret_text[DIGEST_TEXT_BYTES + 1]);

/* NULL is allowed. Returns NULL. */
struct backup *backup_end(struct backup *backup);

#endif
