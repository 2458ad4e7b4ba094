/* visibility.h: which stored events may be shown.
 *
 * Not shown are removed events (remains.h), events below the first revision of their stream (truncated, beyond max_count, or
 * deleted), and events older than their stream's max_age. The server's own events, which tell of deletions and erasures, are
 * always shown.
 * An event of a stream without a row costs a look at the record's end, at a flag, and, when there are rows at all, at a bit.
 * Threads: those of the reader or the transaction. Errors: FAILURE_CORRUPT and the storage failures. */
#ifndef SERVICE_STORE_VISIBILITY_H
#define SERVICE_STORE_VISIBILITY_H

#include <stdbool.h>

#include "service/base/bytes.h"
#include "service/base/result.h"

struct store;
struct store_reader;

/* Whether an event with this encoded record may be shown at a time (nanoseconds since 1970), by the rows of the snapshot, or
 * as the transaction sees them. */
MUST_USE result store_reader_shows(struct store_reader *reader, struct bytes encoded, int64_t now_ns, bool *ret_shown);
MUST_USE result store_shows(struct store *store, struct bytes encoded, int64_t now_ns, bool *ret_shown);

/* Whether any stream may have a row: while none has, only removed events are not shown, and no snapshot is needed to tell. */
bool store_has_streams(const struct store *store);
bool store_reader_has_streams(const struct store_reader *reader);

#endif
