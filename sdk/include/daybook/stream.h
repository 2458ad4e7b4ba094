/* stream.h: the responses of a server-streaming call, one after the other.
 *
 * Programs use the typed skins that the generator writes (`_open`, `_next`, `_cancel`, `_close`).
 * Ownership: the stream belongs to the caller until it is closed; a message is valid until the next call of `next` or
 * `close`.
 * Threads: `cancel` may be called from any thread; the others from one at a time.
 * Flow control: one message is read ahead; a reader that pauses makes the server pause. */
#ifndef DAYBOOK_STREAM_H
#define DAYBOOK_STREAM_H

#include "daybook/client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct daybook_stream daybook_stream;

/* What `next` found: four facts, never one bool for them. */
typedef enum daybook_next {
    DAYBOOK_NEXT_MESSAGE, /* a message */
    DAYBOOK_NEXT_END,     /* the server ended the stream with OK */
    DAYBOOK_NEXT_TIMEOUT, /* nothing within wait_ms; call again */
    DAYBOOK_NEXT_ERROR,   /* the stream has failed; the status says how, now and ever after */
} daybook_next;

/* Starts a server-streaming call. NULL when there is no memory or the request cannot be encoded; everything the server
 * says is found by `next`. `options` may be NULL. */
DAYBOOK_MUST_USE daybook_stream *daybook_stream_open(daybook_client *client, const daybook_method *method,
                                                     const void *request, const daybook_call_options *options,
                                                     daybook_status *ret_status);

/* Waits for the next message. `ret_message` is set for MESSAGE alone, `ret_status` for END and ERROR. */
DAYBOOK_MUST_USE daybook_next daybook_stream_next(daybook_stream *stream, uint32_t wait_ms, const void **ret_message,
                                                  daybook_status *ret_status);

/* Asks the stream to end; `next` then reports ERROR with CANCELLED. Any thread, any number of times. */
void daybook_stream_cancel(daybook_stream *stream);

/* Cancels a stream that still runs, waits for its last completion, frees it. NULL is allowed. Returns NULL.
 * Must not be called from a completion. */
daybook_stream *daybook_stream_close(daybook_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
