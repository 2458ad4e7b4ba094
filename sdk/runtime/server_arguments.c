/* server_arguments.c: see server_arguments.h. */
#include "sdk/runtime/server_arguments.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpc/grpc_security.h>

#include "sdk/runtime/options.h"
#include "sdk/runtime/server_tls.h"

/* A client that pings too often is told to be calm (GOAWAY, ENHANCE_YOUR_CALM) at the third time. */
#define PING_STRIKES_MAX 2u

static void add_limits(struct channel_arguments *arguments, const daybook_server_options *options) {
    daybook__channel_arguments_add_common(arguments, options->message_bytes_max);
    daybook__channel_arguments_add(arguments, GRPC_ARG_MAX_METADATA_SIZE, options->metadata_bytes_max);
    daybook__channel_arguments_add(arguments, GRPC_ARG_MAX_CONCURRENT_STREAMS, options->concurrent_calls_max);
    daybook__channel_arguments_add(arguments, GRPC_ARG_MAX_CONNECTION_IDLE_MS, options->connection_idle_ms);
    daybook__channel_arguments_add(arguments, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, options->handshake_timeout_ms);
}

/* The server pings a silent connection, with or without calls, so that one whose client is gone does not stay for ever;
 * clients may do the same, but not for an attack. */
static void add_keepalive(struct channel_arguments *arguments, const daybook_server_options *options) {
    daybook__channel_arguments_add(arguments, GRPC_ARG_KEEPALIVE_TIME_MS, options->keepalive_ms);
    daybook__channel_arguments_add(arguments, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options->keepalive_timeout_ms);
    daybook__channel_arguments_add(arguments, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    daybook__channel_arguments_add(arguments, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    daybook__channel_arguments_add(arguments, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                                   DAYBOOK__PING_INTERVAL_ALLOWED_MS);
    daybook__channel_arguments_add(arguments, GRPC_ARG_HTTP2_MAX_PING_STRIKES, PING_STRIKES_MAX);
}

/* What a server of ours has no use for. Two servers on one port would share its clients at random, so a busy port must
 * fail; nothing compressed is taken or sent; the debugging tree of channelz costs every call something. */
static void add_refusals(struct channel_arguments *arguments) {
    daybook__channel_arguments_add(arguments, GRPC_ARG_ALLOW_REUSEPORT, 0);
    daybook__channel_arguments_add(arguments, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    daybook__channel_arguments_add(arguments, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    daybook__channel_arguments_add(arguments, GRPC_ARG_ENABLE_CHANNELZ, 0);
}

grpc_server *daybook__server_core_create(const daybook_server_options *options) {
    struct channel_arguments arguments = {.count = 0};
    add_limits(&arguments, options);
    add_keepalive(&arguments, options);
    add_refusals(&arguments);
    grpc_resource_quota *quota = grpc_resource_quota_create("daybook-server");
    grpc_resource_quota_resize(quota, (size_t)options->memory_bytes_max);
    arguments.items[arguments.count++] = (grpc_arg){
        .type = GRPC_ARG_POINTER,
        .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
        .value.pointer = {.p = quota, .vtable = grpc_resource_quota_arg_vtable()},
    };
    grpc_channel_args list = daybook__channel_arguments_list(&arguments);
    grpc_server *core = grpc_server_create(&list, NULL);
    grpc_resource_quota_unref(quota);
    return core;
}

/* gRPC tells only its log why it could not bind, so the same is tried once more with a plain socket. Returns 0 when that
 * finds nothing wrong. */
static int bind_error(const struct addrinfo *address) {
    int file = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (file < 0) return errno;
    int on = 1;
    int error = 0;
    if (setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(file, address->ai_addr, address->ai_addrlen) != 0 || listen(file, 1) != 0) {
        error = errno;
    }
    close(file);
    return error;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" in place. */
static bool split(char *address, const char **ret_host, const char **ret_port) {
    char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) return false;
    *colon = '\0';
    *ret_port = colon + 1;
    *ret_host = address;
    if (address[0] != '[') return strchr(address, ':') == NULL;
    *ret_host = address + 1;
    if (colon[-1] != ']') return false;
    colon[-1] = '\0';
    return true;
}

/* Why `address` cannot be bound: static text, or the C library's own. NULL: it can. */
static const char *explain(const char *address) {
    if (strncmp(address, "unix:", 5) == 0) return "the socket's path exists or cannot be made";
    char copy[DAYBOOK__TARGET_BYTES_MAX + 1];
    snprintf(copy, sizeof copy, "%s", address);
    const char *host = NULL;
    const char *port = NULL;
    if (!split(copy, &host, &port)) return "it is not of the form HOST:PORT";
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) return gai_strerror(error);
    int bind_failure = bind_error(found);
    freeaddrinfo(found);
    return bind_failure != 0 ? strerror(bind_failure) : NULL;
}

/* --- Listen ------------------------------------------------------------------------------------------------------- */

static void set_listen_error(const daybook_server_options *options, daybook_status *ret_status) {
    const char *reason = explain(options->listen);
    daybook_status_set(ret_status, DAYBOOK_UNAVAILABLE, "cannot listen on %s: %s", options->listen,
                       reason != NULL ? reason : "gRPC's log says why");
}

/* Returns 0 when it cannot be bound. */
static int add_port(grpc_server *core, const char *address, struct server_tls *tls) {
    grpc_server_credentials *credentials =
        tls == NULL ? grpc_insecure_server_credentials_create() : daybook__server_tls_credentials(tls);
    int port = grpc_server_add_http2_port(core, address, credentials);
    grpc_server_credentials_release(credentials);
    return port;
}

/* One of several addresses, with the port of the first if any will do. */
static int add_resolved_port(grpc_server *core, const struct addrinfo *address, const char *port,
                             struct server_tls *tls) {
    char host[NI_MAXHOST];
    char text[NI_MAXHOST + 16];
    if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0) return 0;
    snprintf(text, sizeof text, address->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return add_port(core, text, tls);
}

/* A name can stand for several addresses. gRPC would bind all of them with the same credentials; each must have its own
 * (server_tls.h). As with gRPC it is enough that one of them can be bound. */
static int add_encrypted_ports(grpc_server *core, const char *listen, struct server_tls *tls) {
    char copy[DAYBOOK__TARGET_BYTES_MAX + 1];
    char port[16];
    const char *host = NULL;
    const char *port_text = NULL;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(copy, sizeof copy, "%s", listen);
    if (strncmp(listen, "unix", 4) == 0 || !split(copy, &host, &port_text) ||
        getaddrinfo(host, port_text, &hints, &found) != 0) {
        return add_port(core, listen, tls);
    }
    snprintf(port, sizeof port, "%s", port_text);
    int bound = 0;
    int count = 0;
    for (const struct addrinfo *address = found; address != NULL && count < DAYBOOK__LISTENERS_MAX;
         address = address->ai_next, count++) {
        const int added = add_resolved_port(core, address, port, tls);
        if (bound == 0 && added > 0) {
            bound = added;
            snprintf(port, sizeof port, "%d", bound);
        }
    }
    freeaddrinfo(found);
    return bound;
}

bool daybook__server_core_listen(grpc_server *core, const daybook_server_options *options, struct server_tls *tls,
                                 uint16_t *ret_port, daybook_status *ret_status) {
    const int port =
        tls == NULL ? add_port(core, options->listen, NULL) : add_encrypted_ports(core, options->listen, tls);
    if (port <= 0) {
        set_listen_error(options, ret_status);
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}
