#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "google/protobuf/timestamp.upb.h"
#include "sdk/cli/common.h"
#include "sdk/cli/filter_options.h"
#include "sdk/cli/print.h"

enum { KEY_FROM = 0x300, KEY_FROM_TIME, KEY_BACKWARD, KEY_LIMIT };

#define NANOSECONDS_PER_SECOND 1000000000

struct read_arguments {
    struct common common;
    struct filter_options filter;
    const char *stream;
    uint64_t from;
    bool has_from_time;
    int64_t from_time_ns;
    uint64_t limit;
    bool backward;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct read_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->filter;
        state->child_inputs[1] = &arguments->common;
        return 0;
    case KEY_FROM:
        arguments->from = common_number(state, argument, "--from");
        return 0;
    case KEY_FROM_TIME:
        arguments->from_time_ns = common_time(state, argument, "--from-time");
        arguments->has_from_time = true;
        return 0;
    case KEY_LIMIT:
        arguments->limit = common_number(state, argument, "--limit");
        return 0;
    case KEY_BACKWARD:
        arguments->backward = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL) argp_error(state, "only one stream can be read; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->from != 0 && arguments->has_from_time) argp_error(state, "give --from or --from-time, not both");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool filter_set(daybook_v1_ReadRequest *request, const struct read_arguments *arguments, upb_Arena *arena) {
    if (!filter_is_given(&arguments->filter)) return true;
    daybook_v1_Filter *filter = daybook_v1_ReadRequest_mutable_filter(request, arena);
    return filter != NULL && filter_build(&arguments->filter, filter, arena);
}

static bool from_time_set(daybook_v1_ReadRequest *request, const struct read_arguments *arguments, upb_Arena *arena) {
    if (!arguments->has_from_time) return true;
    google_protobuf_Timestamp *time = daybook_v1_ReadRequest_mutable_from_time(request, arena);
    if (time == NULL) return false;
    google_protobuf_Timestamp_set_seconds(time, arguments->from_time_ns / NANOSECONDS_PER_SECOND);
    google_protobuf_Timestamp_set_nanos(time, (int32_t)(arguments->from_time_ns % NANOSECONDS_PER_SECOND));
    return true;
}

static daybook_v1_ReadRequest *request_build(const struct read_arguments *arguments, upb_Arena *arena) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(arena);
    if (request == NULL) return NULL;
    if (arguments->stream != NULL) {
        daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString(arguments->stream));
    }
    if (!filter_set(request, arguments, arena) || !from_time_set(request, arguments, arena)) return NULL;
    if (arguments->from != 0) daybook_v1_ReadRequest_set_from(request, arguments->from);
    daybook_v1_ReadRequest_set_limit(request, arguments->limit);
    daybook_v1_ReadRequest_set_direction(request, arguments->backward ? daybook_v1_DIRECTION_BACKWARD
                                                                      : daybook_v1_DIRECTION_FORWARD);
    return request;
}

/* -1, or the exit code. */
static int response_print(const daybook_v1_ReadResponse *response, bool json) {
    size_t count;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (!print_event(events[index], json)) return common_out_of_memory();
    }
    return ferror(stdout) ? EXIT_OUTPUT : -1;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct read_arguments *arguments = context;
    daybook_status status;
    daybook_next next;
    const daybook_v1_ReadResponse *response;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_ReadRequest *request = request_build(arguments, arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_EventStore_Read_stream *stream = daybook_v1_EventStore_Read_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    int code = -1;
    while (code < 0 && (next = daybook_v1_EventStore_Read_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        code = response_print(response, common->json);
    }
    (void)daybook_v1_EventStore_Read_close(stream);
    return code < 0 ? common_stream_ended(common, next, &status) : code;
}

int command_read(int argc, char **argv) {
    struct read_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"from", KEY_FROM, "NUMBER", 0, "begin here, inclusive: a revision of STREAM, else a position", 0},
        {"from-time", KEY_FROM_TIME, "TIME", 0, "begin with what was recorded at this time, \"2026-11-23T19:11:00Z\"",
         0},
        {"backward", KEY_BACKWARD, NULL, 0, "from new to old", 0},
        {"limit", KEY_LIMIT, "COUNT", 0, "at most so many events", 0},
        {0},
    };
    static const struct argp_child children[] = {{&filter_argp, 0, NULL, 0}, {&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .args_doc = "[STREAM]",
                              .doc = "Prints the events of a stream, or of the whole store, and ends.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
