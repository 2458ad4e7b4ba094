/* echo_server.h: a server that does what its requests say (echo.proto), on gRPC core alone.
 *
 * The client's tests stand on it, so it shares nothing with the SDK's own server but the completion loop. Every path is
 * served alike; ECHO_CALL and ECHO_STREAM are its methods as a unary and as a streaming client sees them.
 * Ownership: whoever starts the server stops it.
 * Threads: any. Errors: none, a server that cannot start fails an assertion. */
#ifndef TESTS_SUPPORT_ECHO_SERVER_H
#define TESTS_SUPPORT_ECHO_SERVER_H

#include <stdint.h>

#include "daybook/method.h"
#include "tests/support/certificates.h"

struct echo_server;

extern const daybook_method ECHO_CALL;
extern const daybook_method ECHO_CALL_IDEMPOTENT; /* the same, and its proto says so */
extern const daybook_method ECHO_STREAM;

/* Starts a server on a free port of 127.0.0.1. */
struct echo_server *echo_server_start(void);

/* The same over TLS; with authorities (PEM; NULL: none) a client must have a certificate of theirs. */
struct echo_server *echo_server_start_secure(const char *authorities_pem, const struct certificate *certificate);

/* Stops a server and gives a new one at the same address. */
struct echo_server *echo_server_restart(struct echo_server *server);

/* "127.0.0.1:<port>"; lives as long as the server. */
const char *echo_server_target(const struct echo_server *server);

/* Waits until so many calls have been received in all, and so many of them were ended by the client. */
void echo_server_wait_received(struct echo_server *server, uint32_t count);
void echo_server_wait_cancelled(struct echo_server *server, uint32_t count);

/* Calls that have been received in all. */
uint32_t echo_server_received(struct echo_server *server);

/* Responses that have left the server in all. */
uint32_t echo_server_sent(struct echo_server *server);

/* Cancels what is open, stops, frees. */
void echo_server_stop(struct echo_server *server);

#endif
