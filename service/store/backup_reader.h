/* backup_reader.h: reads a backup (backup_format.h) and hands out what is in it, each thing verified.
 *
 * Every checksum, the order, positions without a gap, what log_check.h says of records, the counts and the digest of the end, and
 * that nothing follows: whatever is not as it must be is FAILURE_CORRUPT, with a problem that says what and at which byte.
 * Ownership: borrows the descriptor; entries have views that are valid until the next call. Threads: one at a time. */
#ifndef SERVICE_STORE_BACKUP_READER_H
#define SERVICE_STORE_BACKUP_READER_H

#include "service/store/backup_format.h"

struct backup_reader;

struct backup_entry {
    enum backup_kind kind;
    struct bytes stream;          /* BACKUP_STREAM */
    struct stream_row row;        /* BACKUP_STREAM */
    struct checkpoint checkpoint; /* BACKUP_CHECKPOINT */
    uint64_t position;            /* BACKUP_EVENT */
    struct bytes record;          /* BACKUP_EVENT, without its checksum */
};

/* Reads the header. `name` is the file's, for problems. FAILURE_FORMAT: no backup, or a newer one. FAILURE_CORRUPT,
 * FAILURE_STORAGE (it cannot be read), FAILURE_MEMORY. */
MUST_USE result backup_reader_open(int descriptor, const char *name, struct backup_reader **ret_reader,
                                   struct problem *ret_problem);
/* NULL is allowed. Returns NULL. */
struct backup_reader *backup_reader_close(struct backup_reader *reader);

const struct backup_header *backup_reader_header(const struct backup_reader *reader);

/* The next entry; BACKUP_END once, last, when everything is verified. After a failure only close is allowed. */
MUST_USE result backup_reader_next(struct backup_reader *reader, struct backup_entry *ret_entry,
                                   struct problem *ret_problem);

/* What was read so far. */
struct backup_counts backup_reader_counts(const struct backup_reader *reader);

#endif
