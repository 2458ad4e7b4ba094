/* options.h: the options of clients, calls and servers.
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

#ifdef __cplusplus
extern "C" {
#endif

/* A timeout that never ends. */
#define DAYBOOK_TIMEOUT_NONE UINT32_MAX

/* The default timeout of a unary call. Streams have none by default. */
#define DAYBOOK_TIMEOUT_DEFAULT_MS 5000

/* A piece of request metadata. The key is 1 to 255 characters of a-z 0-9 _ - . and none that gRPC uses itself; the value
 * is at most 8,192 characters of printable ASCII. */
typedef struct daybook_header {
    const char *key;
    const char *value;
} daybook_header;

typedef struct daybook_client_options {
    /* Where the server is, in gRPC's name syntax: "127.0.0.1:50051", "dns:///daybook:50051", "unix:/run/daybook.sock".
     * Required. */
    const char *target;
    /* Threads that run completions; 0: 1. At most 64. */
    uint32_t threads_count;
    /* Largest message received; 0: 16 MiB + 64 KiB, which holds every response of Daybook. */
    uint32_t message_bytes_max;
    /* A ping after this long without traffic, while calls are open; 0: 30,000. At least 10,000. */
    uint32_t keepalive_ms;
    /* Longest pause between two attempts to connect; 0: 2,000. At least 100. */
    uint32_t reconnect_backoff_max_ms;
} daybook_client_options;

/* More than clients take of a call's trailers by default: every detail that arrives fits. */
#define DAYBOOK_DETAILS_BYTES 8192

/* What an error said beyond its status: an encoded google.rpc.Status ("grpc-status-details-bin"). Empty when the call went
 * well, and when the server sent none. The bytes are another process's: decode only types without maps with the functions
 * that upb generates, see AppendConflicts and google.rpc.BadRequest. */
typedef struct daybook_details {
    size_t size;
    char bytes[DAYBOOK_DETAILS_BYTES];
} daybook_details;

typedef struct daybook_call_options {
    /* The whole call; 0: DAYBOOK_TIMEOUT_DEFAULT_MS for unary calls, none for streams. */
    uint32_t timeout_ms;
    /* Wait for a connection instead of failing with UNAVAILABLE while there is none (until the timeout). */
    int wait_for_ready;
    /* Request metadata, at most 64 entries. */
    const daybook_header *headers;
    size_t headers_count;
    /* Filled when the call has ended, before its status is told. The caller's memory, which lives as long as the call or
     * the stream; NULL: not wanted. */
    daybook_details *details;
} daybook_call_options;

typedef struct daybook_server_options {
    /* Where to listen: "127.0.0.1:50051", "[::]:50051", or port 0 for any free one. Required. */
    const char *listen;
    /* Completion queues, each with its thread; 0: one a core. At most 64. */
    uint32_t threads_count;
    /* Largest message received; 0: 16 MiB. */
    uint32_t message_bytes_max;
    /* Largest metadata of a call; 0: 16 KiB. From 1 KiB to 16 MiB. */
    uint32_t metadata_bytes_max;
    /* Open calls on one connection; 0: 1,024. */
    uint32_t concurrent_calls_max;
    /* What gRPC may allocate for all connections together; 0: 256 MiB. At least 1 MiB. */
    uint64_t memory_bytes_max;
    /* A ping after this long without traffic; 0: 30,000. At least 1,000. */
    uint32_t keepalive_ms;
    /* How long its answer may take before the connection is closed; 0: 10,000. At least 1,000. */
    uint32_t keepalive_timeout_ms;
    /* A connection without calls is closed after this; 0: 600,000. At least 1,000. */
    uint32_t connection_idle_ms;
    /* A handshake that takes longer is cut; 0: 10,000. */
    uint32_t handshake_timeout_ms;
    /* Non-zero: do not serve grpc.reflection. */
    int without_reflection;
} daybook_server_options;

#ifdef __cplusplus
}
#endif

#endif
