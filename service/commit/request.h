/* request.h: one append on its way through the daemon.
 *
 * Built and validated by the API edge, decided by apply, answered by the sequencer.
 * Ownership: the request and everything it points to belong to the caller and live until `done` has been called.
 * Threads: handed from the caller to the sequencer (sequencer_submit) and back (done). */
#ifndef SERVICE_COMMIT_REQUEST_H
#define SERVICE_COMMIT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/checksum.h"

struct filter;

/* What must be true of a stream. */
enum expectation {
    EXPECT_ANY,
    EXPECT_REVISION, /* exactly `expected_revision`; 0: the stream must be new */
    EXPECT_EXISTS,   /* at least one event */
};

struct append_event {
    struct bytes id; /* its 36 characters, lower case */
    struct term id_term;
    bool id_is_new;       /* the daemon made it: nobody can have used it before */
    struct bytes encoded; /* daybook.v1.Event, its id set */
};

struct append_write {
    struct bytes stream;
    struct term term; /* of the stream */
    enum expectation expectation;
    uint64_t expected_revision;
    const struct append_event *events;
    uint32_t events_count;
};

struct append_check {
    struct bytes stream;
    struct term term;
    enum expectation expectation;
    uint64_t expected_revision;
};

/* Events that must not be there. */
struct append_condition {
    const struct filter *filter; /* with a type, a tag or a stream in every clause; NULL: any event */
    uint64_t after;              /* events up to and including this position are ignored */
};

/* How far the consumer that appends has come. */
struct append_checkpoint {
    struct bytes consumer;
    uint64_t position; /* greater than the stored one */
};

/* What becomes of a stream. With a deletion the request has one write, the event that tells of it. */
enum stream_change_kind { STREAM_CHANGE_SETTINGS, STREAM_CHANGE_DELETE, STREAM_CHANGE_TOMBSTONE };
struct append_stream_change {
    enum stream_change_kind kind;
    struct bytes stream;
    struct term term;
    /* Of STREAM_CHANGE_SETTINGS. */
    uint64_t max_age_seconds;
    uint64_t max_count;
    uint64_t truncate_before; /* set to what is stored: at most the next revision */
    struct bytes metadata;
};

/* Events whose bytes are taken away. */
enum rewrite_kind {
    REWRITE_ERASE,  /* the writes tell of it, and are made only when there was something to erase */
    REWRITE_REMOVE, /* events of one stream that are not shown any more; those that are shown are left alone */
};
struct append_rewrite {
    enum rewrite_kind kind;
    const uint64_t *positions; /* ascending, none beyond the head */
    uint32_t positions_count;
    uint32_t rewritten_count; /* set by apply */
    uint64_t rewritten_bytes; /* set by apply: how much smaller the records have become */
    /* Of REWRITE_REMOVE: all events of the stream below this revision are among the positions, or were removed before. */
    struct bytes stream;
    uint64_t removed_before;
};

/* Where the events of one write went. */
struct append_result {
    uint64_t first_revision;
    uint64_t last_revision;
    uint64_t first_position;
    uint64_t last_position;
};

/* What stood in the way of a request. */
enum conflict_kind {
    CONFLICT_WRITE,      /* the stream of writes[index] is at revision `actual` */
    CONFLICT_CHECK,      /* the stream of checks[index] is at revision `actual` */
    CONFLICT_CONDITION,  /* the event at position `actual` violates the condition */
    CONFLICT_CHECKPOINT, /* the consumer has come to position `actual` already */
    CONFLICT_ID,         /* the id of writes[index].events[event] is known: it is at position `actual` */
    CONFLICT_TOMBSTONE,  /* the stream of writes[index], or of the change, is tombstoned at revision `actual` */
    CONFLICT_MISSING,    /* the stream of the change has no events, or was deleted before */
};
struct append_conflict {
    enum conflict_kind kind;
    uint32_t index;
    uint32_t event;
    uint64_t actual;
};

enum append_outcome {
    APPEND_PENDING,
    APPEND_COMMITTED,
    APPEND_REVISION_CONFLICT, /* `conflicts` says which; condition and checkpoint may be among them */
    APPEND_CONDITION_FAILED,  /* `conflicts` says by which event; the checkpoint may be among them */
    APPEND_CHECKPOINT_STALE,  /* the checkpoint alone; `conflicts` says where the consumer is */
    APPEND_ID_CONFLICT,       /* some ids are known, and it is not a replay; `conflicts` says which */
    APPEND_STREAM_TOMBSTONED, /* `conflicts` says which streams */
    APPEND_STREAM_NOT_FOUND,  /* what is to be deleted is not there */
    APPEND_STORAGE_FULL,      /* nothing was written */
    APPEND_STORAGE_CORRUPT,   /* a record it had to look at is damaged; nothing was written */
    APPEND_OUTCOME_UNKNOWN,   /* the disk failed under the commit: it may or may not be there after the restart */
    APPEND_OUT_OF_MEMORY,     /* nothing was written */
    APPEND_STOPPED,           /* the daemon is stopping; nothing was written */
    APPEND_EXPIRED,           /* its deadline had passed when its group was taken; nothing was written */
};

struct append_request {
    /* Set by the caller. */
    const struct append_write *writes;
    uint32_t writes_count;
    const struct append_check *checks;
    uint32_t checks_count;
    const struct append_condition *condition;     /* NULL: none */
    const struct append_checkpoint *checkpoint;   /* NULL: none */
    struct append_stream_change *change;          /* NULL: none */
    struct append_rewrite *rewrite;               /* NULL: none */
    uint32_t events_count;                        /* of all writes */
    uint64_t size_bytes;                          /* encoded events and names, for the group's limit */
    uint64_t memory_bytes;                        /* what it holds while it waits, for the queue's; 0: size_bytes */
    struct append_result *results;                /* writes_count of them, filled when committed */
    struct append_conflict *conflicts;            /* events_count + checks_count + 2 of them */
    int64_t deadline_ns;                          /* nobody waits any more (monotonic clock); 0: none */
    void (*done)(struct append_request *request); /* once, on the sequencer's thread; must not block */
    void *context;

    /* Set by apply and the sequencer. */
    enum append_outcome outcome;
    bool replayed; /* committed before: `results` are those of then, and nothing was written now */
    uint32_t conflicts_count;
    struct append_request *next; /* the queue's and the group's link */
};

#endif
