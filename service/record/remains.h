/* remains.h: what is left of an event whose bytes were taken away: a smaller record in the same place.
 *
 * Removed (its time was up, or its stream was deleted): position, stream, revision, time and an event that has its id alone,
 * so that history has no gap, a stream's revision is still found, and a retry is still recognised. It is never sent.
 * Erased (EraseEvents): id and type, and field 6 of the record,
 *
 *   0a length Timestamp   field 1: when it was erased, as in record.h
 *   12 20 <32 bytes>      field 2: SHA-256 of the encoded event as it was
 *
 * It is sent like any other event. One that is removed after it was erased is removed.
 * Ownership: caller-owned memory. Threads: any. */
#ifndef SERVICE_RECORD_REMAINS_H
#define SERVICE_RECORD_REMAINS_H

#include "service/base/limits.h"
#include "service/record/record.h"

/* Place (RECORD_OVERHEAD_BYTES_MAX), id (2 + 36), type (3 + 255) and erasure (2 + 2 + 15 + 2 + 32). */
#define REMAINS_BYTES_MAX (RECORD_OVERHEAD_BYTES_MAX + 38 + 258 + 53)

struct remains {
    size_t size;
    uint8_t bytes[REMAINS_BYTES_MAX];
};

/* Makes the record that takes the place of `record`. FAILURE_CORRUPT when its event is none. */
MUST_USE result remains_of_removed(const struct record *record, struct remains *ret_remains);
MUST_USE result remains_of_erased(const struct record *record, int64_t erased_ns, struct remains *ret_remains);

/* Whether an encoded record is that of a removed event: nothing to send. Costs a look at four bytes for all others. */
bool remains_is_removed(struct bytes encoded);

/* Whether `event`, in its encoded form, is the one that was erased or removed here: by its digest; a removed one has only its
 * id left, and that decides. False for a record that has its event. */
bool remains_match(const struct record *record, struct bytes id, struct bytes event);

#endif
