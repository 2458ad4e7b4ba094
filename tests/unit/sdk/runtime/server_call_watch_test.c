/* server_call_watch_test.c: handlers that hear of their client's end, in every order of that and the reply. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/sdk/runtime/server_fixture.h"

/* What a test knows of its watched calls. */
struct watch {
    struct counter started;
    struct counter cancelled;
    daybook_server_call *_Atomic call; /* the latest */
    atomic_bool was_cancelled_before;  /* what the context said in the handler */
    atomic_bool is_cancelled;          /* what it said in the callback */
};

#define WATCH_INIT                                                                                                     \
    { .started = COUNTER_INIT, .cancelled = COUNTER_INIT }

static bool context_is_cancelled(daybook_server_call *call) {
    return daybook_server_context_is_cancelled(daybook_server_call_context(call));
}

static void answer(daybook_server_call *call) {
    daybook_server_call_fail(call, DAYBOOK_CANCELLED, "nobody waits for this", NULL, 0);
}

static void answer_cancelled(daybook_server_call *call, void *context) {
    struct watch *watch = context;
    atomic_store(&watch->is_cancelled, context_is_cancelled(call));
    answer(call);
    counter_add(&watch->cancelled);
}

static void only_count(daybook_server_call *call, void *context) {
    struct watch *watch = context;
    atomic_store(&watch->is_cancelled, context_is_cancelled(call));
    counter_add(&watch->cancelled);
}

static void remember(struct watch *watch, daybook_server_call *call) {
    atomic_store(&watch->was_cancelled_before, context_is_cancelled(call));
    atomic_store(&watch->call, call);
    counter_add(&watch->started);
}

/* Watches and answers when the client has gone. */
static void wait_for_the_end(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)request;
    daybook_server_call_watch(call, answer_cancelled, context);
    remember(context, call);
}

/* Watches and leaves the answer to the test. */
static void leave_to_the_test(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)request;
    daybook_server_call_watch(call, only_count, context);
    remember(context, call);
}

static void reply_at_once(void *context, daybook_server_call *call, const fixture_text *request) {
    daybook_server_call_watch(call, only_count, context);
    remember(context, call);
    daybook_server_call_reply(call, request);
}

static struct raw_call *start_call(struct raw_channel *channel, uint32_t timeout_ms) {
    struct raw_call *call = raw_call_start(channel, FIXTURE_UNARY, timeout_ms, NULL);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    return call;
}

static void assert_cancelled_once(struct fixture *fixture, struct watch *watch) {
    counter_wait(&watch->cancelled, 1);
    cr_assert_not(atomic_load(&watch->was_cancelled_before));
    cr_assert(atomic_load(&watch->is_cancelled));
    daybook_server_counts counts = fixture_counts_when_idle(fixture);
    cr_assert_eq(counts.calls_started, 1);
    cr_assert_eq(counts.calls_failed, 1);
    cr_assert_eq(counter_get(&watch->cancelled), 1);
}

Test(server_call_watch, a_client_cancels) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = wait_for_the_end}, &watch, 1);
    struct raw_call *call = start_call(fixture.channel, RAW_TIMEOUT_NONE);
    counter_wait(&watch.started, 1);
    raw_call_cancel(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_CANCELLED);
    raw_call_free(call);
    assert_cancelled_once(&fixture, &watch);
    fixture_close(&fixture);
}

Test(server_call_watch, a_deadline_passes) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = wait_for_the_end}, &watch, 1);
    raw_channel_connect(fixture.channel);
    /* On a busy machine a call may be too late to reach the server at all. */
    while (counter_get(&watch.started) == 0) {
        struct raw_call *call = start_call(fixture.channel, 500);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_DEADLINE_EXCEEDED);
        raw_call_free(call);
    }
    counter_wait(&watch.cancelled, 1);
    cr_assert(atomic_load(&watch.is_cancelled));
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_failed, counts.calls_started);
    fixture_close(&fixture);
}

/* --- A client that is there and then is not ----------------------------------------------------------------------- */

static size_t append_header(unsigned char *out, const char *name, const char *value) {
    size_t name_size = strlen(name);
    size_t value_size = strlen(value);
    size_t size = 0;
    out[size++] = 0; /* RFC 7541, 6.2.2: a literal that is not indexed, with a new name. */
    out[size++] = (unsigned char)name_size;
    memcpy(out + size, name, name_size);
    size += name_size;
    out[size++] = (unsigned char)value_size;
    memcpy(out + size, value, value_size);
    return size + value_size;
}

/* An HTTP/2 frame of stream 1, or of none. */
static void send_frame(int file, unsigned char type, unsigned char flags, unsigned char stream, const void *payload,
                       size_t size) {
    unsigned char frame[9 + 255] = {0, 0, (unsigned char)size, type, flags, 0, 0, 0, stream};
    cr_assert_leq(size, 255);
    if (size > 0) memcpy(frame + 9, payload, size);
    cr_assert_eq(send(file, frame, 9 + size, MSG_NOSIGNAL), (ssize_t)(9 + size));
}

/* A unary call by hand, whose connection the test can cut: a channel of gRPC keeps its own for as long as it has a call. */
static int start_call_by_hand(const struct fixture *fixture) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(daybook_server_port(fixture->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(file, (const struct sockaddr *)&address, sizeof address), 0);
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    cr_assert_eq(send(file, preface, sizeof preface - 1, MSG_NOSIGNAL), (ssize_t)sizeof preface - 1);
    unsigned char headers[255];
    size_t size = append_header(headers, ":method", "POST");
    size += append_header(headers + size, ":scheme", "http");
    size += append_header(headers + size, ":path", FIXTURE_UNARY);
    size += append_header(headers + size, ":authority", "localhost");
    size += append_header(headers + size, "content-type", "application/grpc");
    size += append_header(headers + size, "te", "trailers");
    send_frame(file, 4, 0, 0, NULL, 0);         /* SETTINGS */
    send_frame(file, 1, 4, 1, headers, size);   /* HEADERS, and that is all of them */
    send_frame(file, 0, 1, 1, "\0\0\0\0\0", 5); /* DATA: an empty message, and the end */
    return file;
}

Test(server_call_watch, a_connection_is_lost) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = wait_for_the_end}, &watch, 1);
    int file = start_call_by_hand(&fixture);
    counter_wait(&watch.started, 1);
    close(file);
    assert_cancelled_once(&fixture, &watch);
    fixture_close(&fixture);
}

/* --- Ends by the server, and replies ------------------------------------------------------------------------------ */

Test(server_call_watch, a_server_that_closes_cancels) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = wait_for_the_end}, &watch, 1);
    struct raw_call *call = start_call(fixture.channel, RAW_TIMEOUT_NONE);
    counter_wait(&watch.started, 1);
    daybook_server_drain(fixture.server, 0);
    cr_assert_neq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    assert_cancelled_once(&fixture, &watch);
    fixture_close(&fixture);
}

/* A handler that is told and goes on: its reply is late and is lost without harm. */
Test(server_call_watch, a_reply_after_the_end) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = leave_to_the_test}, &watch, 2);
    struct raw_call *call = start_call(fixture.channel, RAW_TIMEOUT_NONE);
    counter_wait(&watch.started, 1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&watch.cancelled, 1);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, 1);
    answer(atomic_load(&watch.call));
    assert_cancelled_once(&fixture, &watch);
    fixture_close(&fixture);
}

Test(server_call_watch, a_call_that_is_answered_hears_nothing) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = reply_at_once}, &watch, 2);
    for (int i = 0; i < 300; i++) {
        struct raw_bytes response;
        cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "\x0a\x01x", 3, &response).code, DAYBOOK_OK);
        cr_assert(fixture_is_text(response, "x"));
    }
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 300);
    cr_assert_eq(counts.calls_failed, 0);
    cr_assert_eq(counter_get(&watch.cancelled), 0);
    fixture_close(&fixture);
}

Test(server_call_watch, an_answer_of_another_thread_ends_the_watch) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = leave_to_the_test}, &watch, 2);
    for (uint32_t i = 0; i < 100; i++) {
        struct raw_call *call = start_call(fixture.channel, RAW_TIMEOUT_NONE);
        counter_wait(&watch.started, i + 1);
        daybook_server_call_fail(atomic_load(&watch.call), DAYBOOK_NOT_FOUND, "not here", NULL, 0);
        struct raw_status status = raw_call_finish(call);
        cr_assert_eq(status.code, DAYBOOK_NOT_FOUND);
        cr_assert_str_eq(status.message, "not here");
        raw_call_free(call);
    }
    cr_assert_eq(fixture_counts_when_idle(&fixture).calls_failed, 100);
    cr_assert_eq(counter_get(&watch.cancelled), 0);
    fixture_close(&fixture);
}

/* --- Many at once ------------------------------------------------------------------------------------------------- */

#define CALLS_COUNT 1000

Test(server_call_watch, a_thousand_cancelled_calls_leave_nothing) {
    struct watch watch = WATCH_INIT;
    struct fixture fixture;
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = wait_for_the_end}, &watch,
                      (daybook_server_options){.threads_count = 2, .concurrent_calls_max = CALLS_COUNT});
    raw_channel_connect(fixture.channel);
    static struct raw_call *calls[CALLS_COUNT];
    for (uint32_t i = 0; i < CALLS_COUNT; i++) calls[i] = start_call(fixture.channel, RAW_TIMEOUT_NONE);
    counter_wait(&watch.started, CALLS_COUNT);
    cr_assert_eq(daybook_server_count(fixture.server).calls_open, CALLS_COUNT);
    for (uint32_t i = 0; i < CALLS_COUNT; i++) raw_call_free(calls[i]);
    counter_wait(&watch.cancelled, CALLS_COUNT);
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, CALLS_COUNT);
    cr_assert_eq(counts.calls_failed, CALLS_COUNT);
    cr_assert_eq(counter_get(&watch.cancelled), CALLS_COUNT);
    fixture_close(&fixture);
}

/* One thread answers every call as soon as it comes, while their client cancels it: whoever is first, a call ends once. */
struct race {
    struct watch watch;
    pthread_t answerer;
    atomic_bool done;
};

static void take_turns(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)request;
    struct race *race = context;
    daybook_server_call_watch(call, only_count, &race->watch);
    daybook_server_call *none = NULL;
    while (!atomic_compare_exchange_strong(&race->watch.call, &none, call)) none = NULL;
    counter_add(&race->watch.started);
}

static void *answer_what_comes(void *argument) {
    struct race *race = argument;
    while (!atomic_load(&race->done)) {
        daybook_server_call *call = atomic_exchange(&race->watch.call, NULL);
        if (call != NULL) answer(call);
    }
    return NULL;
}

Test(server_call_watch, a_reply_crosses_the_end) {
    static struct race race = {.watch = WATCH_INIT};
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = take_turns}, &race, 2);
    cr_assert_eq(pthread_create(&race.answerer, NULL, answer_what_comes, &race), 0);
    raw_channel_connect(fixture.channel);
    for (uint32_t i = 0; i < CALLS_COUNT; i++) {
        struct raw_call *call = start_call(fixture.channel, RAW_TIMEOUT_NONE);
        if (i % 2 == 0) counter_wait(&race.watch.started, i / 2 + 1);
        raw_call_cancel(call);
        raw_call_free(call);
    }
    fixture_close(&fixture); /* The last call may still be on its way: it is answered, too. */
    atomic_store(&race.done, true);
    pthread_join(race.answerer, NULL);
}
