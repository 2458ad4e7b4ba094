/** @file options.h
 * The options of clients, calls and servers.
 *
 * Every struct is plain data for a designated initialiser; zero, or NULL, in a field means its default, so that a
 * program goes on compiling and behaving when fields are added. Units are in the names.
 * Ownership: the functions that take options copy what they keep; the caller's structs and strings may go at once, but for
 * what a call fills (daybook_call_options.details).
 * Threads: plain data. */
#ifndef DAYBOOK_OPTIONS_H
#define DAYBOOK_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "daybook/declarations.h"
#include "daybook/metadata.h"
#include "daybook/status.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A timeout that never ends. */
#define DAYBOOK_TIMEOUT_NONE UINT32_MAX

/** The default timeout of a unary call. Streams have none by default. */
#define DAYBOOK_TIMEOUT_DEFAULT_MS 5000

/** TLS of a client or a server. Certificates and keys are PEM: each is given as text, or as the file that holds it, never
 * as both. Files are read by the function that takes the options; a server reads them again when they change, see
 * daybook_server_options.tls_reloaded. */
typedef struct daybook_tls_options {
    /** Whom to trust. A client without it trusts the authorities of its system; a server with it asks its clients for a
     * certificate of these authorities (mutual TLS), one without it asks for none. */
    const char *authorities_pem;
    const char *authorities_file; /**< the file in its place */
    /** The own certificate, followed by those between it and its authority, and its key. A server needs both; a client gives
     * them to a server that asks for them. */
    const char *certificate_pem;
    const char *certificate_file; /**< the file in its place */
    const char *key_pem;          /**< the certificate's key */
    const char *key_file;         /**< the file in its place */
    /** A client: the name that the server's certificate must have, in the place of the target's. */
    const char *server_name;
    /** A server with authorities: non-zero lets in clients without a certificate, too. */
    int client_certificate_optional;
} daybook_tls_options;

/** When a unary call is made again by itself: it is safe, because the method's idempotency_level or the call's
 * `idempotent` says so; the status is retryable (daybook_status.retryable), and the server did not forbid it
 * ("grpc-retry-pushback-ms"); and there is time left for it. The call's timeout holds for all attempts together. */
typedef struct daybook_retry_options {
    /** Attempts at most, the first one included; 0: 5, 1: never again. At most 100. */
    uint32_t attempts_max;
    /** The pause before the second attempt; 0: 100. Each further one is twice as long; a random part of up to a half is
     * taken off, so that the clients of a server that restarts do not come all at once. */
    uint32_t backoff_first_ms;
    /** The longest pause; 0: 2,000. A server that asks for a longer one is given it. */
    uint32_t backoff_max_ms;
} daybook_retry_options;

/** Which of the addresses that a target's name stands for calls go to. */
typedef enum daybook_balancing {
    DAYBOOK_BALANCING_PICK_FIRST,  /**< one of them, and another when it is lost */
    DAYBOOK_BALANCING_ROUND_ROBIN, /**< all of them, by turns */
} daybook_balancing;

/** How a client reaches its server. */
typedef struct daybook_client_options {
    /** Where the server is, in gRPC's name syntax: "127.0.0.1:50051", "dns:///daybook:50051", "unix:/run/daybook.sock".
     * Required. */
    const char *target;
    /** Threads that run the completions of futures, and sleep while there are none; 0: 1. At most 64. */
    uint32_t threads_count;
    /** Largest message received; 0: 16 MiB + 64 KiB, which holds every response of Daybook. */
    uint32_t message_bytes_max;
    /** A ping after this long without traffic, while calls are open; 0: 30,000. At least 10,000. */
    uint32_t keepalive_ms;
    /** How long its answer may take before the connection is given up; 0: 10,000. At least 1,000. */
    uint32_t keepalive_timeout_ms;
    /** Longest pause between two attempts to connect; 0: 2,000. At least 100. */
    uint32_t reconnect_backoff_max_ms;
    daybook_balancing balancing; /**< between several addresses */
    /** The retries of calls that say nothing of them. */
    daybook_retry_options retry;
    /** NULL: the connection is not encrypted. */
    const daybook_tls_options *tls;
    /** Sent with every call as "authorization: Bearer TOKEN"; NULL: none. Another one: daybook_client_set_bearer_token.
     * Refused without TLS, where everybody on the way could read it, unless `bearer_token_in_clear` is non-zero. */
    const char *bearer_token;
    int bearer_token_in_clear; /**< as said above */
} daybook_client_options;

/** More than clients take of a call's trailers by default: every detail that arrives fits. */
#define DAYBOOK_DETAILS_BYTES 8192

/** What an error said beyond its status: an encoded google.rpc.Status ("grpc-status-details-bin"). Empty when the call went
 * well, and when the server sent none. The bytes are another process's: decode only types without maps with the functions
 * that upb generates, see AppendConflicts and google.rpc.BadRequest. */
typedef struct daybook_details {
    size_t size;                       /**< 0: none */
    char bytes[DAYBOOK_DETAILS_BYTES]; /**< the encoded message */
} daybook_details;

/** How one call is made. */
typedef struct daybook_call_options {
    /** The whole call; 0: DAYBOOK_TIMEOUT_DEFAULT_MS for unary calls, none for streams. */
    uint32_t timeout_ms;
    /** Wait for a connection instead of failing with UNAVAILABLE while there is none (until the timeout). */
    int wait_for_ready;
    /** Request metadata, at most 64 entries. */
    const daybook_header *headers;
    size_t headers_count; /**< how many entries there are */
    /** NULL: the client's. Unary calls only. */
    const daybook_retry_options *retry;
    /** Non-zero: making this call again does no harm, whatever its proto says of the method. */
    int idempotent;
    /** Filled when the call has ended, before its status is told. The caller's memory, which lives as long as the call or
     * the stream; NULL: not wanted. */
    daybook_details *details;
} daybook_call_options;

/** Where a server listens, and what it takes. */
typedef struct daybook_server_options {
    /** Where to listen: "127.0.0.1:50051", "[::]:50051", or port 0 for any free one. Required. */
    const char *listen;
    /** Completion queues, each with its thread; 0: one a core. At most 64. */
    uint32_t threads_count;
    /** Largest message received; 0: 16 MiB. */
    uint32_t message_bytes_max;
    /** Largest metadata of a call; 0: 16 KiB. From 1 KiB to 16 MiB. */
    uint32_t metadata_bytes_max;
    /** Open calls on one connection; 0: 1,024. */
    uint32_t concurrent_calls_max;
    /** What gRPC may allocate for all connections together; 0: 256 MiB. At least 1 MiB. */
    uint64_t memory_bytes_max;
    /** What one request may take while it is decoded; one that takes more is RESOURCE_EXHAUSTED. A hostile request takes
     * some sixty times its bytes. 0: 32 times message_bytes_max. */
    uint64_t request_memory_bytes_max;
    /** Unary calls that are open at once, of all connections together; 0: 16,384. A further one is refused unread with
     * RESOURCE_EXHAUSTED and a RetryInfo; health and reflection are served all the same. When half of them
     * are answered and wait for their clients to take the answers, those that have waited for a quarter of a second are given
     * up: their calls are cancelled. */
    uint32_t unary_calls_max;
    /** What their requests may take, in encoded bytes; 0: 128 MiB. At least 1 MiB. One alone may be larger.
     * Of answers that wait for their clients to take them, the oldest are given up when they and their calls hold more than
     * twice as much. */
    uint64_t unary_bytes_max;
    /** A ping after this long without traffic; 0: 30,000. At least 1,000. */
    uint32_t keepalive_ms;
    /** How long its answer may take before the connection is closed; 0: 10,000. At least 1,000. */
    uint32_t keepalive_timeout_ms;
    /** A connection without calls is closed after this; 0: 600,000. At least 1,000. */
    uint32_t connection_idle_ms;
    /** A handshake that takes longer is cut; 0: 10,000. */
    uint32_t handshake_timeout_ms;
    /** Non-zero: do not serve grpc.reflection. */
    int without_reflection;
    /** NULL: connections are not encrypted. */
    const daybook_tls_options *tls;
    /** Hears that files of `tls` have changed: OK, new connections get what is in them now; or what is wrong, and then the
     * server goes on with what it has, and tries again when they change, or after a minute. The files may be replaced in any
     * way, also by a link that leads elsewhere, as Kubernetes does. On a thread of the server's own, one at a time, which must
     * not close the server. NULL: nobody; see daybook_server_tls_count. */
    void (*tls_reloaded)(const daybook_status *status, void *context);
    void *tls_reloaded_context; /**< for `tls_reloaded` */
} daybook_server_options;

DAYBOOK_END_DECLARATIONS

#endif
