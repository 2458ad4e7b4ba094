#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"
#include "sdk/cli/progress.h"

/* -1, or the exit code. */
static int response_print(const daybook_v1_CompactResponse *response, bool json, struct progress *progress) {
    const uint64_t copied_count = daybook_v1_CompactResponse_events_copied_count(response);
    const uint64_t events_count = daybook_v1_CompactResponse_events_count(response);
    if (!json) {
        if (events_count > 0) progress_show(progress, copied_count, events_count); /* else it has not begun */
        return -1;
    }
    json_t *object = json_object();
    json_add(object, "events_copied_count", json_number(copied_count));
    json_add(object, "events_count", json_number(events_count));
    json_add(object, "reclaimed_bytes", json_number(daybook_v1_CompactResponse_reclaimed_bytes(response)));
    if (!json_line(object)) return common_out_of_memory();
    return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    daybook_next next;
    const daybook_v1_CompactResponse *response;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_CompactRequest *request = daybook_v1_CompactRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Compact_stream *stream = daybook_v1_Admin_Compact_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    struct progress progress;
    progress_init(&progress, "events copied");
    uint64_t reclaimed_bytes = 0;
    int code = -1;
    while (code < 0 && (next = daybook_v1_Admin_Compact_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        code = response_print(response, common->json, &progress);
        reclaimed_bytes = daybook_v1_CompactResponse_reclaimed_bytes(response);
    }
    (void)daybook_v1_Admin_Compact_close(stream);
    progress_end(&progress);
    if (code < 0) code = common_stream_ended(common, next, &status);
    if (code != 0 || common->json) return code;
    char bytes[PRINT_BYTES_BYTES];
    print_bytes(reclaimed_bytes, bytes);
    (void)printf("%s given back\n", bytes);
    return 0;
}

int command_compact(int argc, char **argv) {
    struct common common;
    common_init(&common);
    common.timeout_ms = DAYBOOK_TIMEOUT_NONE;
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc =
                                  "Gives the space of erased, deleted and expired events back, while the daemon "
                                  "serves. Waits as long as it takes; --timeout-ms ends it when nothing moves for so "
                                  "long."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
