/** @file subscriber.h
 * Follow a Daybook through restarts and lost connections, each event once.
 *
 * A subscriber opens Subscribe, hands out its responses, and whenever the call ends, or goes silent for three heartbeats,
 * opens it again after the last position it has handed out. Responses end where appends end, so an application that has
 * processed a whole response may store its position and begin there again.
 * Ownership: the subscriber belongs to the caller and borrows the client, which outlives it; a response is valid until the
 * next call of next or close. Threads: cancel from any thread, everything else from one at a time. */
#ifndef DAYBOOK_SUBSCRIBER_H
#define DAYBOOK_SUBSCRIBER_H

#include "daybook/client.h"
#include "daybook/stream.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.upb.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A subscription that goes on through everything. */
typedef struct daybook_subscriber daybook_subscriber;

/** Where a subscriber begins, and what it sees. */
typedef struct daybook_subscriber_options {
    /** Begin after this position; 0: at the beginning. */
    uint64_t after;
    /** Begin at the head of this moment instead. */
    int from_end;
    /** Begin after the checkpoint of this consumer, as stored when the subscription begins; where the two fields above say as
     * long as it has none. NULL: no consumer's. Copied. */
    const char *consumer;
    /** Only what matches; NULL: everything. Copied. */
    const daybook_v1_Filter *filter;
    /** How often the server speaks at least; 0: 10,000. */
    uint32_t heartbeat_ms;
    /** Longest pause between two attempts; 0: 5,000. The first is 100 ms, each further one twice as long, with jitter; a
     * server that asks for a longer one is given it, up to this. */
    uint32_t backoff_max_ms;
    /** Hears of every loss of the connection, on the thread that called next. May be NULL. */
    void (*disconnected)(const daybook_status *status, uint32_t retry_ms, void *context);
    void *context; /**< for `disconnected` */
} daybook_subscriber_options;

/** NULL only when there is no memory; connecting is the business of next. */
DAYBOOK_MUST_USE daybook_subscriber *
daybook_subscriber_open(daybook_client *client, const daybook_subscriber_options *options, daybook_status *ret_status);

/** Waits for the next response. MESSAGE: `ret_response` is set. TIMEOUT: nothing within `wait_ms`, perhaps because there is
 * no connection; call again. ERROR: cancelled, or the server refuses the subscription for good; the status says why. Never
 * END. */
DAYBOOK_MUST_USE daybook_next daybook_subscriber_next(daybook_subscriber *subscriber, uint32_t wait_ms,
                                                      const daybook_v1_SubscribeResponse **ret_response,
                                                      daybook_status *ret_status);

/** The position up to which everything was handed out: where to begin another time. */
uint64_t daybook_subscriber_position(const daybook_subscriber *subscriber);

/** Exactly-once processing: stores with the application's own append that the consumer of the options has come to `position`,
 * in the same transaction. That is the position of the last event whose processing the append records, or of the whole
 * response: at least 1 and at most the subscriber's position. The store refuses a checkpoint that does not go forward
 * (CHECKPOINT_STALE): the event was processed already, by another instance or by one before. An append that is sent again with
 * the same event ids, as an appender does, is not refused by its own checkpoint.
 * False: RESOURCE_EXHAUSTED without memory, the request is as it was or has an empty checkpoint. The checkpoint's memory is
 * the arena's. The thread of next. */
DAYBOOK_MUST_USE bool daybook_subscriber_checkpoint(const daybook_subscriber *subscriber, uint64_t position,
                                                    daybook_v1_AppendRequest *request, upb_Arena *arena,
                                                    daybook_status *ret_status);

/** Makes next return ERROR with CANCELLED, now and ever after. Any thread. */
void daybook_subscriber_cancel(daybook_subscriber *subscriber);

/** NULL is allowed. Returns NULL. */
daybook_subscriber *daybook_subscriber_close(daybook_subscriber *subscriber);

DAYBOOK_END_DECLARATIONS

#endif
