#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/head.h"

bool head_ask(daybook_client *client, uint32_t timeout_ms, upb_Arena *arena,
              const daybook_v1_HeadResponse **ret_response, daybook_status *ret_status) {
    const daybook_v1_HeadRequest *request = daybook_v1_HeadRequest_new(arena);
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    return daybook_v1_EventStore_Head(client, request, &(daybook_call_options){.timeout_ms = timeout_ms}, arena,
                                      ret_response, ret_status);
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    const daybook_v1_HeadResponse *response;
    if (!head_ask(client, common->timeout_ms, arena, &response, &status)) return common_fail(common, &status);
    const upb_StringView store_id = daybook_v1_HeadResponse_store_id(response);
    if (common->json) {
        (void)printf("{\"head\":%" PRIu64 ",\"store_id\":\"%.*s\"}\n", daybook_v1_HeadResponse_head(response),
                     (int)store_id.size, store_id.data);
    } else {
        (void)printf("%" PRIu64 "\n", daybook_v1_HeadResponse_head(response));
    }
    return 0;
}

int command_head(int argc, char **argv) {
    struct common common;
    common_init(&common);
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children, .doc = "Prints the last durable position; 0: the store is empty."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
