#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"
#include "sdk/cli/progress.h"

static int object_print(const daybook_v1_VerifyResponse *response) {
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
    if (!json_line(object)) return common_out_of_memory();
    return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
}

/* -1, or the exit code. */
static int response_print(const daybook_v1_VerifyResponse *response, bool json, struct progress *progress) {
    if (json) return object_print(response);
    size_t count;
    const upb_StringView *problems = daybook_v1_VerifyResponse_problems(response, &count);
    if (count > 0) progress_end(progress); /* what is found has lines of its own */
    for (size_t index = 0; index < count; index++) {
        print_plain(stdout, problems[index]);
        (void)putchar('\n');
    }
    progress_show(progress, daybook_v1_VerifyResponse_events_checked_count(response),
                  daybook_v1_VerifyResponse_events_count(response));
    return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    daybook_next next;
    const daybook_v1_VerifyResponse *response;
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_VerifyRequest *request = daybook_v1_VerifyRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Verify_stream *stream = daybook_v1_Admin_Verify_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    struct progress progress;
    progress_init(&progress, "events checked");
    uint64_t problems_count = 0;
    uint64_t events_count = 0;
    int code = -1;
    while (code < 0 && (next = daybook_v1_Admin_Verify_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        code = response_print(response, common->json, &progress);
        problems_count = daybook_v1_VerifyResponse_problems_count(response);
        events_count = daybook_v1_VerifyResponse_events_checked_count(response);
    }
    (void)daybook_v1_Admin_Verify_close(stream);
    progress_end(&progress);
    if (code < 0) code = common_stream_ended(common, next, &status);
    if (code != 0) return code;
    const int found = problems_count == 0 ? 0 : EXIT_REFUSED;
    if (common->json) return found;
    if (found == 0) {
        (void)printf("%" PRIu64 " events checked, nothing is wrong\n", events_count);
    } else {
        (void)printf("%" PRIu64 " events checked, problems: %" PRIu64 "; restore the store from a backup\n",
                     events_count, problems_count);
    }
    return found;
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
