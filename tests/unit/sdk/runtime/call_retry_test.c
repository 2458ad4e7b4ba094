/* Calls that are made again: when, how often, and how they are ended in the pause between two attempts. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/echo_fixture.h"
#include "tests/support/random.h"

#define CALLS_COUNT 300

/* A pause that no test lives to see the end of. */
#define FOR_EVER_MS 3600000

static struct echo_fixture fixture;

static const daybook_retry_options quick = {.attempts_max = 5, .backoff_first_ms = 1, .backoff_max_ms = 2};
static const daybook_retry_options slow = {.backoff_first_ms = FOR_EVER_MS, .backoff_max_ms = FOR_EVER_MS};
static const daybook_call_options quickly = {.retry = &quick, .timeout_ms = DAYBOOK_TIMEOUT_NONE};
static const daybook_call_options slowly = {.retry = &slow, .timeout_ms = DAYBOOK_TIMEOUT_NONE};

static void setup(void) {
    fixture = echo_fixture_open();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(call_retry, .init = setup, .fini = teardown, .timeout = 120);

static daybook_call *start(const daybook_method *method, const struct echo_script *script,
                           const daybook_call_options *options) {
    daybook_call *call = daybook_call_start(fixture.client, method, echo_request(&fixture, script), options);
    cr_assert_not_null(call);
    return call;
}

/* Waits for the end of a call and frees it. */
static void assert_ends(daybook_call *call, daybook_code code, uint32_t attempts_count) {
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    const daybook_status *status = daybook_call_status(call);
    cr_assert_eq(status->code, code, "%s: %s", daybook_code_name(status->code), status->message);
    cr_assert_eq(daybook_call_attempts_count(call), attempts_count, "%u attempts", daybook_call_attempts_count(call));
    cr_assert_eq(daybook_call_result(call) != NULL, code == DAYBOOK_OK);
    daybook_call_free(call);
}

static void assert_ends_after(const daybook_method *method, const struct echo_script *script,
                              const daybook_call_options *options, daybook_code code, uint32_t attempts_count) {
    assert_ends(start(method, script, options), code, attempts_count);
    cr_assert_eq(echo_server_received(fixture.server), attempts_count);
}

/* --- When --------------------------------------------------------------------------------------------------------- */

Test(call_retry, a_call_that_succeeds_is_made_once) {
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &(struct echo_script){.count = 1}, NULL, DAYBOOK_OK, 1);
}

Test(call_retry, a_call_is_made_again_until_it_succeeds) {
    const struct echo_script script = {.count = 1, .failures = 3, .code = DAYBOOK_UNAVAILABLE};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &quickly, DAYBOOK_OK, 4);
}

Test(call_retry, the_blocking_form_is_made_again_with_the_same_request) {
    static const size_t sizes[] = {0, 10, 1000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct echo_script script = {.text = "the same",
                                           .payload_bytes = sizes[i],
                                           .count = 1,
                                           .code = DAYBOOK_UNAVAILABLE,
                                           .failures = echo_server_received(fixture.server) + 2};
        const void *request = echo_request(&fixture, &script);
        const void *response = NULL;
        daybook_status status;
        const uint32_t before = echo_server_received(fixture.server);
        cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL_IDEMPOTENT, request, &quickly, fixture.arena, &response,
                                     &status),
                  "%s", status.message);
        cr_assert_eq(echo_server_received(fixture.server) - before, 3);
        cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_payload(response),
                                         daybook_test_EchoRequest_payload(request)));
    }
}

Test(call_retry, the_clients_options_hold_for_calls_without_their_own) {
    daybook_client_close(fixture.client);
    const daybook_client_options options = {.target = echo_server_target(fixture.server),
                                            .retry = {.attempts_max = 2, .backoff_first_ms = 1}};
    fixture.client = daybook_client_open(&options, NULL);
    const struct echo_script script = {.code = DAYBOOK_UNAVAILABLE};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, NULL, DAYBOOK_UNAVAILABLE, 2);
}

Test(call_retry, a_method_with_effects_is_not_called_twice) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE};
    assert_ends_after(&ECHO_CALL, &script, &quickly, DAYBOOK_UNAVAILABLE, 1);
}

Test(call_retry, unless_the_caller_says_that_it_may) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE};
    const daybook_call_options options = {.retry = &quick, .idempotent = 1};
    assert_ends_after(&ECHO_CALL, &script, &options, DAYBOOK_OK, 2);
}

Test(call_retry, one_attempt_at_most_is_one) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE};
    const daybook_retry_options never = {.attempts_max = 1};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &(daybook_call_options){.retry = &never}, DAYBOOK_UNAVAILABLE, 1);
}

Test(call_retry, what_the_server_wants_again_is_made_again) {
    const struct echo_script script = {
        .count = 1,
        .failures = 2,
        .code = DAYBOOK_RESOURCE_EXHAUSTED,
        .details = echo_details(&fixture, "QUEUE_FULL", 3),
    };
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &quickly, DAYBOOK_OK, 3);
}

Test(call_retry, what_the_server_does_not_want_again_is_not) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_RESOURCE_EXHAUSTED};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &quickly, DAYBOOK_RESOURCE_EXHAUSTED, 1);
}

Test(call_retry, the_last_status_is_told_with_its_details) {
    const struct echo_script script = {
        .code = DAYBOOK_UNAVAILABLE,
        .message = "draining",
        .details = echo_details(&fixture, "DRAINING", -1),
    };
    daybook_details details = {.size = 7};
    const daybook_call_options options = {.retry = &quick, .details = &details};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &options);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_str_eq(daybook_call_status(call)->message, "draining");
    cr_assert_str_eq(daybook_call_status(call)->reason, "DRAINING");
    cr_assert_eq(details.size, script.details.size);
    assert_ends(call, DAYBOOK_UNAVAILABLE, 5);
}

Test(call_retry, a_success_leaves_no_details_of_the_failures_before) {
    const struct echo_script script = {
        .count = 1,
        .failures = 1,
        .code = DAYBOOK_UNAVAILABLE,
        .details = echo_details(&fixture, "DRAINING", -1),
    };
    daybook_details details = {.size = 7};
    const daybook_call_options options = {.retry = &quick, .details = &details};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &options);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_str_eq(daybook_call_status(call)->reason, "");
    cr_assert_eq(details.size, 0);
    assert_ends(call, DAYBOOK_OK, 2);
}

/* What only an attempt that fails has among its trailers. */
static const char pushback_key[] = "grpc-retry-pushback-ms";

Test(call_retry, the_metadata_is_the_last_attempts) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE, .pushback = "1"};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &quickly);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_null(daybook_metadata_find(daybook_call_trailing_metadata(call), pushback_key).data);
    assert_ends(call, DAYBOOK_OK, 2);
    const struct echo_script failing = {.code = DAYBOOK_UNAVAILABLE, .pushback = "-1"};
    call = start(&ECHO_CALL_IDEMPOTENT, &failing, &quickly);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    upb_StringView word = daybook_metadata_find(daybook_call_trailing_metadata(call), pushback_key);
    cr_assert(upb_StringView_IsEqual(word, upb_StringView_FromString("-1")));
    assert_ends(call, DAYBOOK_UNAVAILABLE, 1);
}

Test(call_retry, a_server_that_is_gone_is_tried_again) {
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    assert_ends(start(&ECHO_CALL_IDEMPOTENT, &(struct echo_script){.count = 1}, &quickly), DAYBOOK_UNAVAILABLE, 5);
}

Test(call_retry, options_out_of_range_send_nothing) {
    const daybook_retry_options wrong = {.attempts_max = 101};
    const daybook_call_options options = {.retry = &wrong};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &(struct echo_script){.count = 1}, &options);
    cr_assert(daybook_call_wait(call, 0));
    cr_assert_not_null(strstr(daybook_call_status(call)->message, "retry.attempts_max"));
    assert_ends(call, DAYBOOK_INVALID_ARGUMENT, 0);
}

/* --- The server's word -------------------------------------------------------------------------------------------- */

Test(call_retry, a_server_that_forbids_it_is_obeyed) {
    static const char *const words[] = {"-1", "never", "99999999999"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const struct echo_script script = {.code = DAYBOOK_UNAVAILABLE, .pushback = words[i]};
        assert_ends(start(&ECHO_CALL_IDEMPOTENT, &script, &quickly), DAYBOOK_UNAVAILABLE, 1);
        cr_assert_eq(echo_server_received(fixture.server), i + 1, "%s", words[i]);
    }
}

/* The pause of the options would not end. */
Test(call_retry, the_servers_pause_takes_the_place_of_the_own) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE, .pushback = "1"};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &slowly, DAYBOOK_OK, 2);
}

/* --- Time --------------------------------------------------------------------------------------------------------- */

Test(call_retry, a_pause_that_outlasts_the_call_is_not_made) {
    const struct echo_script script = {.count = 1, .failures = 1, .code = DAYBOOK_UNAVAILABLE};
    const daybook_call_options options = {.retry = &slow, .timeout_ms = FOR_EVER_MS / 4};
    assert_ends_after(&ECHO_CALL_IDEMPOTENT, &script, &options, DAYBOOK_UNAVAILABLE, 1);
}

Test(call_retry, the_timeout_holds_for_all_attempts_together) {
    const struct echo_script script = {.failures = 1, .code = DAYBOOK_UNAVAILABLE, .hold = true};
    const daybook_call_options options = {.retry = &quick, .timeout_ms = 1000};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &options);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_DEADLINE_EXCEEDED);
    daybook_call_free(call);
}

/* --- Ended in the pause ------------------------------------------------------------------------------------------- */

static atomic_uint dones;

static void count_done(daybook_call *call, void *context) {
    (void)call;
    (void)context;
    atomic_fetch_add(&dones, 1);
}

/* A call whose first attempt has failed: it pauses, or is about to. Two calls after it have been answered by the same
 * server to the same thread. */
static daybook_call *start_pausing(void) {
    const struct echo_script script = {.code = DAYBOOK_UNAVAILABLE};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &slowly);
    for (uint32_t i = 0; i < 2; i++) {
        const void *response = NULL;
        cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL,
                                     echo_request(&fixture, &(struct echo_script){.count = 1}), NULL, fixture.arena,
                                     &response, NULL));
    }
    cr_assert_not(daybook_call_wait(call, 0));
    return call;
}

/* In whichever moment the cancel comes, the call ends at once; it is repeated until it was the pause. */
Test(call_retry, cancel_ends_the_pause) {
    bool was_pause = false;
    uint32_t rounds_count = 0;
    while (!was_pause) {
        daybook_call *call = start_pausing();
        daybook_call_on_done(call, count_done, NULL);
        daybook_call_cancel(call);
        daybook_call_cancel(call);
        cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
        daybook_call_cancel(call);
        was_pause = strcmp(daybook_call_status(call)->message, "cancelled before attempt 2") == 0;
        if (!was_pause) cr_assert_neq(daybook_call_status(call)->code, DAYBOOK_OK);
        cr_assert_eq(daybook_call_attempts_count(call), 1);
        daybook_call_free(call);
        rounds_count++;
    }
    cr_assert_eq(atomic_load(&dones), rounds_count);
}

Test(call_retry, free_ends_the_pause) {
    daybook_call *call = start_pausing();
    daybook_call_on_done(call, count_done, NULL);
    daybook_call_free(call);
    /* Would wait for the pause. */
    fixture.client = daybook_client_close(fixture.client);
    cr_assert_eq(atomic_load(&dones), 0);
}

/* As cancel_ends_the_pause: one that is about to pause ends with what it was told. */
Test(call_retry, the_clients_close_ends_the_pause) {
    bool was_pause = false;
    for (uint32_t rounds_count = 1; !was_pause; rounds_count++) {
        if (fixture.client == NULL) {
            const daybook_client_options options = {.target = echo_server_target(fixture.server)};
            fixture.client = daybook_client_open(&options, NULL);
            cr_assert_not_null(fixture.client);
        }
        daybook_call *call = start_pausing();
        daybook_call_on_done(call, count_done, NULL);
        fixture.client = daybook_client_close(fixture.client);
        cr_assert_eq(atomic_load(&dones), rounds_count);
        was_pause = daybook_call_status(call)->code == DAYBOOK_CANCELLED;
        assert_ends(call, was_pause ? DAYBOOK_CANCELLED : DAYBOOK_UNAVAILABLE, 1);
    }
}

static void *block(void *argument) {
    daybook_status *status = argument;
    const void *response = NULL;
    const struct echo_script script = {.code = DAYBOOK_UNAVAILABLE};
    upb_Arena *arena = upb_Arena_New();
    bool ok = daybook_call_unary(fixture.client, &ECHO_CALL_IDEMPOTENT, echo_request(&fixture, &script), &slowly, arena,
                                 &response, status);
    upb_Arena_Free(arena);
    return ok ? argument : NULL;
}

Test(call_retry, close_releases_a_blocked_caller_in_the_pause) {
    daybook_status status = {0};
    pthread_t blocked;
    daybook_client *client = fixture.client;
    cr_assert_eq(pthread_create(&blocked, NULL, block, &status), 0);
    echo_server_wait_received(fixture.server, 1);
    daybook_client_close(client);
    void *succeeded = NULL;
    pthread_join(blocked, &succeeded);
    fixture.client = NULL;
    cr_assert_null(succeeded);
    cr_assert(status.code == DAYBOOK_CANCELLED || status.code == DAYBOOK_UNAVAILABLE, "%s", status.message);
}

Test(call_retry, done_runs_once_after_the_last_attempt) {
    const struct echo_script script = {.count = 1, .failures = 3, .code = DAYBOOK_UNAVAILABLE};
    daybook_call *call = start(&ECHO_CALL_IDEMPOTENT, &script, &quickly);
    daybook_call_on_done(call, count_done, NULL);
    assert_ends(call, DAYBOOK_OK, 4);
    cr_assert_eq(atomic_load(&dones), 1);
}

/* --- All at once -------------------------------------------------------------------------------------------------- */

Test(call_retry, calls_end_at_any_moment) {
    struct random random = random_start("call_retry");
    daybook_client_close(fixture.client);
    const daybook_client_options options = {.target = echo_server_target(fixture.server), .threads_count = 4};
    fixture.client = daybook_client_open(&options, NULL);
    const struct echo_script script = {.count = 1, .code = DAYBOOK_UNAVAILABLE};
    const daybook_retry_options retry = {.attempts_max = 100, .backoff_first_ms = 1, .backoff_max_ms = 3};
    const daybook_call_options unbounded = {.retry = &retry, .timeout_ms = DAYBOOK_TIMEOUT_NONE};
    daybook_call *calls[CALLS_COUNT];
    uint32_t calls_count = 0;
    for (uint32_t i = 0; i < CALLS_COUNT; i++) {
        calls[calls_count] = start(&ECHO_CALL_IDEMPOTENT, &script, &unbounded);
        daybook_call_on_done(calls[calls_count++], count_done, NULL);
        const uint64_t victim = random_below(&random, calls_count);
        switch (random_below(&random, 3)) {
        case 0:
            daybook_call_cancel(calls[victim]);
            break;
        case 1:
            daybook_call_free(calls[victim]);
            calls[victim] = calls[--calls_count];
            break;
        default:
            break;
        }
    }
    fixture.client = daybook_client_close(fixture.client);
    for (uint32_t i = 0; i < calls_count; i++) {
        cr_assert(daybook_call_wait(calls[i], 0));
        cr_assert_neq(daybook_call_status(calls[i])->code, DAYBOOK_OK);
        daybook_call_free(calls[i]);
    }
    cr_assert_geq(atomic_load(&dones), calls_count);
    cr_assert_leq(atomic_load(&dones), CALLS_COUNT);
}
