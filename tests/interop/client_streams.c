/* client_streams.c: the cases of streams. */
#include <time.h>

#include "tests/interop/cases.h"

#define MESSAGES_COUNT    4
#define CANCELLED_STREAMS 500

typedef grpc_testing_TestService_FullDuplexCall_stream duplex_stream;

static const size_t request_bytes[MESSAGES_COUNT] = {27182, 8, 1828, 45904};
static const size_t response_bytes[MESSAGES_COUNT] = {31415, 9, 2653, 58979};

static const daybook_call_options patient = {.timeout_ms = PATIENCE_MS};

/* --- Steps of cases ----------------------------------------------------------------------------------------------- */

static void add_response(grpc_testing_StreamingOutputCallRequest *request, size_t size, int32_t interval_us,
                         upb_Arena *arena) {
    grpc_testing_ResponseParameters *parameters =
        grpc_testing_StreamingOutputCallRequest_add_response_parameters(request, arena);
    grpc_testing_ResponseParameters_set_size(parameters, (int32_t)size);
    grpc_testing_ResponseParameters_set_interval_us(parameters, interval_us);
}

static bool check_response(const grpc_testing_StreamingOutputCallResponse *response, size_t size) {
    return check_payload(grpc_testing_StreamingOutputCallResponse_payload(response), size);
}

static bool check_open(const void *stream, const daybook_status *status) {
    return check(stream != NULL, "no stream: %s: %s", daybook_code_name(status->code), status->message);
}

static bool check_next(daybook_next found, daybook_next expected, const daybook_status *status) {
    static const char *const names[] = {"a message", "the end", "nothing in time", "an error"};
    const bool has_ended = found == DAYBOOK_NEXT_END || found == DAYBOOK_NEXT_ERROR;
    return check(found == expected, "found %s (%s: %s), not %s", names[found],
                 has_ended ? daybook_code_name(status->code) : "-", has_ended ? status->message : "-", names[expected]);
}

/* Writes a request of `request_size` bytes that asks for one response of `response_size`; 0: for none. */
static bool duplex_write(duplex_stream *stream, size_t request_size, size_t response_size) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    payload_set(grpc_testing_StreamingOutputCallRequest_mutable_payload(request, arena), request_size);
    if (response_size > 0) add_response(request, response_size, 0, arena);
    daybook_status status;
    const daybook_write write = grpc_testing_TestService_FullDuplexCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    return check(write == DAYBOOK_WRITE_TAKEN, "a request is not taken");
}

static bool duplex_read(duplex_stream *stream, size_t response_size) {
    const grpc_testing_StreamingOutputCallResponse *response = NULL;
    daybook_status status;
    const daybook_next next = grpc_testing_TestService_FullDuplexCall_next(stream, PATIENCE_MS, &response, &status);
    return check_next(next, DAYBOOK_NEXT_MESSAGE, &status) && check_response(response, response_size);
}

static bool duplex_end(duplex_stream *stream) {
    const grpc_testing_StreamingOutputCallResponse *response;
    daybook_status status;
    grpc_testing_TestService_FullDuplexCall_writes_done(stream);
    const daybook_next next = grpc_testing_TestService_FullDuplexCall_next(stream, PATIENCE_MS, &response, &status);
    return check_next(next, DAYBOOK_NEXT_END, &status);
}

static bool duplex_fails(duplex_stream *stream, daybook_code code, const char *message) {
    const grpc_testing_StreamingOutputCallResponse *response;
    daybook_status status;
    const daybook_next next = grpc_testing_TestService_FullDuplexCall_next(stream, PATIENCE_MS, &response, &status);
    return check_next(next, DAYBOOK_NEXT_ERROR, &status) && check_status(&status, code, message);
}

/* --- One direction ------------------------------------------------------------------------------------------------ */

static bool write_input(grpc_testing_TestService_StreamingInputCall_stream *stream, size_t size) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingInputCallRequest *request = grpc_testing_StreamingInputCallRequest_new(arena);
    payload_set(grpc_testing_StreamingInputCallRequest_mutable_payload(request, arena), size);
    daybook_status status;
    const daybook_write write =
        grpc_testing_TestService_StreamingInputCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    return check(write == DAYBOOK_WRITE_TAKEN, "a request is not taken");
}

bool case_client_streaming(daybook_client *client) {
    daybook_status status;
    grpc_testing_TestService_StreamingInputCall_stream *stream =
        grpc_testing_TestService_StreamingInputCall_open(client, &patient, &status);
    if (!check_open(stream, &status)) return false;
    bool passed = true;
    int32_t sum = 0;
    for (size_t index = 0; index < MESSAGES_COUNT; index++) {
        passed = passed && write_input(stream, request_bytes[index]);
        sum += (int32_t)request_bytes[index];
    }
    const grpc_testing_StreamingInputCallResponse *response = NULL;
    passed = passed &&
             check_next(grpc_testing_TestService_StreamingInputCall_finish(stream, PATIENCE_MS, &response, &status),
                        DAYBOOK_NEXT_MESSAGE, &status) &&
             check(grpc_testing_StreamingInputCallResponse_aggregated_payload_size(response) == sum,
                   "the server counted %d bytes, not %d",
                   (int)grpc_testing_StreamingInputCallResponse_aggregated_payload_size(response), (int)sum);
    grpc_testing_TestService_StreamingInputCall_close(stream);
    return passed;
}

/* Asks for all responses at once, each after a pause, and reads them to the end. */
static bool stream_output(daybook_client *client, int32_t interval_us) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    for (size_t index = 0; index < MESSAGES_COUNT; index++) {
        add_response(request, response_bytes[index], interval_us, arena);
    }
    daybook_status status;
    grpc_testing_TestService_StreamingOutputCall_stream *stream =
        grpc_testing_TestService_StreamingOutputCall_open(client, request, &patient, &status);
    upb_Arena_Free(arena);
    if (!check_open(stream, &status)) return false;
    const grpc_testing_StreamingOutputCallResponse *response = NULL;
    bool passed = true;
    for (size_t index = 0; passed && index < MESSAGES_COUNT; index++) {
        passed = check_next(grpc_testing_TestService_StreamingOutputCall_next(stream, PATIENCE_MS, &response, &status),
                            DAYBOOK_NEXT_MESSAGE, &status) &&
                 check_response(response, response_bytes[index]);
    }
    passed =
        passed && check_next(grpc_testing_TestService_StreamingOutputCall_next(stream, PATIENCE_MS, &response, &status),
                             DAYBOOK_NEXT_END, &status);
    grpc_testing_TestService_StreamingOutputCall_close(stream);
    return passed;
}

bool case_server_streaming(daybook_client *client) {
    return stream_output(client, 0);
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The server waits before each response as it was asked to: at least so long, whatever else the machine does. */
bool case_intervals(daybook_client *client) {
    const int32_t interval_us = 20000;
    const int64_t began_us = now_us();
    const bool passed = stream_output(client, interval_us);
    const int64_t took_us = now_us() - began_us;
    return passed &&
           check(took_us >= MESSAGES_COUNT * interval_us, "the responses came after %lld us", (long long)took_us);
}

/* --- Both directions ---------------------------------------------------------------------------------------------- */

static bool ping_pong(duplex_stream *stream) {
    for (size_t index = 0; index < MESSAGES_COUNT; index++) {
        if (!duplex_write(stream, request_bytes[index], response_bytes[index])) return false;
        if (!duplex_read(stream, response_bytes[index])) return false;
    }
    return duplex_end(stream);
}

static bool empty_stream(duplex_stream *stream) {
    return duplex_end(stream);
}

static bool cancel_after_first_response(duplex_stream *stream) {
    if (!duplex_write(stream, request_bytes[0], response_bytes[0]) || !duplex_read(stream, response_bytes[0]))
        return false;
    grpc_testing_TestService_FullDuplexCall_cancel(stream);
    return duplex_fails(stream, DAYBOOK_CANCELLED, NULL);
}

/* The server is in a pause that nobody waits for to its end. */
static bool cancel_in_interval(duplex_stream *stream) {
    const int32_t ten_minutes_us = 600 * 1000 * 1000;
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    add_response(request, response_bytes[0], 0, arena);
    add_response(request, response_bytes[1], ten_minutes_us, arena);
    daybook_status status;
    const daybook_write write = grpc_testing_TestService_FullDuplexCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    if (!check(write == DAYBOOK_WRITE_TAKEN, "a request is not taken") || !duplex_read(stream, response_bytes[0]))
        return false;
    grpc_testing_TestService_FullDuplexCall_cancel(stream);
    return duplex_fails(stream, DAYBOOK_CANCELLED, NULL);
}

static bool run_duplex(daybook_client *client, const daybook_call_options *options, bool (*steps)(duplex_stream *)) {
    daybook_status status;
    duplex_stream *stream = grpc_testing_TestService_FullDuplexCall_open(client, options, &status);
    if (!check_open(stream, &status)) return false;
    const bool passed = steps(stream);
    grpc_testing_TestService_FullDuplexCall_close(stream);
    return passed;
}

bool case_ping_pong(daybook_client *client) {
    return run_duplex(client, &patient, ping_pong);
}

bool case_empty_stream(daybook_client *client) {
    return run_duplex(client, &patient, empty_stream);
}

bool case_cancel_after_first_response(daybook_client *client) {
    return run_duplex(client, &patient, cancel_after_first_response);
}

bool case_cancel_in_interval(daybook_client *client) {
    return run_duplex(client, &patient, cancel_in_interval);
}

/* Responses come at short intervals, and the cancellation meets the server in whatever it does then. */
static bool cancel_at_any_moment(duplex_stream *stream, size_t responses_before) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    for (size_t index = 0; index < MESSAGES_COUNT; index++) add_response(request, response_bytes[index], 200, arena);
    daybook_status status;
    const daybook_write write = grpc_testing_TestService_FullDuplexCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    if (!check(write == DAYBOOK_WRITE_TAKEN, "a request is not taken")) return false;
    for (size_t index = 0; index < responses_before; index++) {
        if (!duplex_read(stream, response_bytes[index])) return false;
    }
    grpc_testing_TestService_FullDuplexCall_cancel(stream);
    const grpc_testing_StreamingOutputCallResponse *response;
    daybook_next next;
    do {
        next = grpc_testing_TestService_FullDuplexCall_next(stream, PATIENCE_MS, &response, &status);
    } while (next == DAYBOOK_NEXT_MESSAGE);
    return check_next(next, DAYBOOK_NEXT_ERROR, &status) && check_status(&status, DAYBOOK_CANCELLED, NULL);
}

bool case_cancel_at_any_moment(daybook_client *client) {
    bool passed = true;
    for (size_t index = 0; passed && index < CANCELLED_STREAMS; index++) {
        daybook_status status;
        duplex_stream *stream = grpc_testing_TestService_FullDuplexCall_open(client, &patient, &status);
        passed = check_open(stream, &status) && cancel_at_any_moment(stream, index % (MESSAGES_COUNT + 1));
        grpc_testing_TestService_FullDuplexCall_close(stream);
    }
    return passed && case_empty_unary(client);
}

/* The server answers nothing, and the deadline passes. A write may be too late for it, too. */
static bool wait_for_deadline(duplex_stream *stream) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    payload_set(grpc_testing_StreamingOutputCallRequest_mutable_payload(request, arena), request_bytes[0]);
    daybook_status status;
    const daybook_write write = grpc_testing_TestService_FullDuplexCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    return check(write == DAYBOOK_WRITE_TAKEN || write == DAYBOOK_WRITE_OVER, "a request is not taken") &&
           duplex_fails(stream, DAYBOOK_DEADLINE_EXCEEDED, NULL);
}

bool case_timeout_on_sleeping_server(daybook_client *client) {
    return run_duplex(client, &(daybook_call_options){.timeout_ms = 1}, wait_for_deadline);
}

static bool read_half_duplex(grpc_testing_TestService_HalfDuplexCall_stream *stream) {
    const grpc_testing_StreamingOutputCallResponse *response = NULL;
    daybook_status status;
    for (size_t index = 0; index < MESSAGES_COUNT; index++) {
        if (!check_next(grpc_testing_TestService_HalfDuplexCall_next(stream, PATIENCE_MS, &response, &status),
                        DAYBOOK_NEXT_MESSAGE, &status))
            return false;
        if (!check_response(response, response_bytes[index])) return false;
    }
    return check_next(grpc_testing_TestService_HalfDuplexCall_next(stream, PATIENCE_MS, &response, &status),
                      DAYBOOK_NEXT_END, &status);
}

bool case_half_duplex(daybook_client *client) {
    daybook_status status;
    grpc_testing_TestService_HalfDuplexCall_stream *stream =
        grpc_testing_TestService_HalfDuplexCall_open(client, &patient, &status);
    if (!check_open(stream, &status)) return false;
    bool passed = true;
    for (size_t index = 0; passed && index < MESSAGES_COUNT; index++) {
        upb_Arena *arena = upb_Arena_New();
        grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
        payload_set(grpc_testing_StreamingOutputCallRequest_mutable_payload(request, arena), request_bytes[index]);
        add_response(request, response_bytes[index], 0, arena);
        passed = check(grpc_testing_TestService_HalfDuplexCall_write(stream, request, PATIENCE_MS, &status) ==
                           DAYBOOK_WRITE_TAKEN,
                       "a request is not taken");
        upb_Arena_Free(arena);
    }
    grpc_testing_TestService_HalfDuplexCall_writes_done(stream);
    passed = passed && read_half_duplex(stream);
    grpc_testing_TestService_HalfDuplexCall_close(stream);
    return passed;
}

bool case_cancel_after_begin(daybook_client *client) {
    daybook_status status;
    grpc_testing_TestService_StreamingInputCall_stream *stream =
        grpc_testing_TestService_StreamingInputCall_open(client, &patient, &status);
    if (!check_open(stream, &status)) return false;
    grpc_testing_TestService_StreamingInputCall_cancel(stream);
    const grpc_testing_StreamingInputCallResponse *response;
    const bool passed =
        check_next(grpc_testing_TestService_StreamingInputCall_finish(stream, PATIENCE_MS, &response, &status),
                   DAYBOOK_NEXT_ERROR, &status) &&
        check_status(&status, DAYBOOK_CANCELLED, NULL);
    grpc_testing_TestService_StreamingInputCall_close(stream);
    return passed;
}

/* --- Both kinds of call ------------------------------------------------------------------------------------------- */

#define METADATA_REQUEST_BYTES  271828
#define METADATA_RESPONSE_BYTES 314159

static bool duplex_custom_metadata(duplex_stream *stream) {
    if (!duplex_write(stream, METADATA_REQUEST_BYTES, METADATA_RESPONSE_BYTES)) return false;
    if (!duplex_read(stream, METADATA_RESPONSE_BYTES) || !duplex_end(stream)) return false;
    daybook_stream *untyped = grpc_testing_TestService_FullDuplexCall_untyped(stream);
    return check_custom_metadata(daybook_stream_initial_metadata(untyped), daybook_stream_trailing_metadata(untyped));
}

bool case_custom_metadata(daybook_client *client) {
    const daybook_call_options options = {
        .timeout_ms = PATIENCE_MS,
        .headers = custom_headers,
        .headers_count = CUSTOM_HEADERS_COUNT,
    };
    return unary_custom_metadata(client) && run_duplex(client, &options, duplex_custom_metadata);
}

#define STATUS_MESSAGE "test status message"

static bool duplex_status(duplex_stream *stream) {
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallRequest *request = grpc_testing_StreamingOutputCallRequest_new(arena);
    grpc_testing_EchoStatus *wanted = grpc_testing_StreamingOutputCallRequest_mutable_response_status(request, arena);
    grpc_testing_EchoStatus_set_code(wanted, DAYBOOK_UNKNOWN);
    grpc_testing_EchoStatus_set_message(wanted, upb_StringView_FromString(STATUS_MESSAGE));
    daybook_status status;
    const daybook_write write = grpc_testing_TestService_FullDuplexCall_write(stream, request, PATIENCE_MS, &status);
    upb_Arena_Free(arena);
    grpc_testing_TestService_FullDuplexCall_writes_done(stream);
    return check(write == DAYBOOK_WRITE_TAKEN, "a request is not taken") &&
           duplex_fails(stream, DAYBOOK_UNKNOWN, STATUS_MESSAGE);
}

bool case_status_code_and_message(daybook_client *client) {
    return unary_status(client, DAYBOOK_UNKNOWN, STATUS_MESSAGE) && run_duplex(client, &patient, duplex_status);
}
