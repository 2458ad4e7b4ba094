#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/json.h"
#include "sdk/cli/list.h"
#include "sdk/cli/print.h"

static bool consumer_print(const daybook_v1_GetCheckpointResponse *stored, bool json) {
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_GetCheckpointResponse_checkpoint(stored);
    const google_protobuf_Timestamp *recorded_at = daybook_v1_GetCheckpointResponse_recorded_at(stored);
    const upb_StringView consumer =
        checkpoint == NULL ? upb_StringView_FromString("") : daybook_v1_Checkpoint_consumer(checkpoint);
    const uint64_t position = checkpoint == NULL ? 0 : daybook_v1_Checkpoint_position(checkpoint);
    if (json) {
        json_t *object = json_object();
        json_add(object, "consumer", json_text(consumer));
        json_add(object, "position", json_number(position));
        json_add_time(object, "recorded_at", recorded_at);
        return json_line(object);
    }
    char time[PRINT_TIME_BYTES];
    print_time(recorded_at, PRINT_TIME_DIGITS_SHORT, time);
    (void)printf("%8" PRIu64 "  %s  ", position, time);
    print_plain(stdout, consumer);
    (void)putchar('\n');
    return true;
}

static int page_print(const struct list_options *options, daybook_client *client, upb_Arena *arena,
                      struct list_page *page, void *context) {
    (void)context;
    daybook_status status;
    const daybook_v1_ListCheckpointsResponse *response;
    const daybook_call_options call_options = common_call_options(&options->common);
    daybook_v1_ListCheckpointsRequest *request = daybook_v1_ListCheckpointsRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_ListCheckpointsRequest_set_page_size(request, page->size);
    daybook_v1_ListCheckpointsRequest_set_page_token(request, page->token);
    if (!daybook_v1_EventStore_ListCheckpoints(client, request, &call_options, arena, &response, &status)) {
        return common_fail(&options->common, &status);
    }
    size_t count;
    const daybook_v1_GetCheckpointResponse *const *checkpoints =
        daybook_v1_ListCheckpointsResponse_checkpoints(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (!consumer_print(checkpoints[index], options->common.json)) return common_out_of_memory();
    }
    page->items_count = count;
    page->next_token = daybook_v1_ListCheckpointsResponse_next_page_token(response);
    return 0;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)common;
    (void)arena;
    return list_run(context, client, page_print, NULL);
}

int command_consumers(int argc, char **argv) {
    struct list_options options = {.prefix = NULL};
    common_init(&options.common);
    static const struct argp_child children[] = {{&list_limit_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Prints how far each consumer has come, by name, and when it stored that."};
    common_parse(&argp, argc, argv, &options);
    return common_run(&options.common, run, &options);
}
