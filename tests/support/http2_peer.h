/* http2_peer.h: the other side of a connection, frame by frame, for whatever no HTTP/2 library would send (RFC 9113).
 *
 * Every connection has a thread that plays the test's script: `greet` when it stands, `answer` for every call that begins.
 * What it sends is checked by nobody.
 * Ownership: whoever starts the peer stops it. Threads: scripts run on a connection's; `http2_peer_set` from any.
 * Errors: a client that goes is none, everything else is an assertion. */
#ifndef TESTS_SUPPORT_HTTP2_PEER_H
#define TESTS_SUPPORT_HTTP2_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http2_frame {
    HTTP2_DATA,
    HTTP2_HEADERS,
    HTTP2_PRIORITY,
    HTTP2_RST_STREAM,
    HTTP2_SETTINGS,
    HTTP2_PUSH_PROMISE,
    HTTP2_PING,
    HTTP2_GOAWAY,
    HTTP2_WINDOW_UPDATE,
    HTTP2_CONTINUATION,
};

#define HTTP2_END_STREAM  0x1
#define HTTP2_ACK         0x1
#define HTTP2_END_HEADERS 0x4

struct http2_peer;
struct http2_connection;

struct http2_script {
    /* Before the client's preface is read. NULL: an empty SETTINGS is sent, after it. */
    void (*greet)(struct http2_connection *connection);
    /* When the headers of stream `stream` have come. */
    void (*answer)(struct http2_connection *connection, uint32_t stream);
    const void *context; /* for both */
};

/* Starts a peer on a free port of 127.0.0.1. */
struct http2_peer *http2_peer_start(struct http2_script script);

/* The script from the next greeting or answer on. */
void http2_peer_set(struct http2_peer *peer, struct http2_script script);

uint16_t http2_peer_port(const struct http2_peer *peer);

/* Ends what connections there still are. */
void http2_peer_stop(struct http2_peer *peer);

/* --- What scripts say --------------------------------------------------------------------------------------------- */

const void *http2_context(const struct http2_connection *connection);

/* Any bytes; nothing when the client has gone. */
void http2_send(struct http2_connection *connection, const void *bytes, size_t size);

void http2_send_frame(struct http2_connection *connection, enum http2_frame type, uint8_t flags, uint32_t stream,
                      const void *payload, size_t size);

struct http2_field {
    const char *name;
    const char *value;
};

/* One block of headers, in as many frames as it needs; with END_HEADERS on the last one. */
void http2_send_fields(struct http2_connection *connection, uint32_t stream, uint8_t flags,
                       const struct http2_field *fields, size_t count);

/* From now on every byte is a packet of its own, and again not. */
void http2_send_by_bytes(struct http2_connection *connection, bool by_bytes);

/* Ends the connection after what was sent; `abruptly`: by a reset, which may overtake it. */
void http2_close(struct http2_connection *connection, bool abruptly);

#endif
