/* The life of a reading on a stream: whoever ends it, reading and stream are given back once. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/feed/feed.h"
#include "tests/unit/service/api/rooms.h"

TestSuite(delivery, .init = rooms_open, .fini = rooms_close);

static struct raw_call *subscription_start(void) {
    struct raw_call *call = raw_call_request(rooms.channel, METHOD_SUBSCRIBE, "", 0);
    const struct raw_bytes first = raw_call_receive(call);
    cr_assert_not_null(first.data);
    free(first.data);
    return call;
}

/* Waits until the feed has so many readings; the end of a call is told to the client before the feed hears of it. */
static void wait_for_readings(uint64_t count) {
    struct feed_counts counts;
    do {
        counts = feed_count(rooms.feed);
    } while (counts.subscriptions_count + counts.reads_count != count);
}

Test(delivery, a_client_that_goes_gives_its_reading_back) {
    struct raw_call *calls[20];
    for (size_t index = 0; index < 20; index++) calls[index] = subscription_start();
    wait_for_readings(20);
    for (size_t index = 0; index < 20; index++) {
        raw_call_cancel(calls[index]);
        cr_assert_eq(raw_call_finish(calls[index]).code, DAYBOOK_CANCELLED);
        raw_call_free(calls[index]);
    }
    wait_for_readings(0);
    cr_assert_eq(rooms_append_one("s", "T"), 1);
}

Test(delivery, a_read_that_ends_gives_its_reading_back) {
    for (int index = 0; index < 20; index++) rooms_append_one("s", "T");
    size_t count;
    (void)rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    cr_assert_eq(count, 20);
    wait_for_readings(0);
}

/* The end of a short read, which goes with its one message, and the end of its client cross in every order. */
Test(delivery, a_read_and_clients_that_go_may_cross) {
    enum { ROUNDS_COUNT = 300 };
    rooms_append_one("s", "T");
    for (size_t round = 0; round < ROUNDS_COUNT; round++) {
        struct raw_call *call = raw_call_request(rooms.channel, METHOD_READ, "", 0);
        if (round % 3 == 0) free(raw_call_receive(call).data);
        raw_call_cancel(call);
        const int code = raw_call_finish(call).code;
        cr_assert(code == DAYBOOK_CANCELLED || code == DAYBOOK_OK, "%d", code);
        raw_call_free(call);
    }
    wait_for_readings(0);
}

Test(delivery, a_drained_feed_ends_subscriptions_with_a_reason) {
    struct raw_call *call = subscription_start();
    wait_for_readings(1);
    feed_drain(rooms.feed);
    cr_assert_null(raw_call_receive(call).data);
    struct answer answer = answer_of(call);
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    cr_assert_eq(answer_retry_ms(&answer), 1000);
    answer_free(&answer);
    raw_call_free(call);
    wait_for_readings(0);
}

/* The end of the reading and the end of the client cross in every order: each stream is closed once and none stays. */
Test(delivery, a_drain_and_clients_that_go_may_cross) {
    enum { CALLS_COUNT = 100 };
    struct raw_call *calls[CALLS_COUNT];
    for (size_t index = 0; index < CALLS_COUNT; index++) calls[index] = subscription_start();
    for (size_t index = 0; index < CALLS_COUNT / 2; index++) raw_call_cancel(calls[index]);
    feed_drain(rooms.feed);
    for (size_t index = CALLS_COUNT / 2; index < CALLS_COUNT; index++) raw_call_cancel(calls[index]);
    for (size_t index = 0; index < CALLS_COUNT; index++) {
        const int code = raw_call_finish(calls[index]).code;
        cr_assert(code == DAYBOOK_CANCELLED || code == DAYBOOK_UNAVAILABLE, "%d", code);
        raw_call_free(calls[index]);
    }
    wait_for_readings(0);
}

/* A client that does not read is not sent to: nothing of it is in memory but what is on its way. */
Test(delivery, a_slow_client_loses_nothing) {
    enum { EVENTS_COUNT = 200, PAYLOAD_BYTES = 60000 };
    struct raw_call *call = subscription_start();
    char *payload = upb_Arena_Malloc(rooms.arena, PAYLOAD_BYTES);
    cr_assert_not_null(payload);
    memset(payload, 'x', PAYLOAD_BYTES);
    for (int index = 0; index < EVENTS_COUNT; index++) {
        daybook_v1_AppendRequest *request = rooms_request();
        daybook_v1_Event_set_data(rooms_event(rooms_write(request, "s"), "T"),
                                  upb_StringView_FromDataAndSize(payload, PAYLOAD_BYTES));
        rooms_append(request);
    }
    uint64_t expected = 1;
    while (expected <= EVENTS_COUNT) {
        struct raw_bytes message = raw_call_receive(call);
        cr_assert_not_null(message.data);
        upb_Arena *arena = upb_Arena_New();
        const daybook_v1_SubscribeResponse *response =
            daybook_v1_SubscribeResponse_parse(message.data, message.size, arena);
        cr_assert_not_null(response);
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
        for (size_t index = 0; index < count; index++) {
            cr_assert_eq(daybook_v1_RecordedEvent_position(events[index]), expected++);
        }
        upb_Arena_Free(arena);
        free(message.data);
    }
    raw_call_cancel(call);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_CANCELLED);
    raw_call_free(call);
}
