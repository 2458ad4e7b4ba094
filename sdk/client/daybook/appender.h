/** @file appender.h
 * Append to a Daybook through restarts and lost connections, each append once.
 *
 * An appender sends what it is given, pipelined on one AppendMany call, and hands out each outcome as a future. Whenever the
 * call ends it opens another one and sends again everything that has no outcome yet. That is safe because every event has an
 * id, by which the store recognises an append that it has committed already: the outcome is then the original one, marked
 * `replayed`. Events that come without an id are given one, a UUIDv7 (RFC 9562) that is greater than those before it.
 *
 * Order: appends are sent in the order in which they were submitted, again and again in the same order until they have an
 * outcome; the store commits those of one call in their order. So the log has them in submit order, with one exception: when
 * the server refuses one for a reason that passes (its disk was full, its outcome is unknown), those that were sent behind it
 * may be committed, and it comes after them. Nothing new is sent before it has been tried again. An application that cannot
 * accept even that says what it expects (Write.expected_revision), or sets `in_flight_max` to 1. A refusal that stays, such
 * as REVISION_CONFLICT, is the outcome of its append alone and does not hold back the next.
 *
 * Expectations: an append that was committed is recognised by its ids before its expectations are looked at; sending it again
 * never conflicts with itself.
 * Ownership: the appender belongs to the caller and borrows the client, which outlives it. Requests are copied. Futures belong
 * to the caller, may outlive the appender and hold what they give out.
 * Threads: submit and flush from any; close from one, when nobody is in another function of the appender. Completions run on
 * one thread of the appender, one after the other, in the order of the outcomes; while one runs, no other outcome is handed
 * out.
 * Fork: a child process must not use an appender that its parent opened. */
#ifndef DAYBOOK_APPENDER_H
#define DAYBOOK_APPENDER_H

#include "daybook/client.h"
#include "daybook/stream.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.upb.h"

DAYBOOK_BEGIN_DECLARATIONS

/** The largest request, encoded. */
#define DAYBOOK_APPEND_BYTES_MAX 16777216

/** Somebody who appends. */
typedef struct daybook_appender daybook_appender;

/** One append: a future of its outcome. */
typedef struct daybook_append daybook_append;

/** What runs when an append has ended; see daybook_append_on_done. */
typedef void daybook_append_done(daybook_append *append, void *context);

/** How an appender works. */
typedef struct daybook_appender_options {
    /** How long an append may take from submit to its outcome; 0: 30,000. At most a day. */
    uint32_t timeout_ms;
    /** Appends without an outcome at most; 0: 1,024. */
    uint32_t in_flight_max;
    /** Encoded bytes of them at most, of which a single one may have more; 0: 8 MiB. */
    uint64_t in_flight_bytes_max;
    /** Longest pause between two attempts; 0: 5,000. The first is 100 ms, each further one twice as long, with jitter; a
     * server that asks for a longer one is given it, up to this. */
    uint32_t backoff_max_ms;
    /** Hears of every loss of the connection and of every passing refusal, on the appender's thread. May be NULL. */
    void (*disconnected)(const daybook_status *status, uint32_t retry_ms, void *context);
    void *context; /**< for `disconnected` */
} daybook_appender_options;

/** NULL: RESOURCE_EXHAUSTED without memory or threads, INVALID_ARGUMENT for an option out of range. It connects with the
 * first append. `options` may be NULL. */
DAYBOOK_MUST_USE daybook_appender *
daybook_appender_open(daybook_client *client, const daybook_appender_options *options, daybook_status *ret_status);

/** Gives an append to the appender. TAKEN: `ret_append` is set, and the append is made until its outcome is known or its time
 * is up. TIMEOUT: there was no room for it within `wait_ms`. REFUSED: the status says why: INVALID_ARGUMENT for a request
 * that is too large or cannot be encoded, RESOURCE_EXHAUSTED without memory. OVER: the appender is being closed, as a
 * completion may find. In a completion `wait_ms` must be 0. */
DAYBOOK_MUST_USE daybook_write daybook_appender_submit(daybook_appender *appender,
                                                       const daybook_v1_AppendRequest *request, uint32_t wait_ms,
                                                       daybook_append **ret_append, daybook_status *ret_status);

/** The same for events of one stream that expect nothing. `count` is at least 1. */
DAYBOOK_MUST_USE daybook_write daybook_appender_submit_events(daybook_appender *appender, const char *stream,
                                                              const daybook_v1_Event *const *events, size_t count,
                                                              uint32_t wait_ms, daybook_append **ret_append,
                                                              daybook_status *ret_status);

/** Waits until everything that was submitted before has its outcome and its completion has returned. False: not within
 * `wait_ms`. Not in a completion. */
DAYBOOK_MUST_USE bool daybook_appender_flush(daybook_appender *appender, uint32_t wait_ms);

/** Flushes for at most `grace_ms`, ends what is left with CANCELLED, frees the appender. NULL is allowed. Returns NULL. Not in
 * a completion. */
daybook_appender *daybook_appender_close(daybook_appender *appender, uint32_t grace_ms);

/** Waits until the append has ended and its `done` has returned. False: not within `wait_ms`. A completion may ask with 0 but
 * must not wait. Any thread. */
DAYBOOK_MUST_USE bool daybook_append_wait(daybook_append *append, uint32_t wait_ms);

/** Runs `done` exactly once: now, when the append has ended already, else on the appender's thread. At most once an append.
 * `done` may free the append and must not block. One thread. */
void daybook_append_on_done(daybook_append *append, daybook_append_done *done, void *context);

/** How the append ended; asserts that it has. Beside what Append itself answers:
 *   DEADLINE_EXCEEDED   its time is up
 *   CANCELLED           the appender was closed
 *   others              the server refuses AppendMany altogether, or refused the append for a passing reason until its time
 *                       was up
 * With the reason "OUTCOME_UNKNOWN" it is not known whether it was appended: the same request (daybook_append_request), with
 * its ids, may be submitted again. Without it nothing was written. Valid until daybook_append_free. Any thread. */
const daybook_status *daybook_append_status(const daybook_append *append);

/** Where the events went; asserts that the append has ended. NULL unless the status is OK. Valid until daybook_append_free.
 * Any thread. */
const daybook_v1_AppendResponse *daybook_append_result(const daybook_append *append);

/** What was violated, with ABORTED and ALREADY_EXISTS; asserts that the append has ended. NULL when the server did not say.
 * Valid until daybook_append_free. Any thread. */
const daybook_v1_AppendConflicts *daybook_append_conflicts(const daybook_append *append);

/** The request as it was sent, with all ids. Valid until daybook_append_free. Any thread. */
const daybook_v1_AppendRequest *daybook_append_request(const daybook_append *append);

/** How often it was sent; asserts that the append has ended. Any thread. */
uint32_t daybook_append_attempts_count(const daybook_append *append);

/** Frees the future. The append itself goes on; its `done` will not run, and one that runs already on another thread is waited
 * for. NULL is allowed. Returns NULL. One thread. */
daybook_append *daybook_append_free(daybook_append *append);

DAYBOOK_END_DECLARATIONS

#endif
