/* server_test.c: the server's life and its unary calls, as a client on the other side of a socket sees them. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daybook/server.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

static void echo(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    daybook_server_call_reply(call, request);
}

/* Fails the test if it runs. */
static void must_not_run(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)call;
    (void)request;
    cr_assert_fail("the handler was called");
}

static struct raw_status unary_text(struct raw_channel *channel, const char *text, struct raw_bytes *ret_response) {
    struct raw_bytes request = fixture_encode(text);
    struct raw_status status = raw_unary(channel, FIXTURE_UNARY, request.data, request.size, ret_response);
    free(request.data);
    return status;
}

/* Waits until the server has counted the end of all calls; the client may know of it before. */
static daybook_server_counts counts_when_idle(struct fixture *fixture) {
    daybook_server_counts counts;
    do {
        counts = daybook_server_count(fixture->server);
    } while (counts.calls_open > 0);
    return counts;
}

Test(server, answers_with_what_the_handler_replies) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = echo}, NULL, 2);
    for (int i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "event %d", i);
        struct raw_bytes response;
        struct raw_status status = unary_text(fixture.channel, text, &response);
        cr_assert_eq(status.code, DAYBOOK_OK, "%s", status.message);
        cr_assert(fixture_is_text(response, text));
    }
    daybook_server_counts counts = counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 300);
    cr_assert_eq(counts.calls_failed, 0);
    fixture_close(&fixture);
}

/* A message that gRPC delivers in many slices, and one that is larger than any arena block. */
Test(server, takes_large_messages) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = echo}, NULL, 1);
    size_t size = 3u << 20;
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < size; i++) text[i] = (char)('a' + i % 26);
    text[size] = '\0';
    struct raw_bytes response;
    cr_assert_eq(unary_text(fixture.channel, text, &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, text));
    cr_assert_eq(unary_text(fixture.channel, "", &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, ""));
    free(text);
    fixture_close(&fixture);
}

/* --- Answers from another thread ---------------------------------------------------------------------------------- */

#define PARKED_MAX 1024

/* Calls that handlers have left for another thread. */
struct parking {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    daybook_server_call *calls[PARKED_MAX];
    const fixture_text *requests[PARKED_MAX];
    uint32_t count;
};

static void park(void *context, daybook_server_call *call, const fixture_text *request) {
    struct parking *parking = context;
    pthread_mutex_lock(&parking->mutex);
    cr_assert_lt(parking->count, PARKED_MAX);
    parking->calls[parking->count] = call;
    parking->requests[parking->count] = request;
    parking->count++;
    pthread_cond_signal(&parking->changed);
    pthread_mutex_unlock(&parking->mutex);
}

/* Takes all parked calls, at least `count_min`, and answers them in one go. */
static uint32_t answer_parked(struct parking *parking, uint32_t count_min) {
    daybook_server_call *calls[PARKED_MAX];
    const fixture_text *requests[PARKED_MAX];
    pthread_mutex_lock(&parking->mutex);
    while (parking->count < count_min) pthread_cond_wait(&parking->changed, &parking->mutex);
    uint32_t count = parking->count;
    memcpy(calls, parking->calls, count * sizeof calls[0]);
    memcpy(requests, parking->requests, count * sizeof requests[0]);
    parking->count = 0;
    pthread_mutex_unlock(&parking->mutex);
    for (uint32_t i = 0; i < count; i++) daybook_server_call_reply(calls[i], requests[i]);
    return count;
}

#define PARKING_INIT                                                                                                   \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

#define CLIENTS_COUNT    8
#define CALLS_PER_CLIENT 50

static void *call_often(void *argument) {
    struct fixture *fixture = argument;
    struct raw_channel *channel = raw_channel_open(daybook_server_port(fixture->server));
    /* Waits out a first connection that fails: gRPC 1.51 looks at errno long after connect(), when Abseil, on the first
     * contended lock of the process, may have looked for a file in /sys that is not there. */
    raw_channel_connect(channel);
    for (int i = 0; i < CALLS_PER_CLIENT; i++) {
        char text[32];
        snprintf(text, sizeof text, "event %d", i);
        struct raw_bytes response;
        struct raw_status status = unary_text(channel, text, &response);
        cr_assert_eq(status.code, DAYBOOK_OK, "%d: %s", (int)status.code, status.message);
        cr_assert(fixture_is_text(response, text));
    }
    raw_channel_close(channel);
    return NULL;
}

Test(server, replies_come_from_any_thread) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 2);
    pthread_t clients[CLIENTS_COUNT];
    for (int i = 0; i < CLIENTS_COUNT; i++) pthread_create(&clients[i], NULL, call_often, &fixture);
    uint32_t answered = 0;
    while (answered < CLIENTS_COUNT * CALLS_PER_CLIENT) answered += answer_parked(&parking, 1);
    for (int i = 0; i < CLIENTS_COUNT; i++) pthread_join(clients[i], NULL);
    daybook_server_counts counts = counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, CLIENTS_COUNT * CALLS_PER_CLIENT);
    cr_assert_eq(counts.calls_failed, 0);
    fixture_close(&fixture);
}

Test(server, a_group_of_replies_reaches_every_client) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 2);
    struct raw_call *calls[100];
    struct raw_bytes request = fixture_encode("together");
    for (int i = 0; i < 100; i++) {
        calls[i] = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    }
    cr_assert_eq(answer_parked(&parking, 100), 100);
    for (int i = 0; i < 100; i++) {
        cr_assert(fixture_is_text(raw_call_receive(calls[i]), "together"));
        cr_assert_eq(raw_call_finish(calls[i]).code, DAYBOOK_OK);
        raw_call_free(calls[i]);
    }
    free(request.data);
    fixture_close(&fixture);
}

Test(server, a_reply_to_a_client_that_has_gone_is_lost_without_harm) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 1);
    struct raw_bytes request = fixture_encode("gone");
    struct raw_call *call = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    pthread_mutex_lock(&parking.mutex);
    while (parking.count == 0) pthread_cond_wait(&parking.changed, &parking.mutex);
    pthread_mutex_unlock(&parking.mutex);
    raw_call_cancel(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_CANCELLED);
    raw_call_free(call);
    /* The connection still works, so the reset of the first stream has come before the second call. */
    struct raw_call *second = raw_call_request(fixture.channel, FIXTURE_UNARY, request.data, request.size);
    cr_assert_eq(answer_parked(&parking, 2), 2);
    cr_assert(fixture_is_text(raw_call_receive(second), "gone"));
    cr_assert_eq(raw_call_finish(second).code, DAYBOOK_OK);
    raw_call_free(second);
    free(request.data);
    daybook_server_counts counts = counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 2);
    cr_assert_eq(counts.calls_failed, 1);
    fixture_close(&fixture);
}

/* --- Deadlines ---------------------------------------------------------------------------------------------------- */

static void reply_remaining(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    char text[32];
    uint64_t remaining_ms = daybook_server_call_remaining_ms(call);
    snprintf(text, sizeof text, remaining_ms == UINT64_MAX ? "none" : remaining_ms <= 61000 ? "some" : "too much");
    daybook_server_call_reply(call, fixture_new_text(daybook_server_call_arena(call), upb_StringView_FromString(text)));
}

Test(server, a_handler_knows_the_time_it_has) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = reply_remaining}, NULL, 1);
    struct raw_bytes response;
    cr_assert_eq(unary_text(fixture.channel, "", &response).code, DAYBOOK_OK);
    cr_assert(fixture_is_text(response, "none"));
    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, 60000, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), "some"));
    raw_call_free(call);
    fixture_close(&fixture);
}

Test(server, a_deadline_passes_while_the_handler_thinks) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 1);
    /* The first call connects, so that the second does not spend its time on that. */
    struct raw_call *first = raw_call_request(fixture.channel, FIXTURE_UNARY, "", 0);
    answer_parked(&parking, 1);
    cr_assert(fixture_is_text(raw_call_receive(first), ""));
    cr_assert_eq(raw_call_finish(first).code, DAYBOOK_OK);
    raw_call_free(first);

    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, 200, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_DEADLINE_EXCEEDED);
    raw_call_free(call);
    pthread_mutex_lock(&parking.mutex);
    while (parking.count == 0) pthread_cond_wait(&parking.changed, &parking.mutex);
    pthread_mutex_unlock(&parking.mutex);
    while (daybook_server_call_remaining_ms(parking.calls[0]) > 0) {
    }
    answer_parked(&parking, 1);
    cr_assert_eq(counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

/* --- Errors ------------------------------------------------------------------------------------------------------- */

static void fail_with_details(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    static const char details[] = {0x08, 0x09, 0x00, (char)0xff};
    daybook_server_call_fail(call, DAYBOOK_FAILED_PRECONDITION, "the stream \"ä\" is 100% closed", details,
                             sizeof details);
}

Test(server, an_error_travels_with_its_text_and_details) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_with_details}, NULL, 1);
    struct raw_status status = unary_text(fixture.channel, "", NULL);
    cr_assert_eq(status.code, DAYBOOK_FAILED_PRECONDITION);
    cr_assert_str_eq(status.message, "the stream \"ä\" is 100% closed");
    cr_assert_eq(status.details_size, 4);
    cr_assert_arr_eq(status.details, "\x08\x09\x00\xff", 4);
    cr_assert_eq(counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

/* Fails with a text of 1,023 letters and characters of two bytes, and with as many bytes of details as the request says. */
static void fail_at_length(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    static char message[3000];
    static char details[10000];
    memset(message, 'x', 1023);
    for (size_t i = 1023; i + 2 < sizeof message; i += 2) memcpy(message + i, "ä", 2);
    size_t details_size = (size_t)strtoul(google_protobuf_StringValue_value(request).data, NULL, 10);
    daybook_server_call_fail(call, DAYBOOK_ABORTED, message, details, details_size);
}

Test(server, an_error_that_no_client_would_take_is_cut) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_at_length}, NULL, 1);
    struct raw_status status = unary_text(fixture.channel, "4096 ", NULL);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_eq(strlen(status.message), 1023);
    cr_assert_eq(status.details_size, 4096);
    status = unary_text(fixture.channel, "4097 ", NULL);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_eq(status.details_size, 0);
    fixture_close(&fixture);
}

static void nested_must_not_run(void *context, daybook_server_call *call, const google_protobuf_Value *request) {
    (void)context;
    (void)call;
    (void)request;
    cr_assert_fail("the handler was called");
}

/* A google.protobuf.Value that holds a list that holds a value, and so on: each level adds two to the depth. */
static struct raw_bytes nested_value(int levels) {
    struct raw_bytes bytes = {.data = malloc(65536)};
    cr_assert_not_null(bytes.data);
    char *end = bytes.data + 65536;
    char *begin = end;
    for (int i = 0; i < levels; i++) {
        for (unsigned field = 0; field < 2; field++) { /* ListValue.values, Value.list_value */
            size_t size = (size_t)(end - begin);
            unsigned char prefix[4] = {field == 0 ? 0x0a : 0x32};
            size_t prefix_size = 1;
            for (; size >= 0x80; size >>= 7) prefix[prefix_size++] = (unsigned char)(size | 0x80);
            prefix[prefix_size++] = (unsigned char)size;
            begin -= prefix_size;
            memcpy(begin, prefix, prefix_size);
        }
    }
    bytes.size = (size_t)(end - begin);
    memmove(bytes.data, begin, bytes.size);
    return bytes;
}

Test(server, a_request_that_is_no_message_never_reaches_the_handler) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = must_not_run, .nested = nested_must_not_run}, NULL, 1);
    struct raw_status status = raw_unary(fixture.channel, FIXTURE_UNARY, "\x0a\x7f", 2, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_UNARY " is not a valid protobuf message");
    status = raw_unary(fixture.channel, FIXTURE_UNARY, "\x0a\x02\xc0\x80", 4, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_UNARY " holds a string that is not UTF-8");
    struct raw_bytes deep = nested_value(1000);
    status = raw_unary(fixture.channel, FIXTURE_NESTED, deep.data, deep.size, NULL);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the request of " FIXTURE_NESTED " is nested too deeply");
    free(deep.data);
    cr_assert_eq(counts_when_idle(&fixture).calls_failed, 3);
    fixture_close(&fixture);
}

static void reply_too_deep(void *context, daybook_server_call *call, const google_protobuf_Value *request) {
    (void)context;
    (void)request;
    daybook_server_call_reply(call, fixture_new_deep_value(daybook_server_call_arena(call)));
}

Test(server, a_response_that_cannot_be_encoded_is_an_internal_error) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.nested = reply_too_deep}, NULL, 1);
    struct raw_status status = raw_unary(fixture.channel, FIXTURE_NESTED, "", 0, NULL);
    cr_assert_eq(status.code, DAYBOOK_INTERNAL);
    cr_assert_str_eq(status.message, "the response of " FIXTURE_NESTED " is nested too deeply");
    fixture_close(&fixture);
}

Test(server, what_is_not_served_is_unimplemented) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.nested = nested_must_not_run}, NULL, 2);
    struct raw_status status;
    for (int i = 0; i < 20; i++) {
        status = raw_unary(fixture.channel, "/daybook.test.Nobody/Knows", "", 0, NULL);
        cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
        cr_assert_str_eq(status.message, "/daybook.test.Nobody/Knows is not served here");
    }
    status = raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL);
    cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
    cr_assert_str_eq(status.message, FIXTURE_UNARY " is not implemented");
    cr_assert_eq(counts_when_idle(&fixture).calls_failed, 21);

    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_NESTED, RAW_TIMEOUT_NONE, NULL);
    raw_call_half_close(call);
    status = raw_call_finish(call);
    raw_call_free(call);
    cr_assert_eq(status.code, DAYBOOK_UNIMPLEMENTED);
    cr_assert_str_eq(status.message, FIXTURE_NESTED " takes one request, none was sent");
    fixture_close(&fixture);
}

Test(server, a_compressed_request_is_refused_before_it_is_inflated) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = must_not_run}, NULL, 1);
    static char zeros[100000];
    struct raw_call *call = raw_call_start(fixture.channel, FIXTURE_UNARY, RAW_TIMEOUT_NONE, &raw_gzip);
    raw_call_send(call, zeros, sizeof zeros);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_UNIMPLEMENTED);
    raw_call_free(call);
    fixture_close(&fixture);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

Test(server, a_busy_port_is_told) {
    daybook_status status;
    daybook_server *first = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    cr_assert_not_null(first, "%s", status.message);
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%u", daybook_server_port(first));
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = listen}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    char expected[100];
    snprintf(expected, sizeof expected, "cannot listen on %s: Address already in use", listen);
    cr_assert_str_eq(status.message, expected);
    cr_assert_null(daybook_server_close(first));
}

Test(server, addresses_that_cannot_be_bound_are_told) {
    daybook_status status;
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = "192.0.2.1:0"}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(status.message, "cannot listen on 192.0.2.1:0: Cannot assign requested address");
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = "[::1"}, &status));
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(status.message, "cannot listen on [::1: it is not of the form HOST:PORT");
    cr_assert_null(daybook_server_open(&(daybook_server_options){0}, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
}

Test(server, a_service_is_added_once) {
    daybook_status status;
    static const struct fixture_handlers handlers;
    daybook_server *server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    cr_assert_not_null(server);
    cr_assert(daybook_server_add_service(server, &fixture_service, &handlers, NULL, &status));
    cr_assert_not(daybook_server_add_service(server, &fixture_service, &handlers, NULL, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "the service " FIXTURE_SERVICE " was added already");
    daybook_server_close(server);
}

Test(server, many_threads_and_quick_ends) {
    for (int i = 0; i < 10; i++) {
        struct fixture fixture;
        fixture_open(&fixture, (struct fixture_handlers){.unary = echo}, NULL, 8);
        fixture_close(&fixture);
    }
}

/* --- Draining ----------------------------------------------------------------------------------------------------- */

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

Test(server, draining_lets_calls_end_and_nothing_new_in) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 2);
    struct raw_call *call = start_text(fixture.channel, "in time");
    pthread_mutex_lock(&parking.mutex);
    while (parking.count == 0) pthread_cond_wait(&parking.changed, &parking.mutex);
    pthread_mutex_unlock(&parking.mutex);

    struct drainer drainer = {.server = fixture.server, .grace_ms = 60000, .done = COUNTER_INIT};
    pthread_t thread;
    pthread_create(&thread, NULL, drain, &drainer);
    while (accepts(daybook_server_port(fixture.server))) {
    }
    cr_assert_eq(counter_get(&drainer.done), 0);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, 1);
    answer_parked(&parking, 1);
    cr_assert(fixture_is_text(raw_call_receive(call), "in time"));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    pthread_join(thread, NULL); /* Long before its grace ends. */
    cr_assert_eq(daybook_server_count(fixture.server).calls_failed, 0);
    fixture_close(&fixture);
}

Test(server, draining_cancels_what_is_left_after_its_grace) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 2);
    struct raw_call *call = start_text(fixture.channel, "too late");
    pthread_mutex_lock(&parking.mutex);
    while (parking.count == 0) pthread_cond_wait(&parking.changed, &parking.mutex);
    pthread_mutex_unlock(&parking.mutex);

    daybook_server_drain(fixture.server, 50);
    cr_assert_neq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, 1);
    answer_parked(&parking, 1); /* A handler may still answer. */
    cr_assert_eq(counts_when_idle(&fixture).calls_failed, 1);
    fixture_close(&fixture);
}

Test(server, closing_with_calls_open_waits_for_their_handlers) {
    struct parking parking = PARKING_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = park}, &parking, 2);
    struct raw_call *calls[50];
    for (int i = 0; i < 50; i++) calls[i] = start_text(fixture.channel, "never");
    pthread_mutex_lock(&parking.mutex);
    while (parking.count < 50) pthread_cond_wait(&parking.changed, &parking.mutex);
    pthread_mutex_unlock(&parking.mutex);
    daybook_server_drain(fixture.server, 0);
    for (int i = 0; i < 50; i++) {
        cr_assert_neq(raw_call_finish(calls[i]).code, DAYBOOK_OK);
        raw_call_free(calls[i]);
    }
    answer_parked(&parking, 50);
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
Test(server, a_call_that_comes_too_late_is_unavailable) {
    for (int round = 0; round < 10; round++) {
        struct fixture fixture;
        fixture_open(&fixture, (struct fixture_handlers){.unary = echo}, NULL, 2);
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
