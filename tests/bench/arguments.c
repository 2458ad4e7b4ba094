#include "tests/bench/arguments.h"

#include "tests/bench/closed_loop.h"
#include "tests/bench/open_loop.h"
#include "tests/bench/pipelined_loop.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Needles are spread over the events of a store so that each has this many. */
#define NEEDLE_MATCHES_COUNT 100u

static const struct phase {
    const char *name;
    bool (*run)(const struct phase_options *options);
    bool without_server;
} phases[] = {
    {.name = "append", .run = phase_append},
    {.name = "fill", .run = phase_fill},
    {.name = "read", .run = phase_read},
    {.name = "start", .run = phase_start},
    {.name = "workload", .run = phase_workload},
    {.name = "workload-fill", .run = phase_workload_fill},
    {.name = "flat", .run = phase_flat},
    {.name = "append-many", .run = phase_append_many},
    {.name = "query", .run = phase_query},
    {.name = "overload", .run = phase_overload},
    {.name = "disk", .run = phase_disk, .without_server = true},
};

enum option_key {
    KEY_PEER = 'p',
    KEY_TARGET = 't',
    KEY_LABEL = 'l',
    KEY_DIRECTORY = 'd',
    KEY_CONDITIONAL = 'c',
    KEY_CUSTOMERS_EVEN = 'E',
    KEY_QUERY = 'q',
    /* Those of numbers[] follow, in its order. */
    KEY_NUMBER_FIRST = 256,
};

/* Options that are a number for a field. */
static const struct number_option {
    const char *name;
    const char *unit;
    const char *text;
    size_t offset;
    size_t size;
    uint64_t low;
    uint64_t high;
} numbers[] = {
#define FIELD(member) offsetof(struct phase_options, member), sizeof(((struct phase_options *)0)->member)
    {"in-flight", "COUNT", "Calls or messages in flight, over all threads (256)", FIELD(in_flight), 1,
     PIPELINED_LOOP_IN_FLIGHT_MAX},
    {"threads", "COUNT", "Threads, each with a connection (2)", FIELD(threads_count), 1, CLOSED_LOOP_THREADS_MAX},
    {"streams", "COUNT", "append-many: open calls (4)", FIELD(streams_count), 1, PIPELINED_LOOP_STREAMS_MAX},
    {"window-ms", "MS", "Length of a measurement that goes by time (5000)", FIELD(window_ms), 1, 3600000},
    {"warmup-ms", "MS", "Load before the measurement (1000)", FIELD(warmup_ms), 1, 3600000},
    {"events", "COUNT", "Events of the store, for fills and reads (1000000)", FIELD(events_count), 1, UINT32_MAX},
    {"event-bytes", "BYTES", "Encoded size of a plain event (200)", FIELD(event_bytes), PEER_EVENT_BYTES_MIN,
     PEER_EVENT_BYTES_MAX},
    {"events-per-request", "COUNT", "Events of a request (1)", FIELD(events_per_request), 1, 1024},
    {"requests", "COUNT", "append, fill: requests to have ready, each is sent once (1000)", FIELD(requests_count), 1,
     1000000},
    {"workload-streams", "COUNT", "Streams of the workload (200000)", FIELD(workload.streams_count), 1,
     WORKLOAD_NAMES_COUNT_MAX},
    {"customers", "COUNT", "Customers of the workload, a tag each (300000)", FIELD(workload.customers_count), 1,
     WORKLOAD_NAMES_COUNT_MAX},
    {"needles", "COUNT", "Tags that are on a hundred of the --events each (none)", FIELD(workload.needles_count), 1,
     WORKLOAD_NAMES_COUNT_MAX},
    {"types", "COUNT", "Types that events have; conditions ask for the others (10)", FIELD(workload.types_count), 1,
     WORKLOAD_TYPES_COUNT},
    {"payload-bytes", "BYTES", "Payload of the workload's events (128)", FIELD(workload.payload_bytes), 0,
     WORKLOAD_PAYLOAD_BYTES_MAX},
    {"matches", "COUNT", "query: events that each must find", FIELD(matches_count), 0, UINT32_MAX},
    {"calls", "COUNT", "query: how many, instead of a time", FIELD(calls_count), 1, UINT32_MAX},
    {"times", "COUNT", "overload: times the rate that the server can take (4)", FIELD(overload_times), 1, 100},
    {"overload-threads", "COUNT", "overload: threads, each with a connection (32)", FIELD(overload_threads_count), 1,
     OPEN_LOOP_THREADS_MAX},
    {"overload-in-flight", "COUNT", "overload: calls that may be under way (16384)", FIELD(overload_in_flight), 64,
     1000000},
    {"overload-deadline-ms", "MS", "overload: how long a call of the crowd waits (for ever)",
     FIELD(overload_deadline_ms), 1, 3600000},
    {"server-share", "PERCENT", "overload: how much of the cores the server may have (100)",
     FIELD(server_share_percent), 1, 100},
    {"server-pid", "PID", "The server's process, for its processor time", FIELD(server_pid), 1, INT32_MAX},
    {"started-us", "US", "start: when the server was started, microseconds since 1970", FIELD(started_us), 1,
     INT64_MAX},
#undef FIELD
};

#define NUMBERS_COUNT (sizeof numbers / sizeof numbers[0])

static const struct argp_option others[] = {
    {"peer", KEY_PEER, "NAME", 0, "Server under test: daybook, echo or umadb", 0},
    {"target", KEY_TARGET, "127.0.0.1:PORT", 0, "Where it listens", 0},
    {"label", KEY_LABEL, "TEXT", 0, "query: goes into the line, for the report", 0},
    {"directory", KEY_DIRECTORY, "DIR", 0, "disk: where to write", 0},
    {"conditional", KEY_CONDITIONAL, NULL, 0, "workload: each append has a condition", 0},
    {"customers-even", KEY_CUSTOMERS_EVEN, NULL, 0, "The workload's customers take turns", 0},
    {"query", KEY_QUERY, "NAME", 0, "query: customer, needle or needle-type", 0},
};

#define OTHERS_COUNT (sizeof others / sizeof others[0])

/* A number within bounds; argp's own error ends the program otherwise. */
static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t low, uint64_t high) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool valid = errno == 0 && end != text && *end == '\0' && text[0] != '-' && value >= low && value <= high;
    if (!valid) argp_error(state, "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, low, high);
    return value;
}

/* Stores a number where its option says; fields are of 4 or 8 bytes. */
static void parse_number_option(struct argp_state *state, const struct number_option *option, const char *text) {
    struct arguments *arguments = state->input;
    const uint64_t value = parse_number(state, text, option->low, option->high);
    const uint32_t value_short = (uint32_t)value;
    char *field = (char *)&arguments->options + option->offset;
    if (option->size == sizeof value)
        memcpy(field, &value, sizeof value);
    else
        memcpy(field, &value_short, sizeof value_short);
}

/* The one argument: what to do. */
static void parse_phase(struct argp_state *state, const char *name) {
    struct arguments *arguments = state->input;
    if (arguments->run != NULL || arguments->free_port) argp_error(state, "one phase at a time");
    if (strcmp(name, "free-port") == 0) arguments->free_port = true;
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (strcmp(name, phases[i].name) != 0) continue;
        arguments->run = phases[i].run;
        arguments->without_server = phases[i].without_server;
    }
    if (arguments->run == NULL && !arguments->free_port) argp_error(state, "there is no phase '%s'", name);
}

static enum phase_query parse_query(struct argp_state *state, const char *name) {
    if (strcmp(name, "customer") == 0) return PHASE_QUERY_CUSTOMER;
    if (strcmp(name, "needle") == 0) return PHASE_QUERY_NEEDLE;
    if (strcmp(name, "needle-type") != 0) argp_error(state, "there is no query '%s'", name);
    return PHASE_QUERY_NEEDLE_TYPE;
}

/* All arguments are there: do they make sense together? */
static void check(struct argp_state *state, struct arguments *arguments) {
    struct phase_options *options = &arguments->options;
    if (arguments->free_port) return;
    if (arguments->run == NULL) argp_error(state, "which phase?");
    if (arguments->without_server && options->directory == NULL) argp_error(state, "--directory is needed");
    if (!arguments->without_server && (options->peer == NULL || options->target == NULL))
        argp_error(state, "--peer and --target are needed");
    struct workload *workload = &options->workload;
    if (workload->needles_count == 0) return;
    workload->needles_every = options->events_count / NEEDLE_MATCHES_COUNT / workload->needles_count;
    if (workload->needles_every == 0) argp_error(state, "too few --events for so many needles");
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct phase_options *options = &arguments->options;
    if (key >= KEY_NUMBER_FIRST && key < KEY_NUMBER_FIRST + (int)NUMBERS_COUNT) {
        parse_number_option(state, &numbers[key - KEY_NUMBER_FIRST], text);
        return 0;
    }
    switch (key) {
    case KEY_PEER:
        options->peer = peer_find(text);
        if (options->peer == NULL) argp_error(state, "there is no peer '%s'", text);
        return 0;
    case KEY_TARGET:
        options->target = text;
        return 0;
    case KEY_LABEL:
        options->label = text;
        return 0;
    case KEY_DIRECTORY:
        options->directory = text;
        return 0;
    case KEY_CONDITIONAL:
        options->conditional = true;
        return 0;
    case KEY_CUSTOMERS_EVEN:
        options->workload.customers_even = true;
        return 0;
    case KEY_QUERY:
        options->query = parse_query(state, text);
        return 0;
    case ARGP_KEY_ARG:
        parse_phase(state, text);
        return 0;
    case ARGP_KEY_END:
        check(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

bool arguments_parse(struct arguments *ret_arguments, int argc, char **argv) {
    static const char doc[] =
        "Drives a server and prints what it did, in lines of key=value pairs.\v"
        "PHASE is append (closed loop for a time), fill (a number of events), read (everything on one stream), start "
        "(wait until it answers); workload, workload-fill, flat (the realistic load: for a time, a number of events, in "
        "pieces); append-many (open streams), query (by filter), overload (more than it can take), disk (no "
        "server), or free-port (print one).";
    struct argp_option options[OTHERS_COUNT + NUMBERS_COUNT + 1] = {0};
    memcpy(options, others, sizeof others);
    for (size_t i = 0; i < NUMBERS_COUNT; i++) {
        options[OTHERS_COUNT + i] = (struct argp_option){
            .name = numbers[i].name, .key = KEY_NUMBER_FIRST + (int)i, .arg = numbers[i].unit, .doc = numbers[i].text};
    }
    const struct argp parser = {options, parse_option, "PHASE", doc, NULL, NULL, NULL};
    struct arguments arguments = {
        .options =
            {
                .threads_count = 2,
                .in_flight = 256,
                .overload_times = 4,
                .server_share_percent = 100,
                .overload_in_flight = 16384,
                .overload_threads_count = 32,
                .streams_count = 4,
                .event_bytes = 200,
                .events_per_request = 1,
                .requests_count = 1000,
                .warmup_ms = 1000,
                .window_ms = 5000,
                .events_count = 1000000,
                .label = "all",
                .workload =
                    {
                        .streams_count = 200000,
                        .customers_count = 300000,
                        .payload_bytes = 128,
                        .types_count = WORKLOAD_TYPES_COUNT,
                    },
            },
    };
    error_t error = argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (error != 0) (void)fprintf(stderr, "load: %s\n", strerror(error));
    if (error == 0) *ret_arguments = arguments;
    return error == 0;
}
