#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/stream_ask.h"
#include "sdk/cli/stream_print.h"

struct stream_arguments {
    struct common common;
    const char *stream;
};

bool stream_ask(const struct common *common, daybook_client *client, const char *stream, upb_Arena *arena,
                const daybook_v1_GetStreamResponse **ret_response, daybook_status *ret_status) {
    daybook_v1_GetStreamRequest *request = daybook_v1_GetStreamRequest_new(arena);
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    const daybook_call_options options = common_call_options(common);
    daybook_v1_GetStreamRequest_set_stream(request, upb_StringView_FromString(stream));
    return daybook_v1_EventStore_GetStream(client, request, &options, arena, ret_response, ret_status);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct stream_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL) argp_error(state, "only one stream can be named; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->stream == NULL) argp_error(state, "a stream is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct stream_arguments *arguments = context;
    daybook_status status;
    const daybook_v1_GetStreamResponse *response;
    if (!stream_ask(common, client, arguments->stream, arena, &response, &status)) return common_fail(common, &status);
    const daybook_v1_Stream *stream = daybook_v1_GetStreamResponse_stream(response);
    if (stream == NULL) stream = daybook_v1_Stream_new(arena);
    return stream == NULL || !stream_print_all(stream, common->json) ? common_out_of_memory() : 0;
}

int command_stream(int argc, char **argv) {
    struct stream_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.parser = parse,
                              .args_doc = "STREAM",
                              .doc = "Prints what is known of a stream: what became of it, its revisions, how many "
                                     "events can be read, their size and times, and its settings.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
