/* server_drain_test.c: a server that is drained and closed while it has calls. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daybook/server.h"
#include "tests/unit/sdk/runtime/server_parking.h"

struct drainer {
    daybook_server *server;
    uint32_t grace_ms;
    struct counter done;
};

static void *drain(void *argument) {
    struct drainer *drainer = argument;
    daybook_server_drain(drainer->server, drainer->grace_ms);
    counter_add(&drainer->done);
    return NULL;
}

static struct raw_call *start_text(struct raw_channel *channel, const char *text) {
    struct raw_bytes request = fixture_encode(text);
    struct raw_call *call = raw_call_request(channel, FIXTURE_UNARY, request.data, request.size);
    free(request.data);
    return call;
}

/* Whether a connection can be made. */
static bool accepts(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(file, (const struct sockaddr *)&address, sizeof address) == 0;
    close(file);
    return connected;
}

Test(server_drain, draining_lets_calls_end_and_nothing_new_in) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 2);
    struct raw_call *call = start_text(fixture.channel, "in time");
    parking_wait(&parking, 1);

    struct drainer drainer = {.server = fixture.server, .grace_ms = 60000, .done = COUNTER_INIT};
    pthread_t thread;
    pthread_create(&thread, NULL, drain, &drainer);
    while (accepts(daybook_server_port(fixture.server))) {
    }
    cr_assert_eq(counter_get(&drainer.done), 0);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, 1);
    parking_answer(&parking, 1);
    cr_assert(fixture_is_text(raw_call_receive(call), "in time"));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    pthread_join(thread, NULL); /* Long before its grace ends. */
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 0);
    fixture_close(&fixture);
}

Test(server_drain, draining_cancels_what_is_left_after_its_grace) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 2);
    struct raw_call *call = start_text(fixture.channel, "too late");
    parking_wait(&parking, 1);

    daybook_server_drain(fixture.server, 50);
    cr_assert_neq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, 1);
    parking_answer(&parking, 1); /* A handler may still answer. */
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

Test(server_drain, closing_with_calls_open_waits_for_their_handlers) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = parking_keep}, &parking, 2);
    struct raw_call *calls[50];
    for (int i = 0; i < 50; i++) calls[i] = start_text(fixture.channel, "never");
    parking_wait(&parking, 50);
    daybook_server_drain(fixture.server, 0);
    for (int i = 0; i < 50; i++) {
        cr_assert_neq(raw_call_finish(calls[i]).code, DAYBOOK_OK);
        raw_call_free(calls[i]);
    }
    parking_answer(&parking, 50);
    fixture_close(&fixture);
}

/* Calls until one fails. */
struct caller {
    pthread_t thread;
    uint16_t port;
    struct counter *calls;
    int code;
    char message[RAW_MESSAGE_BYTES];
};

static void *call_until_failure(void *argument) {
    struct caller *caller = argument;
    struct raw_channel *channel = raw_channel_open(caller->port);
    raw_channel_connect(channel);
    struct raw_status status;
    do {
        status = raw_unary(channel, FIXTURE_UNARY, "", 0, NULL);
        counter_add(caller->calls);
    } while (status.code == DAYBOOK_OK);
    caller->code = status.code;
    memcpy(caller->message, status.message, sizeof caller->message);
    raw_channel_close(channel);
    return NULL;
}

/* A client may try again elsewhere when it is told UNAVAILABLE, and after nothing else. */
Test(server_drain, a_call_that_comes_too_late_is_unavailable) {
    for (int round = 0; round < 10; round++) {
        struct fixture fixture;
        fixture_open(&fixture, (struct fixture_handlers){.unary = fixture_echo}, NULL, 2);
        struct counter calls = COUNTER_INIT;
        struct caller callers[8];
        for (int i = 0; i < 8; i++) {
            callers[i] = (struct caller){.port = daybook_server_port(fixture.server), .calls = &calls};
            pthread_create(&callers[i].thread, NULL, call_until_failure, &callers[i]);
        }
        counter_wait(&calls, 100);
        daybook_server_drain(fixture.server, 60000);
        for (int i = 0; i < 8; i++) {
            pthread_join(callers[i].thread, NULL);
            cr_assert_eq(callers[i].code, DAYBOOK_UNAVAILABLE, "%d %s", callers[i].code, callers[i].message);
        }
        fixture_close(&fixture);
    }
}
