#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/interop/cases.h"

static char zeros[PAYLOAD_BYTES_MAX];

const daybook_header custom_headers[CUSTOM_HEADERS_COUNT] = {
    {.key = "x-grpc-test-echo-initial", .value = "test_initial_metadata_value"},
    {.key = "x-grpc-test-echo-trailing-bin", .value = "\xab\xab\xab", .value_size = 3},
};

bool check(bool condition, const char *format, ...) {
    if (condition) return true;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

bool check_status(const daybook_status *status, daybook_code code, const char *message) {
    return check(status->code == code, "the call ended with %s: %s, not with %s", daybook_code_name(status->code),
                 status->message, daybook_code_name(code)) &&
           check(message == NULL || strcmp(status->message, message) == 0, "the message is \"%s\"", status->message);
}

bool check_payload(const grpc_testing_Payload *payload, size_t size) {
    if (!check(payload != NULL, "a response has no payload")) return false;
    const upb_StringView body = grpc_testing_Payload_body(payload);
    bool is_zero = true;
    for (size_t index = 0; index < body.size; index++) is_zero = is_zero && body.data[index] == 0;
    return check(grpc_testing_Payload_type(payload) == grpc_testing_COMPRESSABLE, "a payload has another type") &&
           check(body.size == size, "a payload has %zu bytes, not %zu", body.size, size) &&
           check(is_zero, "a payload is not of zeros");
}

static bool check_metadata(const daybook_metadata *metadata, const daybook_header *sent) {
    const upb_StringView value = daybook_metadata_find(metadata, sent->key);
    const size_t size = sent->value_size == 0 ? strlen(sent->value) : sent->value_size;
    return check(value.data != NULL, "%s did not come back", sent->key) &&
           check(value.size == size && memcmp(value.data, sent->value, size) == 0, "%s came back as another value",
                 sent->key);
}

bool check_custom_metadata(const daybook_metadata *initial, const daybook_metadata *trailing) {
    return check_metadata(initial, &custom_headers[0]) && check_metadata(trailing, &custom_headers[1]);
}

void payload_set(grpc_testing_Payload *payload, size_t size) {
    grpc_testing_Payload_set_body(payload, upb_StringView_FromDataAndSize(zeros, size));
}
