/* server_context_test.c: what handlers know of their callers, and the headers and trailers that they add. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

static bool is_text(struct raw_bytes bytes, const char *text, size_t size) {
    return bytes.data != NULL && bytes.size == size && memcmp(bytes.data, text, size) == 0;
}

static bool is_view(upb_StringView view, const char *text, size_t size) {
    return view.data != NULL && view.size == size && memcmp(view.data, text, size) == 0;
}

static void add_header(daybook_server_context *context, const char *key, const char *value, size_t value_size) {
    daybook_status status;
    const daybook_header header = {.key = key, .value = value, .value_size = value_size};
    cr_assert(daybook_server_context_add_header(context, &header, &status), "%s", status.message);
}

static void add_trailer(daybook_server_context *context, const char *key, const char *value, size_t value_size) {
    daybook_status status;
    const daybook_header header = {.key = key, .value = value, .value_size = value_size};
    cr_assert(daybook_server_context_add_trailer(context, &header, &status), "%s", status.message);
}

/* --- What is known ------------------------------------------------------------------------------------------------ */

static const struct raw_header sent[] = {
    {.key = "x-tenant", .value = "north"},
    {.key = "x-trace-bin", .value = "\0\xff\n,", .value_size = 4},
    {.key = "x-tenant", .value = "south, \"east\""},
};

static void check_metadata(const daybook_metadata *metadata) {
    cr_assert(is_view(daybook_metadata_find(metadata, "x-tenant"), "north", 5));
    cr_assert(is_view(daybook_metadata_find(metadata, "x-trace-bin"), "\0\xff\n,", 4));
    cr_assert_null(daybook_metadata_find(metadata, "x-nothing").data);
    size_t tenants = 0;
    for (size_t i = 0; i < daybook_metadata_count(metadata); i++) {
        if (!is_view(daybook_metadata_key(metadata, i), "x-tenant", 8)) continue;
        upb_StringView value = daybook_metadata_value(metadata, i);
        cr_assert(tenants++ == 0 ? is_view(value, "north", 5) : is_view(value, "south, \"east\"", 13));
    }
    cr_assert_eq(tenants, 2);
}

static void check_context(daybook_server_context *context, const char *path, upb_Arena *arena) {
    cr_assert_str_eq(daybook_server_context_method(context)->path, path);
    check_metadata(daybook_server_context_metadata(context));
    const char *peer = daybook_server_context_peer(context);
    cr_assert_eq(strncmp(peer, "ipv4:127.0.0.1:", 15), 0, "%s", peer);
    cr_assert_eq(daybook_server_context_peer(context), peer);
    cr_assert_null(daybook_server_context_identity(context, 0).data);
    cr_assert_null(daybook_server_context_identity(context, 1).data);
    const uint64_t remaining_ms = daybook_server_context_remaining_ms(context);
    cr_assert(remaining_ms > 0 && remaining_ms <= 61000); /* gRPC rounds up. */
    cr_assert_not(daybook_server_context_is_cancelled(context));
    cr_assert_eq(daybook_server_context_arena(context), arena);
}

static void check_call(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    check_context(daybook_server_call_context(call), FIXTURE_UNARY, daybook_server_call_arena(call));
    daybook_server_call_reply(call, request);
}

static void check_stream(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)request;
    check_context(daybook_server_stream_context(stream), context, daybook_server_stream_arena(stream));
    script_finish_ok(stream);
}

static void check_stream_in(void *context, daybook_server_stream *stream) {
    check_stream(context, stream, NULL);
}

static void call_with_metadata(struct fixture *fixture, const char *path) {
    struct raw_call *call = raw_call_start_with(fixture->channel, path, 60000, sent, sizeof sent / sizeof sent[0]);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    free(raw_call_receive(call).data);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_OK, "%s", status.message);
    raw_call_free(call);
}

Test(server_context, a_call_of_every_kind_is_known) {
    struct fixture fixture;
    char path[] = FIXTURE_SERVER_STREAM;
    fixture_open(
        &fixture,
        (struct fixture_handlers){.unary = check_call, .server_stream = check_stream, .bidirectional = check_stream_in},
        path, 2);
    for (int i = 0; i < 100; i++) call_with_metadata(&fixture, FIXTURE_UNARY);
    call_with_metadata(&fixture, FIXTURE_SERVER_STREAM);
    fixture_close(&fixture);
    char client_path[] = FIXTURE_CLIENT_STREAM;
    fixture_open(&fixture, (struct fixture_handlers){.client_stream = check_stream_in}, client_path, 2);
    struct raw_call *call = raw_call_start_with(fixture.channel, FIXTURE_CLIENT_STREAM, 60000, sent, 3);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
    fixture_close(&fixture);
}

static void check_nothing(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    const daybook_metadata *metadata = daybook_server_context_metadata(daybook_server_call_context(call));
    cr_assert_null(daybook_metadata_find(metadata, "x-tenant").data);
    cr_assert_eq(daybook_server_context_remaining_ms(daybook_server_call_context(call)), UINT64_MAX);
    daybook_server_call_reply(call, request);
}

static void check_by_deadline(void *context, daybook_server_call *call, const fixture_text *request) {
    if (daybook_server_call_remaining_ms(call) == UINT64_MAX)
        check_nothing(context, call, request);
    else
        check_call(context, call, request);
}

/* The slots of calls are used again: nothing of one may be seen by the next. */
Test(server_context, a_call_without_metadata_has_none) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = check_by_deadline}, NULL, 1);
    call_with_metadata(&fixture, FIXTURE_UNARY);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_OK);
    fixture_close(&fixture);
}

/* Metadata is read by another thread while the server goes on to take calls with other metadata on the same queue. */
struct keeping {
    struct counter started;
    daybook_server_call *_Atomic call;
};

static void keep_first(void *context, daybook_server_call *call, const fixture_text *request) {
    struct keeping *keeping = context;
    if (counter_get(&keeping->started) > 0) {
        daybook_server_call_reply(call, request);
        return;
    }
    atomic_store(&keeping->call, call);
    counter_add(&keeping->started);
}

Test(server_context, metadata_stays_until_the_reply) {
    struct keeping keeping = {.started = COUNTER_INIT};
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = keep_first}, &keeping, 1);
    struct raw_call *call = raw_call_start_with(fixture.channel, FIXTURE_UNARY, 60000, sent, 3);
    raw_call_send(call, "", 0);
    raw_call_half_close(call);
    counter_wait(&keeping.started, 1);
    for (int i = 0; i < 100; i++) {
        const struct raw_header other = {.key = "x-tenant", .value = "another"};
        struct raw_call *next = raw_call_start(fixture.channel, FIXTURE_UNARY, RAW_TIMEOUT_NONE, &other);
        raw_call_send(next, "", 0);
        raw_call_half_close(next);
        free(raw_call_receive(next).data);
        cr_assert_eq(raw_call_finish(next).code, DAYBOOK_OK);
        raw_call_free(next);
    }
    daybook_server_call *kept = atomic_load(&keeping.call);
    check_metadata(daybook_server_context_metadata(daybook_server_call_context(kept)));
    daybook_server_call_fail(kept, DAYBOOK_NOT_FOUND, NULL, NULL, 0);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_NOT_FOUND);
    raw_call_free(call);
    fixture_close(&fixture);
}

/* --- What is said: unary calls ------------------------------------------------------------------------------------ */

static void add_some(daybook_server_context *context) {
    add_header(context, "x-node", "a", 0);
    add_header(context, "x-node", "b", 0);
    add_header(context, "x-seal-bin", "\0\x01\xfe", 3);
    add_trailer(context, "x-cost", "12 units", 0);
    add_trailer(context, "x-proof-bin", "\xff\0", 2);
}

static void assert_some(const struct raw_call *call) {
    cr_assert(is_text(raw_call_header(call, "x-node", 0), "a", 1));
    cr_assert(is_text(raw_call_header(call, "x-node", 1), "b", 1));
    cr_assert_null(raw_call_header(call, "x-node", 2).data);
    cr_assert(is_text(raw_call_header(call, "x-seal-bin", 0), "\0\x01\xfe", 3));
    cr_assert(is_text(raw_call_trailer(call, "x-cost", 0), "12 units", 8));
    cr_assert(is_text(raw_call_trailer(call, "x-proof-bin", 0), "\xff\0", 2));
    cr_assert_null(raw_call_header(call, "x-cost", 0).data);
    cr_assert_null(raw_call_trailer(call, "x-node", 0).data);
}

static void reply_with_some(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    add_some(daybook_server_call_context(call));
    daybook_server_call_reply(call, request);
}

static void fail_with_some(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    add_some(daybook_server_call_context(call));
    daybook_server_call_fail(call, DAYBOOK_ABORTED, "no", "\x08\x0a", 2);
}

static struct raw_call *start_unary(struct fixture *fixture) {
    return raw_call_request(fixture->channel, FIXTURE_UNARY, "", 0);
}

Test(server_context, a_reply_has_headers_and_trailers) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = reply_with_some}, NULL, 1);
    struct raw_call *call = start_unary(&fixture);
    cr_assert(fixture_is_text(raw_call_receive(call), ""));
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    assert_some(call);
    raw_call_free(call);
    fixture_close(&fixture);
}

Test(server_context, an_error_has_them_beside_its_details) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_with_some}, NULL, 1);
    struct raw_call *call = start_unary(&fixture);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_str_eq(status.message, "no");
    cr_assert_eq(status.details_size, 2);
    cr_assert_arr_eq(status.details, "\x08\x0a", 2);
    assert_some(call);
    raw_call_free(call);
    fixture_close(&fixture);
}

typedef bool add_function(daybook_server_context *context, const daybook_header *header, daybook_status *ret_status);

static void assert_refused(add_function *add, daybook_server_context *context, daybook_header header,
                           daybook_code code) {
    daybook_status status;
    cr_assert_not(add(context, &header, &status));
    cr_assert_eq(status.code, code, "%s", status.message);
    cr_assert_neq(status.message[0], '\0');
    cr_assert_not(add(context, &header, NULL));
}

static void fill(add_function *add, daybook_server_context *context) {
    static char long_value[8194];
    memset(long_value, 'x', sizeof long_value - 1);
    assert_refused(add, context, (daybook_header){.value = "x"}, DAYBOOK_INVALID_ARGUMENT);
    assert_refused(add, context, (daybook_header){.key = "x-no-value"}, DAYBOOK_INVALID_ARGUMENT);
    assert_refused(add, context, (daybook_header){.key = "X-Capital", .value = "x"}, DAYBOOK_INVALID_ARGUMENT);
    assert_refused(add, context, (daybook_header){.key = "grpc-status", .value = "0"}, DAYBOOK_INVALID_ARGUMENT);
    assert_refused(add, context, (daybook_header){.key = "x-text", .value = "a\nb"}, DAYBOOK_INVALID_ARGUMENT);
    assert_refused(add, context, (daybook_header){.key = "x-long", .value = long_value}, DAYBOOK_INVALID_ARGUMENT);
    for (int i = 0; i < DAYBOOK_SERVER_HEADERS_MAX; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        daybook_status status;
        cr_assert(add(context, &(daybook_header){.key = "x-number", .value = value}, &status), "%s", status.message);
    }
    assert_refused(add, context, (daybook_header){.key = "x-number", .value = "x"}, DAYBOOK_RESOURCE_EXHAUSTED);
}

static void fail_with_all(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    (void)request;
    fill(daybook_server_context_add_header, daybook_server_call_context(call));
    fill(daybook_server_context_add_trailer, daybook_server_call_context(call));
    daybook_server_call_fail(call, DAYBOOK_ABORTED, "no", "\x08\x0a", 2);
}

Test(server_context, what_cannot_be_sent_is_refused_and_what_is_sent_is_whole) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fail_with_all}, NULL, 1);
    struct raw_call *call = start_unary(&fixture);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_ABORTED);
    cr_assert_eq(status.details_size, 2);
    for (size_t i = 0; i < DAYBOOK_SERVER_HEADERS_MAX; i++) {
        char value[16];
        int size = snprintf(value, sizeof value, "%zu", i);
        cr_assert(is_text(raw_call_header(call, "x-number", i), value, (size_t)size));
        cr_assert(is_text(raw_call_trailer(call, "x-number", i), value, (size_t)size));
    }
    cr_assert_null(raw_call_header(call, "x-number", DAYBOOK_SERVER_HEADERS_MAX).data);
    cr_assert_null(raw_call_trailer(call, "x-number", DAYBOOK_SERVER_HEADERS_MAX).data);
    raw_call_free(call);
    fixture_close(&fixture);
}

/* A client that has gone takes neither, and nothing is left of them. */
static void add_when_cancelled(daybook_server_call *call, void *context) {
    add_some(daybook_server_call_context(call));
    daybook_server_call_fail(call, DAYBOOK_CANCELLED, NULL, NULL, 0);
    counter_add(context);
}

static void watch_and_add(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)request;
    struct counter *counters = context;
    daybook_server_call_watch(call, add_when_cancelled, &counters[1]);
    counter_add(&counters[0]);
}

Test(server_context, headers_for_a_client_that_has_gone_are_lost_without_harm) {
    struct counter counters[2] = {COUNTER_INIT, COUNTER_INIT};
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.unary = watch_and_add}, counters, 1);
    struct raw_call *call = start_unary(&fixture);
    counter_wait(&counters[0], 1);
    raw_call_free(call);
    counter_wait(&counters[1], 1);
    fixture_close(&fixture);
}

/* --- What is said: streams ---------------------------------------------------------------------------------------- */

static void assert_headers_have_left(daybook_server_stream *stream) {
    assert_refused(daybook_server_context_add_header, daybook_server_stream_context(stream),
                   (daybook_header){.key = "x-late", .value = "x"}, DAYBOOK_FAILED_PRECONDITION);
}

static void finish_after_send(daybook_server_stream *stream, bool ok, void *context) {
    (void)context;
    cr_assert(ok);
    assert_headers_have_left(stream);
    add_trailer(daybook_server_stream_context(stream), "x-last", "z", 0);
    script_finish_ok(stream);
}

static void send_one(void *context, daybook_server_stream *stream, const fixture_text *request) {
    add_some(daybook_server_stream_context(stream));
    daybook_server_stream_send(stream, request, finish_after_send, context);
    assert_headers_have_left(stream);
}

Test(server_context, a_stream_sends_them_with_its_first_message_and_its_end) {
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.server_stream = send_one}, NULL, 1);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_SERVER_STREAM);
    script_send_text(call, "one");
    raw_call_half_close(call);
    cr_assert(fixture_is_text(raw_call_receive(call), "one"));
    cr_assert(is_text(raw_call_header(call, "x-node", 0), "a", 1));
    cr_assert_null(raw_call_receive(call).data);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    assert_some(call);
    cr_assert(is_text(raw_call_trailer(call, "x-last", 0), "z", 1));
    cr_assert_null(raw_call_header(call, "x-late", 0).data);
    raw_call_free(call);
    fixture_close(&fixture);
}

static void fail_at_once(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)context;
    (void)request;
    add_some(daybook_server_stream_context(stream));
    daybook_server_stream_finish(stream, DAYBOOK_ABORTED, "no", "\x08\x0a", 2);
}

static void fail_at_once_in(void *context, daybook_server_stream *stream) {
    fail_at_once(context, stream, NULL);
}

static void assert_fails_with_some(struct fixture *fixture, const char *path) {
    struct raw_call *call = script_open_stream(fixture, path);
    raw_call_send(call, "", 0); /* It may have ended before. */
    raw_call_half_close(call);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_ABORTED, "%s", status.message);
    cr_assert_eq(status.details_size, 2);
    assert_some(call);
    raw_call_free(call);
}

Test(server_context, a_stream_without_a_message_sends_them_with_its_error) {
    struct fixture fixture;
    fixture_open(&fixture,
                 (struct fixture_handlers){
                     .server_stream = fail_at_once, .client_stream = fail_at_once_in, .bidirectional = fail_at_once_in},
                 NULL, 1);
    assert_fails_with_some(&fixture, FIXTURE_SERVER_STREAM);
    assert_fails_with_some(&fixture, FIXTURE_CLIENT_STREAM);
    assert_fails_with_some(&fixture, FIXTURE_BIDIRECTIONAL);
    fixture_close(&fixture);
}

/* Where the client streams, the headers leave when the handler has returned: its client may wait for them. */
static void add_and_return(void *context, daybook_server_stream *stream) {
    add_some(daybook_server_stream_context(stream));
    script_remember(context, stream, NULL);
}

Test(server_context, a_client_that_streams_has_its_headers_before_it_says_a_word) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.client_stream = add_and_return, .bidirectional = add_and_return},
                 &script, 1);
    static const char *const paths[] = {FIXTURE_CLIENT_STREAM, FIXTURE_BIDIRECTIONAL};
    for (size_t i = 0; i < 2; i++) {
        struct raw_call *call = script_open_stream(&fixture, paths[i]);
        raw_call_receive_headers(call);
        cr_assert(is_text(raw_call_header(call, "x-node", 1), "b", 1));
        assert_headers_have_left(atomic_load(&script.stream));
        add_trailer(daybook_server_stream_context(atomic_load(&script.stream)), "x-last", "z", 0);
        script_finish_ok(atomic_load(&script.stream));
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        assert_some(call);
        cr_assert(is_text(raw_call_trailer(call, "x-last", 0), "z", 1));
        raw_call_free(call);
    }
    fixture_close(&fixture);
}

/* Another thread adds headers while the handler returns and they leave: each is either sent or refused. */
struct adding {
    daybook_server_stream *_Atomic stream;
    uint32_t added_count;
};

static void hand_over(void *context, daybook_server_stream *stream) {
    struct adding *adding = context;
    atomic_store(&adding->stream, stream);
}

static void *add_until_refused(void *argument) {
    struct adding *adding = argument;
    daybook_server_stream *stream;
    while ((stream = atomic_load(&adding->stream)) == NULL) {
    }
    const daybook_header header = {.key = "x-number", .value = "x"};
    daybook_status status = {.code = DAYBOOK_OK};
    while (daybook_server_context_add_header(daybook_server_stream_context(stream), &header, &status)) {
        adding->added_count++;
    }
    cr_assert(status.code == DAYBOOK_FAILED_PRECONDITION || adding->added_count == DAYBOOK_SERVER_HEADERS_MAX);
    return NULL;
}

Test(server_context, a_header_that_comes_when_they_leave_is_sent_or_refused) {
    static struct adding adding;
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = hand_over}, &adding, 1);
    for (int round = 0; round < 100; round++) {
        adding.added_count = 0;
        atomic_store(&adding.stream, NULL);
        pthread_t adder;
        cr_assert_eq(pthread_create(&adder, NULL, add_until_refused, &adding), 0);
        struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
        raw_call_receive_headers(call);
        pthread_join(adder, NULL);
        size_t received_count = 0;
        while (raw_call_header(call, "x-number", received_count).data != NULL) received_count++;
        cr_assert_eq(received_count, adding.added_count);
        script_finish_ok(atomic_load(&adding.stream));
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        raw_call_free(call);
    }
    fixture_close(&fixture);
}

static void hear_cancelled(daybook_server_stream *stream, void *context) {
    cr_assert(daybook_server_context_is_cancelled(daybook_server_stream_context(stream)));
    daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
    counter_add(&((struct script *)context)->cancelled);
}

static void watch_stream(void *context, daybook_server_stream *stream) {
    daybook_server_stream_watch(stream, &(daybook_server_stream_events){.cancelled = hear_cancelled}, context);
    cr_assert_not(daybook_server_context_is_cancelled(daybook_server_stream_context(stream)));
    counter_add(&((struct script *)context)->started);
}

Test(server_context, a_stream_knows_that_it_is_cancelled) {
    struct script script;
    script_init(&script);
    struct fixture fixture;
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = watch_stream}, &script, 1);
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    counter_wait(&script.started, 1);
    raw_call_free(call);
    counter_wait(&script.cancelled, 1);
    fixture_close(&fixture);
}
