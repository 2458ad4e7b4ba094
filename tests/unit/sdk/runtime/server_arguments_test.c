/* server_arguments_test.c: every limit of a server's connections, from the outside. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/sdk/runtime/server_fixture.h"

static const struct fixture_handlers handlers = {.unary = fixture_echo};

Test(server_arguments, a_message_above_the_limit_is_refused) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL, (daybook_server_options){.message_bytes_max = 1000});
    static char zeros[1001];
    zeros[0] = 0x0a;
    zeros[1] = (char)(997 & 0x7f) | (char)0x80;
    zeros[2] = 997 >> 7;
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, zeros, 1000, NULL).code, DAYBOOK_OK);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, zeros, 1001, NULL).code, DAYBOOK_RESOURCE_EXHAUSTED);
    fixture_close(&fixture);
}

static int call_with_header(struct fixture *fixture, size_t value_size) {
    char *value = calloc(1, value_size + 1);
    cr_assert_not_null(value);
    memset(value, 'x', value_size);
    struct raw_call *call = raw_call_start(fixture->channel, FIXTURE_UNARY, RAW_TIMEOUT_NONE,
                                           &(struct raw_header){.key = "x-large", .value = value});
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    free(raw_call_receive(call).data);
    struct raw_status status = raw_call_finish(call);
    raw_call_free(call);
    free(value);
    return status.code;
}

Test(server_arguments, metadata_above_the_limit_is_refused) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL, (daybook_server_options){.metadata_bytes_max = 4000});
    cr_assert_eq(call_with_header(&fixture, 3000), DAYBOOK_OK);
    /* When gRPC's reset of the stream overtakes the status that it has sent before, its client only knows that it is gone. */
    const int code = call_with_header(&fixture, 5000);
    cr_assert(code == DAYBOOK_RESOURCE_EXHAUSTED || code == DAYBOOK_UNAVAILABLE, "%d", code);
    fixture_close(&fixture);
}

static void finish_cancelled(daybook_server_stream *stream, void *context) {
    (void)context;
    daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
}

static void hold(void *context, daybook_server_stream *stream) {
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.cancelled = finish_cancelled}, NULL);
    counter_add(context);
}

Test(server_arguments, a_connection_has_so_many_calls_and_no_more) {
    struct fixture fixture;
    struct counter started = COUNTER_INIT;
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = fixture_echo, .bidirectional = hold}, &started,
                      (daybook_server_options){.concurrent_calls_max = 2});
    raw_channel_connect(fixture.channel);
    struct raw_call *first = raw_call_start(fixture.channel, FIXTURE_BIDIRECTIONAL, RAW_TIMEOUT_NONE, NULL);
    struct raw_call *second = raw_call_start(fixture.channel, FIXTURE_BIDIRECTIONAL, RAW_TIMEOUT_NONE, NULL);
    counter_wait(&started, 2);
    /* The third waits in its client, as long as it likes. */
    struct raw_call *third = raw_call_start(fixture.channel, FIXTURE_UNARY, 300, NULL);
    cr_assert_eq(raw_call_finish(third).code, DAYBOOK_DEADLINE_EXCEEDED);
    raw_call_free(third);
    cr_assert_eq(daybook_server_count(fixture.server).calls_started, 2);
    raw_call_free(first);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_OK);
    raw_call_free(second);
    fixture_close(&fixture);
}

/* --- Connections without a client of gRPC ------------------------------------------------------------------------- */

static int connect_to(const struct fixture *fixture) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(daybook_server_port(fixture->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(file, (const struct sockaddr *)&address, sizeof address), 0);
    return file;
}

static void send_all(int file, const void *data, size_t size) {
    cr_assert_eq(send(file, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* The client's half of an HTTP/2 handshake: the preface and empty settings. */
static void send_preface(int file) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const char settings[9] = {0, 0, 0, 4};
    send_all(file, preface, sizeof preface - 1);
    send_all(file, settings, sizeof settings);
}

/* Reads until the server closes; whether these bytes were among it. */
static bool read_to_the_end(int file, const char *expected, size_t expected_size) {
    static char bytes[65536];
    size_t size = 0;
    ssize_t received;
    while ((received = recv(file, bytes + size, sizeof bytes - size, 0)) > 0) size += (size_t)received;
    close(file);
    return memmem(bytes, size, expected, expected_size) != NULL;
}

Test(server_arguments, a_client_that_never_says_a_word_is_cut_off) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL, (daybook_server_options){.handshake_timeout_ms = 200});
    read_to_the_end(connect_to(&fixture), "", 0);
    fixture_close(&fixture);
}

Test(server_arguments, a_client_that_answers_no_ping_is_cut_off) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL,
                      (daybook_server_options){.keepalive_ms = 1000, .keepalive_timeout_ms = 1000});
    int file = connect_to(&fixture);
    send_preface(file);
    cr_assert(read_to_the_end(file, "\0\0\10\6\0", 5)); /* The ping that it has not answered. */
    fixture_close(&fixture);
}

Test(server_arguments, a_connection_without_calls_is_closed) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL, (daybook_server_options){.connection_idle_ms = 1000});
    int file = connect_to(&fixture);
    send_preface(file);
    cr_assert(read_to_the_end(file, "enter idle", 10));
    fixture_close(&fixture);
}

Test(server_arguments, a_client_that_pings_without_end_is_told_to_be_calm) {
    struct fixture fixture;
    fixture_open_with(&fixture, handlers, NULL, (daybook_server_options){0});
    int file = connect_to(&fixture);
    send_preface(file);
    static char pings[10][17]; /* In one piece: the server may close at any of them. */
    for (size_t index = 0; index < 10; index++) memcpy(pings[index], (const char[17]){0, 0, 8, 6}, 17);
    send_all(file, pings, sizeof pings);
    cr_assert(read_to_the_end(file, "too_many_pings", 14));
    fixture_close(&fixture);
}
