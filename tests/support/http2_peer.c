/* http2_peer.c: see http2_peer.h. */
#include "tests/support/http2_peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFACE_BYTES      24
#define FRAME_HEAD_BYTES   9
#define FRAME_BYTES_MAX    16384
#define PAYLOAD_BYTES_MAX  65536
#define FIELDS_BYTES_MAX   (256u * 1024u)
#define LENGTH_PREFIX_FULL 0x7fu

struct http2_peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    struct http2_connection *connections; /* all that ever were */
    pthread_mutex_t mutex;                /* of what follows, and of the connections' sockets */
    struct http2_script script;
};

struct http2_connection {
    struct http2_peer *peer;
    struct http2_connection *next;
    pthread_t thread;
    int socket; /* -1: closed */
    bool by_bytes;
    bool is_closed;
    bool is_reset;
    const void *context;
    uint8_t payload[PAYLOAD_BYTES_MAX];
};

/* --- Sending ------------------------------------------------------------------------------------------------------ */

const void *http2_context(const struct http2_connection *connection) {
    return connection->context;
}

void http2_send(struct http2_connection *connection, const void *bytes, size_t size) {
    const char *next = bytes;
    while (size > 0 && !connection->is_closed) {
        const ssize_t sent = send(connection->socket, next, connection->by_bytes ? 1 : size, MSG_NOSIGNAL);
        if (sent < 0) return; /* The client has gone, and the next read says so. */
        next += sent;
        size -= (size_t)sent;
    }
}

void http2_send_frame(struct http2_connection *connection, enum http2_frame type, uint8_t flags, uint32_t stream,
                      const void *payload, size_t size) {
    assert(size < 1u << 24);
    const uint8_t head[FRAME_HEAD_BYTES] = {
        (uint8_t)(size >> 16),   (uint8_t)(size >> 8),    (uint8_t)size,          (uint8_t)type,   flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
    };
    http2_send(connection, head, sizeof head);
    http2_send(connection, payload, size);
}

/* HPACK (RFC 7541): a string that is not compressed, its length in a prefix of seven bits. */
static uint8_t *put_text(uint8_t *at, const char *text) {
    size_t size = strlen(text);
    const size_t text_size = size;
    if (size < LENGTH_PREFIX_FULL) {
        *at++ = (uint8_t)size;
    } else {
        *at++ = LENGTH_PREFIX_FULL;
        for (size -= LENGTH_PREFIX_FULL; size >= 128; size >>= 7) *at++ = (uint8_t)(size | 128);
        *at++ = (uint8_t)size;
    }
    memcpy(at, text, text_size);
    return at + text_size;
}

void http2_send_fields(struct http2_connection *connection, uint32_t stream, uint8_t flags,
                       const struct http2_field *fields, size_t count) {
    uint8_t *block = malloc(FIELDS_BYTES_MAX);
    assert(block != NULL);
    uint8_t *end = block;
    for (size_t i = 0; i < count; i++) {
        assert(strlen(fields[i].name) + strlen(fields[i].value) + 16 < FIELDS_BYTES_MAX - (size_t)(end - block));
        *end++ = 0; /* a literal that is not indexed, with a name of its own */
        end = put_text(put_text(end, fields[i].name), fields[i].value);
    }
    enum http2_frame type = HTTP2_HEADERS;
    for (uint8_t *next = block; next < end;) {
        const size_t left = (size_t)(end - next);
        const size_t size = left < FRAME_BYTES_MAX ? left : FRAME_BYTES_MAX;
        const uint8_t end_headers = size == left ? HTTP2_END_HEADERS : 0;
        http2_send_frame(connection, type, (uint8_t)(flags | end_headers), stream, next, size);
        type = HTTP2_CONTINUATION;
        flags = 0;
        next += size;
    }
    free(block);
}

void http2_send_by_bytes(struct http2_connection *connection, bool by_bytes) {
    connection->by_bytes = by_bytes;
}

void http2_close(struct http2_connection *connection, bool abruptly) {
    if (abruptly) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        const int code = setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        assert(code == 0);
    }
    connection->is_closed = true;
    connection->is_reset = abruptly;
}

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/* False: the client has gone. */
static bool receive(const struct http2_connection *connection, void *ret_bytes, size_t size) {
    char *next = ret_bytes;
    while (size > 0) {
        const ssize_t received = recv(connection->socket, next, size, 0);
        if (received <= 0) return false;
        next += received;
        size -= (size_t)received;
    }
    return true;
}

static struct http2_script script_get(struct http2_peer *peer) {
    pthread_mutex_lock(&peer->mutex);
    const struct http2_script script = peer->script;
    pthread_mutex_unlock(&peer->mutex);
    return script;
}

static void take_frame(struct http2_connection *connection, const uint8_t *head, size_t size) {
    const uint8_t type = head[3];
    const uint8_t flags = head[4];
    const uint32_t stream =
        ((uint32_t)head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    if (type == HTTP2_SETTINGS && (flags & HTTP2_ACK) == 0) {
        http2_send_frame(connection, HTTP2_SETTINGS, HTTP2_ACK, 0, NULL, 0);
    } else if (type == HTTP2_PING && (flags & HTTP2_ACK) == 0) {
        http2_send_frame(connection, HTTP2_PING, HTTP2_ACK, 0, connection->payload, size);
    } else if (type == HTTP2_HEADERS) {
        const struct http2_script script = script_get(connection->peer);
        connection->context = script.context;
        script.answer(connection, stream);
    }
}

static void serve(struct http2_connection *connection) {
    uint8_t preface[PREFACE_BYTES];
    const struct http2_script script = script_get(connection->peer);
    connection->context = script.context;
    if (script.greet != NULL) script.greet(connection);
    if (connection->is_closed || !receive(connection, preface, sizeof preface)) return;
    if (script.greet == NULL) http2_send_frame(connection, HTTP2_SETTINGS, 0, 0, NULL, 0);
    uint8_t head[FRAME_HEAD_BYTES];
    while (!connection->is_closed && receive(connection, head, sizeof head)) {
        const size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        assert(size <= sizeof connection->payload);
        if (!receive(connection, connection->payload, size)) return;
        take_frame(connection, head, size);
    }
}

/* Closing a socket with unread bytes resets it, and the client would miss what was sent last. */
static void drain(const struct http2_connection *connection) {
    char bytes[4096];
    if (shutdown(connection->socket, SHUT_WR) != 0) return;
    while (recv(connection->socket, bytes, sizeof bytes, 0) > 0) {
    }
}

static void *run_connection(void *argument) {
    struct http2_connection *connection = argument;
    serve(connection);
    if (!connection->is_reset) drain(connection);
    pthread_mutex_lock(&connection->peer->mutex);
    (void)close(connection->socket);
    connection->socket = -1;
    pthread_mutex_unlock(&connection->peer->mutex);
    return NULL;
}

static void add_connection(struct http2_peer *peer, int accepted) {
    const int on = 1;
    int code = setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert(code == 0);
    struct http2_connection *connection = calloc(1, sizeof *connection);
    assert(connection != NULL);
    connection->peer = peer;
    connection->socket = accepted;
    connection->next = peer->connections;
    peer->connections = connection;
    code = pthread_create(&connection->thread, NULL, run_connection, connection);
    assert(code == 0);
}

static void *run(void *argument) {
    struct http2_peer *peer = argument;
    for (;;) {
        const int accepted = accept(peer->listener, NULL, NULL);
        if (accepted < 0) return NULL; /* The listener was shut down. */
        add_connection(peer, accepted);
    }
}

/* When no more are added. */
static void end_connections(struct http2_peer *peer) {
    while (peer->connections != NULL) {
        struct http2_connection *connection = peer->connections;
        peer->connections = connection->next;
        pthread_mutex_lock(&peer->mutex);
        if (connection->socket >= 0) (void)shutdown(connection->socket, SHUT_RDWR);
        pthread_mutex_unlock(&peer->mutex);
        const int code = pthread_join(connection->thread, NULL);
        assert(code == 0);
        free(connection);
    }
}

/* --- The peer ----------------------------------------------------------------------------------------------------- */

struct http2_peer *http2_peer_start(struct http2_script script) {
    struct http2_peer *peer = calloc(1, sizeof *peer);
    assert(peer != NULL);
    peer->script = script;
    pthread_mutex_init(&peer->mutex, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(peer->listener >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_size = sizeof address;
    int code = bind(peer->listener, (const struct sockaddr *)&address, sizeof address);
    assert(code == 0);
    code = getsockname(peer->listener, (struct sockaddr *)&address, &address_size);
    assert(code == 0);
    peer->port = ntohs(address.sin_port);
    code = listen(peer->listener, SOMAXCONN);
    assert(code == 0);
    code = pthread_create(&peer->thread, NULL, run, peer);
    assert(code == 0);
    return peer;
}

void http2_peer_set(struct http2_peer *peer, struct http2_script script) {
    pthread_mutex_lock(&peer->mutex);
    peer->script = script;
    pthread_mutex_unlock(&peer->mutex);
}

uint16_t http2_peer_port(const struct http2_peer *peer) {
    return peer->port;
}

void http2_peer_stop(struct http2_peer *peer) {
    int code = shutdown(peer->listener, SHUT_RDWR);
    assert(code == 0);
    code = pthread_join(peer->thread, NULL);
    assert(code == 0);
    end_connections(peer);
    (void)close(peer->listener);
    pthread_mutex_destroy(&peer->mutex);
    free(peer);
}
