/* Servers that vanish at every point of a call, that are slow, and that never answer: calls of every kind and form end with a
 * status, in time, and the client goes on with the server that comes afterwards. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/sdk/runtime/resilience_attack.h"

TestSuite(resilience_vanishing, .init = attack_setup, .fini = attack_teardown, .timeout = 300);

/* --- Vanishing ---------------------------------------------------------------------------------------------------- */

static void vanish(struct http2_connection *connection) {
    http2_close(connection, attack_of(connection)->number != 0);
}

static void greet_and_vanish(struct http2_connection *connection) {
    attack_send_settings(connection);
    vanish(connection);
}

static void greet_with_text(struct http2_connection *connection) {
    http2_send(connection, attack_of(connection)->text, strlen(attack_of(connection)->text));
    http2_close(connection, false);
}

static void greet_with_goaway(struct http2_connection *connection) {
    attack_send_settings(connection);
    attack_send_goaway(connection, 0, attack_of(connection)->number);
    http2_close(connection, false);
}

static void answer_vanish(struct http2_connection *connection, uint32_t stream) {
    (void)stream;
    vanish(connection);
}

static void answer_headers_vanish(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    vanish(connection);
}

static void answer_part_vanish(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_part(connection, stream, 0, 100);
    vanish(connection);
}

static void answer_message_vanish(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
    vanish(connection);
}

Test(resilience_vanishing, that_vanish) {
    static const struct attack attacks[] = {
        {"close after accept", .greet = vanish, .answer = attack_answer_nothing, .allowed = LOST},
        {"reset after accept", .greet = vanish, .answer = attack_answer_nothing, .number = 1, .allowed = LOST},
        {"close after SETTINGS", .greet = greet_and_vanish, .answer = attack_answer_nothing, .allowed = LOST},
        {"reset after SETTINGS", .greet = greet_and_vanish, .answer = attack_answer_nothing, .number = 1,
         .allowed = LOST},
        {"another protocol", .greet = greet_with_text, .answer = attack_answer_nothing, .allowed = LOST,
         .text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"},
        {"noise", .greet = greet_with_text, .answer = attack_answer_nothing, .text = "\x7f\x80\xff\xfe noise",
         .allowed = LOST},
        {"GOAWAY after SETTINGS", .greet = greet_with_goaway, .answer = attack_answer_nothing, .allowed = LOST},
        {"close after the request", .answer = answer_vanish, .allowed = LOST},
        {"reset after the request", .answer = answer_vanish, .number = 1, .allowed = LOST},
        {"close after the headers", .answer = answer_headers_vanish, .allowed = LOST},
        {"reset after the headers", .answer = answer_headers_vanish, .number = 1, .allowed = LOST},
        {"close in a message", .answer = answer_part_vanish, .allowed = LOST},
        {"reset in a message", .answer = answer_part_vanish, .number = 1, .allowed = LOST},
        {"close before the trailers", .answer = answer_message_vanish, .allowed = LOST},
        {"reset before the trailers", .answer = answer_message_vanish, .number = 1, .allowed = LOST},
    };
    SUFFER(attacks);
}

/* --- Silent and slow ---------------------------------------------------------------------------------------------- */

static void answer_headers(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
}

static void answer_part(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_part(connection, stream, 0, 100);
}

static void answer_message(struct http2_connection *connection, uint32_t stream) {
    attack_send_headers(connection, stream);
    attack_send_message(connection, stream, ATTACK_GOOD);
}

static void answer_by_bytes(struct http2_connection *connection, uint32_t stream) {
    http2_send_by_bytes(connection, true);
    attack_answer_well(connection, stream);
    http2_send_by_bytes(connection, false);
}

Test(resilience_vanishing, that_are_slow) {
    static const struct attack attacks[] = {
        {"no answer", .answer = attack_answer_nothing, .allowed = LATE, .is_silent = true},
        {"headers alone", .answer = answer_headers, .allowed = LATE, .is_silent = true},
        {"a part of a message", .answer = answer_part, .allowed = LATE, .is_silent = true},
        {"no trailers", .answer = answer_message, .allowed = LATE, .is_silent = true},
        {"one byte at a time", .answer = answer_by_bytes, .allowed = CODE(OK)},
    };
    SUFFER(attacks);
}

static void greet_not(struct http2_connection *connection) {
    (void)connection;
}

/* gRPC gives an attempt to connect five seconds. */
Test(resilience_vanishing, that_accept_and_say_nothing) {
    static const struct attack attack = {"no SETTINGS", .greet = greet_not, .answer = attack_answer_nothing,
                                         .allowed = LATE, .is_silent = true};
    attack_suffer_in_a_row(&attack);
}
