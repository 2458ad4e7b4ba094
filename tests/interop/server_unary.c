#include "tests/interop/server_unary.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/interop/echo.h"

void server_empty_call(void *context, daybook_server_call *call, const grpc_testing_Empty *request) {
    (void)context;
    (void)request;
    grpc_testing_TestService_EmptyCall_reply(call, grpc_testing_Empty_new(daybook_server_call_arena(call)));
}

static void fail(daybook_server_call *call, const daybook_status *status) {
    daybook_server_call_fail(call, status->code, status->message, NULL, 0);
}

void server_unary_call(void *context, daybook_server_call *call, const grpc_testing_SimpleRequest *request) {
    (void)context;
    daybook_status status;
    if (!echo_metadata(daybook_server_call_context(call), &status) ||
        echo_status(grpc_testing_SimpleRequest_response_status(request), &status)) {
        fail(call, &status);
        return;
    }
    upb_Arena *arena = daybook_server_call_arena(call);
    grpc_testing_SimpleResponse *response = grpc_testing_SimpleResponse_new(arena);
    if (!echo_payload(grpc_testing_SimpleResponse_mutable_payload(response, arena),
                      grpc_testing_SimpleRequest_response_type(request),
                      grpc_testing_SimpleRequest_response_size(request), &status)) {
        fail(call, &status);
        return;
    }
    if (grpc_testing_SimpleRequest_fill_username(request)) {
        /* Empty without a certificate of the client. */
        const upb_StringView name = daybook_server_context_identity(daybook_server_call_context(call), 0);
        grpc_testing_SimpleResponse_set_username(response, name);
    }
    char server_id[32];
    if (grpc_testing_SimpleRequest_fill_server_id(request)) {
        snprintf(server_id, sizeof server_id, "process-%ld", (long)getpid());
        grpc_testing_SimpleResponse_set_server_id(response, upb_StringView_FromString(server_id));
    }
    grpc_testing_TestService_UnaryCall_reply(call, response);
}
