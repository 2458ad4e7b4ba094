/** @file server.h
 * Serve the handlers of generated services.
 *
 * A program opens a server, adds services through the typed skins (`shop_v1_Orders_serve`), starts it, and later drains
 * and closes it. Every server also serves grpc.health.v1 and, unless told otherwise, grpc.reflection.v1 and v1alpha.
 *
 * Handlers run on the server's threads and must not block. They answer now or later, from any thread: a unary call by
 * exactly one `reply` or `fail`, a stream by exactly one `finish`, also after it was cancelled. A NULL handler is
 * UNIMPLEMENTED.
 * Ownership: the server owns calls and streams; a request is valid until the reply, or until `closed` of a stream.
 * Threads: as each function says. */
#ifndef DAYBOOK_SERVER_H
#define DAYBOOK_SERVER_H

#include "daybook/method.h"
#include "daybook/options.h"
#include "daybook/server_context.h"
#include "daybook/status.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A server: an address, its services and its threads. */
typedef struct daybook_server daybook_server;

/** Binds the address. NULL on failure: INVALID_ARGUMENT for a bad option, certificate or key, UNAVAILABLE when the address is
 * taken or cannot be bound, RESOURCE_EXHAUSTED without memory. */
DAYBOOK_MUST_USE daybook_server *daybook_server_open(const daybook_server_options *options, daybook_status *ret_status);

/** Adds a service before the start. `handlers` and `context` must live until the server is closed.
 * False: INVALID_ARGUMENT, the service was added already. */
DAYBOOK_MUST_USE bool daybook_server_add_service(daybook_server *server, const daybook_service *service,
                                                 const void *handlers, void *context, daybook_status *ret_status);

/** Begins to serve: health answers SERVING for the whole server ("") and for each service. */
DAYBOOK_MUST_USE bool daybook_server_start(daybook_server *server, daybook_status *ret_status);

/** Asked about every unary call but those of health and reflection before its request is read, on one of the server's threads.
 * True: it goes on. False: it was ended with daybook_server_call_fail, which costs a fraction of what reading it would. It
 * knows the method, how large the request is, and what else a call can be asked for. */
typedef bool daybook_server_admit(void *context, daybook_server_call *call, const daybook_method *method,
                                  size_t request_bytes);

/** Sets who is asked, before the start. */
void daybook_server_set_admission(daybook_server *server, daybook_server_admit *admit, void *context);

/** The port that is bound. Any thread. */
uint16_t daybook_server_port(const daybook_server *server);

/** What grpc.health.v1 answers for a service: one that was added, "" for the whole server, or a name of the program's own
 * ("readiness"), which becomes known by this call. At most 64 names. Any thread, after the start. */
void daybook_server_set_serving(daybook_server *server, const char *service, bool serving);

/** Turns health to NOT_SERVING, lets nothing new in, and waits until every call has ended, at most `grace_ms`; what is
 * left then is cancelled. Calls that still come are UNAVAILABLE, and their clients are told to connect elsewhere. Handlers
 * may still answer meanwhile. Once, by the thread that will close the server. */
void daybook_server_drain(daybook_server *server, uint32_t grace_ms);

/** Drains without grace if that was not done, joins the threads, frees the server. Every handler must answer what it was
 * asked, or this waits for ever. NULL is allowed. Returns NULL. */
daybook_server *daybook_server_close(daybook_server *server);

/** What the server holds at this moment, for metrics. */
typedef struct daybook_server_counts {
    uint64_t calls_started; /**< since the start */
    uint64_t calls_failed;  /**< ended with another status than OK */
    uint64_t calls_open;    /**< not ended yet, streams too */
    uint64_t calls_refused; /**< unary calls that were one too many, see daybook_server_options.unary_calls_max */
    uint64_t unary_open;    /**< unary calls that are open */
    uint64_t unary_bytes;   /**< the encoded bytes of their requests */
    /** unary calls that were cancelled because their clients did not take the answers, see unary_calls_max */
    uint64_t answers_given_up;
} daybook_server_counts;

/** The counts of this moment. Any thread. */
daybook_server_counts daybook_server_count(const daybook_server *server);

/** What a server with TLS shows to new connections, for metrics; zeros for one without. */
typedef struct daybook_server_tls_counts {
    int64_t expires_s;       /**< when its certificate ends, in seconds since 1970 */
    uint64_t reloads_count;  /**< how often certificates were taken anew since the start */
    uint64_t failures_count; /**< how often they could not be, so that those before have stayed */
} daybook_server_tls_counts;

/** The counts of this moment. Any thread. */
daybook_server_tls_counts daybook_server_tls_count(const daybook_server *server);

/** Reads the files of the TLS options again, at once, for a program that is told so (SIGHUP). A started server does it by
 * itself within two seconds after they have changed. New connections then get the new certificate and must satisfy the new
 * authorities; those that are there go on. False: INVALID_ARGUMENT or RESOURCE_EXHAUSTED, with the file and what is wrong with
 * it, and everything stays as it was. A server without TLS, or with texts alone, has nothing to read: true. Any thread, but
 * not inside of `tls_reloaded`. */
DAYBOOK_MUST_USE bool daybook_server_tls_reload(daybook_server *server, daybook_status *ret_status);

/* --- Unary calls -------------------------------------------------------------------------------------------------- */

/** Answers with a message, which is serialised before this returns. Ends the call: it must not be touched again.
 * Any thread, once. Use the typed skin. */
void daybook_server_call_reply(daybook_server_call *call, const void *response);

/** Ends the call with an error. `details` is an encoded google.rpc.Status for "grpc-status-details-bin", or NULL. The text
 * is UTF-8. Clients take 8 KiB of metadata by default and would see an error about that instead of this one: a text of
 * more than 1 KiB is cut, details of more than 4 KiB are left out. Any thread, once. */
void daybook_server_call_fail(daybook_server_call *call, daybook_code code, const char *message, const void *details,
                              size_t details_size);

/** Who calls, until when, and what else there is to know and to say. Any thread. */
daybook_server_context *daybook_server_call_context(daybook_server_call *call);

/** The client has gone, cancelled, or its deadline has passed. On a thread of the server, at most once, never inside of
 * `watch` and not after the reply has returned on this same thread; a reply on another thread may cross it, and the call is
 * there until both have returned. The handler must still answer. */
typedef void daybook_server_call_cancelled(daybook_server_call *call, void *context);

/** Hears of the client's end while the handler works. From the handler only, before it returns and before the reply, at most
 * once. */
void daybook_server_call_watch(daybook_server_call *call, daybook_server_call_cancelled *cancelled, void *context);

/** Memory that lives until the call has ended, for the handler's use and for building the response. Not thread-safe: one
 * thread at a time. */
upb_Arena *daybook_server_call_arena(daybook_server_call *call);

/** What the call holds at this moment, for who bounds that: its arena, its request as it came, and what it needs for itself.
 * What gRPC holds for it, some 12 KiB, is not known here. One thread at a time, as the arena. */
uint64_t daybook_server_call_memory_bytes(const daybook_server_call *call);

/** Milliseconds until the caller's deadline, 0 when it has passed, UINT64_MAX when there is none. Any thread. */
uint64_t daybook_server_call_remaining_ms(const daybook_server_call *call);

/* --- Streams ------------------------------------------------------------------------------------------------------ */

/** What a stream's handler wants to hear of. The callbacks of one stream never run at the same time; they run on a
 * thread of the server. */
typedef struct daybook_server_stream_events {
    /** The client has gone, cancelled, or its deadline has passed. At most once; not after finish has returned on this
     * same thread, but a finish on another thread may cross it. The handler must still finish the stream. */
    void (*cancelled)(daybook_server_stream *stream, void *context);
    /** The last callback: the stream has ended, nothing is in flight and nothing of it will be used again; free what
     * belongs to it. Exactly once for every watched stream. */
    void (*closed)(void *context);
} daybook_server_stream_events;

/** Sets what is heard of a stream. From the handler only, before it returns, at most once. */
void daybook_server_stream_watch(daybook_server_stream *stream, const daybook_server_stream_events *events,
                                 void *context);

/** Runs when a message has left (ok) or will never (not ok: the stream is ending; finish it). Exactly once for each message,
 * also for one that is in flight at the finish; never inside of the call that sends it. */
typedef void daybook_server_stream_sent(daybook_server_stream *stream, bool ok, void *context);

/** Sends one message, which is serialised before this returns; `sent` tells when the next may be sent. One message in
 * flight is the flow control. Any thread, not after finish. Use the typed skin. */
void daybook_server_stream_send(daybook_server_stream *stream, const void *response, daybook_server_stream_sent *sent,
                                void *context);

/** The same for a message that will be followed at once by another, or by the end of the stream: it may be held back until
 * then, which is cheaper for the connection. Of small messages in a row this makes several times as many a second. */
void daybook_server_stream_send_more(daybook_server_stream *stream, const void *response,
                                     daybook_server_stream_sent *sent, void *context);

/** Bytes that somebody else owns: `release(context)` is called once, from any thread, when they are no longer used. It may
 * be inside of gRPC then, so it must neither block nor call this library. */
typedef struct daybook_bytes {
    const void *data;               /**< the encoded message */
    size_t size;                    /**< its bytes */
    void (*release)(void *context); /**< called once; not NULL */
    void *context;                  /**< for `release` */
} daybook_bytes;

/** Sends one message that is already encoded, without a copy. Otherwise as daybook_server_stream_send. */
void daybook_server_stream_send_bytes(daybook_server_stream *stream, daybook_bytes encoded,
                                      daybook_server_stream_sent *sent, void *context);

/** Runs with the next message of a client that streams; `request` is NULL when the client has said everything or has
 * gone, or when the stream was finished meanwhile. It is also NULL for a message that is none: whatever the stream is
 * finished with, it then ends with INVALID_ARGUMENT. The request is valid until the callback returns. Exactly once for each
 * receive; never inside of it. */
typedef void daybook_server_stream_received(daybook_server_stream *stream, const void *request, void *context);

/** Asks for the next message of a client that streams; one at a time. Any thread, not after finish. */
void daybook_server_stream_receive(daybook_server_stream *stream, daybook_server_stream_received *received,
                                   void *context);

/** The same for a request that is kept beyond its callback: it is decoded into `arena`, which is the handler's, not the
 * server's, and lives as long as that. The arena must not be touched until the callback runs. */
void daybook_server_stream_receive_into(daybook_server_stream *stream, upb_Arena *arena,
                                        daybook_server_stream_received *received, void *context);

/** Runs on the thread of the stream's callbacks, as one of them. Exactly once for each post, also after a finish that came
 * meanwhile; never inside of the post. */
typedef void daybook_server_stream_posted(daybook_server_stream *stream, void *context);

/** Lets another thread reach what belongs to a stream's callbacks; one post at a time, which a handler with many threads
 * gathers behind. Any thread, not after finish. */
void daybook_server_stream_post(daybook_server_stream *stream, daybook_server_stream_posted *posted, void *context);

/** Ends the stream with OK and one last message, in one piece: what a method is answered with whose client alone streams, and
 * cheaper than a send and a finish for all. The message is serialised before this returns; one that cannot be ends the stream
 * with INTERNAL. As finish; not while a message is in flight. Use the typed skin. */
void daybook_server_stream_reply(daybook_server_stream *stream, const void *response);

/** The same with bytes that are encoded already, without a copy. */
void daybook_server_stream_reply_bytes(daybook_server_stream *stream, daybook_bytes encoded);

/** Ends the stream, with OK or an error (as daybook_server_call_fail). Exactly once, also after `cancelled`; allowed while
 * a message is in flight. Any thread. */
void daybook_server_stream_finish(daybook_server_stream *stream, daybook_code code, const char *message,
                                  const void *details, size_t details_size);

/** As daybook_server_call_context. */
daybook_server_context *daybook_server_stream_context(daybook_server_stream *stream);

/** Memory that lives until the stream is closed. Not thread-safe. */
upb_Arena *daybook_server_stream_arena(daybook_server_stream *stream);

/** As daybook_server_call_remaining_ms. */
uint64_t daybook_server_stream_remaining_ms(const daybook_server_stream *stream);

DAYBOOK_END_DECLARATIONS

#endif
