/* daemon.h: the rooms of the daemon, opened in the order in which data flows through them and closed in the other.
 *
 * Ownership: the daemon owns its rooms. Threads: the main thread's. */
#ifndef SERVICE_DAEMON_H
#define SERVICE_DAEMON_H

#include <stdint.h>

#include "service/base/result.h"
#include "service/config.h"

struct daemon;
struct signals;

/* Exit codes (sysexits.h); documented by --help. */
enum daemon_exit {
    DAEMON_EXIT_OK = 0,
    DAEMON_EXIT_USAGE = 64,
    DAEMON_EXIT_DATA = 65,
    DAEMON_EXIT_ADDRESS = 69,
    DAEMON_EXIT_RESOURCES = 70,
    DAEMON_EXIT_DIRECTORY = 73,
    DAEMON_EXIT_STORAGE = 74,
    DAEMON_EXIT_BUSY = 75,
};

/* What a failure means for whoever has started the program. */
enum daemon_exit daemon_exit_of(enum failure failure);

/* Opens store, index, feed, sequencer and server, and serves. `signals` hears of a failing disk and of a deaf port. On
 * failure nothing is left open, `*ret_exit` is the code to exit with and the problem is one line for the person who started it.
 * NULL then. */
struct daemon *daemon_open(const struct config *config, struct signals *signals, enum daemon_exit *ret_exit,
                           struct problem *ret_problem);

/* The port that is bound. */
uint16_t daemon_port(const struct daemon *daemon);

/* What to exit with when `signals` have heard of a failure. */
enum daemon_exit daemon_failure(const struct daemon *daemon);

/* Reads certificates, the key and the authorities of clients again; what is wrong is logged, and the old ones stay. */
void daemon_reload(struct daemon *daemon);

/* To be called every few seconds: gives back the memory of a burst once nothing was asked for since the last call, and every
 * MEMORY_TRIM_INTERVAL_MS in any case; and tells `signals` when the disk does not keep what it was given. */
void daemon_rest(struct daemon *daemon);

/* Says NOT_SERVING, ends subscriptions, lets open calls end for at most `grace_ms`. */
void daemon_drain(struct daemon *daemon, uint32_t grace_ms);

/* NULL is allowed. Returns NULL. */
struct daemon *daemon_close(struct daemon *daemon);

#endif
