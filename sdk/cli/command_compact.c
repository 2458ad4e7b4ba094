#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/operation.h"
#include "sdk/cli/print.h"

static struct operation_progress read(const void *response, void *context) {
    *(uint64_t *)context = daybook_v1_CompactResponse_reclaimed_bytes(response);
    return (struct operation_progress){
        .done_count = daybook_v1_CompactResponse_events_copied_count(response),
        .all_count = daybook_v1_CompactResponse_events_count(response),
    };
}

static json_t *to_json(const void *response) {
    json_t *object = json_object();
    json_add(object, "events_copied_count", json_number(daybook_v1_CompactResponse_events_copied_count(response)));
    json_add(object, "events_count", json_number(daybook_v1_CompactResponse_events_count(response)));
    json_add(object, "reclaimed_bytes", json_number(daybook_v1_CompactResponse_reclaimed_bytes(response)));
    return object;
}

static void print_outcome(const void *context) {
    char bytes[PRINT_BYTES_BYTES];
    print_bytes(*(const uint64_t *)context, bytes);
    (void)printf("%s given back\n", bytes);
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    uint64_t reclaimed_bytes = 0;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_CompactRequest *request = daybook_v1_CompactRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Compact_stream *stream = daybook_v1_Admin_Compact_open(client, request, &options, &status);
    return operation_follow(common, daybook_v1_Admin_Compact_untyped(stream), &status,
                            &(struct operation){.what = "events copied",
                                                .read = read,
                                                .to_json = to_json,
                                                .print_outcome = print_outcome,
                                                .context = &reclaimed_bytes});
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
