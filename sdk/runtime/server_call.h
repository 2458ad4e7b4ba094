/* server_call.h: unary calls from their arrival to their end. Handlers see daybook/server.h.
 *
 * Ownership: a call lives in a slot of its queue until its one batch has completed.
 * Threads: `start`, `refuse` and `park` the queue's, `release` the server's owner. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_CALL_H
#define DAYBOOK_SDK_RUNTIME_SERVER_CALL_H

#include "sdk/runtime/server_rpc.h"

/* Decodes the request and runs the handler. Takes over what the arrival holds. */
void daybook__server_call_start(const struct server_arrival *arrival);

/* Answers a call to a path that nobody serves. */
void daybook__server_call_refuse(const struct server_arrival *arrival, const char *path, size_t path_size);

/* Keeps a call that arrives while the server drains, or refuses it when nobody is kept any more. */
void daybook__server_call_park(const struct server_arrival *arrival);

/* Refuses the calls that are parked. */
void daybook__server_call_release_parked(struct daybook_server *server);

#endif
