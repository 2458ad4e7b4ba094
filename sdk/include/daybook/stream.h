/** @file stream.h
 * A call with many messages, from the caller's side: it reads the responses one after the other, and writes the requests
 * where the client streams.
 *
 * Programs use the typed skins that the generator writes. Of a method M:
 *   server-streaming         M_open with the request, M_next
 *   client-streaming         M_open, M_write, M_write_more, M_finish, which brings the one response
 *   bidirectional streaming  M_open, M_write, M_write_more, M_writes_done, M_next
 *   each                     M_cancel, M_close, and M_untyped for the functions here that need no type
 * Ownership: the stream belongs to the caller until it is closed; a message that was read is valid until the next call of
 * `next`, `finish` or `close`. What is written is serialised before `write` returns.
 * Threads: `cancel` may be called from any thread. One thread at a time may read (`next`, `finish`) and one at a time may
 * write (`write`, `writes_done`), which may be another; `close` is for when both are done. None of them inside of a
 * completion, but those that are given a wait of 0.
 * Fork: a child process must not use a stream that its parent opened.
 * Flow control: at most one message is read ahead; a reader that pauses makes the server pause. A written message is taken
 * when the one before has left for the connection's buffers, of 64 KiB and what the server has allowed; a server that does not
 * read makes the writer wait.
 * No thread works for a stream but those that use it. A connection on which nobody waits is looked after every few seconds
 * alone: it stays alive, and its end is noticed then. */
#ifndef DAYBOOK_STREAM_H
#define DAYBOOK_STREAM_H

#include "daybook/client.h"
#include "daybook/metadata.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A call with many messages. */
typedef struct daybook_stream daybook_stream;

/** What `next` found: four facts, never one bool for them. */
typedef enum daybook_next {
    DAYBOOK_NEXT_MESSAGE, /**< a message */
    DAYBOOK_NEXT_END,     /**< the server ended the stream with OK */
    DAYBOOK_NEXT_TIMEOUT, /**< nothing within wait_ms; call again */
    DAYBOOK_NEXT_ERROR,   /**< the stream has failed; the status says how, now and ever after */
} daybook_next;

/** What became of a write. */
typedef enum daybook_write {
    DAYBOOK_WRITE_TAKEN,   /**< it will be sent, unless the stream ends before */
    DAYBOOK_WRITE_TIMEOUT, /**< there was no room for it within wait_ms; call again with the same message */
    DAYBOOK_WRITE_OVER,    /**< the server has ended the stream, or it was cancelled; `next` or `finish` says how */
    DAYBOOK_WRITE_REFUSED, /**< the message cannot be encoded; the status says why, and the stream goes on */
} daybook_write;

/** Starts a call of any kind but unary. `request` is NULL where the client streams. NULL when there is no memory, the options
 * are not valid or the request cannot be encoded; everything the server says is found by `next` or `finish`. `options` may be
 * NULL. */
DAYBOOK_MUST_USE daybook_stream *daybook_stream_open(daybook_client *client, const daybook_method *method,
                                                     const void *request, const daybook_call_options *options,
                                                     daybook_status *ret_status);

/** Writes one message, of a method whose client streams. Waits for room at most `wait_ms`. Not after `writes_done`.
 * `ret_status` is set for REFUSED. */
DAYBOOK_MUST_USE daybook_write daybook_stream_write(daybook_stream *stream, const void *request, uint32_t wait_ms,
                                                    daybook_status *ret_status);

/** The same for a message that will be followed by another at once: it may be held back until the next write or
 * `writes_done`, which is cheaper for the connection. */
DAYBOOK_MUST_USE daybook_write daybook_stream_write_more(daybook_stream *stream, const void *request, uint32_t wait_ms,
                                                         daybook_status *ret_status);

/** Says that there is nothing more to write; what was taken is still sent. Any number of times. */
void daybook_stream_writes_done(daybook_stream *stream);

/** Waits for the next message. `ret_message` is set for MESSAGE alone, `ret_status` for END and ERROR. */
DAYBOOK_MUST_USE daybook_next daybook_stream_next(daybook_stream *stream, uint32_t wait_ms, const void **ret_message,
                                                  daybook_status *ret_status);

/** The end of a call whose client streams and whose server answers once: says that the writes are done, and waits for the
 * response. MESSAGE: the call is over and OK, `ret_response` is set. TIMEOUT: call again. ERROR: the status says why. Never
 * END: no response where one is due is an error. */
DAYBOOK_MUST_USE daybook_next daybook_stream_finish(daybook_stream *stream, uint32_t wait_ms, const void **ret_response,
                                                    daybook_status *ret_status);

/** What the server sent before its first message: NULL until `next` or `finish` has come across it, which they have
 * when they found something else than TIMEOUT. Valid until `close`. Any thread. */
const daybook_metadata *daybook_stream_initial_metadata(daybook_stream *stream);

/** What the server sent after its last message: NULL until `next` has found END or ERROR, or `finish` something else than
 * TIMEOUT. Valid until `close`. The reader's thread. */
const daybook_metadata *daybook_stream_trailing_metadata(daybook_stream *stream);

/** Asks the stream to end; `next` then reports ERROR with CANCELLED, `write` OVER. Any thread, any number of times. */
void daybook_stream_cancel(daybook_stream *stream);

/** Cancels a stream that still runs, waits for its last completion, frees it. NULL is allowed. Returns NULL. */
daybook_stream *daybook_stream_close(daybook_stream *stream);

DAYBOOK_END_DECLARATIONS

#endif
