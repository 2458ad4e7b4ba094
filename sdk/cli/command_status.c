#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "grpc/health/v1/health.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/head.h"

static bool is_serving(daybook_client *client, const struct common *common, upb_Arena *arena, bool *ret_serving,
                       daybook_status *ret_status) {
    const grpc_health_v1_HealthCheckRequest *request = grpc_health_v1_HealthCheckRequest_new(arena);
    const grpc_health_v1_HealthCheckResponse *response;
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    if (!grpc_health_v1_Health_Check(client, request, &(daybook_call_options){.timeout_ms = common->timeout_ms}, arena,
                                     &response, ret_status)) {
        return false;
    }
    *ret_serving = grpc_health_v1_HealthCheckResponse_status(response) == grpc_health_v1_HealthCheckResponse_SERVING;
    return true;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    bool serving;
    const daybook_v1_HeadResponse *head;
    if (!is_serving(client, common, arena, &serving, &status) ||
        !head_ask(client, common->timeout_ms, arena, &head, &status)) {
        return common_fail(common, &status);
    }
    const upb_StringView store_id = daybook_v1_HeadResponse_store_id(head);
    const char *health = serving ? "SERVING" : "NOT_SERVING";
    if (common->json) {
        json_t *object = json_pack("{s:s, s:s, s:I, s:s%}", "server", common->server, "health", health, "head",
                                   (json_int_t)daybook_v1_HeadResponse_head(head), "store_id",
                                   store_id.size == 0 ? "" : store_id.data, store_id.size);
        char *text = json_dumps(object, JSON_COMPACT);
        json_decref(object);
        if (text == NULL) return common_out_of_memory();
        (void)puts(text);
        free(text);
    } else {
        (void)printf("server  %s\nhealth  %s\nhead    %" PRIu64 "\nstore   %.*s\n", common->server, health,
                     daybook_v1_HeadResponse_head(head), (int)store_id.size, store_id.data);
    }
    return serving ? 0 : EXIT_REFUSED;
}

int command_status(int argc, char **argv) {
    struct common common;
    common_init(&common);
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Says whether the server is well, where its history ends and which store it has. "
                                     "Exits 1 when the server says that it is not serving."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
