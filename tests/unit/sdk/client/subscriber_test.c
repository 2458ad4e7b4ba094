/* A subscriber against servers that end, refuse, fall silent and restart: each event once, in order, none missing. */
#include "daybook/subscriber.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/random.h"
#include "tests/unit/sdk/client/scripted_server.h"

#define PATIENCE_MS 60000

static struct scripted_server *server;
static daybook_client *client;
static struct script_seen seen[SCRIPT_SEEN_MAX];

/* What `disconnected` has heard. */
static struct {
    size_t count;
    uint32_t retry_ms[SCRIPT_SEEN_MAX];
    daybook_status status; /* the last one */
} losses;

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    cr_assert_eq(context, &losses);
    cr_assert_lt(losses.count, SCRIPT_SEEN_MAX);
    cr_assert_gt(retry_ms, 0, "attempts without a pause are an attack");
    losses.retry_ms[losses.count++] = retry_ms;
    losses.status = *status;
}

static void client_open(uint16_t port) {
    char target[32];
    daybook_status status;
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    client = daybook_client_open(&(daybook_client_options){.target = target, .reconnect_backoff_max_ms = 100}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

static void begin(const struct script_turn *turns, size_t count) {
    server = scripted_start(0, turns, count);
    client_open(scripted_port(server));
}
#define BEGIN(...)                                                                                                     \
    begin((const struct script_turn[]){__VA_ARGS__},                                                                   \
          sizeof((const struct script_turn[]){__VA_ARGS__}) / sizeof(struct script_turn))

static void end(void) {
    if (client != NULL) daybook_client_close(client);
    if (server != NULL) scripted_stop(server);
}

TestSuite(subscriber, .fini = end);

/* With pauses of a few milliseconds, unless the test wants others. */
static daybook_subscriber *subscriber_open(daybook_subscriber_options options) {
    daybook_status status;
    options.disconnected = on_disconnected;
    options.context = &losses;
    if (options.backoff_max_ms == 0) options.backoff_max_ms = 5;
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &options, &status);
    cr_assert_not_null(subscriber, "%s", status.message);
    return subscriber;
}

/* Takes the next response, which must come, and checks that its events follow the position before it. */
static void take(daybook_subscriber *subscriber) {
    const daybook_v1_SubscribeResponse *response;
    daybook_status status;
    uint64_t position = daybook_subscriber_position(subscriber);
    const daybook_next next = daybook_subscriber_next(subscriber, PATIENCE_MS, &response, &status);
    cr_assert_eq(next, DAYBOOK_NEXT_MESSAGE, "%s", next == DAYBOOK_NEXT_ERROR ? status.message : "timeout");
    size_t count;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
    for (size_t index = 0; index < count; index++) {
        cr_assert_eq(daybook_v1_RecordedEvent_position(events[index]), ++position);
    }
    cr_assert_eq(daybook_subscriber_position(subscriber), daybook_v1_SubscribeResponse_position(response));
}

static void take_until(daybook_subscriber *subscriber, uint64_t position) {
    while (daybook_subscriber_position(subscriber) < position) take(subscriber);
    cr_assert_eq(daybook_subscriber_position(subscriber), position);
}

static void expect_error(daybook_subscriber *subscriber, daybook_code code) {
    const daybook_v1_SubscribeResponse *response;
    daybook_status status;
    cr_assert_eq(daybook_subscriber_next(subscriber, PATIENCE_MS, &response, &status), DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, code, "%s", status.message);
}

static void expect_timeout(daybook_subscriber *subscriber, uint32_t wait_ms) {
    const daybook_v1_SubscribeResponse *response;
    daybook_status status;
    cr_assert_eq(daybook_subscriber_next(subscriber, wait_ms, &response, &status), DAYBOOK_NEXT_TIMEOUT);
}

/* --- Every event once. ------------------------------------------------------------------------------------------------ */

Test(subscriber, streams_that_end_cost_no_event_and_repeat_none) {
    struct random random = random_start("subscriber");
    static const daybook_code codes[] = {DAYBOOK_OK, DAYBOOK_UNAVAILABLE, DAYBOOK_CANCELLED, DAYBOOK_DEADLINE_EXCEEDED};
    struct script_turn turns[SCRIPT_TURNS_MAX];
    for (size_t index = 0; index < SCRIPT_TURNS_MAX; index++) {
        turns[index] = (struct script_turn){.responses_count = (uint32_t)random_below(&random, 4),
                                            .code = codes[random_below(&random, 4)]};
    }
    turns[SCRIPT_TURNS_MAX - 1] = (struct script_turn){.responses_count = 1}; /* it goes on in any case */
    begin(turns, SCRIPT_TURNS_MAX);
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
    take_until(subscriber, SCRIPT_HISTORY);
    const size_t count = scripted_seen(server, seen);
    cr_assert_gt(count, 10);
    cr_assert_geq(losses.count + 1, count);
    cr_assert_null(daybook_subscriber_close(subscriber));
}

Test(subscriber, every_attempt_begins_after_the_last_position_handed_out) {
    BEGIN({.responses_count = 2}, {.responses_count = 0, .code = DAYBOOK_UNAVAILABLE}, {.responses_count = 1},
          {.hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 100});
    take_until(subscriber, 109);
    expect_timeout(subscriber, 0);
    scripted_wait(server, 3);
    /* The fourth attempt is only made by a call of next. */
    for (size_t count = scripted_seen(server, seen); count < 4; count = scripted_seen(server, seen)) {
        expect_timeout(subscriber, 1);
    }
    static const uint64_t afters[] = {100, 106, 106, 109};
    for (size_t index = 0; index < 4; index++) {
        cr_assert_eq(seen[index].after, afters[index]);
        cr_assert_not(seen[index].from_end);
        cr_assert_eq(seen[index].heartbeat_ms, 10000);
    }
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_server_that_restarts_is_found_again) {
    BEGIN({.responses_count = 5, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
    take_until(subscriber, 15);
    for (uint64_t round = 2; round <= 4; round++) {
        const uint16_t port = scripted_port(server);
        scripted_stop(server);
        server = NULL;
        expect_timeout(subscriber, 20);
        server = scripted_start(port, (const struct script_turn[]){{.responses_count = 5, .hold = true}}, 1);
        take_until(subscriber, 15 * round);
    }
    cr_assert_geq(losses.count, 3);
    daybook_subscriber_close(subscriber);
}

/* A reader that is told nothing for a while has lost nothing: it is only slow. */
Test(subscriber, a_server_that_is_not_there_yet_is_waited_for) {
    BEGIN({.responses_count = 1, .hold = true});
    const uint16_t port = scripted_port(server);
    scripted_stop(server);
    server = NULL;
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 7});
    expect_timeout(subscriber, 50);
    cr_assert_eq(daybook_subscriber_position(subscriber), 7);
    server = scripted_start(port, (const struct script_turn[]){{.responses_count = 1, .hold = true}}, 1);
    take_until(subscriber, 10);
    daybook_subscriber_close(subscriber);
}

/* --- Where it begins. ------------------------------------------------------------------------------------------------- */

Test(subscriber, one_from_the_end_asks_for_the_end_until_it_knows_where_that_is) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE}, {.responses_count = 1, .marks_alone = true, .position = 42},
          {.responses_count = 1, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.from_end = 1});
    take(subscriber);
    cr_assert_eq(daybook_subscriber_position(subscriber), 42);
    take_until(subscriber, 45);
    cr_assert_eq(scripted_seen(server, seen), 3);
    cr_assert(seen[0].from_end && seen[1].from_end);
    cr_assert_not(seen[2].from_end);
    cr_assert_eq(seen[2].after, 42);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, the_end_of_an_empty_store_is_a_position_too) {
    BEGIN({.responses_count = 1, .marks_alone = true, .position = 0}, {.responses_count = 1, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.from_end = 1});
    take(subscriber);
    take_until(subscriber, 3);
    cr_assert_eq(scripted_seen(server, seen), 2);
    cr_assert_not(seen[1].from_end, "what was recorded in between would be skipped");
    cr_assert_eq(seen[1].after, 0);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, one_from_a_checkpoint_asks_for_it_until_it_knows_where_that_is) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE}, {.responses_count = 1, .marks_alone = true, .position = 42},
          {.responses_count = 1, .hold = true});
    char consumer[] = "invoicing";
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.consumer = consumer, .after = 7});
    memset(consumer, 'x', sizeof consumer - 1);
    take(subscriber);
    cr_assert_eq(daybook_subscriber_position(subscriber), 42);
    take_until(subscriber, 45);
    cr_assert_eq(scripted_seen(server, seen), 3);
    cr_assert_str_eq(seen[0].consumer, "invoicing");
    cr_assert_str_eq(seen[1].consumer, "invoicing");
    cr_assert_str_eq(seen[2].consumer, "");
    cr_assert_eq(seen[2].after, 42);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_consumer_without_a_checkpoint_begins_where_it_would_without_a_name) {
    static const daybook_subscriber_options options[] = {
        {.consumer = "c"}, {.consumer = "c", .after = 9}, {.consumer = "c", .from_end = 1}};
    for (size_t index = 0; index < sizeof options / sizeof options[0]; index++) {
        BEGIN({.code = DAYBOOK_NOT_FOUND, .reason = "CONSUMER_NOT_FOUND"}, {.responses_count = 1, .hold = true});
        daybook_subscriber *subscriber = subscriber_open(options[index]);
        take_until(subscriber, options[index].after + 3);
        cr_assert_eq(losses.count, 0, "nothing was lost and nobody has to wait");
        cr_assert_eq(scripted_seen(server, seen), 2);
        cr_assert_str_eq(seen[0].consumer, "c");
        cr_assert_str_eq(seen[1].consumer, "");
        cr_assert_eq(seen[1].after, options[index].after);
        cr_assert_eq(seen[1].from_end, options[index].from_end != 0);
        daybook_subscriber_close(subscriber);
        end();
        client = NULL;
        server = NULL;
    }
}

Test(subscriber, another_refusal_of_a_consumer_is_told) {
    BEGIN({.code = DAYBOOK_NOT_FOUND, .reason = "OTHER"});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.consumer = "c"});
    expect_error(subscriber, DAYBOOK_NOT_FOUND);
    cr_assert_eq(scripted_seen(server, seen), 1);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_checkpoint_that_is_missing_is_asked_for_once) {
    BEGIN({.code = DAYBOOK_NOT_FOUND, .reason = "CONSUMER_NOT_FOUND"});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.consumer = "c"});
    expect_error(subscriber, DAYBOOK_NOT_FOUND);
    cr_assert_eq(scripted_seen(server, seen), 2);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, the_filter_is_copied_and_goes_with_every_attempt) {
    BEGIN({.responses_count = 1}, {.responses_count = 1}, {.responses_count = 1, .hold = true});
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Filter *filter = daybook_v1_Filter_new(arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, arena);
    cr_assert(daybook_v1_Clause_add_types(clause, upb_StringView_FromString("Sold"), arena));
    daybook_subscriber *subscriber =
        subscriber_open((daybook_subscriber_options){.filter = filter, .heartbeat_ms = 1234});
    upb_Arena_Free(arena);
    take_until(subscriber, 9);
    cr_assert_eq(scripted_seen(server, seen), 3);
    for (size_t index = 0; index < 3; index++) {
        cr_assert(seen[index].has_filter);
        cr_assert_eq(seen[index].heartbeat_ms, 1234);
    }
    daybook_subscriber_close(subscriber);
}

/* --- Errors, silence, pauses. ----------------------------------------------------------------------------------------- */

Test(subscriber, a_refusal_for_good_is_told_and_not_tried_again) {
    static const daybook_code codes[] = {DAYBOOK_INVALID_ARGUMENT, DAYBOOK_NOT_FOUND, DAYBOOK_PERMISSION_DENIED,
                                         DAYBOOK_DATA_LOSS, DAYBOOK_UNIMPLEMENTED};
    for (size_t index = 0; index < sizeof codes / sizeof codes[0]; index++) {
        BEGIN({.responses_count = 1, .code = codes[index]});
        daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
        take_until(subscriber, 3);
        expect_error(subscriber, codes[index]);
        cr_assert_eq(daybook_subscriber_position(subscriber), 3);
        cr_assert_eq(scripted_seen(server, seen), 1);
        cr_assert_eq(losses.count, 0);
        daybook_subscriber_close(subscriber);
        end();
        client = NULL;
        server = NULL;
    }
}

Test(subscriber, a_refusal_that_asks_for_a_retry_is_tried_again) {
    BEGIN({.code = DAYBOOK_RESOURCE_EXHAUSTED, .retry_ms = 1}, {.responses_count = 1, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
    take_until(subscriber, 3);
    cr_assert_eq(losses.count, 1);
    cr_assert_eq(losses.status.code, DAYBOOK_RESOURCE_EXHAUSTED);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_status_is_not_asked_of_who_does_not_want_one) {
    BEGIN({.code = DAYBOOK_INVALID_ARGUMENT});
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &(daybook_subscriber_options){.after = 0}, NULL);
    cr_assert_not_null(subscriber);
    const daybook_v1_SubscribeResponse *response;
    cr_assert_eq(daybook_subscriber_next(subscriber, PATIENCE_MS, &response, NULL), DAYBOOK_NEXT_ERROR);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, nothing_within_the_time_is_a_timeout_and_no_loss) {
    BEGIN({.responses_count = 1, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
    take_until(subscriber, 3);
    expect_timeout(subscriber, 0);
    expect_timeout(subscriber, 10);
    cr_assert_eq(losses.count, 0);
    cr_assert_eq(daybook_subscriber_position(subscriber), 3);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, silence_for_three_heartbeats_is_a_loss) {
    BEGIN({.responses_count = 1, .hold = true}, {.responses_count = 1, .hold = true});
    /* Long enough for a busy machine to answer the second attempt before it counts as silent, too. */
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.heartbeat_ms = 500});
    take_until(subscriber, 6);
    cr_assert_eq(losses.count, 1);
    cr_assert_eq(losses.status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(losses.status.message, "no heartbeat for 1500 ms");
    daybook_subscriber_close(subscriber);
}

Test(subscriber, pauses_double_with_jitter_up_to_the_limit) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.backoff_max_ms = 300});
    static const uint32_t most_ms[] = {100, 200, 300, 300};
    while (losses.count < 4) expect_timeout(subscriber, 1);
    for (size_t index = 0; index < 4; index++) {
        cr_assert_leq(losses.retry_ms[index], most_ms[index]);
        cr_assert_geq(losses.retry_ms[index], most_ms[index] / 2);
    }
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_limit_below_the_first_pause_holds_for_the_first_pause) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.backoff_max_ms = 8});
    while (losses.count < 5) expect_timeout(subscriber, 1);
    for (size_t index = 0; index < 5; index++) cr_assert_leq(losses.retry_ms[index], 8);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_response_makes_the_next_pause_short_again) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE}, {.code = DAYBOOK_UNAVAILABLE}, {.responses_count = 1}, {.hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.backoff_max_ms = 1000});
    take_until(subscriber, 3);
    while (losses.count < 3) expect_timeout(subscriber, 1);
    cr_assert_geq(losses.retry_ms[1], 100);
    cr_assert_leq(losses.retry_ms[2], 100);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, a_server_that_asks_for_a_pause_is_given_it_up_to_the_limit) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE, .retry_ms = 250}, {.code = DAYBOOK_UNAVAILABLE, .retry_ms = 100000},
          {.hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.backoff_max_ms = 300});
    while (losses.count < 2) expect_timeout(subscriber, 1);
    cr_assert_eq(losses.retry_ms[0], 250);
    cr_assert_eq(losses.retry_ms[1], 300);
    daybook_subscriber_close(subscriber);
}

/* --- Cancelled. ------------------------------------------------------------------------------------------------------- */

/* How long the cancellation holds back once the server was asked, to meet other moments of a stream's life. */
static int64_t hold_back_ns;
static size_t awaited_count;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *cancel_elsewhere(void *subscriber) {
    scripted_wait(server, awaited_count);
    for (const int64_t until_ns = now_ns() + hold_back_ns; now_ns() < until_ns;) continue;
    daybook_subscriber_cancel(subscriber);
    return NULL;
}

static void expect_cancelled_from_elsewhere(daybook_subscriber *subscriber) {
    pthread_t thread;
    awaited_count = scripted_seen(server, seen) + 1;
    cr_assert_eq(pthread_create(&thread, NULL, cancel_elsewhere, subscriber), 0);
    const daybook_v1_SubscribeResponse *response;
    daybook_status status;
    daybook_next next;
    do {
        next = daybook_subscriber_next(subscriber, DAYBOOK_TIMEOUT_NONE, &response, &status);
    } while (next == DAYBOOK_NEXT_MESSAGE);
    cr_assert_eq(next, DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, DAYBOOK_CANCELLED, "%s", status.message);
    pthread_join(thread, NULL);
    expect_error(subscriber, DAYBOOK_CANCELLED);
    expect_error(subscriber, DAYBOOK_CANCELLED);
    daybook_subscriber_close(subscriber);
}

Test(subscriber, cancel_ends_a_wait_for_the_server) {
    BEGIN({.responses_count = 2, .hold = true});
    expect_cancelled_from_elsewhere(subscriber_open((daybook_subscriber_options){.after = 0}));
}

Test(subscriber, cancel_ends_a_pause) {
    BEGIN({.code = DAYBOOK_UNAVAILABLE, .retry_ms = 3600000});
    expect_cancelled_from_elsewhere(subscriber_open((daybook_subscriber_options){.backoff_max_ms = 3600000}));
}

Test(subscriber, cancel_before_the_first_wait_is_remembered) {
    BEGIN({.responses_count = 1, .hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.after = 0});
    daybook_subscriber_cancel(subscriber);
    expect_error(subscriber, DAYBOOK_CANCELLED);
    cr_assert_eq(scripted_seen(server, seen), 0);
    daybook_subscriber_close(subscriber);
}

/* The end of the stream and the cancellation cross: whichever comes first, the caller hears of its own cancellation. */
Test(subscriber, cancel_is_told_as_such_while_streams_end) {
    struct random random = random_start("subscriber");
    BEGIN({.responses_count = 1, .code = DAYBOOK_UNAVAILABLE});
    for (int round = 0; round < 300; round++) {
        hold_back_ns = (int64_t)random_below(&random, 500000);
        expect_cancelled_from_elsewhere(subscriber_open((daybook_subscriber_options){.after = 0}));
        losses.count = 0;
    }
}

Test(subscriber, close_takes_one_that_was_never_used_and_none_at_all) {
    BEGIN({.hold = true});
    cr_assert_null(daybook_subscriber_close(subscriber_open((daybook_subscriber_options){.after = 0})));
    cr_assert_null(daybook_subscriber_close(NULL));
}

/* --- Exactly once. ---------------------------------------------------------------------------------------------------- */

Test(subscriber, a_checkpoint_names_the_consumer_also_after_it_was_used_to_begin) {
    BEGIN({.responses_count = 2}, {.hold = true});
    daybook_subscriber *subscriber = subscriber_open((daybook_subscriber_options){.consumer = "invoicing"});
    take_until(subscriber, 6);
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    daybook_status status;
    cr_assert(daybook_subscriber_checkpoint(subscriber, 5, request, arena, &status));
    daybook_subscriber_close(subscriber);
    /* It is the arena's. */
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_checkpoint(request);
    cr_assert(
        upb_StringView_IsEqual(daybook_v1_Checkpoint_consumer(checkpoint), upb_StringView_FromString("invoicing")));
    cr_assert_eq(daybook_v1_Checkpoint_position(checkpoint), 5);
    upb_Arena_Free(arena);
}
