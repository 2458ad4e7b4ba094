/* appender.h: what the parts of the appender share.
 *
 *   submit ──► list, in submit order ──sender──► stream ──receiver──► outcome ──► future
 *                 ▲                                           │
 *                 └───────── sent again in a new round ◄──────┘ no outcome, or a passing refusal
 *
 * A round is the life of one AppendMany call. In it two marks walk through the list: what is sent next, and what is answered
 * next. An append leaves the list when it has ended. A passing refusal ends the round in good order: the sender says that it
 * is done, the rest is answered, and the next round begins with whatever is left in the list.
 *
 * Ownership: the list owns a reference of each append in it.
 * Threads: the receiver opens and closes streams, reads them, and ends appends; the sender writes; `mutex` guards everything
 * that is not said to be one thread's. Errors: as each function says. */
#ifndef DAYBOOK_SDK_CLIENT_APPENDER_H
#define DAYBOOK_SDK_CLIENT_APPENDER_H

#include "daybook/appender.h"
#include "daybook/call.h"
#include "daybook/v1/event_store.grpc.h"
#include "sdk/base/clock.h"
#include "sdk/client/append.h"
#include "sdk/client/backoff.h"

struct daybook_appender {
    daybook_client *client;
    uint32_t timeout_ms;
    uint32_t in_flight_max;
    uint64_t in_flight_bytes_max;
    void (*disconnected)(const daybook_status *status, uint32_t retry_ms, void *context);
    void *context;
    pthread_t sender;
    pthread_t receiver;

    pthread_mutex_t mutex;
    pthread_cond_t room;     /* submitters wait for it */
    pthread_cond_t sendable; /* the sender */
    pthread_cond_t work;     /* the receiver, between rounds */
    pthread_cond_t quiet;    /* flush and close */

    struct daybook_append *first;
    struct daybook_append *last;
    uint32_t count;
    uint64_t size_bytes;
    uint64_t numbers_count; /* submits so far */
    struct uuid_source uuids;

    daybook_v1_EventStore_AppendMany_stream *stream; /* NULL between rounds */
    daybook_call *probe;                             /* NULL: none is under way */
    struct daybook_append *send_next;                /* NULL: everything was sent */
    struct daybook_append *answer_next;              /* as send_next: nothing is due */
    bool half_close;                                 /* the sender is to say that it is done */
    bool half_closed;                                /* and has, or must not send any more */
    bool sending;                                    /* the sender is inside of the stream */

    bool closing;    /* nothing new comes; end when the list is empty */
    bool abandoning; /* end at once */
    bool over;       /* the receiver has left its loop */

    /* The receiver's. */
    struct backoff backoff;
    int64_t retry_at_ms;
    daybook_status refusal; /* the passing one that ends this round; OK: none */
};

/* What the two threads run. */
void *daybook__appender_send(void *appender);
void *daybook__appender_receive(void *appender);

/* Puts an append at the end of the list; locked. */
void daybook__appender_list_add(struct daybook_appender *appender, struct daybook_append *append);

/* Ends an append that has its status, and takes it out of the list; not locked. The receiver. */
void daybook__appender_end(struct daybook_appender *appender, struct daybook_append *append);

#endif
