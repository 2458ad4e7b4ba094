/* Servers whose messages, headers and trailers are none: calls of every kind and form end with a status, in time, and the
 * client goes on with the server that comes afterwards. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/resilience_attack.h"

TestSuite(resilience_malformed, .init = attack_setup, .fini = attack_teardown, .timeout = 300);

/* --- Messages that are none --------------------------------------------------------------------------------------- */

static void answer_with_text(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, attack_of(connection)->text);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_compressed(struct http2_connection *connection, uint32_t stream) {
    const struct http2_field fields[] = {
        {":status", "200"}, {"content-type", "application/grpc"}, {"grpc-encoding", attack_of(connection)->text}};
    http2_send_fields(connection, stream, 0, fields, attack_of(connection)->text == NULL ? 2 : 3);
    attack_send_part(connection, stream, (uint8_t)attack_of(connection)->number, ATTACK_GOOD_BYTES);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

/* A message that its prefix gives another size. */
static void answer_cut(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_part(connection, stream, 0, attack_of(connection)->number);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_too_long(struct http2_connection *connection, uint32_t stream) {
    static const uint8_t zeros[ATTACK_MESSAGE_BYTES_MAX + 1 - ATTACK_GOOD_BYTES];
    attack_send_headers(connection, stream);
    attack_send_part(connection, stream, 0, ATTACK_MESSAGE_BYTES_MAX + 1);
    http2_send_frame(connection, HTTP2_DATA, 0, stream, zeros, sizeof zeros);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_twice(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_without_message(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

static void answer_in_empty_frames(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    for (int i = 0; i < 100; i++) http2_send_frame(connection, HTTP2_DATA, 0, stream, NULL, 0);
    attack_send_message(connection, stream, ATTACK_GOOD);
    for (int i = 0; i < 100; i++) http2_send_frame(connection, HTTP2_DATA, 0, stream, NULL, 0);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

/* gRPC tells the status of a unary call when all messages have been taken, so a second response makes it wait for its timeout. It
 * takes a message that says it is compressed, and not with what, for one that is not. Of a stream that ends with OK it tells
 * the end and not a message before it that is broken. */
Test(resilience_malformed, whose_messages_are_none) {
    static const struct attack attacks[] = {
        {"no protobuf", .answer = answer_with_text, .text = "\xff\xff\xff\xff\xff\xff", .allowed = CODE(INTERNAL)},
        {"a field that is cut", .answer = answer_with_text,
         .text = "\x0a\x7f"
                 "cut",
         .allowed = CODE(INTERNAL)},
        {"a text that is not UTF-8", .answer = answer_with_text, .text = "\x0a\x02\xc3\x28", .allowed = CODE(INTERNAL)},
        {"compressed with nothing", .answer = answer_compressed, .number = 1, .allowed = BROKEN | CODE(OK)},
        {"compressed with gzip", .answer = answer_compressed, .text = "gzip", .number = 1,
         .allowed = BROKEN | CODE(UNIMPLEMENTED) | CODE(OK)},
        {"compressed with a fancy", .answer = answer_compressed, .text = "fancy", .number = 1,
         .allowed = BROKEN | CODE(UNIMPLEMENTED) | CODE(OK)},
        {"a strange flag", .answer = answer_compressed, .number = 0x7e, .allowed = BROKEN,
         .allowed_streams = BROKEN | CODE(OK)},
        {"too long", .answer = answer_too_long, .allowed = CODE(RESOURCE_EXHAUSTED)},
        {"an end in a message", .answer = answer_cut, .number = 100, .allowed = BROKEN,
         .allowed_streams = BROKEN | CODE(OK)},
        {"an end in a message beyond limits", .answer = answer_cut, .number = UINT32_MAX,
         .allowed = BROKEN | CODE(RESOURCE_EXHAUSTED), .allowed_streams = BROKEN | CODE(OK) | CODE(RESOURCE_EXHAUSTED)},
        {"two responses", .answer = answer_twice, .allowed = LATE | CODE(INTERNAL),
         .allowed_streams = CODE(OK) | CODE(INTERNAL), .is_silent = true},
        {"no response", .answer = answer_without_message, .allowed = CODE(INTERNAL),
         .allowed_streams = CODE(OK) | CODE(INTERNAL)},
        {"empty frames", .answer = answer_in_empty_frames, .allowed = CODE(OK)},
    };
    SUFFER(attacks);
}

/* --- Headers and trailers that are none --------------------------------------------------------------------------- */

/* Trailers with the status that the attack gives. */
static void answer_with_status(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_trailers(connection, stream, attack_of(connection)->text, NULL, NULL);
}

/* NOT_FOUND with the text of the attack. */
static void answer_with_status_text(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_trailers(connection, stream, "5", "grpc-message", attack_of(connection)->text);
}

static void answer_with_details(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_trailers(connection, stream, "5", "grpc-status-details-bin", attack_of(connection)->text);
}

static void answer_with_pushback(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_trailers(connection, stream, "14", "grpc-retry-pushback-ms", attack_of(connection)->text);
}

/* As many bytes of metadata as the attack says. */
static void answer_with_much(struct http2_connection *connection, uint32_t stream) {
    char *value = malloc(attack_of(connection)->number + 1);
    cr_assert_not_null(value);
    memset(value, 'm', attack_of(connection)->number);
    value[attack_of(connection)->number] = '\0';
    attack_send_headers(connection, stream);
    attack_send_trailers(connection, stream, "5", "x-much", value);
    free(value);
}

static void answer_without_status(struct http2_connection *connection, uint32_t stream) {
    const struct http2_field field = {"x-nothing", "to say"};
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    http2_send_fields(connection, stream, HTTP2_END_STREAM, &field, 1);
}

static void answer_without_trailers(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    http2_send_frame(connection, HTTP2_DATA, HTTP2_END_STREAM, stream, NULL, 0);
}

static void answer_with_http(struct http2_connection *connection, uint32_t stream) {
    const struct http2_field fields[] = {{":status", attack_of(connection)->text}, {"content-type", "text/html"}};
    http2_send_fields(connection, stream, 0, fields, 2);
    http2_send_frame(connection, HTTP2_DATA, HTTP2_END_STREAM, stream, "<html>", 6);
}

Test(resilience_malformed, whose_trailers_are_none) {
    static const struct attack attacks[] = {
        {"status 17", .answer = answer_with_status, .text = "17", .allowed = CODE(UNKNOWN)},
        {"status 2147483648", .answer = answer_with_status, .text = "2147483648", .allowed = CODE(UNKNOWN)},
        {"status -1", .answer = answer_with_status, .text = "-1", .allowed = CODE(UNKNOWN)},
        {"status that is no number", .answer = answer_with_status, .text = "five", .allowed = CODE(UNKNOWN)},
        {"empty status", .answer = answer_with_status, .text = "", .allowed = BROKEN},
        {"status text with broken escapes", .answer = answer_with_status_text, .text = "%", .allowed = CODE(NOT_FOUND)},
        {"status text with no hexadecimals", .answer = answer_with_status_text, .text = "%zz%f",
         .allowed = CODE(NOT_FOUND)},
        {"status text that is not UTF-8", .answer = answer_with_status_text, .text = "%ff%c3%28%00%ed%a0%80",
         .allowed = CODE(NOT_FOUND)},
        {"details that are no base64", .answer = answer_with_details, .text = "!!!!",
         .allowed = CODE(NOT_FOUND) | BROKEN},
        {"details that are no status", .answer = answer_with_details, .text = "/////w==", .allowed = CODE(NOT_FOUND)},
        {"details with lengths that lie", .answer = answer_with_details, .text = "CAUaf3R5cGU",
         .allowed = CODE(NOT_FOUND)},
        {"a pushback that is no number", .answer = answer_with_pushback, .text = "soon", .allowed = LOST},
        {"a pushback beyond numbers", .answer = answer_with_pushback, .text = "99999999999999999999", .allowed = LOST},
        {"much metadata", .answer = answer_with_much, .number = 40000, .allowed = CODE(NOT_FOUND)},
        {"too much metadata", .answer = answer_with_much, .number = 70000, .allowed = CODE(RESOURCE_EXHAUSTED)},
        {"far too much metadata", .answer = answer_with_much, .number = 250000,
         .allowed = CODE(RESOURCE_EXHAUSTED) | BROKEN},
        {"no status", .answer = answer_without_status, .allowed = BROKEN},
        {"no trailers", .answer = answer_without_trailers, .allowed = BROKEN},
        {"HTTP 404", .answer = answer_with_http, .text = "404", .allowed = CODE(UNIMPLEMENTED)},
        {"HTTP 503", .answer = answer_with_http, .text = "503", .allowed = LOST},
        {"HTTP 200 with a page", .answer = answer_with_http, .text = "200", .allowed = BROKEN},
        {"HTTP that is no number", .answer = answer_with_http, .text = "ok", .allowed = BROKEN},
    };
    SUFFER(attacks);
}
