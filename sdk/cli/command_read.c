#include <stdio.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/print.h"

enum { KEY_FROM = 0x300, KEY_BACKWARD, KEY_LIMIT };

struct read_arguments {
    struct common common;
    const char *stream;
    uint64_t from;
    uint64_t limit;
    bool backward;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct read_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_FROM:
        arguments->from = common_number(state, argument, "--from");
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
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static daybook_v1_ReadRequest *request_build(const struct read_arguments *arguments, upb_Arena *arena) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(arena);
    if (request == NULL) return NULL;
    if (arguments->stream != NULL) {
        daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString(arguments->stream));
    }
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
    const daybook_v1_ReadRequest *request = request_build(arguments, arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_EventStore_Read_stream *stream = daybook_v1_EventStore_Read_open(client, request, NULL, &status);
    if (stream == NULL) return common_fail(common, &status);
    int code = -1;
    while (code < 0) {
        const daybook_v1_ReadResponse *response;
        switch (daybook_v1_EventStore_Read_next(stream, common->timeout_ms, &response, &status)) {
        case DAYBOOK_NEXT_MESSAGE:
            code = response_print(response, common->json);
            break;
        case DAYBOOK_NEXT_END:
            code = 0;
            break;
        case DAYBOOK_NEXT_TIMEOUT:
            daybook_status_set(&status, DAYBOOK_DEADLINE_EXCEEDED, "no answer within %u ms; see --timeout-ms",
                               common->timeout_ms);
            code = common_fail(common, &status);
            break;
        case DAYBOOK_NEXT_ERROR:
            code = common_fail(common, &status);
            break;
        }
    }
    daybook_v1_EventStore_Read_close(stream);
    return code;
}

int command_read(int argc, char **argv) {
    struct read_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"from", KEY_FROM, "NUMBER", 0, "begin here, inclusive: a revision of STREAM, else a position", 0},
        {"backward", KEY_BACKWARD, NULL, 0, "from new to old", 0},
        {"limit", KEY_LIMIT, "COUNT", 0, "at most so many events", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .args_doc = "[STREAM]",
                              .doc = "Prints the events of a stream, or of the whole store, and ends.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
