/* bare_server: the least a server on gRPC's core can be: every call is answered with UNIMPLEMENTED. What h2spec finds wrong
 * with it is the library's own; see h2spec_test.py. Prints its port.
 *
 * Ownership: a call's memory is freed when its batch has completed. Threads: one. Errors: a port that cannot be bound ends the
 * program. */
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* That there is a limit is told to the client, and h2spec tries it. */
#define STREAMS_COUNT_MAX 1024

struct call {
    grpc_call *call; /* NULL until it has come */
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
    bool is_answered;
};

static void expect(grpc_server *server, grpc_completion_queue *events) {
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) abort();
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    if (grpc_server_request_call(server, &call->call, &call->details, &call->metadata, events, events, call) !=
        GRPC_CALL_OK) {
        abort();
    }
}

static void answer(struct call *call) {
    grpc_slice details = grpc_empty_slice();
    const grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = GRPC_STATUS_UNIMPLEMENTED, .status_details = &details}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server = {.cancelled = &call->cancelled}},
    };
    call->is_answered = true;
    if (grpc_call_start_batch(call->call, operations, sizeof operations / sizeof operations[0], call, NULL) !=
        GRPC_CALL_OK) {
        abort();
    }
}

static void release(struct call *call) {
    grpc_call_unref(call->call);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    free(call);
}

int main(void) {
    grpc_init();
    grpc_arg limit = {
        .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_CONCURRENT_STREAMS, .value.integer = STREAMS_COUNT_MAX};
    const grpc_channel_args arguments = {.num_args = 1, .args = &limit};
    grpc_server *server = grpc_server_create(&arguments, NULL);
    grpc_completion_queue *events = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, events, NULL);
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    const int port = grpc_server_add_http2_port(server, "127.0.0.1:0", credentials);
    grpc_server_credentials_release(credentials);
    if (port == 0) return EX_UNAVAILABLE;
    grpc_server_start(server);
    (void)printf("%d\n", port);
    (void)fflush(stdout);
    expect(server, events);
    for (;;) {
        const grpc_event event = grpc_completion_queue_next(events, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct call *call = event.tag;
        if (call->is_answered) {
            release(call);
        } else {
            if (event.success == 0) abort(); /* Nobody shuts this server down; it is killed. */
            expect(server, events);
            answer(call);
        }
    }
}
