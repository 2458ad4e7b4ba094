/* changes.h: what is asked of the store beside appending: settings and deletion of streams, and taking the bytes of events
 * away. The part of apply that writes the table `streams`; for apply.c alone.
 *
 * All of it is decided and written in the group's transaction, by what the transaction sees.
 * Ownership: borrows everything. Threads: the sequencer's. Errors: FAILURE_CORRUPT, FAILURE_MEMORY and the storage failures;
 * only the functions named _write leave a trace. */
#ifndef SERVICE_COMMIT_CHANGES_H
#define SERVICE_COMMIT_CHANGES_H

#include "service/commit/apply.h"

/* What the transaction knows of a stream. */
struct stream_now {
    uint64_t revision; /* the last one; 0: none */
    bool is_tombstoned;
    bool exists; /* it has an event and is not deleted */
};
MUST_USE result stream_now_get(struct apply *apply, struct term term, struct bytes stream, struct stream_now *ret_now);

/* Notes tombstoned streams that are written to or changed, and one to be deleted that is not there, as conflicts. */
MUST_USE result changes_check(struct apply *apply, struct append_request *request);

/* Reads all that is to be rewritten, so that damage is found before the request has left a trace. */
MUST_USE result rewrite_probe(struct apply *apply, const struct append_rewrite *rewrite);

/* Takes the bytes away, and notes in the rewrite how many there were. */
MUST_USE result rewrite_write(struct apply *apply, struct append_rewrite *rewrite, int64_t now_ns);

/* The stream has got events, the last one with this revision: a deleted one is back, and max_count may hide others. */
MUST_USE result stream_follow_write(struct apply *apply, struct bytes stream, uint64_t revision);

/* Stores what becomes of a stream; the event that tells of a deletion is written. */
MUST_USE result change_write(struct apply *apply, struct append_stream_change *change);

#endif
