#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/list.h"
#include "sdk/cli/stream_print.h"

enum { KEY_ORDER = 0x300 };

struct streams_arguments {
    struct list_options list;
    daybook_v1_StreamOrder order;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct streams_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->list;
        return 0;
    case KEY_ORDER:
        if (strcmp(argument, "name") == 0) {
            arguments->order = daybook_v1_STREAM_ORDER_NAME;
        } else if (strcmp(argument, "last-change") == 0) {
            arguments->order = daybook_v1_STREAM_ORDER_LAST_CHANGE;
        } else {
            argp_error(state, "--order is \"%s\"; name or last-change is needed", argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int page_print(const struct list_options *options, daybook_client *client, upb_Arena *arena,
                      struct list_page *page, void *context) {
    const struct streams_arguments *arguments = context;
    daybook_status status;
    const daybook_v1_ListStreamsResponse *response;
    const daybook_call_options call_options = common_call_options(&options->common);
    daybook_v1_ListStreamsRequest *request = daybook_v1_ListStreamsRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_ListStreamsRequest_set_prefix(request, list_prefix(options));
    daybook_v1_ListStreamsRequest_set_order(request, (int32_t)arguments->order);
    daybook_v1_ListStreamsRequest_set_page_size(request, page->size);
    daybook_v1_ListStreamsRequest_set_page_token(request, page->token);
    if (!daybook_v1_EventStore_ListStreams(client, request, &call_options, arena, &response, &status)) {
        return common_fail(&options->common, &status);
    }
    size_t count;
    const daybook_v1_Stream *const *streams = daybook_v1_ListStreamsResponse_streams(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (!stream_print_line(streams[index], options->common.json)) return common_out_of_memory();
    }
    page->items_count = count;
    page->next_token = daybook_v1_ListStreamsResponse_next_page_token(response);
    return 0;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct streams_arguments *arguments = context;
    (void)common;
    (void)arena;
    return list_run(&arguments->list, client, page_print, context);
}

int command_streams(int argc, char **argv) {
    struct streams_arguments arguments = {.order = daybook_v1_STREAM_ORDER_NAME};
    common_init(&arguments.list.common);
    static const struct argp_option options[] = {
        {"order", KEY_ORDER, "ORDER", 0, "name (default), or last-change: last changed first", 0},
        {0},
    };
    static const struct argp_child children[] = {{&list_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .doc = "Prints the streams, each with its last change, its revision, how many events can "
                                     "be read and their size.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.list.common, run, &arguments);
}
