/* echo_fixture.c: see echo_fixture.h. */
#include "tests/support/echo_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"

struct echo_fixture echo_fixture_open(void) {
    struct echo_fixture fixture = {.server = echo_server_start(), .arena = upb_Arena_New()};
    assert(fixture.arena != NULL);
    daybook_status status;
    fixture.client =
        daybook_client_open(&(daybook_client_options){.target = echo_server_target(fixture.server)}, &status);
    if (fixture.client == NULL) {
        fprintf(stderr, "echo_fixture: %s\n", status.message);
        abort();
    }
    return fixture;
}

void echo_fixture_close(struct echo_fixture *fixture) {
    fixture->client = daybook_client_close(fixture->client);
    if (fixture->server != NULL) echo_server_stop(fixture->server);
    fixture->server = NULL;
    upb_Arena_Free(fixture->arena);
}

/* Text that was left out is empty. */
static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text == NULL ? "" : text);
}

/* `size` bytes that say where they are, so that a piece out of place is seen. */
static upb_StringView payload(upb_Arena *arena, size_t size) {
    char *bytes = upb_Arena_Malloc(arena, size);
    assert(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)((i ^ (i >> 8) ^ (i >> 16)) & 0xff);
    }
    return upb_StringView_FromDataAndSize(bytes, size);
}

const void *echo_request(const struct echo_fixture *fixture, const struct echo_script *script) {
    daybook_test_EchoRequest *request = daybook_test_EchoRequest_new(fixture->arena);
    assert(request != NULL);
    daybook_test_EchoRequest_set_text(request, view(script->text));
    if (script->payload_bytes > 0) {
        daybook_test_EchoRequest_set_payload(request, payload(fixture->arena, script->payload_bytes));
    }
    daybook_test_EchoRequest_set_count(request, script->count);
    daybook_test_EchoRequest_set_hold(request, script->hold);
    daybook_test_EchoRequest_set_code(request, (int32_t)script->code);
    daybook_test_EchoRequest_set_message(request, view(script->message));
    daybook_test_EchoRequest_set_details(request, script->details);
    if (script->raw.data != NULL) daybook_test_EchoRequest_set_raw(request, script->raw);
    daybook_test_EchoRequest_set_header(request, view(script->header));
    daybook_test_EchoRequest_set_mirror(request, script->mirror);
    daybook_test_EchoRequest_set_failures(request, script->failures);
    daybook_test_EchoRequest_set_pushback(request, view(script->pushback));
    return request;
}

daybook_call *echo_call_start(const struct echo_fixture *fixture, const struct echo_script *script,
                              const daybook_call_options *options) {
    daybook_call *call = daybook_call_start(fixture->client, &ECHO_CALL, echo_request(fixture, script), options);
    assert(call != NULL);
    return call;
}

daybook_call *echo_call_hold(const struct echo_fixture *fixture, uint32_t received) {
    daybook_call *call = echo_call_start(fixture, &(struct echo_script){.hold = true}, NULL);
    echo_server_wait_received(fixture->server, received);
    return call;
}

static void add_detail(google_rpc_Status *rich, const char *type, const char *bytes, size_t size, upb_Arena *arena) {
    google_protobuf_Any *any = google_rpc_Status_add_details(rich, arena);
    google_protobuf_Any_set_type_url(any, view(type));
    google_protobuf_Any_set_value(any, upb_StringView_FromDataAndSize(bytes, size));
}

upb_StringView echo_details(const struct echo_fixture *fixture, const char *reason, int64_t retry_delay_ms) {
    upb_Arena *arena = fixture->arena;
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    google_rpc_ErrorInfo *info = google_rpc_ErrorInfo_new(arena);
    google_rpc_ErrorInfo_set_reason(info, view(reason));
    google_rpc_ErrorInfo_set_domain(info, view("daybook"));
    size_t size = 0;
    char *bytes = google_rpc_ErrorInfo_serialize(info, arena, &size);
    add_detail(rich, "type.googleapis.com/google.rpc.ErrorInfo", bytes, size, arena);
    if (retry_delay_ms >= 0) {
        google_rpc_RetryInfo *retry = google_rpc_RetryInfo_new(arena);
        google_protobuf_Duration *delay = google_rpc_RetryInfo_mutable_retry_delay(retry, arena);
        google_protobuf_Duration_set_seconds(delay, retry_delay_ms / 1000);
        google_protobuf_Duration_set_nanos(delay, (int32_t)(retry_delay_ms % 1000) * 1000000);
        bytes = google_rpc_RetryInfo_serialize(retry, arena, &size);
        add_detail(rich, "type.googleapis.com/google.rpc.RetryInfo", bytes, size, arena);
    }
    bytes = google_rpc_Status_serialize(rich, arena, &size);
    assert(bytes != NULL);
    return upb_StringView_FromDataAndSize(bytes, size);
}
