/* health.h: grpc.health.v1 of a server, on the generated server half like any other service.
 *
 * Ownership: the health belongs to its server. Watchers live in the arena of their stream, from Watch to its end.
 * Threads: `set` any; the others the server's owner. The handlers run on the server's threads.
 * Errors: RESOURCE_EXHAUSTED without memory; INVALID_ARGUMENT when the program serves grpc.health.v1 itself. */
#ifndef DAYBOOK_SDK_RUNTIME_HEALTH_H
#define DAYBOOK_SDK_RUNTIME_HEALTH_H

#include "sdk/runtime/server.h"

/* Names of the program's own, beside "" and the services, and how long one is at most. */
#define DAYBOOK__HEALTH_NAMES_MAX      64u
#define DAYBOOK__HEALTH_NAME_BYTES_MAX 255u

/* Each is an open stream for as long as its client likes. An orchestrator has one, a balancer one a connection. */
#define DAYBOOK__HEALTH_WATCHERS_MAX 256u

/* Adds the service to a server that has not started. */
DAYBOOK_MUST_USE struct health *daybook__health_open(struct daybook_server *server, daybook_status *ret_status);

/* Makes "" and every service of the server known, and serving. */
void daybook__health_start(struct health *health);

void daybook__health_set(struct health *health, const char *name, bool serving);

/* Nothing is served any more, whatever is set later; watchers are told, and then their streams end. */
void daybook__health_drain(struct health *health);

/* All its streams must be closed. NULL is allowed. Returns NULL. */
struct health *daybook__health_close(struct health *health);

#endif
