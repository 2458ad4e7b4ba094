/* server_streams.c: each stream does one thing at a time, receive, pause or send, and the completion of one begins the next:
 *
 *   receive ──request──► respond ──pause──► send ──┐ ┌─► the client has said everything: finish
 *      ▲                    ▲──more responses──────┤ │
 *      └────────────────────all are sent───────────┴─┘
 *
 * All of it runs as callbacks of the stream; the timer's thread only posts. So a stream is ended in one place: by the callback
 * of what it is doing. A cancellation ends a receive and a send by itself, and takes a pause away.
 */
#include "tests/interop/server_streams.h"

#include <assert.h>
#include <string.h>

#include "tests/interop/echo.h"
#include "tests/interop/timer.h"

/* Requests that HalfDuplexCall keeps until the client has said everything. */
#define KEPT_MAX 64

struct responder {
    daybook_server_stream *stream;
    struct timer *timer;
    struct timer_entry pause;
    const grpc_testing_StreamingOutputCallRequest *request; /* what is being answered */
    size_t responses_count;                                 /* how many of its responses were begun */
    void (*all_sent)(struct responder *responder);
    upb_Arena *requests_arena; /* of received requests; NULL where the client does not stream */
    const grpc_testing_StreamingOutputCallRequest *kept[KEPT_MAX];
    size_t kept_count;
    size_t answered_count;
};

static void finish(struct responder *responder, daybook_code code, const char *message) {
    daybook_server_stream_finish(responder->stream, code, message, NULL, 0);
}

static void finish_well(struct responder *responder) {
    finish(responder, DAYBOOK_OK, NULL);
}

/* --- Responses ---------------------------------------------------------------------------------------------------- */

static void respond(struct responder *responder);

static void sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    struct responder *responder = context;
    if (ok)
        respond(responder);
    else
        finish(responder, DAYBOOK_CANCELLED, "the client has gone");
}

static const grpc_testing_ResponseParameters *parameters_at(const struct responder *responder, size_t index,
                                                            size_t *ret_count) {
    const grpc_testing_ResponseParameters *const *parameters =
        grpc_testing_StreamingOutputCallRequest_response_parameters(responder->request, ret_count);
    return index < *ret_count ? parameters[index] : NULL;
}

static void send(struct responder *responder) {
    size_t count;
    const grpc_testing_ResponseParameters *parameters = parameters_at(responder, responder->responses_count++, &count);
    upb_Arena *arena = upb_Arena_New();
    grpc_testing_StreamingOutputCallResponse *response = grpc_testing_StreamingOutputCallResponse_new(arena);
    daybook_status status;
    /* Every method of this file sends the same type. */
    if (echo_payload(grpc_testing_StreamingOutputCallResponse_mutable_payload(response, arena),
                     grpc_testing_StreamingOutputCallRequest_response_type(responder->request),
                     grpc_testing_ResponseParameters_size(parameters), &status))
        grpc_testing_TestService_FullDuplexCall_send(responder->stream, response, sent, responder);
    else
        finish(responder, status.code, status.message);
    upb_Arena_Free(arena);
}

static bool is_cancelled(const struct responder *responder) {
    return daybook_server_context_is_cancelled(daybook_server_stream_context(responder->stream));
}

static void pause_is_over(daybook_server_stream *stream, void *context) {
    (void)stream;
    struct responder *responder = context;
    if (is_cancelled(responder))
        finish(responder, DAYBOOK_CANCELLED, "the client has gone");
    else
        send(responder);
}

static void post_pause_is_over(void *context) {
    struct responder *responder = context;
    daybook_server_stream_post(responder->stream, pause_is_over, responder);
}

static void respond(struct responder *responder) {
    size_t count;
    const grpc_testing_ResponseParameters *parameters = parameters_at(responder, responder->responses_count, &count);
    if (parameters == NULL) {
        responder->all_sent(responder);
        return;
    }
    const int32_t interval_us = grpc_testing_ResponseParameters_interval_us(parameters);
    /* Nobody hears of a cancellation a second time, so a pause must not begin after it. */
    if (interval_us > 0 && !is_cancelled(responder))
        timer_add(responder->timer, &responder->pause, interval_us, post_pause_is_over, responder);
    else
        send(responder);
}

static void begin_responses(struct responder *responder, const grpc_testing_StreamingOutputCallRequest *request) {
    responder->request = request;
    responder->responses_count = 0;
    respond(responder);
}

/* --- The beginning and the end ------------------------------------------------------------------------------------ */

static void cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    struct responder *responder = context;
    if (timer_remove(responder->timer, &responder->pause)) finish(responder, DAYBOOK_CANCELLED, "the client has gone");
}

static void closed(void *context) {
    struct responder *responder = context;
    if (responder->requests_arena != NULL) upb_Arena_Free(responder->requests_arena);
}

static struct responder *responder_new(daybook_server_stream *stream, struct timer *timer, upb_Arena *requests_arena) {
    struct responder *responder = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *responder);
    assert(responder != NULL);
    memset(responder, 0, sizeof *responder);
    responder->stream = stream;
    responder->timer = timer;
    responder->requests_arena = requests_arena;
    const daybook_server_stream_events events = {.cancelled = cancelled, .closed = closed};
    daybook_server_stream_watch(stream, &events, responder);
    return responder;
}

void server_streaming_output_call(void *context, daybook_server_stream *stream,
                                  const grpc_testing_StreamingOutputCallRequest *request) {
    struct responder *responder = responder_new(stream, context, NULL);
    responder->all_sent = finish_well;
    daybook_status status;
    if (echo_status(grpc_testing_StreamingOutputCallRequest_response_status(request), &status))
        finish(responder, status.code, status.message);
    else
        begin_responses(responder, request);
}

/* --- FullDuplexCall: each request is answered before the next is received ------------------------------------------ */

static void received_to_answer(daybook_server_stream *stream, const void *request, void *context) {
    (void)stream;
    struct responder *responder = context;
    if (request == NULL) {
        finish_well(responder);
        return;
    }
    const grpc_testing_StreamingOutputCallRequest *typed = grpc_testing_TestService_FullDuplexCall_request(request);
    daybook_status status;
    if (echo_status(grpc_testing_StreamingOutputCallRequest_response_status(typed), &status))
        finish(responder, status.code, status.message);
    else
        begin_responses(responder, typed);
}

/* The request lives until it is answered, in an arena of its own. */
static void receive_next(struct responder *responder) {
    upb_Arena_Free(responder->requests_arena);
    responder->requests_arena = upb_Arena_New();
    daybook_server_stream_receive_into(responder->stream, responder->requests_arena, received_to_answer, responder);
}

void server_full_duplex_call(void *context, daybook_server_stream *stream) {
    struct responder *responder = responder_new(stream, context, upb_Arena_New());
    responder->all_sent = receive_next;
    daybook_status status;
    if (echo_metadata(daybook_server_stream_context(stream), &status))
        receive_next(responder);
    else
        finish(responder, status.code, status.message);
}

/* --- HalfDuplexCall: all requests are received before the first is answered ---------------------------------------- */

static void answer_next_kept(struct responder *responder) {
    if (responder->answered_count == responder->kept_count)
        finish_well(responder);
    else
        begin_responses(responder, responder->kept[responder->answered_count++]);
}

static void received_to_keep(daybook_server_stream *stream, const void *request, void *context) {
    struct responder *responder = context;
    if (request == NULL) {
        answer_next_kept(responder);
        return;
    }
    if (responder->kept_count == KEPT_MAX) {
        finish(responder, DAYBOOK_RESOURCE_EXHAUSTED, "too many requests before the first answer");
        return;
    }
    responder->kept[responder->kept_count++] = grpc_testing_TestService_HalfDuplexCall_request(request);
    daybook_server_stream_receive_into(stream, responder->requests_arena, received_to_keep, responder);
}

void server_half_duplex_call(void *context, daybook_server_stream *stream) {
    struct responder *responder = responder_new(stream, context, upb_Arena_New());
    responder->all_sent = answer_next_kept;
    daybook_server_stream_receive_into(stream, responder->requests_arena, received_to_keep, responder);
}

/* --- StreamingInputCall ------------------------------------------------------------------------------------------- */

struct sum {
    int64_t bytes;
};

static void received_to_count(daybook_server_stream *stream, const void *request, void *context) {
    struct sum *sum = context;
    if (request != NULL) {
        const grpc_testing_Payload *payload = grpc_testing_StreamingInputCallRequest_payload(
            grpc_testing_TestService_StreamingInputCall_request(request));
        if (payload != NULL) sum->bytes += (int64_t)grpc_testing_Payload_body(payload).size;
        daybook_server_stream_receive(stream, received_to_count, sum);
        return;
    }
    if (sum->bytes > INT32_MAX) {
        daybook_server_stream_finish(stream, DAYBOOK_OUT_OF_RANGE, "the sum does not fit the response", NULL, 0);
        return;
    }
    grpc_testing_StreamingInputCallResponse *response =
        grpc_testing_StreamingInputCallResponse_new(daybook_server_stream_arena(stream));
    grpc_testing_StreamingInputCallResponse_set_aggregated_payload_size(response, (int32_t)sum->bytes);
    grpc_testing_TestService_StreamingInputCall_reply(stream, response);
}

void server_streaming_input_call(void *context, daybook_server_stream *stream) {
    (void)context;
    struct sum *sum = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *sum);
    assert(sum != NULL);
    sum->bytes = 0;
    daybook_server_stream_receive(stream, received_to_count, sum);
}
