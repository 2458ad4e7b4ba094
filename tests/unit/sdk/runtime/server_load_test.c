/* What all unary calls of a server may hold together, and who is asked before one is read. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/runtime/status.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

#define HEALTH_CHECK "/grpc.health.v1.Health/Check"
#define CALLS_MAX    3u

/* Calls that the handler keeps. */
struct held {
    daybook_server_call *calls[16];
    struct counter counter;
};

static void keep(void *context, daybook_server_call *call, const fixture_text *request) {
    struct held *held = context;
    (void)request;
    held->calls[counter_get(&held->counter)] = call;
    counter_add(&held->counter);
}

static void answer_all(struct held *held) {
    for (uint32_t i = 0; i < counter_get(&held->counter); i++) {
        daybook_server_call_fail(held->calls[i], DAYBOOK_ABORTED, "", NULL, 0);
    }
    held->counter.count = 0;
}

static struct raw_call *start(struct fixture *fixture, const char *request, size_t request_size) {
    return raw_call_request(fixture->channel, FIXTURE_UNARY, request, request_size);
}

static void end(struct raw_call *call, daybook_code code) {
    cr_assert_eq(raw_call_finish(call).code, (int)code);
    raw_call_free(call);
}

static void expect_one_too_many(struct fixture *fixture, const char *request, size_t request_size) {
    struct raw_call *call = start(fixture, request, request_size);
    const struct raw_status answer = raw_call_finish(call);
    cr_assert_eq(answer.code, DAYBOOK_RESOURCE_EXHAUSTED, "%s", answer.message);
    cr_assert_str_eq(answer.message, "the server has as many calls as it may hold; retry later");
    daybook_status status = {.code = DAYBOOK_RESOURCE_EXHAUSTED};
    daybook__status_add_details(&status, answer.details, answer.details_size);
    cr_assert(status.retryable);
    cr_assert_eq(status.retry_delay_ms, 100);
    raw_call_free(call);
}

Test(server_load, a_call_too_many_is_refused_and_health_is_not) {
    struct fixture fixture;
    struct held held = {.counter = COUNTER_INIT};
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = keep}, &held,
                      (daybook_server_options){.threads_count = 1, .unary_calls_max = CALLS_MAX});
    for (int round = 0; round < 3; round++) {
        struct raw_call *calls[CALLS_MAX];
        for (uint32_t i = 0; i < CALLS_MAX; i++) calls[i] = start(&fixture, "", 0);
        counter_wait(&held.counter, CALLS_MAX);
        for (int i = 0; i < 5; i++) expect_one_too_many(&fixture, "", 0);
        cr_assert_eq(raw_unary(fixture.channel, HEALTH_CHECK, "", 0, NULL).code, DAYBOOK_OK);
        answer_all(&held);
        for (uint32_t i = 0; i < CALLS_MAX; i++) end(calls[i], DAYBOOK_ABORTED);
        fixture_wait_unary_open(&fixture, 0);
        cr_assert_eq(daybook_server_count(fixture.server).calls_refused, (uint64_t)(round + 1) * 5);
    }
    fixture_close(&fixture);
}

Test(server_load, requests_too_large_together_are_refused_and_one_alone_is_not) {
    enum { REQUEST_BYTES = 3 << 20 };
    struct fixture fixture;
    struct held held = {.counter = COUNTER_INIT};
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = keep}, &held,
                      (daybook_server_options){.threads_count = 1, .unary_bytes_max = 2 << 20});
    /* A field that no StringValue has, of bytes: 15, its length in four bytes. */
    char *request = calloc(1, REQUEST_BYTES);
    cr_assert_not_null(request);
    const size_t size = REQUEST_BYTES - 5;
    request[0] = 0x7a;
    for (size_t i = 0; i < 4; i++) request[1 + i] = (char)(((size >> (7 * i)) & 0x7f) | (i < 3 ? 0x80 : 0));
    struct raw_call *alone = start(&fixture, request, REQUEST_BYTES);
    counter_wait(&held.counter, 1);
    cr_assert_eq(daybook_server_count(fixture.server).unary_bytes, REQUEST_BYTES);
    expect_one_too_many(&fixture, "", 0);
    answer_all(&held);
    end(alone, DAYBOOK_ABORTED);
    fixture_wait_unary_open(&fixture, 0);
    cr_assert_eq(daybook_server_count(fixture.server).unary_bytes, 0);
    struct raw_call *small = start(&fixture, "", 0);
    counter_wait(&held.counter, 1);
    answer_all(&held);
    end(small, DAYBOOK_ABORTED);
    fixture_close(&fixture);
    free(request);
}

/* --- Who is asked. ---------------------------------------------------------------------------------------------------- */

static atomic_bool admits;
static atomic_size_t asked_bytes;

static bool ask(void *context, daybook_server_call *call, const daybook_method *method, size_t request_bytes) {
    cr_assert_str_eq(method->path, FIXTURE_UNARY);
    counter_add(context);
    atomic_store(&asked_bytes, request_bytes);
    if (atomic_load(&admits)) return true;
    daybook_server_call_fail(call, DAYBOOK_UNAVAILABLE, "not now", NULL, 0);
    return false;
}

Test(server_load, who_is_asked_refuses_before_a_request_is_read) {
    struct fixture fixture;
    struct counter asked = COUNTER_INIT;
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = fixture_echo, .admit = ask}, &asked,
                      (daybook_server_options){.threads_count = 1});
    /* Not a message: whoever reads it says INVALID_ARGUMENT. */
    const struct raw_status refused = raw_unary(fixture.channel, FIXTURE_UNARY, "\xff\xff\xff", 3, NULL);
    cr_assert_eq(refused.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(refused.message, "not now");
    cr_assert_eq(asked_bytes, 3);
    atomic_store(&admits, true);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "\xff\xff\xff", 3, NULL).code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_OK);
    cr_assert_eq(counter_get(&asked), 3);
    cr_assert_eq(raw_unary(fixture.channel, HEALTH_CHECK, "", 0, NULL).code, DAYBOOK_OK);
    cr_assert_eq(counter_get(&asked), 3, "health is not asked about");
    fixture_wait_unary_open(&fixture, 0);
    fixture_close(&fixture);
}
