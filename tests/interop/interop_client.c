/* The client of gRPC's interoperability suite: runs one case against a server; the exit code tells how it ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/interop/cases.h"
#include "tests/interop/flags.h"

static const struct {
    const char *name;
    interop_case *run;
} cases[] = {
    {"empty_unary", case_empty_unary},
    {"large_unary", case_large_unary},
    {"client_streaming", case_client_streaming},
    {"server_streaming", case_server_streaming},
    {"ping_pong", case_ping_pong},
    {"empty_stream", case_empty_stream},
    {"custom_metadata", case_custom_metadata},
    {"status_code_and_message", case_status_code_and_message},
    {"special_status_message", case_special_status_message},
    {"unimplemented_method", case_unimplemented_method},
    {"unimplemented_service", case_unimplemented_service},
    {"cancel_after_begin", case_cancel_after_begin},
    {"cancel_after_first_response", case_cancel_after_first_response},
    {"timeout_on_sleeping_server", case_timeout_on_sleeping_server},
    /* Not cases of the suite, but features of its servers. */
    {"concurrent_large_unary", case_concurrent_large_unary},
    {"half_duplex", case_half_duplex},
    {"intervals", case_intervals},
    {"cancel_in_interval", case_cancel_in_interval},
    {"cancel_at_any_moment", case_cancel_at_any_moment},
    {"client_identity", case_client_identity},
};

static interop_case *find(const char *name) {
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        if (strcmp(cases[index].name, name) == 0) return cases[index].run;
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *host = "localhost";
    const char *port = "10000";
    const char *test_case = "large_unary";
    bool use_tls = false;
    daybook_tls_options tls = {0};
    const struct flag flags[] = {
        {.name = "server_host", .ret_text = &host},
        {.name = "server_port", .ret_text = &port},
        {.name = "test_case", .ret_text = &test_case},
        {.name = "use_tls", .ret_bool = &use_tls},
        {.name = "ca_file", .ret_text = &tls.authorities_file},
        {.name = "server_host_override", .ret_text = &tls.server_name},
        {.name = "tls_cert_file", .ret_text = &tls.certificate_file},
        {.name = "tls_key_file", .ret_text = &tls.key_file},
    };
    if (!flags_parse(argc, argv, flags, sizeof flags / sizeof *flags)) return EXIT_FAILURE;
    interop_case *run = find(test_case);
    if (!check(run != NULL, "%s: no such case", test_case)) return EXIT_FAILURE;

    char target[300];
    snprintf(target, sizeof target, "%s:%s", host, port);
    daybook_status status;
    daybook_client *client =
        daybook_client_open(&(daybook_client_options){.target = target, .tls = use_tls ? &tls : NULL}, &status);
    if (!check(client != NULL, "%s: %s", daybook_code_name(status.code), status.message)) return EXIT_FAILURE;
    const bool passed = run(client);
    daybook_client_close(client);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
