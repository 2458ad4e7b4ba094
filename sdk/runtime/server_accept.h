/* server_accept.h: requests that are armed before their calls arrive.
 *
 * Ownership: armed requests belong to the server and stay until gRPC has given each back.
 * Threads: `open`, `arm` and `close` the server's owner; arrivals run on their queue's thread.
 * Errors: NULL-safe; false without memory. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_ACCEPT_H
#define DAYBOOK_SDK_RUNTIME_SERVER_ACCEPT_H

#include "sdk/runtime/server.h"

/* Makes the requests of every method on every queue. */
DAYBOOK_MUST_USE bool daybook__server_accept_open(struct daybook_server *server, daybook_status *ret_status);

/* Arms them all; from now on calls arrive. The server's core must have been started. */
void daybook__server_accept_arm(struct daybook_server *server);

/* Frees them. None may be armed. */
void daybook__server_accept_close(struct daybook_server *server);

#endif
