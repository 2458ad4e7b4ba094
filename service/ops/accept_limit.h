/* accept_limit.h: how many connections the daemon accepts.
 *
 * gRPC 1.51 has no such limit, and once accept4 has failed for want of a descriptor it accepts nobody ever again
 * (CVE-2023-4785). So accept4 is this file's own, in the place of the C library's: it closes what is too much, and lets gRPC wait
 * for the next connection when the system has nothing left. TLS and plain connections are the same to it.
 *
 * Connections are not counted: the system gives the lowest number that is free, so a descriptor's number says how many are open.
 *
 * Threads: the limit is set before the server starts; the count is for any. */
#ifndef SERVICE_OPS_ACCEPT_LIMIT_H
#define SERVICE_OPS_ACCEPT_LIMIT_H

#include <stdint.h>

/* Accepts so many connections, as far as `descriptors_count`, the process's limit, has room for them; returns how many that are
 * at least. 0: as many as come, and gRPC goes deaf when it has run out. */
uint64_t accept_limit_set(uint64_t connections_max, uint64_t descriptors_count);

/* Connections that were closed at once since the start. */
uint64_t accept_refused_count(void);

#endif
