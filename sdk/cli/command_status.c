#include <inttypes.h>
#include <stdio.h>

#include "grpc/health/v1/health.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/head.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"

static bool is_serving(daybook_client *client, const struct common *common, upb_Arena *arena, bool *ret_serving,
                       daybook_status *ret_status) {
    const grpc_health_v1_HealthCheckRequest *request = grpc_health_v1_HealthCheckRequest_new(arena);
    const grpc_health_v1_HealthCheckResponse *response;
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    const daybook_call_options options = common_call_options(common);
    if (!grpc_health_v1_Health_Check(client, request, &options, arena, &response, ret_status)) return false;
    *ret_serving = grpc_health_v1_HealthCheckResponse_status(response) == grpc_health_v1_HealthCheckResponse_SERVING;
    return true;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    bool serving;
    const daybook_v1_HeadResponse *head;
    if (!is_serving(client, common, arena, &serving, &status) || !head_ask(common, client, arena, &head, &status)) {
        return common_fail(common, &status);
    }
    const upb_StringView store_id = daybook_v1_HeadResponse_store_id(head);
    const char *health = serving ? "SERVING" : "NOT_SERVING";
    if (common->json) {
        json_t *object = json_object();
        json_add(object, "server", json_string(common->server));
        json_add(object, "health", json_string(health));
        json_add(object, "head", json_number(daybook_v1_HeadResponse_head(head)));
        json_add(object, "store_id", json_text(store_id));
        if (!json_line(object)) return common_out_of_memory();
    } else {
        (void)printf("server  %s\nhealth  %s\nhead    %" PRIu64 "\nstore   ", common->server, health,
                     daybook_v1_HeadResponse_head(head));
        print_plain(stdout, store_id);
        (void)putchar('\n');
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
