/* server_call.h: unary calls from their arrival to their end. Handlers see daybook/server.h.
 *
 * Ownership: a call lives in a slot of its queue until its one batch has completed.
 * Threads: `start` and `refuse` the queue's. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_CALL_H
#define DAYBOOK_SDK_RUNTIME_SERVER_CALL_H

#include "sdk/runtime/server_rpc.h"

/* Decodes the request and runs the handler. Takes over what the arrival holds. */
void daybook__server_call_start(const struct server_arrival *arrival);

/* Answers a call to a path that nobody serves. */
void daybook__server_call_refuse(const struct server_arrival *arrival, const char *path, size_t path_size);

#endif
