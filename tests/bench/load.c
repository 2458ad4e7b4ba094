/* load: the load generator of `make bench`. One program drives every server under test, so that a difference in what is
 * measured is a difference between the servers. */
#include "tests/bench/closed_loop.h"
#include "tests/bench/phases.h"

#include <argp.h>
#include <errno.h>
#include <grpc/grpc.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define EXIT_MEASUREMENT_FAILED 1

struct phase {
    const char *name;
    bool (*run)(const struct phase_options *options);
};

static const struct phase phases[] = {
    {"append", phase_append},
    {"fill", phase_fill},
    {"read", phase_read},
    {"start", phase_start},
};

struct arguments {
    const struct phase *phase;
    bool free_port;
    struct phase_options options;
};

enum option_key {
    KEY_PEER = 'p',
    KEY_TARGET = 't',
    KEY_IN_FLIGHT = 'i',
    KEY_THREADS = 'T',
    KEY_WINDOW = 'w',
    KEY_WARMUP = 'W',
    KEY_EVENTS = 'n',
    KEY_EVENT_BYTES = 'b',
    KEY_EVENTS_PER_REQUEST = 'e',
    KEY_REQUESTS = 'r',
    KEY_SERVER_PID = 's',
    KEY_STARTED_US = 'S',
};

static const struct argp_option options_table[] = {
    {"peer", KEY_PEER, "NAME", 0, "Server under test: daybook, echo or umadb", 0},
    {"target", KEY_TARGET, "127.0.0.1:PORT", 0, "Where it listens", 0},
    {"in-flight", KEY_IN_FLIGHT, "COUNT", 0, "Calls in flight, over all threads (256)", 0},
    {"threads", KEY_THREADS, "COUNT", 0, "Threads, each with a connection (2)", 0},
    {"window-ms", KEY_WINDOW, "MS", 0, "append: length of the measurement (5000)", 0},
    {"warmup-ms", KEY_WARMUP, "MS", 0, "append: load before the measurement (1000)", 0},
    {"events", KEY_EVENTS, "COUNT", 0, "fill, read: events of the store (1000000)", 0},
    {"event-bytes", KEY_EVENT_BYTES, "BYTES", 0, "Encoded size of an event (200)", 0},
    {"events-per-request", KEY_EVENTS_PER_REQUEST, "COUNT", 0, "append, fill: events of a request (1)", 0},
    {"requests", KEY_REQUESTS, "COUNT", 0, "append, fill: requests to have ready, each is sent once (1000)", 0},
    {"server-pid", KEY_SERVER_PID, "PID", 0, "The server's process, for its processor time", 0},
    {"started-us", KEY_STARTED_US, "US", 0, "start: when the server was started, microseconds since 1970", 0},
    {0},
};

/* A number within bounds; argp's own error ends the program otherwise. */
static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t low, uint64_t high) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool valid = errno == 0 && end != text && *end == '\0' && text[0] != '-' && value >= low && value <= high;
    if (!valid) argp_error(state, "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, low, high);
    return value;
}

static uint32_t parse_count(struct argp_state *state, const char *text, uint32_t high) {
    return (uint32_t)parse_number(state, text, 1, high);
}

/* The one argument: what to do. */
static void parse_phase(struct argp_state *state, struct arguments *arguments, const char *name) {
    if (arguments->phase != NULL || arguments->free_port) argp_error(state, "one phase at a time");
    if (strcmp(name, "free-port") == 0) arguments->free_port = true;
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (strcmp(name, phases[i].name) == 0) arguments->phase = &phases[i];
    }
    if (arguments->phase == NULL && !arguments->free_port) argp_error(state, "there is no phase '%s'", name);
}

/* All arguments are there: do they make sense together? */
static void check(struct argp_state *state, const struct arguments *arguments) {
    if (arguments->free_port) return;
    if (arguments->phase == NULL) argp_error(state, "which phase?");
    if (arguments->options.peer == NULL || arguments->options.target == NULL)
        argp_error(state, "--peer and --target are needed");
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct phase_options *options = &arguments->options;
    switch (key) {
    case KEY_PEER:
        options->peer = peer_find(text);
        if (options->peer == NULL) argp_error(state, "there is no peer '%s'", text);
        return 0;
    case KEY_TARGET:
        options->target = text;
        return 0;
    case KEY_IN_FLIGHT:
        options->in_flight = parse_count(state, text, CLOSED_LOOP_IN_FLIGHT_MAX);
        return 0;
    case KEY_THREADS:
        options->threads_count = parse_count(state, text, CLOSED_LOOP_THREADS_MAX);
        return 0;
    case KEY_WINDOW:
        options->window_ms = parse_count(state, text, 3600000);
        return 0;
    case KEY_WARMUP:
        options->warmup_ms = parse_count(state, text, 3600000);
        return 0;
    case KEY_EVENTS:
        options->events_count = parse_number(state, text, 1, UINT32_MAX);
        return 0;
    case KEY_EVENT_BYTES:
        options->event_bytes = (uint32_t)parse_number(state, text, PEER_EVENT_BYTES_MIN, PEER_EVENT_BYTES_MAX);
        return 0;
    case KEY_EVENTS_PER_REQUEST:
        options->events_per_request = parse_count(state, text, 1024);
        return 0;
    case KEY_REQUESTS:
        options->requests_count = parse_count(state, text, 1000000);
        return 0;
    case KEY_SERVER_PID:
        options->server_pid = (pid_t)parse_number(state, text, 1, INT32_MAX);
        return 0;
    case KEY_STARTED_US:
        options->started_us = parse_number(state, text, 1, INT64_MAX);
        return 0;
    case ARGP_KEY_ARG:
        parse_phase(state, arguments, text);
        return 0;
    case ARGP_KEY_END:
        check(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Prints a port of the loopback address that nothing listens on at this moment. */
static bool print_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, size) == 0 &&
              getsockname(descriptor, (struct sockaddr *)&address, &size) == 0;
    if (ok) printf("%u\n", (unsigned)ntohs(address.sin_port));
    if (!ok) perror("load: free-port");
    if (descriptor >= 0) (void)close(descriptor);
    return ok;
}

/* Memory of large messages is used again, not given back to the kernel and faulted in anew for each: that would cost the
 * client a third of its time in a read, and it shares its cores with the server that is measured. */
static void keep_memory(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

int main(int argc, char **argv) {
    static const char doc[] = "Drives a server and prints what it did, as one line of key=value pairs.\v"
                              "PHASE is append (closed loop for a time), fill (a number of events), read (everything "
                              "on one stream), start (wait until it answers) or free-port (print one).";
    static const struct argp parser = {options_table, parse_option, "PHASE", doc, NULL, NULL, NULL};
    struct arguments arguments = {
        .options =
            {
                .threads_count = 2,
                .in_flight = 256,
                .event_bytes = 200,
                .events_per_request = 1,
                .requests_count = 1000,
                .warmup_ms = 1000,
                .window_ms = 5000,
                .events_count = 1000000,
            },
    };
    error_t error = argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (error != 0) {
        (void)fprintf(stderr, "load: %s\n", strerror(error));
        return EX_USAGE;
    }
    if (arguments.free_port) return print_free_port() ? EXIT_SUCCESS : EXIT_MEASUREMENT_FAILED;

    keep_memory();
    grpc_init();
    bool ok = arguments.phase->run(&arguments.options);
    grpc_shutdown_blocking();
    if (fflush(stdout) != 0) ok = false;
    return ok ? EXIT_SUCCESS : EXIT_MEASUREMENT_FAILED;
}
