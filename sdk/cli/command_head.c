#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/head.h"
#include "sdk/cli/json.h"

bool head_ask(const struct common *common, daybook_client *client, upb_Arena *arena,
              const daybook_v1_HeadResponse **ret_response, daybook_status *ret_status) {
    const daybook_v1_HeadRequest *request = daybook_v1_HeadRequest_new(arena);
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    const daybook_call_options options = common_call_options(common);
    return daybook_v1_EventStore_Head(client, request, &options, arena, ret_response, ret_status);
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    const daybook_v1_HeadResponse *response;
    if (!head_ask(common, client, arena, &response, &status)) return common_fail(common, &status);
    if (!common->json) {
        (void)printf("%" PRIu64 "\n", daybook_v1_HeadResponse_head(response));
        return 0;
    }
    json_t *object = json_object();
    json_add(object, "head", json_number(daybook_v1_HeadResponse_head(response)));
    json_add(object, "store_id", json_text(daybook_v1_HeadResponse_store_id(response)));
    return json_line(object) ? 0 : common_out_of_memory();
}

int command_head(int argc, char **argv) {
    struct common common;
    common_init(&common);
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children, .doc = "Prints the last durable position; 0: the store is empty."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
