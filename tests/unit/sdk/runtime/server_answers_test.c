/* Answers that nobody takes: they must not keep the server's calls and memory from others. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/http2_peer.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

#define ANSWER_BYTES (1u << 20)

/* --- A client that gives no window for answers (RFC 9113, 6.5.2 and 6.9.2). ------------------------------------------- */

struct stingy {
    int socket;
    uint32_t stream; /* of the last call */
};

static void stingy_send(const struct stingy *client, enum http2_frame type, uint8_t flags, uint32_t stream,
                        const void *payload, uint8_t size) {
    const unsigned char head[9] = {
        0, 0, size, (unsigned char)type, flags, 0, 0, (unsigned char)(stream >> 8), (unsigned char)stream};
    cr_assert_eq(send(client->socket, head, sizeof head, MSG_NOSIGNAL), (ssize_t)sizeof head);
    cr_assert_eq(send(client->socket, payload, size, MSG_NOSIGNAL), (ssize_t)size);
}

static struct stingy stingy_open(uint16_t port) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const unsigned char initial_window_zero[6] = {0, 4, 0, 0, 0, 0};
    struct stingy client = {.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    cr_assert_eq(connect(client.socket, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(send(client.socket, preface, sizeof preface - 1, MSG_NOSIGNAL), (ssize_t)sizeof preface - 1);
    stingy_send(&client, HTTP2_SETTINGS, 0, 0, initial_window_zero, sizeof initial_window_zero);
    return client;
}

/* HPACK (RFC 7541): POST and http by their index, the others as literals that are not indexed. */
static void stingy_call(struct stingy *client) {
    static const char headers[] = "\x83\x86\x04\x1b" FIXTURE_UNARY "\x01\x04"
                                  "host\x00\x02"
                                  "te\x08"
                                  "trailers\x00\x0c"
                                  "content-type\x10"
                                  "application/grpc";
    static const char empty_message[5] = {0};
    _Static_assert(sizeof FIXTURE_UNARY - 1 == 0x1b, "the length of the path is in the headers");
    client->stream = client->stream == 0 ? 1 : client->stream + 2;
    stingy_send(client, HTTP2_HEADERS, HTTP2_END_HEADERS, client->stream, headers, sizeof headers - 1);
    stingy_send(client, HTTP2_DATA, HTTP2_END_STREAM, client->stream, empty_message, sizeof empty_message);
}

/* --- The server. ------------------------------------------------------------------------------------------------------ */

/* To an empty request a mebibyte, else what was sent. */
static void answer(void *context, daybook_server_call *call, const fixture_text *request) {
    upb_Arena *arena = daybook_server_call_arena(call);
    upb_StringView text = google_protobuf_StringValue_value(request);
    if (text.size == 0) {
        char *large = upb_Arena_Malloc(arena, ANSWER_BYTES);
        cr_assert_not_null(large);
        memset(large, 'a', ANSWER_BYTES);
        text = (upb_StringView){.data = large, .size = ANSWER_BYTES};
    }
    daybook_server_call_reply(call, fixture_new_text(arena, text));
    counter_add(context);
}

static void expect_served(struct fixture *fixture) {
    struct raw_bytes response;
    cr_assert_eq(fixture_unary(fixture->channel, "served", &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, "served"));
}

Test(server_answers, when_they_hold_too_much_the_oldest_make_room_at_once) {
    enum { CALLS_COUNT = 16, KEPT_COUNT_MAX = 4 };
    struct fixture fixture;
    struct counter answered = COUNTER_INIT;
    /* A call holds its answer twice, as the handler made it and encoded, and may hold twice what requests may. */
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = answer}, &answered,
                      (daybook_server_options){.threads_count = 1, .unary_bytes_max = KEPT_COUNT_MAX * ANSWER_BYTES});
    struct stingy client = stingy_open(daybook_server_port(fixture.server));
    for (uint32_t i = 0; i < CALLS_COUNT; i++) stingy_call(&client);
    counter_wait(&answered, CALLS_COUNT);
    /* A call that is given up ends a little later. */
    daybook_server_counts counts;
    do {
        counts = daybook_server_count(fixture.server);
    } while (counts.unary_open + counts.answers_given_up > CALLS_COUNT);
    cr_assert_gt(counts.unary_open, 0);
    cr_assert_leq(counts.unary_open, KEPT_COUNT_MAX);
    expect_served(&fixture);
    (void)close(client.socket);
    fixture_wait_unary_open(&fixture, 0);
    fixture_close(&fixture);
}

Test(server_answers, old_ones_leave_half_of_the_calls_to_others) {
    enum { CALLS_MAX = 8, CALLS_COUNT = 6 };
    struct fixture fixture;
    struct counter answered = COUNTER_INIT;
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = answer}, &answered,
                      (daybook_server_options){.threads_count = 1, .unary_calls_max = CALLS_MAX});
    struct stingy client = stingy_open(daybook_server_port(fixture.server));
    for (uint32_t i = 0; i < CALLS_COUNT; i++) stingy_call(&client);
    counter_wait(&answered, CALLS_COUNT);
    /* Others are served before and afterwards. That of the one who asks counts, too, while it is on its way. */
    while (daybook_server_count(fixture.server).answers_given_up < CALLS_COUNT - CALLS_MAX / 2 + 1)
        expect_served(&fixture);
    for (int i = 0; i < 10; i++) expect_served(&fixture);
    cr_assert_eq(daybook_server_count(fixture.server).answers_given_up, CALLS_COUNT - CALLS_MAX / 2 + 1);
    cr_assert_eq(daybook_server_count(fixture.server).calls_refused, 0);
    (void)close(client.socket);
    fixture_wait_unary_open(&fixture, 0);
    fixture_close(&fixture);
}

Test(server_answers, what_was_answered_whole_is_not_given_up) {
    struct fixture fixture;
    struct counter answered = COUNTER_INIT;
    fixture_open_with(
        &fixture, (struct fixture_handlers){.unary = answer}, &answered,
        (daybook_server_options){.threads_count = 1, .unary_calls_max = 2, .unary_bytes_max = ANSWER_BYTES});
    for (int i = 0; i < 20; i++) {
        struct raw_bytes response;
        cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, &response).code, DAYBOOK_OK);
        cr_assert_gt(response.size, ANSWER_BYTES, "one alone may be larger than all together");
        free(response.data);
        fixture_wait_unary_open(&fixture, 0);
    }
    cr_assert_eq(daybook_server_count(fixture.server).answers_given_up, 0);
    fixture_close(&fixture);
}
