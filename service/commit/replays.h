/* replays.h: recognises an append that was made before by the ids of its events.
 *
 * A client that does not know whether its append arrived sends it again, with the same ids. When all of them are known,
 * in the same streams, in the same order and with the same bytes, the answer is the original one, whatever the request
 * expects of its streams now. When only some are known, or one has other content, it is refused.
 * Known is what earlier requests of the group have written (pending) and what the index has, each hit verified against
 * the record's own bytes. With a window (index_ids_window) only the newest events count.
 * Ownership: borrows store and index; pending ids are views of the group's requests. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_REPLAYS_H
#define SERVICE_COMMIT_REPLAYS_H

#include "service/base/result.h"
#include "service/commit/request.h"
#include "service/record/chunk.h"

struct index;
struct replays;
struct store;

/* FAILURE_MEMORY and the failures of store_reader_open. */
MUST_USE result replays_new(struct store *store, struct index *index, struct replays **ret_replays);
struct replays *replays_free(struct replays *replays);

enum replay {
    REPLAY_NONE,     /* every id is new */
    REPLAY_COMPLETE, /* the results of the request are those of the original */
    REPLAY_CONFLICT, /* the conflicts of the request are the known ids */
};

/* Looks up the ids of all requests of a group, before the first of them is decided. FAILURE_CORRUPT and FAILURE_STORAGE
 * from below. */
MUST_USE result replays_prepare(struct replays *replays, const struct append_request *requests);

/* For each request of the group, in their order. `chunk` holds the records of the group. FAILURE_CORRUPT and FAILURE_STORAGE
 * from below. */
MUST_USE result replays_find(struct replays *replays, struct append_request *request, const struct chunk *chunk,
                             enum replay *ret_replay);

/* The event is now at this position, for the rest of the group. */
void replays_set(struct replays *replays, const struct append_event *event, uint64_t position);

/* Ends the group, whichever way: the index knows what was committed. */
void replays_clear(struct replays *replays);

#endif
