/* server_stream.h: streams from their arrival to their end. Handlers see daybook/server.h.
 *
 * Ownership: a stream lives in a slot of its queue until nothing of it is in flight any more.
 * Threads: `start` the queue's. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_STREAM_H
#define DAYBOOK_SDK_RUNTIME_SERVER_STREAM_H

#include "sdk/runtime/server_rpc.h"

/* Decodes the request, if the method takes one, and runs the handler. Takes over what the arrival holds. */
void daybook__server_stream_start(const struct server_arrival *arrival);

#endif
