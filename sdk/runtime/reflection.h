/* reflection.h: grpc.reflection.v1 and v1alpha of a server, so that tools need no proto to talk to it.
 *
 * Ownership: the reflection belongs to its server. Sessions live in the arena of their stream.
 * Threads: the server's owner; the handlers run on the server's threads.
 * Errors: as reflection_files.h; INVALID_ARGUMENT when the program serves grpc.reflection itself. */
#ifndef DAYBOOK_SDK_RUNTIME_REFLECTION_H
#define DAYBOOK_SDK_RUNTIME_REFLECTION_H

#include "sdk/runtime/server.h"

/* Streams open at a time, for both versions together. A tool has one while it looks things up. */
#define DAYBOOK__REFLECTION_SESSIONS_MAX 64u

/* Adds the services to a server that has all others and has not started. */
DAYBOOK_MUST_USE struct reflection *daybook__reflection_open(struct daybook_server *server, daybook_status *ret_status);

/* Ends the sessions: tools keep them open while their user thinks. */
void daybook__reflection_drain(struct reflection *reflection);

/* All its streams must be closed. NULL is allowed. Returns NULL. */
struct reflection *daybook__reflection_close(struct reflection *reflection);

#endif
