#include "service/ops/port_watch.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/ops/threads.h"

#define NANOSECONDS_PER_MILLISECOND INT64_C(1000000)
#define HOST_BYTES                  256

/* What a client of HTTP/2 says first: the preface and an empty SETTINGS frame. */
static const char greeting[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
#define GREETING_BYTES (sizeof greeting)
_Static_assert(GREETING_BYTES == 24 + 9, "the literal's own end is the last byte of the frame");
#define FRAME_HEADER_BYTES  9
#define FRAME_TYPE_AT       3
#define FRAME_TYPE_SETTINGS 4
/* While the server lets us wait, the queue of those whom it has not accepted yet is looked at so often. */
#define QUEUE_LOOK_MS 20
/* No more than this of the time between two looks is the server's: where it was longer, this thread did not run either, because
 * the process was stopped, or the machine stood still or had no core for us. */
#define QUEUE_LOOK_NS_MAX (5 * QUEUE_LOOK_MS * NANOSECONDS_PER_MILLISECOND)
/* The server's sockets are among the first descriptors: the watch begins with the daemon. A name may stand for several
 * addresses, each with its own. */
#define LISTENER_DESCRIPTOR_MAX 4096
#define LISTENERS_COUNT_MAX     8

struct port_watch {
    struct sockaddr_storage address;
    socklen_t address_size;
    bool is_encrypted;
    const char *threads_name;
    uint32_t interval_ms;
    uint32_t timeout_ms;
    void (*deaf)(void *context);
    void *context;
    int socket;
    int listeners[LISTENERS_COUNT_MAX]; /* the server's; it outlives the watch */
    size_t listeners_count;
    int connect_error;   /* why there was no connection; for the watch's thread */
    int stop_descriptor; /* an eventfd: readable once the watch is to end */
    pthread_t thread;
    atomic_uint_fast64_t answered_count;
    atomic_uint_fast64_t slow_count;
    atomic_uint_fast64_t failed_count;
};

enum outcome { OUTCOME_ANSWERED, OUTCOME_SLOW, OUTCOME_UNREACHABLE, OUTCOME_FAILED, OUTCOME_STOPPED };

/* --- Who waits to be accepted ------------------------------------------------------------------------------------- */

static bool is_listener(int descriptor, uint16_t port) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) return false;
    struct sockaddr_storage address = {0};
    socklen_t address_size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &address_size) != 0) return false;
    if (address.ss_family == AF_INET) return ((const struct sockaddr_in *)&address)->sin_port == htons(port);
    if (address.ss_family == AF_INET6) return ((const struct sockaddr_in6 *)&address)->sin6_port == htons(port);
    return false;
}

static void listeners_find(struct port_watch *watch, uint16_t port) {
    for (int at = 0; at < LISTENER_DESCRIPTOR_MAX && watch->listeners_count < LISTENERS_COUNT_MAX; at++) {
        if (is_listener(at, port)) watch->listeners[watch->listeners_count++] = at;
    }
}

/* Connections that the kernel has made and the server has not accepted. */
static uint64_t waiting_count(const struct port_watch *watch) {
    uint64_t count = 0;
    for (size_t index = 0; index < watch->listeners_count; index++) {
        struct tcp_info info = {0};
        socklen_t size = sizeof info;
        if (getsockopt(watch->listeners[index], IPPROTO_TCP, TCP_INFO, &info, &size) == 0) count += info.tcpi_unacked;
    }
    return count;
}

/* --- One connection ----------------------------------------------------------------------------------------------- */

/* What is left for a connection, and what is seen of a server that lets us wait. */
struct patience {
    int64_t left_ns; /* of the time in which the watch ran, too */
    uint64_t waiting_before;
    uint32_t looks_count;
    uint32_t busy_count; /* looks at which none of the threads that accept slept */
    bool accepts;
};

static struct patience patience_of(const struct port_watch *watch) {
    return (struct patience){.left_ns = watch->timeout_ms * NANOSECONDS_PER_MILLISECOND};
}

/* Nobody leaves the queue but by being accepted, so where it has become shorter, or is empty, somebody was. */
static void look_at_server(const struct port_watch *watch, struct patience *patience) {
    const uint64_t waiting = waiting_count(watch);
    if (watch->listeners_count > 0 && (waiting == 0 || waiting < patience->waiting_before)) patience->accepts = true;
    patience->waiting_before = waiting;
    patience->looks_count++;
    if (watch->threads_name != NULL && threads_all_busy(watch->threads_name)) patience->busy_count++;
}

/* A deaf server's threads sleep. One that is flooded or short of cores accepts when it comes to it, and its end would help
 * nobody. */
static bool is_overloaded(const struct patience *patience) {
    return patience->accepts || 2 * patience->busy_count > patience->looks_count;
}

/* Waits for the socket as long as there is patience; then OUTCOME_SLOW if the server is overloaded. */
static enum outcome wait_for(const struct port_watch *watch, short events, struct patience *patience) {
    patience->waiting_before = waiting_count(watch);
    for (;;) {
        struct pollfd waits[] = {
            {.fd = watch->stop_descriptor, .events = POLLIN},
            {.fd = watch->socket, .events = events},
        };
        const int64_t begun_ns = clock_monotonic_ns();
        const int ready_count = poll(waits, 2, QUEUE_LOOK_MS);
        if (ready_count > 0 && waits[0].revents != 0) return OUTCOME_STOPPED;
        if (ready_count > 0) return OUTCOME_ANSWERED;
        look_at_server(watch, patience);
        const int64_t passed_ns = clock_monotonic_ns() - begun_ns;
        patience->left_ns -= passed_ns < QUEUE_LOOK_NS_MAX ? passed_ns : QUEUE_LOOK_NS_MAX;
        if (patience->left_ns <= 0) return is_overloaded(patience) ? OUTCOME_SLOW : OUTCOME_FAILED;
    }
}

/* Where nobody listens any more, that is the server's failure. Otherwise no connection can be made from here, because no port
 * is free, an interface is down or a rule forbids it: others may be served, and a server that is started anew is not reached
 * either. */
static enum outcome connect_failed(struct port_watch *watch, int error) {
    watch->connect_error = error;
    return error == ECONNREFUSED ? OUTCOME_FAILED : OUTCOME_UNREACHABLE;
}

static enum outcome connect_once(struct port_watch *watch, struct patience *patience) {
    if (connect(watch->socket, (const struct sockaddr *)&watch->address, watch->address_size) == 0) {
        return OUTCOME_ANSWERED;
    }
    if (errno != EINPROGRESS) return connect_failed(watch, errno);
    const enum outcome waited = wait_for(watch, POLLOUT, patience);
    if (waited != OUTCOME_ANSWERED) return waited;
    int error = 0;
    socklen_t size = sizeof error;
    (void)getsockopt(watch->socket, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? OUTCOME_ANSWERED : connect_failed(watch, error);
}

/* The server's first frame, whose header is all that is looked at. */
static enum outcome settings_receive(const struct port_watch *watch, struct patience *patience) {
    if (send(watch->socket, greeting, GREETING_BYTES, MSG_NOSIGNAL) != (ssize_t)GREETING_BYTES) return OUTCOME_SLOW;
    unsigned char header[FRAME_HEADER_BYTES];
    size_t received = 0;
    while (received < sizeof header) {
        const enum outcome waited = wait_for(watch, POLLIN, patience);
        if (waited != OUTCOME_ANSWERED) return waited;
        const ssize_t size = recv(watch->socket, header + received, sizeof header - received, 0);
        if (size <= 0) return OUTCOME_SLOW; /* accepted, and closed because there are too many */
        received += (size_t)size;
    }
    return header[FRAME_TYPE_AT] == FRAME_TYPE_SETTINGS ? OUTCOME_ANSWERED : OUTCOME_FAILED;
}

/* A server that reads the end of a client that has not even begun a handshake hangs up, and has nothing to log. The kernel
 * does not do that for a connection that nobody has accepted. */
static enum outcome end_receive(const struct port_watch *watch, struct patience *patience) {
    if (shutdown(watch->socket, SHUT_WR) != 0) return OUTCOME_FAILED;
    const enum outcome waited = wait_for(watch, POLLIN, patience);
    if (waited != OUTCOME_ANSWERED) return waited;
    char byte;
    const ssize_t size = recv(watch->socket, &byte, sizeof byte, 0);
    return size >= 0 || errno == ECONNRESET ? OUTCOME_ANSWERED : OUTCOME_FAILED;
}

/* The socket is free for the next connection. */
static void disconnect(const struct port_watch *watch) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    (void)connect(watch->socket, &nowhere, sizeof nowhere);
}

static enum outcome probe(struct port_watch *watch) {
    struct patience patience = patience_of(watch);
    enum outcome outcome = connect_once(watch, &patience);
    if (outcome == OUTCOME_ANSWERED) {
        outcome = watch->is_encrypted ? end_receive(watch, &patience) : settings_receive(watch, &patience);
    }
    disconnect(watch);
    return outcome;
}

/* --- The thread --------------------------------------------------------------------------------------------------- */

/* False: the watch is to end. */
static bool pause_for(const struct port_watch *watch, int64_t pause_ms) {
    const int64_t deadline_ns = clock_monotonic_ns() + pause_ms * NANOSECONDS_PER_MILLISECOND;
    for (;;) {
        struct pollfd wait = {.fd = watch->stop_descriptor, .events = POLLIN};
        const int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0) return true;
        if (poll(&wait, 1, (int)(left_ns / NANOSECONDS_PER_MILLISECOND) + 1) > 0) return false;
    }
}

static void slow_tell(struct port_watch *watch, enum outcome outcome) {
    atomic_fetch_add_explicit(&watch->slow_count, 1, memory_order_relaxed);
    if (outcome == OUTCOME_UNREACHABLE) {
        log_warn("no connection to the own port can be made from here", "problem",
                 strerrordesc_np(watch->connect_error));
    } else {
        log_warn("the server is overloaded: the own port does not answer in time", "timeout_ms",
                 log_number(watch->timeout_ms));
    }
}

/* Several connections, one after the other without a pause but what is left of a failed one's time. False: the port has
 * failed too often in a row, or the watch is to end. */
static bool look(struct port_watch *watch) {
    for (uint32_t failures_count = 0; failures_count < PORT_WATCH_FAILURES_COUNT_MAX;) {
        const int64_t begun_ns = clock_monotonic_ns();
        const enum outcome outcome = probe(watch);
        if (outcome == OUTCOME_STOPPED) return false;
        if (outcome == OUTCOME_SLOW || outcome == OUTCOME_UNREACHABLE) {
            slow_tell(watch, outcome);
            return true;
        }
        if (outcome == OUTCOME_ANSWERED) {
            atomic_fetch_add_explicit(&watch->answered_count, 1, memory_order_relaxed);
            if (failures_count > 0) log_info("the own port answers again", "failures", log_number(failures_count));
            return true;
        }
        atomic_fetch_add_explicit(&watch->failed_count, 1, memory_order_relaxed);
        if (atomic_load_explicit(&watch->answered_count, memory_order_relaxed) == 0) return true;
        failures_count++;
        log_warn("the own port did not answer", "failures", log_number(failures_count), "failures_max",
                 log_number(PORT_WATCH_FAILURES_COUNT_MAX), "timeout_ms", log_number(watch->timeout_ms));
        const int64_t used_ms = (clock_monotonic_ns() - begun_ns) / NANOSECONDS_PER_MILLISECOND;
        if (!pause_for(watch, watch->timeout_ms - used_ms)) return false;
    }
    watch->deaf(watch->context);
    return false;
}

static void *watch_port(void *context) {
    struct port_watch *watch = context;
    do {
        if (!look(watch)) break;
    } while (pause_for(watch, watch->interval_ms));
    return NULL;
}

/* --- Open and close ----------------------------------------------------------------------------------------------- */

/* The host of "HOST:PORT" or "[HOST]:PORT". */
static result host_of(const char *listen, char ret_host[HOST_BYTES]) {
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || strncmp(listen, "unix:", 5) == 0) return failure_result(FAILURE_INPUT);
    const bool is_bracketed = listen[0] == '[' && colon > listen && colon[-1] == ']';
    const char *begin = is_bracketed ? listen + 1 : listen;
    const size_t size = (size_t)((is_bracketed ? colon - 1 : colon) - begin);
    if (size == 0 || size >= HOST_BYTES) return failure_result(FAILURE_INPUT);
    memcpy(ret_host, begin, size);
    ret_host[size] = '\0';
    return RESULT_OK;
}

/* A name may stand for several addresses, and not all need to be bound: the first at which somebody listens. A connection to
 * the address of all interfaces goes to this machine. */
static result address_find(struct port_watch *watch, const struct port_watch_options *options) {
    char host[HOST_BYTES];
    TRY(host_of(options->listen, host));
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)options->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) return failure_result(FAILURE_INPUT);
    result outcome = failure_result(FAILURE_INPUT);
    for (const struct addrinfo *at = found; at != NULL && failed(outcome); at = at->ai_next) {
        watch->socket = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (watch->socket < 0) continue;
        memcpy(&watch->address, at->ai_addr, at->ai_addrlen);
        watch->address_size = at->ai_addrlen;
        struct patience patience = patience_of(watch);
        if (connect_once(watch, &patience) == OUTCOME_ANSWERED) {
            disconnect(watch);
            outcome = RESULT_OK;
        } else {
            close(watch->socket);
            watch->socket = -1;
        }
    }
    freeaddrinfo(found);
    return outcome;
}

static void watch_free(struct port_watch *watch) {
    if (watch->socket >= 0) close(watch->socket);
    if (watch->stop_descriptor >= 0) close(watch->stop_descriptor);
    free(watch);
}

static result watch_start(struct port_watch *watch, const struct port_watch_options *options) {
    listeners_find(watch, options->port);
    TRY(address_find(watch, options));
    watch->stop_descriptor = eventfd(0, EFD_CLOEXEC);
    if (watch->stop_descriptor < 0) return failure_result(FAILURE_MEMORY);
    return thread_start("port-watch", watch_port, watch, &watch->thread);
}

result port_watch_open(const struct port_watch_options *options, struct port_watch **ret_watch) {
    struct port_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) return failure_result(FAILURE_MEMORY);
    watch->is_encrypted = options->is_encrypted;
    watch->threads_name = options->threads_name;
    watch->interval_ms = options->interval_ms != 0 ? options->interval_ms : PORT_WATCH_INTERVAL_MS;
    watch->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : PORT_WATCH_TIMEOUT_MS;
    watch->deaf = options->deaf;
    watch->context = options->context;
    watch->socket = -1;
    watch->stop_descriptor = -1;
    const result started = watch_start(watch, options);
    if (failed(started)) {
        watch_free(watch);
        return started;
    }
    *ret_watch = watch;
    return RESULT_OK;
}

struct port_watch *port_watch_close(struct port_watch *watch) {
    if (watch == NULL) return NULL;
    const uint64_t one = 1;
    const ssize_t size = write(watch->stop_descriptor, &one, sizeof one);
    assert(size == (ssize_t)sizeof one);
    (void)size;
    pthread_join(watch->thread, NULL);
    watch_free(watch);
    return NULL;
}

struct port_watch_counts port_watch_count(const struct port_watch *watch) {
    return (struct port_watch_counts){.answered_count =
                                          atomic_load_explicit(&watch->answered_count, memory_order_relaxed),
                                      .slow_count = atomic_load_explicit(&watch->slow_count, memory_order_relaxed),
                                      .failed_count = atomic_load_explicit(&watch->failed_count, memory_order_relaxed)};
}
