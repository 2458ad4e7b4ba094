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
#include "sdk/runtime/tls.h"

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

/* --- TLS ---------------------------------------------------------------------------------------------------------- */

/* Whom the server asks for a certificate. One that is shown is always verified. */
static grpc_ssl_client_certificate_request_type client_certificate(const daybook_tls_options *options,
                                                                   const struct tls_material *material) {
    if (material->authorities == NULL) return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    return options->client_certificate_optional != 0 ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

/* What of the options a server cannot use; NULL when nothing. */
static const char *tls_problem(const daybook_tls_options *options, const struct tls_material *material) {
    if (material->certificate == NULL) return "options tls: a server needs a certificate and its key";
    if (material->authorities == NULL && options->client_certificate_optional != 0) {
        return "option tls.client_certificate_optional: there are no authorities for certificates of clients";
    }
    return NULL;
}

/* gRPC speaks TLS 1.2 and 1.3, nothing older, and copies the texts. NULL on failure. */
static grpc_server_credentials *tls_credentials_create(const daybook_tls_options *options, daybook_status *ret_status) {
    struct tls_material material;
    if (!daybook__tls_load(options, &material, ret_status)) return NULL;
    grpc_server_credentials *credentials = NULL;
    const char *problem = tls_problem(options, &material);
    if (problem != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "%s", problem);
    } else {
        const grpc_ssl_pem_key_cert_pair pair = {.private_key = material.key, .cert_chain = material.certificate};
        credentials =
            grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config(
                client_certificate(options, &material),
                grpc_ssl_server_certificate_config_create(material.authorities, &pair, 1)));
    }
    daybook__tls_unload(&material);
    return credentials;
}

/* --- Listen ------------------------------------------------------------------------------------------------------- */

/* gRPC looks into certificates and keys only when it binds the address. */
static void set_listen_error(const daybook_server_options *options, daybook_status *ret_status) {
    const char *reason = explain(options->listen);
    if (reason == NULL && options->tls != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                           "options tls: the certificate, its key or the authorities are damaged or do not belong "
                           "together; gRPC's log says more");
        return;
    }
    daybook_status_set(ret_status, DAYBOOK_UNAVAILABLE, "cannot listen on %s: %s", options->listen,
                       reason != NULL ? reason : "gRPC's log says why");
}

bool daybook__server_core_listen(grpc_server *core, const daybook_server_options *options, uint16_t *ret_port,
                                 daybook_status *ret_status) {
    grpc_server_credentials *credentials = options->tls == NULL ? grpc_insecure_server_credentials_create()
                                                                : tls_credentials_create(options->tls, ret_status);
    if (credentials == NULL) return false;
    int port = grpc_server_add_http2_port(core, options->listen, credentials);
    grpc_server_credentials_release(credentials);
    if (port <= 0) {
        set_listen_error(options, ret_status);
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}
