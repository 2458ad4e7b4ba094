/* stream_scan.h: walks over the events of a stream that have disappeared, oldest first, a step at a time.
 *
 * Ownership: caller-owned memory. Threads: one at a time. */
#ifndef SERVICE_RETENTION_STREAM_SCAN_H
#define SERVICE_RETENTION_STREAM_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/limits.h"
#include "service/base/result.h"

struct index;
struct store_reader;
struct stream_row;

struct stream_scan {
    uint8_t stream[NAME_BYTES_MAX];
    size_t stream_size;
    uint64_t next_revision; /* all below have disappeared: they are removed, or in the last step */
    /* Of the last step, ascending. */
    uint64_t positions[RETENTION_STEP_EVENTS_COUNT_MAX];
    uint32_t positions_count;
};

/* Begins where the stream's row says that removal has come to. */
void stream_scan_init(struct stream_scan *scan, struct bytes stream, const struct stream_row *row);

/* Finds the next events that have disappeared and still have their bytes, within the reader's snapshot. `ret_is_at_end`: the
 * event at next_revision may be shown, or there is none. FAILURE_CORRUPT and the failures of reading. */
MUST_USE result stream_scan_step(struct stream_scan *scan, struct store_reader *reader, struct index *index,
                                 int64_t now_ns, bool *ret_is_at_end);

#endif
