/* retention.h: takes the bytes of events away that no read shows any more: deleted, truncated, beyond max_count, too old.
 *
 * A thread goes through the rows of the table `streams`, at a fixed interval and when it is woken. What it finds it hands to
 * the sequencer in small steps, as requests among all others, and waits for each: so the writer is never held up for longer
 * than a step takes, and whether an event may go is decided where everything is decided. It keeps no state: a step that was
 * not taken is found again.
 * Ownership: borrows store, index and sequencer, which outlive it. Threads: wake, pause, resume and count from any; open and
 * close to nobody else. */
#ifndef SERVICE_RETENTION_RETENTION_H
#define SERVICE_RETENTION_RETENTION_H

#include <stdint.h>

#include "service/base/result.h"

struct index;
struct retention;
struct sequencer;
struct store;

struct retention_options {
    struct store *store;
    struct index *index;
    struct sequencer *sequencer;
    uint64_t interval_ms; /* 0: RETENTION_INTERVAL_MS_DEFAULT */
};

/* Starts the thread. FAILURE_MEMORY and the failures of store_reader_open. */
MUST_USE result retention_open(const struct retention_options *options, struct retention **ret_retention);

/* Ends the thread after its current step. NULL is allowed. Returns NULL. */
struct retention *retention_close(struct retention *retention);

/* Something has disappeared: looks at all streams soon. NULL is allowed. */
void retention_wake(struct retention *retention);

/* From now on, until as many calls of resume, no step is begun, so that what has disappeared keeps its bytes; one that is in the
 * queue goes through: the snapshot it was found in is older. NULL is allowed. */
void retention_pause(struct retention *retention);
void retention_resume(struct retention *retention);

struct retention_counts {
    uint64_t events_removed_count;
    uint64_t bytes_removed; /* of records; the file gives them back when it is compacted */
    uint64_t passes_count;  /* over all rows, ended */
};
struct retention_counts retention_count(struct retention *retention);

#endif
