/* client_unary.c: the cases of unary calls. */
#include <stdio.h>

#include "tests/interop/cases.h"

#define LARGE_REQUEST_BYTES  271828
#define LARGE_RESPONSE_BYTES 314159
#define CONCURRENT_CALLS     100
#define CLIENT_NAME          "client.interop.test"

static const daybook_call_options patient = {.timeout_ms = PATIENCE_MS};

bool case_empty_unary(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    const grpc_testing_Empty *response = NULL;
    daybook_status status;
    const bool ok =
        grpc_testing_TestService_EmptyCall(client, grpc_testing_Empty_new(arena), &patient, arena, &response, &status);
    const bool passed =
        check(ok, "%s: %s", daybook_code_name(status.code), status.message) && check(response != NULL, "no response");
    upb_Arena_Free(arena);
    return passed;
}

static grpc_testing_SimpleRequest *large_request(upb_Arena *arena) {
    grpc_testing_SimpleRequest *request = grpc_testing_SimpleRequest_new(arena);
    grpc_testing_SimpleRequest_set_response_size(request, LARGE_RESPONSE_BYTES);
    payload_set(grpc_testing_SimpleRequest_mutable_payload(request, arena), LARGE_REQUEST_BYTES);
    return request;
}

bool case_large_unary(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    const grpc_testing_SimpleResponse *response = NULL;
    daybook_status status;
    const bool ok =
        grpc_testing_TestService_UnaryCall(client, large_request(arena), &patient, arena, &response, &status);
    const bool passed = check(ok, "%s: %s", daybook_code_name(status.code), status.message) &&
                        check_payload(grpc_testing_SimpleResponse_payload(response), LARGE_RESPONSE_BYTES);
    upb_Arena_Free(arena);
    return passed;
}

static bool check_large(daybook_call *call) {
    return check(daybook_call_wait(call, PATIENCE_MS), "a call does not end") &&
           check_status(daybook_call_status(call), DAYBOOK_OK, NULL) &&
           check_payload(grpc_testing_SimpleResponse_payload(grpc_testing_TestService_UnaryCall_result(call)),
                         LARGE_RESPONSE_BYTES);
}

/* The futures of many calls at once, on one connection. */
bool case_concurrent_large_unary(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    const grpc_testing_SimpleRequest *request = large_request(arena);
    daybook_call *calls[CONCURRENT_CALLS];
    for (size_t index = 0; index < CONCURRENT_CALLS; index++) {
        calls[index] = grpc_testing_TestService_UnaryCall_start(client, request, &patient);
    }
    upb_Arena_Free(arena);
    bool passed = true;
    for (size_t index = 0; index < CONCURRENT_CALLS; index++) {
        passed = passed && check(calls[index] != NULL, "no memory for a call") && check_large(calls[index]);
        daybook_call_free(calls[index]);
    }
    return passed;
}

/* The server knows the client by the certificate that the test makes. */
bool case_client_identity(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_SimpleRequest *request = grpc_testing_SimpleRequest_new(arena);
    grpc_testing_SimpleRequest_set_fill_username(request, true);
    const grpc_testing_SimpleResponse *response = NULL;
    daybook_status status;
    bool passed = check(grpc_testing_TestService_UnaryCall(client, request, &patient, arena, &response, &status),
                        "%s: %s", daybook_code_name(status.code), status.message);
    if (passed) {
        const upb_StringView username = grpc_testing_SimpleResponse_username(response);
        passed = check(upb_StringView_IsEqual(username, upb_StringView_FromString(CLIENT_NAME)),
                       "the server takes the client for \"%.*s\"", (int)username.size, username.data);
    }
    upb_Arena_Free(arena);
    return passed;
}

bool unary_custom_metadata(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    const daybook_call_options options = {
        .timeout_ms = PATIENCE_MS,
        .headers = custom_headers,
        .headers_count = CUSTOM_HEADERS_COUNT,
    };
    daybook_call *call = grpc_testing_TestService_UnaryCall_start(client, large_request(arena), &options);
    upb_Arena_Free(arena);
    const bool passed =
        check(call != NULL, "no memory for a call") && check_large(call) &&
        check_custom_metadata(daybook_call_initial_metadata(call), daybook_call_trailing_metadata(call));
    daybook_call_free(call);
    return passed;
}

bool unary_status(daybook_client *client, daybook_code code, const char *message) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_SimpleRequest *request = grpc_testing_SimpleRequest_new(arena);
    grpc_testing_EchoStatus *wanted = grpc_testing_SimpleRequest_mutable_response_status(request, arena);
    grpc_testing_EchoStatus_set_code(wanted, (int32_t)code);
    grpc_testing_EchoStatus_set_message(wanted, upb_StringView_FromString(message));
    const grpc_testing_SimpleResponse *response;
    daybook_status status;
    const bool ok = grpc_testing_TestService_UnaryCall(client, request, &patient, arena, &response, &status);
    const bool passed = check(!ok, "the call went well") && check_status(&status, code, message);
    upb_Arena_Free(arena);
    return passed;
}

bool case_special_status_message(daybook_client *client) {
    return unary_status(client, DAYBOOK_UNKNOWN,
                        "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n");
}

typedef bool empty_call(daybook_client *client, const grpc_testing_Empty *request, const daybook_call_options *options,
                        upb_Arena *arena, const grpc_testing_Empty **ret_response, daybook_status *ret_status);

static bool check_unimplemented(daybook_client *client, empty_call *call) {
    upb_Arena *arena = upb_Arena_New();
    const grpc_testing_Empty *response;
    daybook_status status;
    const bool ok = call(client, grpc_testing_Empty_new(arena), &patient, arena, &response, &status);
    upb_Arena_Free(arena);
    return check(!ok, "the call went well") && check_status(&status, DAYBOOK_UNIMPLEMENTED, NULL);
}

bool case_unimplemented_method(daybook_client *client) {
    return check_unimplemented(client, grpc_testing_TestService_UnimplementedCall);
}

bool case_unimplemented_service(daybook_client *client) {
    return check_unimplemented(client, grpc_testing_UnimplementedService_UnimplementedCall);
}
