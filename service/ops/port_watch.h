/* port_watch.h: the daemon looks at its own port as a client does.
 *
 * gRPC 1.51 stops accepting for ever once it ran out of descriptors (CVE-2023-4785): the process lives, the kernel completes
 * handshakes for it, and nobody is served. So a thread connects to the address that the daemon listens on and waits for the
 * server's first frame (SETTINGS); where connections are encrypted, it says that it has nothing to say and waits for the
 * server to hang up. Either takes a server that accepts. Enough failures in a row, and the daemon hears of it. A server that
 * accepts others meanwhile (its sockets' queues say so) is flooded, not deaf, and that is no failure; neither is it one when the
 * threads that accept have not slept for most of that time: they are overloaded, or wait for a disk, and accept when they come to
 * it. Time in which the watch did not run itself (the process was stopped, the machine stood still or had no core) is nobody's.
 *
 * The watch holds one socket from the start to the end and connects it anew each time: when there are no descriptors left it
 * needs none. A port that has never answered is not watched, because an address that cannot be reached from here says nothing
 * about the server.
 *
 * Ownership: the watch copies its options. Threads: open and close by one; `deaf` is called once at most, by the watch's own.
 * Errors: FAILURE_MEMORY, no memory, descriptor or thread; FAILURE_INPUT, not an address of TCP. */
#ifndef SERVICE_OPS_PORT_WATCH_H
#define SERVICE_OPS_PORT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

struct port_watch;

struct port_watch_options {
    const char *listen; /* HOST:PORT or [HOST]:PORT; the port in it is not looked at */
    uint16_t port;      /* the one that is bound */
    bool is_encrypted;
    const char *threads_name; /* how the names of the threads that accept begin; a literal, or NULL: not looked at */
    uint32_t interval_ms;     /* between two connections; 0: PORT_WATCH_INTERVAL_MS */
    uint32_t timeout_ms;      /* of one; 0: PORT_WATCH_TIMEOUT_MS */
    void (*deaf)(void *context);
    void *context;
};

struct port_watch_counts {
    uint64_t answered_count;
    uint64_t slow_count; /* no answer in time, but the server accepts, is overloaded, or cannot be reached from here */
    uint64_t failed_count; /* nor that */
};

MUST_USE result port_watch_open(const struct port_watch_options *options, struct port_watch **ret_watch);

/* Before the port is closed: a connection that is under way is given up. NULL is allowed. Returns NULL. */
struct port_watch *port_watch_close(struct port_watch *watch);

struct port_watch_counts port_watch_count(const struct port_watch *watch);

#endif
