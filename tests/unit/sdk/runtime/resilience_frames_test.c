/* Servers that reset streams, send connections away and break the rules of HTTP/2: calls of every kind and form end with a
 * status, in time, and the client goes on with the server that comes afterwards. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/sdk/runtime/resilience_attack.h"

TestSuite(resilience_frames, .init = attack_setup, .fini = attack_teardown, .timeout = 300);

/* --- RST_STREAM --------------------------------------------------------------------------------------------------- */

/* RFC 9113, section 7, and some that there are not. */
#define ERRORS_COUNT 14

static void reset(struct http2_connection *connection, uint32_t stream) {
    attack_send_number(connection, HTTP2_RST_STREAM, stream, attack_of(connection)->number);
}

static void reset_after_headers(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    reset(connection, stream);
}

static void reset_in_message(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_part(connection, stream, 0, 100);
    reset(connection, stream);
}

static void reset_after_message(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    reset(connection, stream);
}

static void suffer_resets(const char *when, void (*answer)(struct http2_connection *connection, uint32_t stream)) {
    for (uint32_t error = 0; error <= ERRORS_COUNT; error++) {
        char name[64];
        (void)snprintf(name, sizeof name, "RST_STREAM %u %s", error, when);
        const struct attack attack = {
            .name = name,
            .answer = answer,
            .number = error == ERRORS_COUNT ? UINT32_MAX : error,
            .allowed = BROKEN | CODE(CANCELLED) | CODE(RESOURCE_EXHAUSTED) | CODE(PERMISSION_DENIED),
        };
        attack_suffer(&attack);
    }
}

Test(resilience_frames, that_reset_at_once) {
    suffer_resets("at once", reset);
}

Test(resilience_frames, that_reset_after_the_headers) {
    suffer_resets("after the headers", reset_after_headers);
}

Test(resilience_frames, that_reset_in_a_message) {
    suffer_resets("in a message", reset_in_message);
}

Test(resilience_frames, that_reset_after_a_message) {
    suffer_resets("after a message", reset_after_message);
}

/* --- GOAWAY ------------------------------------------------------------------------------------------------------- */

#define STREAM_MAX 0x7fffffffu

static void goaway_and_answer(struct http2_connection *connection, uint32_t stream) {
    attack_send_goaway(connection, stream, attack_of(connection)->number);
    attack_answer_well(connection, stream);
}

static void goaway_twice_and_answer(struct http2_connection *connection, uint32_t stream) {
    attack_send_goaway(connection, STREAM_MAX, 0);
    attack_answer_nothing(connection, stream);
    attack_send_goaway(connection, stream, 0);
    attack_answer_well(connection, stream);
}

static void goaway_in_message(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_goaway(connection, stream, attack_of(connection)->number);
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

/* This stream, it says, was never looked at. */
static void goaway_without(struct http2_connection *connection, uint32_t stream) {
    attack_send_goaway(connection, stream - 1, attack_of(connection)->number);
    http2_close(connection, false);
}

static void goaway_and_vanish(struct http2_connection *connection, uint32_t stream) {
    attack_send_goaway(connection, stream, attack_of(connection)->number);
    http2_close(connection, false);
}

Test(resilience_frames, that_send_connections_away) {
    static const struct attack attacks[] = {
        {"GOAWAY before the answer", .answer = goaway_and_answer, .allowed = CODE(OK)},
        {"GOAWAY with an error before the answer", .answer = goaway_and_answer, .number = 2,
         .allowed = CODE(OK) | BROKEN},
        {"GOAWAY of too many pings", .answer = goaway_and_answer, .number = 11,
         .allowed = CODE(OK) | CODE(RESOURCE_EXHAUSTED) | BROKEN},
        {"two GOAWAYs before the answer", .answer = goaway_twice_and_answer, .allowed = CODE(OK)},
        {"GOAWAY in the answer", .answer = goaway_in_message, .allowed = CODE(OK)},
        {"GOAWAY without the stream", .answer = goaway_without, .allowed = LOST},
        {"GOAWAY without the stream, with an error", .answer = goaway_without, .number = 1, .allowed = LOST},
        {"GOAWAY and no answer", .answer = goaway_and_vanish, .allowed = LOST},
    };
    SUFFER(attacks);
}

/* --- Frames that are none ----------------------------------------------------------------------------------------- */

static void answer_data_first(struct http2_connection *connection, uint32_t stream) {
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_bad_hpack(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, HTTP2_HEADERS, HTTP2_END_HEADERS, stream, "\xff\xff\xff\xff\xff\xff\xff", 7);
}

static void answer_cut_hpack(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, HTTP2_HEADERS, HTTP2_END_HEADERS, stream, "\0\x7f", 2);
}

static void answer_large_frame(struct http2_connection *connection, uint32_t stream) {
    /* 16 MiB are said to follow. */
    static const uint8_t head[] = {0xff, 0xff, 0xff, HTTP2_DATA, 0, 0, 0, 0, 1};
    attack_send_headers(connection, stream);
    http2_send(connection, head, sizeof head);
}

static void answer_on_another_stream(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream + 2);
    attack_answer_well(connection, stream);
}

static void answer_lone_continuation(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, HTTP2_CONTINUATION, HTTP2_END_HEADERS, stream, NULL, 0);
}

static void answer_interrupted_headers(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, HTTP2_HEADERS, 0, stream, NULL, 0);
    attack_send_message(connection, stream, ATTACK_GOOD);
}

static void answer_push(struct http2_connection *connection, uint32_t stream) {
    attack_send_number(connection, HTTP2_PUSH_PROMISE, stream, 2);
    attack_answer_well(connection, stream);
}

static void answer_unknown_frame(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, (enum http2_frame)0xee, 0xff, stream, "what", 4);
    attack_answer_well(connection, stream);
}

static void answer_window_overflow(struct http2_connection *connection, uint32_t stream) {
    attack_send_number(connection, HTTP2_WINDOW_UPDATE, stream, 0x7fffffff);
    attack_send_number(connection, HTTP2_WINDOW_UPDATE, stream, 0x7fffffff);
    attack_answer_well(connection, stream);
}

static void answer_window_nothing(struct http2_connection *connection, uint32_t stream) {
    attack_send_number(connection, HTTP2_WINDOW_UPDATE, stream, 0);
    attack_answer_well(connection, stream);
}

static void answer_short_ping(struct http2_connection *connection, uint32_t stream) {
    http2_send_frame(connection, HTTP2_PING, 0, 0, "ping", 4);
    attack_answer_well(connection, stream);
}

static void answer_bad_settings(struct http2_connection *connection, uint32_t stream) {
    /* A frame of 1 byte at most, which RFC 9113 does not allow. */
    http2_send_frame(connection, HTTP2_SETTINGS, 0, 0, "\0\x05\0\0\0\x01", 6);
    attack_answer_well(connection, stream);
}

static void answer_pings(struct http2_connection *connection, uint32_t stream) {
    for (int i = 0; i < 1000; i++) http2_send_frame(connection, HTTP2_PING, 0, 0, "12345678", 8);
    attack_answer_well(connection, stream);
}

static void answer_after_the_end(struct http2_connection *connection, uint32_t stream) {
    attack_answer_well(connection, stream);
    attack_answer_well(connection, stream);
}

Test(resilience_frames, whose_frames_are_none) {
    const unsigned perhaps = CODE(OK) | BROKEN;
    const struct attack attacks[] = {
        {"data before headers", .answer = answer_data_first, .allowed = perhaps},
        {"an index that there is not", .answer = answer_bad_hpack, .allowed = BROKEN},
        {"a header that is cut", .answer = answer_cut_hpack, .allowed = BROKEN},
        {"a frame that is too large", .answer = answer_large_frame, .allowed = BROKEN},
        {"a stream that nobody has begun", .answer = answer_on_another_stream, .allowed = perhaps},
        {"a continuation of nothing", .answer = answer_lone_continuation, .allowed = BROKEN},
        {"headers that are interrupted", .answer = answer_interrupted_headers, .allowed = BROKEN},
        {"a push", .answer = answer_push, .allowed = perhaps},
        {"an unknown frame", .answer = answer_unknown_frame, .allowed = CODE(OK)},
        {"a window that overflows", .answer = answer_window_overflow, .allowed = perhaps},
        {"a window that does not grow", .answer = answer_window_nothing, .allowed = perhaps},
        {"a short ping", .answer = answer_short_ping, .allowed = perhaps},
        {"settings that are not allowed", .answer = answer_bad_settings, .allowed = perhaps},
        {"a thousand pings", .answer = answer_pings, .allowed = CODE(OK)},
        {"an answer after the end", .answer = answer_after_the_end, .allowed = CODE(OK)},
    };
    SUFFER(attacks);
}
