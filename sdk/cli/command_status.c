#include <inttypes.h>
#include <stdio.h>

#include "grpc/health/v1/health.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/head.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"

#define KEY_SERVICE 's'

struct status_options {
    struct common common;
    const char *service; /* NULL: the whole server, its head and its store */
};

static bool is_serving(daybook_client *client, const struct common *common, const char *service, upb_Arena *arena,
                       bool *ret_serving, daybook_status *ret_status) {
    grpc_health_v1_HealthCheckRequest *request = grpc_health_v1_HealthCheckRequest_new(arena);
    const grpc_health_v1_HealthCheckResponse *response;
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    grpc_health_v1_HealthCheckRequest_set_service(request, upb_StringView_FromString(service));
    const daybook_call_options options = common_call_options(common);
    if (!grpc_health_v1_Health_Check(client, request, &options, arena, &response, ret_status)) return false;
    *ret_serving = grpc_health_v1_HealthCheckResponse_status(response) == grpc_health_v1_HealthCheckResponse_SERVING;
    return true;
}

static const char *health_text(bool serving) {
    return serving ? "SERVING" : "NOT_SERVING";
}

/* One service's health and nothing else: a probe must not fail because of what it did not ask for. */
static int service_run(const struct common *common, daybook_client *client, upb_Arena *arena, const char *service) {
    daybook_status status;
    bool serving;
    if (!is_serving(client, common, service, arena, &serving, &status)) return common_fail(common, &status);
    if (common->json) {
        json_t *object = json_object();
        json_add(object, "server", json_string(common->server));
        json_add(object, "service", json_string(service));
        json_add(object, "health", json_string(health_text(serving)));
        if (!json_line(object)) return common_out_of_memory();
    } else {
        (void)puts(health_text(serving));
    }
    return serving ? 0 : EXIT_REFUSED;
}

static int server_run(const struct common *common, daybook_client *client, upb_Arena *arena) {
    daybook_status status;
    bool serving;
    const daybook_v1_HeadResponse *head;
    if (!is_serving(client, common, "", arena, &serving, &status) || !head_ask(common, client, arena, &head, &status)) {
        return common_fail(common, &status);
    }
    const upb_StringView store_id = daybook_v1_HeadResponse_store_id(head);
    if (common->json) {
        json_t *object = json_object();
        json_add(object, "server", json_string(common->server));
        json_add(object, "health", json_string(health_text(serving)));
        json_add(object, "head", json_number(daybook_v1_HeadResponse_head(head)));
        json_add(object, "store_id", json_text(store_id));
        if (!json_line(object)) return common_out_of_memory();
    } else {
        (void)printf("server  %s\nhealth  %s\nhead    %" PRIu64 "\nstore   ", common->server, health_text(serving),
                     daybook_v1_HeadResponse_head(head));
        print_plain(stdout, store_id);
        (void)putchar('\n');
    }
    return serving ? 0 : EXIT_REFUSED;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct status_options *options = context;
    return options->service == NULL ? server_run(common, client, arena)
                                    : service_run(common, client, arena, options->service);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct status_options *options = state->input;
    switch (key) {
    case KEY_SERVICE:
        options->service = argument;
        return 0;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_status(int argc, char **argv) {
    struct status_options options = {.service = NULL};
    common_init(&options.common);
    static const struct argp_option own[] = {
        {"service", KEY_SERVICE, "NAME", 0,
         "the health of one service alone: \"readiness\", \"liveness\", the full name of a service of the server's, "
         "\"\" for the whole server",
         0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = own,
                              .parser = parse,
                              .children = children,
                              .doc =
                                  "Says whether the server is well, where its history ends and which store it has."
                                  "\vWith --service nothing but grpc.health.v1 is asked, on a connection of its own: a "
                                  "probe for where the platform's own speaks no TLS.\n\n"
                                  "Exit codes: 0 SERVING, 1 NOT_SERVING or a service that the server does not know, 64 "
                                  "wrong arguments or certificates, 69 no server to reach, or none that lets in."};
    common_parse(&argp, argc, argv, &options);
    return common_run(&options.common, run, &options);
}
