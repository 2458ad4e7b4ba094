#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/confirm.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"
#include "sdk/cli/values.h"

enum { KEY_EXPECT = 0x300, KEY_TOMBSTONE, KEY_YES };

struct delete_arguments {
    struct common common;
    const char *stream;
    struct value_expectation expectation;
    bool tombstone;
    bool yes;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct delete_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_EXPECT:
        arguments->expectation = value_expectation(state, argument, "--expect");
        return 0;
    case KEY_TOMBSTONE:
        arguments->tombstone = true;
        return 0;
    case KEY_YES:
        arguments->yes = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL)
            argp_error(state, "only one stream can be deleted; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->stream == NULL) argp_error(state, "a stream is needed");
        if (arguments->expectation.exists) argp_error(state, "--expect takes a revision or any here");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int ask(const struct delete_arguments *arguments) {
    char question[512];
    (void)snprintf(question, sizeof question, "Delete all events of the stream \"%s\"%s?", arguments->stream,
                   arguments->tombstone ? " and use up its name for ever" : "");
    return confirm(question, arguments->yes);
}

static bool result_print(const struct delete_arguments *arguments, const daybook_v1_DeleteStreamResponse *response) {
    const uint64_t position = daybook_v1_DeleteStreamResponse_position(response);
    const uint64_t revision = daybook_v1_DeleteStreamResponse_revision(response);
    if (arguments->common.json) {
        json_t *object = json_object();
        json_add(object, "stream", json_text(upb_StringView_FromString(arguments->stream)));
        json_add(object, "position", json_number(position));
        json_add(object, "revision", json_number(revision));
        json_add(object, "tombstone", json_boolean(arguments->tombstone));
        return json_line(object);
    }
    print_plain(stdout, upb_StringView_FromString(arguments->stream));
    (void)printf("@%" PRIu64 " is %s at position %" PRIu64 "\n", revision,
                 arguments->tombstone ? "tombstoned" : "deleted", position);
    return true;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct delete_arguments *arguments = context;
    daybook_status status;
    const daybook_v1_DeleteStreamResponse *response;
    const daybook_call_options options = common_call_options(common);
    daybook_v1_DeleteStreamRequest *request = daybook_v1_DeleteStreamRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_DeleteStreamRequest_set_stream(request, upb_StringView_FromString(arguments->stream));
    daybook_v1_DeleteStreamRequest_set_tombstone(request, arguments->tombstone);
    if (arguments->expectation.has_revision) {
        daybook_v1_DeleteStreamRequest_set_expected_revision(request, arguments->expectation.revision);
    }
    if (!daybook_v1_EventStore_DeleteStream(client, request, &options, arena, &response, &status)) {
        return common_fail(common, &status);
    }
    return result_print(arguments, response) ? 0 : common_out_of_memory();
}

int command_delete(int argc, char **argv) {
    struct delete_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"expect", KEY_EXPECT, "REVISION", 0, "the stream must be at this revision; any (default)", 0},
        {"tombstone", KEY_TOMBSTONE, NULL, 0, "for ever: the name can never be used again", 0},
        {"yes", KEY_YES, NULL, 0, "do not ask; needed where standard input is no terminal", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .args_doc = "STREAM",
                              .doc =
                                  "Deletes a stream: its events vanish at once, for everybody. Without --tombstone a "
                                  "new append brings the stream back, and its revisions go on.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    const int code = ask(&arguments);
    return code != 0 ? code : common_run(&arguments.common, run, &arguments);
}
