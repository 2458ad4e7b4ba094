/* server_context.h: what handlers see of an rpc, daybook/server_context.h. The type daybook_server_context is never defined:
 * a context is an rpc under the name that programs know.
 *
 * Ownership: a context is its rpc; what it has been asked for goes with that.
 * Threads: `deinit` the queue's. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_CONTEXT_H
#define DAYBOOK_SDK_RUNTIME_SERVER_CONTEXT_H

#include "sdk/runtime/server_rpc.h"

daybook_server_context *daybook__server_context_of(struct server_rpc *rpc);

/* Frees what a handler has asked for and added. */
void daybook__server_context_deinit(struct server_rpc *rpc);

#endif
