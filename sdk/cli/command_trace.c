#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/print.h"
#include "sdk/cli/trace.h"
#include "sdk/cli/trace_print.h"

enum { KEY_SCAN = 0x300, KEY_LIMIT };

#define EVENTS_COUNT_DEFAULT 10000
#define EVENTS_COUNT_MAX     1000000
/* By convention an event that belongs to the correlation ID has the tag "correlation:ID". */
#define TAG_PREFIX    "correlation:"
#define TAG_BYTES_MAX 255

struct trace_arguments {
    struct common common;
    const char *correlation_id;
    uint64_t limit;
    bool scan;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct trace_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_SCAN:
        arguments->scan = true;
        return 0;
    case KEY_LIMIT:
        arguments->limit = common_number(state, argument, "--limit");
        if (arguments->limit == 0 || arguments->limit > EVENTS_COUNT_MAX) {
            argp_error(state, "--limit: 1 to %d are allowed", EVENTS_COUNT_MAX);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->correlation_id != NULL) argp_error(state, "one id can be traced; \"%s\" is too much", argument);
        arguments->correlation_id = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->correlation_id == NULL || arguments->correlation_id[0] == '\0') {
            argp_error(state, "a correlation id is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Keeps the events of a response that belong. -1 to go on, 0 when no more are kept, or the exit code. */
static int response_keep(const daybook_v1_ReadResponse *response, const char *correlation_id, struct trace *trace) {
    size_t count;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (correlation_id != NULL && !trace_belongs(events[index], correlation_id)) continue;
        if (!trace_add(trace, events[index])) return common_out_of_memory();
        if (trace->is_full) return 0;
    }
    return -1;
}

/* Reads forward what matches the request, and keeps what belongs to the id; NULL: all of it. Returns the exit code. */
static int events_read(const struct common *common, daybook_client *client, const daybook_v1_ReadRequest *request,
                       const char *correlation_id, struct trace *trace) {
    daybook_status status;
    daybook_next next;
    const daybook_v1_ReadResponse *response;
    const daybook_call_options options = common_stream_options(common);
    daybook_v1_EventStore_Read_stream *stream = daybook_v1_EventStore_Read_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    int code = -1;
    while (code < 0 && (next = daybook_v1_EventStore_Read_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        code = response_keep(response, correlation_id, trace);
    }
    (void)daybook_v1_EventStore_Read_close(stream);
    return code < 0 ? common_stream_ended(common, next, &status) : code;
}

/* By the tag, which the index finds. An id that is too long for a tag has none. */
static int tag_read(const struct trace_arguments *arguments, daybook_client *client, upb_Arena *arena,
                    struct trace *trace) {
    const size_t size = strlen(TAG_PREFIX) + strlen(arguments->correlation_id);
    if (size > TAG_BYTES_MAX) return 0;
    char *tag = upb_Arena_Malloc(arena, size + 1);
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(arena);
    daybook_v1_Filter *filter = request == NULL ? NULL : daybook_v1_ReadRequest_mutable_filter(request, arena);
    daybook_v1_Clause *clause = filter == NULL ? NULL : daybook_v1_Filter_add_any_of(filter, arena);
    if (tag == NULL || clause == NULL) return common_out_of_memory();
    (void)snprintf(tag, size + 1, "%s%s", TAG_PREFIX, arguments->correlation_id);
    if (!daybook_v1_Clause_add_tags(clause, upb_StringView_FromDataAndSize(tag, size), arena)) {
        return common_out_of_memory();
    }
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_FORWARD);
    daybook_v1_ReadRequest_set_limit(request, arguments->limit + 1); /* One more tells that there are more. */
    return events_read(&arguments->common, client, request, NULL, trace);
}

/* By the metadata, in every event there is. */
static int scan_read(const struct trace_arguments *arguments, daybook_client *client, upb_Arena *arena,
                     struct trace *trace) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_FORWARD);
    return events_read(&arguments->common, client, request, arguments->correlation_id, trace);
}

static void note(const char *before, const char *correlation_id, const char *behind) {
    (void)fprintf(stderr, "daybook: %s", before);
    print_plain(stderr, upb_StringView_FromString(correlation_id));
    (void)fprintf(stderr, "%s\n", behind);
}

static int collect(const struct trace_arguments *arguments, daybook_client *client, upb_Arena *arena,
                   struct trace *trace) {
    const char *id = arguments->correlation_id;
    int code = arguments->scan ? 0 : tag_read(arguments, client, arena, trace);
    if (code != 0) return code;
    if (trace->count == 0) {
        if (!arguments->scan) note("no event has the tag " TAG_PREFIX, id, "; every event is read for its metadata");
        code = scan_read(arguments, client, arena, trace);
        if (code != 0) return code;
    } else {
        note("found by the tag " TAG_PREFIX, id, "; with --scan also events without it");
    }
    if (trace->count == 0) {
        note("no event has the correlation_id, or the id, ", id, "");
        return EXIT_REFUSED;
    }
    if (trace->is_full) {
        (void)fprintf(stderr, "daybook: there are more; these are the first %zu, --limit keeps more of them\n",
                      trace->count);
    }
    return 0;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct trace_arguments *arguments = context;
    struct trace trace;
    if (!trace_init(&trace, (size_t)arguments->limit)) return common_out_of_memory();
    int code = collect(arguments, client, arena, &trace);
    if (code == 0 && (!trace_link(&trace) || !trace_print(&trace, trace_locale_is_utf8(), common->json))) {
        code = common_out_of_memory();
    }
    trace_deinit(&trace);
    return code;
}

int command_trace(int argc, char **argv) {
    struct trace_arguments arguments = {.limit = EVENTS_COUNT_DEFAULT};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"scan", KEY_SCAN, NULL, 0, "read every event and look at its metadata; the tag is not asked for", 0},
        {"limit", KEY_LIMIT, "COUNT", 0, "keep at most so many events, the first ones (10000)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "CORRELATION_ID",
        .doc =
            "Prints the events of one correlation, of all services, as a tree: each below the event whose id is its "
            "metadata causation_id. They are found by the tag \"correlation:ID\", which the index makes fast. When "
            "no event has it, every event is read, and those belong whose metadata correlation_id is the id, and the "
            "event whose own id it is. Exits 1 when nothing is found.",
        .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
