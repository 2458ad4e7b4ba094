#include "tests/interop/echo.h"

/* More than every case asks for, and less than clients take by default. */
#define PAYLOAD_BYTES_MAX 4000000

static const char *const initial_key = "x-grpc-test-echo-initial";
static const char *const trailing_key = "x-grpc-test-echo-trailing-bin";

/* Not constant, so that the program is not as large as that. */
static char zeros[PAYLOAD_BYTES_MAX];

bool echo_payload(grpc_testing_Payload *payload, int32_t type, int32_t size, daybook_status *ret_status) {
    if (type != grpc_testing_COMPRESSABLE) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "payloads of type %d are unknown", (int)type);
        return false;
    }
    if (size < 0 || size > PAYLOAD_BYTES_MAX) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "payloads have 0 to %d bytes", PAYLOAD_BYTES_MAX);
        return false;
    }
    grpc_testing_Payload_set_type(payload, type);
    grpc_testing_Payload_set_body(payload, upb_StringView_FromDataAndSize(zeros, (size_t)size));
    return true;
}

bool echo_status(const grpc_testing_EchoStatus *wanted, daybook_status *ret_status) {
    if (wanted == NULL || grpc_testing_EchoStatus_code(wanted) == DAYBOOK_OK) return false;
    const int32_t code = grpc_testing_EchoStatus_code(wanted);
    const bool is_known = code > DAYBOOK_OK && code <= DAYBOOK_UNAUTHENTICATED;
    const upb_StringView message = grpc_testing_EchoStatus_message(wanted);
    daybook_status_set(ret_status, is_known ? (daybook_code)code : DAYBOOK_UNKNOWN, "%.*s", (int)message.size,
                       message.data);
    return true;
}

static bool received(daybook_server_context *context, const char *key, daybook_header *ret_header) {
    const upb_StringView value = daybook_metadata_find(daybook_server_context_metadata(context), key);
    if (value.data == NULL) return false;
    *ret_header = (daybook_header){.key = key, .value = value.size == 0 ? "" : value.data, .value_size = value.size};
    return true;
}

bool echo_metadata(daybook_server_context *context, daybook_status *ret_status) {
    daybook_header header;
    if (received(context, initial_key, &header) && !daybook_server_context_add_header(context, &header, ret_status)) {
        return false;
    }
    return !received(context, trailing_key, &header) ||
           daybook_server_context_add_trailer(context, &header, ret_status);
}
