/* The server of gRPC's interoperability suite. Prints its port and serves until SIGTERM or SIGINT. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/interop/flags.h"
#include "tests/interop/server_streams.h"
#include "tests/interop/server_unary.h"
#include "tests/interop/timer.h"

#define GRACE_MS 1000

/* TestService.UnimplementedCall is left out, and UnimplementedService is not served. */
static const grpc_testing_TestService_handlers handlers = {
    .EmptyCall = server_empty_call,
    .UnaryCall = server_unary_call,
    .StreamingOutputCall = server_streaming_output_call,
    .StreamingInputCall = server_streaming_input_call,
    .FullDuplexCall = server_full_duplex_call,
    .HalfDuplexCall = server_half_duplex_call,
};

static bool serve(const daybook_server_options *options, struct timer *timer, const sigset_t *signals) {
    daybook_status status;
    daybook_server *server = daybook_server_open(options, &status);
    bool ok = server != NULL && grpc_testing_TestService_serve(server, &handlers, timer, &status) &&
              daybook_server_start(server, &status);
    if (ok) {
        printf("serving port=%u\n", (unsigned)daybook_server_port(server));
        fflush(stdout);
        int signal_number;
        ok = sigwait(signals, &signal_number) == 0;
        daybook_server_drain(server, GRACE_MS);
    } else {
        fprintf(stderr, "interop_server: %s: %s\n", daybook_code_name(status.code), status.message);
    }
    daybook_server_close(server);
    return ok;
}

int main(int argc, char **argv) {
    const char *port = "10000";
    bool use_tls = false;
    daybook_tls_options tls = {0};
    const struct flag flags[] = {
        {.name = "port", .ret_text = &port},
        {.name = "use_tls", .ret_bool = &use_tls},
        {.name = "tls_cert_file", .ret_text = &tls.certificate_file},
        {.name = "tls_key_file", .ret_text = &tls.key_file},
        {.name = "tls_client_ca_file", .ret_text = &tls.authorities_file},
    };
    if (!flags_parse(argc, argv, flags, sizeof flags / sizeof *flags)) return EXIT_FAILURE;

    /* Before any thread is there, so that all of them leave the signals to this one. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%s", port);
    struct timer timer;
    timer_init(&timer);
    const bool ok = serve(&(daybook_server_options){.listen = listen, .tls = use_tls ? &tls : NULL}, &timer, &signals);
    timer_deinit(&timer);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
