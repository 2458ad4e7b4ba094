/* log_check.h: what must be true of the records of a log, one after the other: what a verification and a restore look at.
 *
 * Each record is one, says the position that it is at, is not recorded before the one in front of it, has an event that the
 * daemon accepts (or what is left of one, remains.h), and is the next revision of its stream. The last revisions are kept in a
 * table of LOG_CHECK_STREAMS_COUNT places, 8 MiB. A stream whose place was taken by another in between is taken as it comes,
 * once: so in a store with fewer streams than places nearly every revision is compared, in a larger one those of streams that
 * are busy. After a record that cannot be read nothing is known of any stream.
 * Ownership: a check is its maker's, who frees it. Threads: one at a time. Errors: FAILURE_MEMORY. */
#ifndef SERVICE_STORE_LOG_CHECK_H
#define SERVICE_STORE_LOG_CHECK_H

#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"

#define LOG_CHECK_STREAMS_COUNT 262144

struct log_check;

MUST_USE result log_check_new(struct log_check **ret_check);
/* NULL is allowed. Returns NULL. */
struct log_check *log_check_free(struct log_check *check);

/* The next record, whose checksum is right. NULL: it is as it must be; else static text that goes on behind "the event at a
 * position". Records come in order of position, from 1. */
const char *log_check_record(struct log_check *check, uint64_t position, struct bytes record);

/* The record of the next position cannot be read, whatever it was. */
void log_check_skip(struct log_check *check);

#endif
