/* append.h: one append on its way: a request, the future of its outcome, and its place among the others.
 *
 * Ownership: two owners, the program and the appender; the one who leaves last frees it. The sender is a third while it
 * encodes.
 * Threads: `mutex` guards what both sides touch of the future. Everything else is the appender's, guarded by its mutex, until
 * the append has ended; then it does not change any more.
 * Errors: NULL and false without memory. */
#ifndef DAYBOOK_SDK_CLIENT_APPEND_H
#define DAYBOOK_SDK_CLIENT_APPEND_H

#include <pthread.h>

#include "daybook/appender.h"
#include "sdk/client/uuid.h"

struct daybook_append {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t owners_count;
    bool ended;   /* the outcome is there */
    bool told;    /* and `done` has returned, or there is none */
    bool running; /* `done` runs, on `runner` */
    pthread_t runner;
    bool has_done; /* on_done was called */
    daybook_append_done *done;
    void *context;

    upb_Arena *arena;
    daybook_v1_AppendRequest *request;
    size_t size_bytes; /* of the request, encoded */
    size_t writes_count;
    daybook_status status; /* before the end: how it was refused last; OK: it was not */
    const daybook_v1_AppendResponse *response;
    const daybook_v1_AppendConflicts *conflicts;
    uint32_t attempts_count;

    /* The appender's. */
    struct daybook_append *next;
    struct daybook_append *before;
    uint64_t number;     /* counts submits */
    int64_t deadline_ms; /* by the clock */
    bool doubtful;       /* an attempt may have been committed though nobody said so */
};

/* What an outcome means for its append. */
enum append_verdict {
    APPEND_DECIDED,   /* status, response and conflicts are set */
    APPEND_AGAIN,     /* it is to be sent again; the status says why */
    APPEND_MALFORMED, /* it is no outcome of this append */
};

/* Copies the request. NULL: `ret_status` says why. */
struct daybook_append *daybook__append_new(const daybook_v1_AppendRequest *request, daybook_status *ret_status);

/* Gives every event an id that has none. */
bool daybook__append_assign_ids(struct daybook_append *append, struct uuid_source *source);

/* Takes an outcome that the server sent. The appender's thread. */
enum append_verdict daybook__append_take(struct daybook_append *append, const daybook_v1_AppendOutcome *outcome);

/* Makes the status that of an append whose attempts are over, and `why`. */
void daybook__append_give_up(struct daybook_append *append, const daybook_status *why);

/* Tells the outcome: wakes who waits and runs `done`. Once; the appender's thread, which owns the append still. */
void daybook__append_end(struct daybook_append *append);

void daybook__append_ref(struct daybook_append *append);
void daybook__append_unref(struct daybook_append *append);

#endif
