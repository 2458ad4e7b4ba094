/* server_arguments.h: the limits of a server's connections, and where it listens.
 *
 * Ownership: nothing is kept; gRPC copies what it needs.
 * Threads: the server's owner.
 * Errors: UNAVAILABLE with the reason why an address cannot be bound. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_ARGUMENTS_H
#define DAYBOOK_SDK_RUNTIME_SERVER_ARGUMENTS_H

#include <grpc/grpc.h>

#include "daybook/method.h"
#include "daybook/options.h"
#include "daybook/status.h"

/* Makes gRPC's server with every limit set explicitly from resolved options. */
grpc_server *daybook__server_core_create(const daybook_server_options *options);

struct server_tls;

/* Binds and listens, encrypted if there is TLS (NULL: none). False: `ret_status` says why. */
DAYBOOK_MUST_USE bool daybook__server_core_listen(grpc_server *core, const daybook_server_options *options,
                                                  struct server_tls *tls, uint16_t *ret_port,
                                                  daybook_status *ret_status);

#endif
