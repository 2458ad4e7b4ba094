/* streams_by_change.h: the streams in the order of their last change, newest first, by a walk down the log.
 *
 * A stream comes where its newest event up to `head` is, the head of the moment when the list began: so a list that is taken in
 * parts has each stream once, whatever is appended meanwhile. Each event asks the index once whether its stream has a newer one;
 * nothing is stored for this.
 * Ownership: borrows everything; names are valid until the reader's snapshot ends. Threads: the reader's.
 * Errors: FAILURE_CORRUPT, FAILURE_MEMORY and the storage failures. */
#ifndef SERVICE_STORE_STREAMS_BY_CHANGE_H
#define SERVICE_STORE_STREAMS_BY_CHANGE_H

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/store/index.h"
#include "service/store/store.h"

struct streams_by_change_options {
    struct index *index;
    struct store_reader *reader; /* has a snapshot that has the head */
    struct bytes prefix;         /* of the streams' names */
    uint64_t head;
    uint64_t position;         /* to begin with; at most the head */
    uint32_t events_count_max; /* to look at */
    uint32_t streams_count_max;
};

/* Fills up to `streams_count_max` names. `ret_next`: the position to go on with; 0: the walk has come to its end. */
MUST_USE result streams_by_change_walk(const struct streams_by_change_options *options, struct bytes *ret_streams,
                                       uint32_t *ret_count, uint64_t *ret_next);

#endif
