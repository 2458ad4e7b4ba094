#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/operation.h"

struct verified {
    uint64_t events_count;
    uint64_t problems_count;
};

static struct operation_progress read(const void *response, void *context) {
    struct operation_progress progress = {
        .done_count = daybook_v1_VerifyResponse_events_checked_count(response),
        .all_count = daybook_v1_VerifyResponse_events_count(response),
    };
    progress.lines = daybook_v1_VerifyResponse_problems(response, &progress.lines_count);
    *(struct verified *)context = (struct verified){
        .events_count = progress.done_count, .problems_count = daybook_v1_VerifyResponse_problems_count(response)};
    return progress;
}

static json_t *to_json(const void *response) {
    json_t *object = json_object();
    json_t *list = json_array();
    json_t *texts = json_array();
    size_t positions_count;
    size_t problems_count;
    const uint64_t *positions = daybook_v1_VerifyResponse_corrupt_positions(response, &positions_count);
    const upb_StringView *problems = daybook_v1_VerifyResponse_problems(response, &problems_count);
    for (size_t index = 0; index < positions_count; index++) {
        (void)json_array_append_new(list, json_number(positions[index]));
    }
    for (size_t index = 0; index < problems_count; index++) {
        (void)json_array_append_new(texts, json_text(problems[index]));
    }
    json_add(object, "events_checked_count", json_number(daybook_v1_VerifyResponse_events_checked_count(response)));
    json_add(object, "events_count", json_number(daybook_v1_VerifyResponse_events_count(response)));
    json_add(object, "corrupt_positions", list);
    json_add(object, "problems", texts);
    json_add(object, "problems_count", json_number(daybook_v1_VerifyResponse_problems_count(response)));
    return object;
}

static void print_outcome(const void *context) {
    const struct verified *verified = context;
    if (verified->problems_count == 0) {
        (void)printf("%" PRIu64 " events checked, nothing is wrong\n", verified->events_count);
    } else {
        (void)printf("%" PRIu64 " events checked, problems: %" PRIu64 "; restore the store from a backup\n",
                     verified->events_count, verified->problems_count);
    }
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    struct verified verified = {0};
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_VerifyRequest *request = daybook_v1_VerifyRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Verify_stream *stream = daybook_v1_Admin_Verify_open(client, request, &options, &status);
    const int code = operation_follow(common, daybook_v1_Admin_Verify_untyped(stream), &status,
                                      &(struct operation){.what = "events checked",
                                                          .read = read,
                                                          .to_json = to_json,
                                                          .print_outcome = print_outcome,
                                                          .context = &verified});
    return code == 0 && verified.problems_count > 0 ? EXIT_REFUSED : code;
}

int command_verify(int argc, char **argv) {
    struct common common;
    common_init(&common);
    common.timeout_ms = DAYBOOK_TIMEOUT_NONE;
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Reads and checks everything that is stored, while the daemon serves. A line for "
                                     "each problem, with its position; exit code 1 when there is one. Waits as long as "
                                     "it takes; --timeout-ms ends it when nothing moves for so long."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
