/* options.h: options with their defaults filled in and checked, and gRPC's channel arguments.
 *
 * Ownership: resolved options still point to the caller's strings.
 * Threads: plain data, any thread.
 * Errors: INVALID_ARGUMENT with the option's name and its range. */
#ifndef DAYBOOK_SDK_RUNTIME_OPTIONS_H
#define DAYBOOK_SDK_RUNTIME_OPTIONS_H

#include <grpc/grpc.h>

#include "daybook/method.h"
#include "daybook/options.h"
#include "daybook/status.h"

#define DAYBOOK__THREADS_MAX      64u
#define DAYBOOK__TARGET_BYTES_MAX 1024u
#define DAYBOOK__HEADERS_MAX      64u

/* No client pings more often, so a server takes pings half as far apart for an abuse, with room for a slow network. */
#define DAYBOOK__KEEPALIVE_MS_MIN         10000u
#define DAYBOOK__PING_INTERVAL_ALLOWED_MS (DAYBOOK__KEEPALIVE_MS_MIN / 2)

/* A token travels with every call, and a server takes 16 KiB of metadata by default. */
#define DAYBOOK__TOKEN_BYTES_MAX 8000u

#define DAYBOOK__ATTEMPTS_MAX 100u

/* Copies the options with defaults in the place of zeros. False when one is missing or out of range. */
DAYBOOK_MUST_USE bool daybook__client_options_resolve(const daybook_client_options *options,
                                                      daybook_client_options *ret_resolved, daybook_status *ret_status);
DAYBOOK_MUST_USE bool daybook__server_options_resolve(const daybook_server_options *options,
                                                      daybook_server_options *ret_resolved, daybook_status *ret_status);

/* Fills in defaults in place. False when one is out of range; some are filled in then. */
DAYBOOK_MUST_USE bool daybook__retry_options_resolve(daybook_retry_options *options, daybook_status *ret_status);

/* Whether a bearer token can be a header (RFC 6750, b64token), and whether it may be sent over this connection. */
DAYBOOK_MUST_USE bool daybook__bearer_token_check(const char *token, bool may_be_seen, daybook_status *ret_status);

/* Checks the headers and fills in the default timeout of the method's kind. `options` may be NULL. */
DAYBOOK_MUST_USE bool daybook__call_options_resolve(const daybook_call_options *options, daybook_method_kind kind,
                                                    daybook_call_options *ret_resolved, daybook_status *ret_status);

#define DAYBOOK__CHANNEL_ARGUMENTS_MAX 32

/* A list of gRPC's channel arguments on the stack of whoever opens a channel or a server. Keys and strings must be
 * static or outlive the opening. */
struct channel_arguments {
    grpc_arg items[DAYBOOK__CHANNEL_ARGUMENTS_MAX];
    size_t count;
};

void daybook__channel_arguments_add(struct channel_arguments *arguments, const char *key, uint32_t value);
void daybook__channel_arguments_add_text(struct channel_arguments *arguments, const char *key, const char *value);

/* The list in gRPC's form; valid as long as `arguments` is neither moved nor added to. */
grpc_channel_args daybook__channel_arguments_list(struct channel_arguments *arguments);

/* What clients and servers have in common: identity encoding only (core inflates a message before it checks the size,
 * so nothing compressed is ever accepted) and the largest message received. */
void daybook__channel_arguments_add_common(struct channel_arguments *arguments, uint32_t message_bytes_max);

#endif
