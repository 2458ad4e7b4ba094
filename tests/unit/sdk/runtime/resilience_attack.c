/* resilience_attack.c: see resilience_attack.h. */
#include "tests/unit/sdk/runtime/resilience_attack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct http2_peer *peer;
static daybook_client *client;

const struct attack *attack_of(const struct http2_connection *connection) {
    return http2_context(connection);
}

/* --- Parts of answers --------------------------------------------------------------------------------------------- */

#define MESSAGE_PREFIX_BYTES 5

void attack_send_settings(struct http2_connection *connection) {
    http2_send_frame(connection, HTTP2_SETTINGS, 0, 0, NULL, 0);
}

void attack_send_headers(struct http2_connection *connection, uint32_t stream) {
    const struct http2_field fields[] = {{":status", "200"}, {"content-type", "application/grpc"}};
    http2_send_fields(connection, stream, 0, fields, 2);
}

/* `bytes` with a prefix that gives their size as `size`. */
static void send_bytes(struct http2_connection *connection, uint32_t stream, uint8_t compressed, uint32_t size,
                       const char *bytes, size_t bytes_size) {
    uint8_t frame[256] = {compressed, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                          (uint8_t)size};
    cr_assert_leq(bytes_size, sizeof frame - MESSAGE_PREFIX_BYTES);
    memcpy(frame + MESSAGE_PREFIX_BYTES, bytes, bytes_size);
    http2_send_frame(connection, HTTP2_DATA, 0, stream, frame, MESSAGE_PREFIX_BYTES + bytes_size);
}

void attack_send_part(struct http2_connection *connection, uint32_t stream, uint8_t compressed, uint32_t size) {
    send_bytes(connection, stream, compressed, size, ATTACK_GOOD, ATTACK_GOOD_BYTES);
}

void attack_send_message(struct http2_connection *connection, uint32_t stream, const char *bytes) {
    send_bytes(connection, stream, 0, (uint32_t)strlen(bytes), bytes, strlen(bytes));
}

void attack_send_trailers(struct http2_connection *connection, uint32_t stream, const char *status, const char *name,
                          const char *value) {
    const struct http2_field fields[] = {{"grpc-status", status}, {name, value}};
    http2_send_fields(connection, stream, HTTP2_END_STREAM, fields, name == NULL ? 1 : 2);
}

void attack_send_number(struct http2_connection *connection, enum http2_frame type, uint32_t stream, uint32_t number) {
    const uint8_t payload[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                               (uint8_t)number};
    http2_send_frame(connection, type, 0, stream, payload, sizeof payload);
}

void attack_send_goaway(struct http2_connection *connection, uint32_t stream_last, uint32_t error) {
    const uint8_t payload[] = {
        (uint8_t)(stream_last >> 24), (uint8_t)(stream_last >> 16), (uint8_t)(stream_last >> 8), (uint8_t)stream_last,
        (uint8_t)(error >> 24),       (uint8_t)(error >> 16),       (uint8_t)(error >> 8),       (uint8_t)error};
    http2_send_frame(connection, HTTP2_GOAWAY, 0, 0, payload, sizeof payload);
}

void attack_answer_well(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    attack_send_trailers(connection, stream, "0", NULL, NULL);
}

void attack_answer_nothing(struct http2_connection *connection, uint32_t stream) {
    (void)connection;
    (void)stream;
}

/* --- The test of one attack --------------------------------------------------------------------------------------- */

static void client_open(void) {
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", http2_peer_port(peer));
    daybook_status status;
    const daybook_client_options options = {
        .target = target, .reconnect_backoff_max_ms = 100, .message_bytes_max = ATTACK_MESSAGE_BYTES_MAX};
    client = daybook_client_open(&options, &status);
    cr_assert_not_null(client, "%s", status.message);
}

void attack_setup(void) {
    peer = http2_peer_start((struct http2_script){.answer = attack_answer_well});
    client_open();
}

void attack_teardown(void) {
    daybook_client_close(client);
    http2_peer_stop(peer);
}

/* Waits for what a good server of the same address gives. A connection that is about to be lost may take calls with it, and what
 * gRPC has of a block of headers that was too large may spoil the next. */
static void expect_well(const struct attack *attack) {
    const daybook_call_options options = {.timeout_ms = RESILIENCE_PATIENCE_MS, .wait_for_ready = 1};
    const unsigned passing = LOST | (attack->allowed & ~(LATE | CODE(OK)));
    const time_t until = time(NULL) + RESILIENCE_PATIENCE_MS / 1000;
    http2_peer_set(peer, (struct http2_script){.answer = attack_answer_well});
    daybook_code code = DAYBOOK_UNKNOWN;
    do {
        code = resilience_forms[0].call(client, "hello", &options);
    } while ((passing & 1u << code) != 0 && time(NULL) < until);
    cr_assert_eq(code, DAYBOOK_OK, "after %s: %s", attack->name, daybook_code_name(code));
}

static void suffer_form(const struct attack *attack, size_t number) {
    const struct resilience_form *form = &resilience_forms[number];
    const daybook_call_options options = {.timeout_ms = attack->is_silent ? ATTACK_SHORT_MS : RESILIENCE_PATIENCE_MS};
    http2_peer_set(peer, (struct http2_script){attack->greet, attack->answer, attack});
    const daybook_code code = form->call(client, "hello", &options);
    const bool has_own = number >= RESILIENCE_FORMS_UNARY_COUNT && attack->allowed_streams != 0;
    const unsigned allowed = has_own ? attack->allowed_streams : attack->allowed;
    cr_assert((allowed & 1u << code) != 0, "%s, %s: %s", attack->name, form->name, daybook_code_name(code));
}

void attack_suffer(const struct attack *attack) {
    for (size_t i = 0; i < RESILIENCE_FORMS_COUNT; i++) {
        if (attack->greet != NULL) {
            /* Only a new connection is greeted. */
            daybook_client_close(client);
            client_open();
        }
        suffer_form(attack, i);
        expect_well(attack);
    }
}

void attack_suffer_in_a_row(const struct attack *attack) {
    for (size_t i = 0; i < RESILIENCE_FORMS_COUNT; i++) suffer_form(attack, i);
    expect_well(attack);
}
