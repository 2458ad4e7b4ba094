#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/json.h"
#include "sdk/cli/progress.h"

/* -1, or the exit code. */
static int response_print(const daybook_v1_ReindexResponse *response, bool json, struct progress *progress) {
    const uint64_t position = daybook_v1_ReindexResponse_position(response);
    const uint64_t head = daybook_v1_ReindexResponse_head(response);
    if (!json) {
        progress_show(progress, position, head);
        return -1;
    }
    json_t *object = json_object();
    json_add(object, "position", json_number(position));
    json_add(object, "head", json_number(head));
    if (!json_line(object)) return common_out_of_memory();
    return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    daybook_next next;
    const daybook_v1_ReindexResponse *response;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_ReindexRequest *request = daybook_v1_ReindexRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Reindex_stream *stream = daybook_v1_Admin_Reindex_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    struct progress progress;
    progress_init(&progress, "events indexed");
    uint64_t position = 0;
    int code = -1;
    while (code < 0 && (next = daybook_v1_Admin_Reindex_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        code = response_print(response, common->json, &progress);
        position = daybook_v1_ReindexResponse_position(response);
    }
    (void)daybook_v1_Admin_Reindex_close(stream);
    progress_end(&progress);
    if (code < 0) code = common_stream_ended(common, next, &status);
    if (code != 0 || common->json) return code;
    (void)printf("indexed up to position %" PRIu64 "\n", position);
    return 0;
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
