#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/operation.h"

static struct operation_progress read(const void *response, void *context) {
    const uint64_t position = daybook_v1_ReindexResponse_position(response);
    *(uint64_t *)context = position;
    return (struct operation_progress){
        .done_count = position,
        .all_count = daybook_v1_ReindexResponse_head(response),
    };
}

static json_t *to_json(const void *response) {
    json_t *object = json_object();
    json_add(object, "position", json_number(daybook_v1_ReindexResponse_position(response)));
    json_add(object, "head", json_number(daybook_v1_ReindexResponse_head(response)));
    return object;
}

static void print_outcome(const void *context) {
    (void)printf("indexed up to position %" PRIu64 "\n", *(const uint64_t *)context);
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    uint64_t position = 0;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_ReindexRequest *request = daybook_v1_ReindexRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Reindex_stream *stream = daybook_v1_Admin_Reindex_open(client, request, &options, &status);
    return operation_follow(common, daybook_v1_Admin_Reindex_untyped(stream), &status,
                            &(struct operation){.what = "events indexed",
                                                .read = read,
                                                .to_json = to_json,
                                                .print_outcome = print_outcome,
                                                .context = &position});
}

int command_reindex(int argc, char **argv) {
    struct common common;
    common_init(&common);
    common.timeout_ms = DAYBOOK_TIMEOUT_NONE;
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Builds the index anew from the log, while the daemon serves. Waits as long as it "
                                     "takes; --timeout-ms ends it when nothing moves for so long."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
