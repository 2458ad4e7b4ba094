/* server_tls.h: the certificate, the key and the authorities of a server that serves, taken anew when their files change.
 *
 * A thread looks at the files twice a second. What has changed is read once it stays as it is, is looked at as OpenSSL will,
 * and only then is what new connections get; connections that are there keep what they have. What is wrong is told, counted
 * and not taken.
 *
 * gRPC asks for new credentials at every connection that it accepts (its "fetcher"), by turns for one listening socket, but
 * uses what it has got outside of the lock under which it asks: two sockets with the same credentials could free what the
 * other one uses. Hence every listening socket has credentials of its own.
 * Ownership: copies of the options. The credentials refer to it: it is closed after gRPC's server is destroyed.
 * Threads: as each function says; gRPC's own ask for the material.
 * Errors: INVALID_ARGUMENT as tls.h and tls_check.h say, RESOURCE_EXHAUSTED without memory or thread. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_TLS_H
#define DAYBOOK_SDK_RUNTIME_SERVER_TLS_H

#include <grpc/grpc_security.h>

#include "daybook/options.h"
#include "daybook/server.h"
#include "daybook/status.h"

/* A name that stands for more addresses than this is hardly one to listen on. */
#define DAYBOOK__LISTENERS_MAX 16

/* How often the files are looked at. A change is taken at the second look that finds it, within a second. */
#define DAYBOOK__TLS_LOOK_INTERVAL_MS 500

struct server_tls;

/* Reads and checks what the server's options say. */
DAYBOOK_MUST_USE bool daybook__server_tls_open(const daybook_server_options *options, struct server_tls **ret_tls,
                                               daybook_status *ret_status);

/* Credentials for one more listening socket, at most DAYBOOK__LISTENERS_MAX. The opener's thread. */
grpc_server_credentials *daybook__server_tls_credentials(struct server_tls *tls);

/* Begins to look at the files, if there are any. The opener's thread, once. */
DAYBOOK_MUST_USE bool daybook__server_tls_watch(struct server_tls *tls, daybook_status *ret_status);

/* Reads the files now. False: what was there stays. Any thread. */
DAYBOOK_MUST_USE bool daybook__server_tls_reload(struct server_tls *tls, daybook_status *ret_status);

/* Any thread. */
daybook_server_tls_counts daybook__server_tls_count(struct server_tls *tls);

/* NULL is allowed. Returns NULL. */
struct server_tls *daybook__server_tls_close(struct server_tls *tls);

#endif
