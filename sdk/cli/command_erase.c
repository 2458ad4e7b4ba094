#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/confirm.h"
#include "sdk/cli/json.h"

enum { KEY_YES = 0x300 };

/* Of one request (daybook/v1/event_store.proto). */
#define POSITIONS_COUNT_MAX 1024

struct erase_arguments {
    struct common common;
    uint64_t positions[POSITIONS_COUNT_MAX];
    size_t positions_count;
    bool yes;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct erase_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_YES:
        arguments->yes = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->positions_count == POSITIONS_COUNT_MAX) {
            argp_error(state, "at most %d events can be erased at once", POSITIONS_COUNT_MAX);
            return 0;
        }
        arguments->positions[arguments->positions_count++] = common_number(state, argument, "POSITION");
        return 0;
    case ARGP_KEY_END:
        if (arguments->positions_count == 0) argp_error(state, "a position is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int ask(const struct erase_arguments *arguments) {
    char question[128];
    if (arguments->positions_count == 1) {
        (void)snprintf(question, sizeof question, "Erase the event at position %" PRIu64 "?", arguments->positions[0]);
    } else {
        (void)snprintf(question, sizeof question, "Erase %zu events?", arguments->positions_count);
    }
    return confirm(question, arguments->yes);
}

static bool result_print(const struct erase_arguments *arguments, const daybook_v1_EraseEventsResponse *response) {
    const uint32_t erased_count = daybook_v1_EraseEventsResponse_erased_count(response);
    const uint64_t position = daybook_v1_EraseEventsResponse_position(response);
    if (arguments->common.json) {
        json_t *object = json_object();
        json_add(object, "erased_count", json_number(erased_count));
        json_add(object, "position", json_number(position));
        return json_line(object);
    }
    (void)printf("%" PRIu32 " of %zu events erased", erased_count, arguments->positions_count);
    if (position != 0) (void)printf(", told at position %" PRIu64, position);
    (void)puts(erased_count < arguments->positions_count ? "; the others were gone before" : "");
    return true;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct erase_arguments *arguments = context;
    daybook_status status;
    const daybook_v1_EraseEventsResponse *response;
    const daybook_call_options options = common_call_options(common);
    daybook_v1_EraseEventsRequest *request = daybook_v1_EraseEventsRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    for (size_t index = 0; index < arguments->positions_count; index++) {
        if (!daybook_v1_EraseEventsRequest_add_positions(request, arguments->positions[index], arena)) {
            return common_out_of_memory();
        }
    }
    if (!daybook_v1_EventStore_EraseEvents(client, request, &options, arena, &response, &status)) {
        return common_fail(common, &status);
    }
    return result_print(arguments, response) ? 0 : common_out_of_memory();
}

int command_erase(int argc, char **argv) {
    struct erase_arguments arguments = {.positions_count = 0};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"yes", KEY_YES, NULL, 0, "do not ask; needed where standard input is no terminal", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "POSITION...",
        .doc =
            "Erases events, as privacy law may demand: payload, metadata and tags are gone; position, stream, "
            "revision, time, id, type and a digest stay. Their bytes leave the file with the next `daybook compact`.",
        .children = children};
    common_parse(&argp, argc, argv, &arguments);
    const int code = ask(&arguments);
    return code != 0 ? code : common_run(&arguments.common, run, &arguments);
}
