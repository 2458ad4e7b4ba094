/* Subscribe: where it begins, what it leaves out, how it is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "google/protobuf/empty.upb.h"
#include "service/base/limits.h"
#include "tests/unit/service/api/rooms.h"

/* Positions 1 to 4: orders at 1 and 3, invoices at 2 and 4. */
static void setup(void) {
    rooms_open();
    for (int index = 0; index < 2; index++) {
        rooms_append_one("orders", "Sold");
        rooms_append_one("invoices", "Sent");
    }
}

TestSuite(subscribe, .init = setup, .fini = rooms_close);

static daybook_v1_SubscribeRequest *request_new(void) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(rooms.arena);
    cr_assert_not_null(request);
    return request;
}

/* A subscription in progress, and what it has told so far. */
struct subscriber {
    daybook_v1_EventStore_Subscribe_stream *stream;
    uint64_t positions[16]; /* of the events */
    size_t count;
    uint64_t position; /* of the last response */
    uint64_t heartbeats_count;
    bool caught_up;
};

static struct subscriber subscriber_open(const daybook_v1_SubscribeRequest *request) {
    daybook_status status;
    struct subscriber subscriber = {.stream =
                                        daybook_v1_EventStore_Subscribe_open(rooms.client, request, NULL, &status)};
    cr_assert_not_null(subscriber.stream, "%s", status.message);
    return subscriber;
}

static void hear_once(struct subscriber *subscriber) {
    const daybook_v1_SubscribeResponse *response;
    daybook_status status;
    const daybook_next next =
        daybook_v1_EventStore_Subscribe_next(subscriber->stream, ROOMS_PATIENCE_MS, &response, &status);
    cr_assert_eq(next, DAYBOOK_NEXT_MESSAGE, "%s", next == DAYBOOK_NEXT_ERROR ? status.message : "");
    size_t count;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
    for (size_t index = 0; index < count; index++) {
        cr_assert_lt(subscriber->count, 16);
        subscriber->positions[subscriber->count++] = daybook_v1_RecordedEvent_position(events[index]);
    }
    subscriber->position = daybook_v1_SubscribeResponse_position(response);
    subscriber->caught_up |= daybook_v1_SubscribeResponse_caught_up(response);
    subscriber->heartbeats_count += daybook_v1_SubscribeResponse_heartbeat(response);
}

static void hear_until_caught_up(struct subscriber *subscriber) {
    while (!subscriber->caught_up) hear_once(subscriber);
}

static void hear_until(struct subscriber *subscriber, uint64_t position) {
    while (subscriber->position < position) hear_once(subscriber);
}

static void expect_heard(const struct subscriber *subscriber, const uint64_t *positions) {
    for (size_t index = 0; index < subscriber->count; index++) {
        cr_assert_eq(subscriber->positions[index], positions[index]);
    }
    cr_assert_eq(positions[subscriber->count], 0, "%zu events were heard", subscriber->count);
}
#define EXPECT_HEARD(subscriber, ...) expect_heard(subscriber, (const uint64_t[]){__VA_ARGS__, 0})

static struct answer refusal_of(const daybook_v1_SubscribeRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_SubscribeRequest_serialize(request, rooms.arena, &size);
    cr_assert_not_null(encoded);
    return rooms_stream_end(METHOD_SUBSCRIBE, upb_StringView_FromDataAndSize(encoded, size));
}

Test(subscribe, without_a_start_it_begins_at_the_beginning) {
    struct subscriber subscriber = subscriber_open(request_new());
    hear_until_caught_up(&subscriber);
    EXPECT_HEARD(&subscriber, 1, 2, 3, 4);
    cr_assert_eq(subscriber.position, 4);
    rooms_append_one("orders", "Sold");
    hear_until(&subscriber, 5);
    EXPECT_HEARD(&subscriber, 1, 2, 3, 4, 5);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, beginning_is_the_first_event) {
    daybook_v1_SubscribeRequest *request = request_new();
    cr_assert_not_null(daybook_v1_SubscribeRequest_mutable_beginning(request, rooms.arena));
    struct subscriber subscriber = subscriber_open(request);
    hear_until_caught_up(&subscriber);
    EXPECT_HEARD(&subscriber, 1, 2, 3, 4);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, after_leaves_out_the_position_itself) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_SubscribeRequest_set_after(request, 3);
    struct subscriber subscriber = subscriber_open(request);
    hear_until_caught_up(&subscriber);
    EXPECT_HEARD(&subscriber, 4);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, after_a_position_that_is_not_there_yet_waits_for_the_one_behind_it) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_SubscribeRequest_set_after(request, 6);
    struct subscriber subscriber = subscriber_open(request);
    hear_once(&subscriber);
    cr_assert_eq(subscriber.position, 6, "what was asked to be left out counts as delivered");
    for (int index = 0; index < 3; index++) rooms_append_one("orders", "Sold");
    hear_until(&subscriber, 7);
    EXPECT_HEARD(&subscriber, 7);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, end_delivers_only_what_comes) {
    daybook_v1_SubscribeRequest *request = request_new();
    cr_assert_not_null(daybook_v1_SubscribeRequest_mutable_end(request, rooms.arena));
    struct subscriber subscriber = subscriber_open(request);
    hear_until_caught_up(&subscriber);
    cr_assert_eq(subscriber.position, 4, "it is told where the end was");
    rooms_append_one("orders", "Sold");
    hear_until(&subscriber, 5);
    EXPECT_HEARD(&subscriber, 5);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, a_filter_leaves_out_events_but_not_positions) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_Filter *filter = daybook_v1_SubscribeRequest_mutable_filter(request, rooms.arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, rooms.arena);
    cr_assert(daybook_v1_Clause_add_streams(clause, upb_StringView_FromString("orders"), rooms.arena));
    struct subscriber subscriber = subscriber_open(request);
    hear_until_caught_up(&subscriber);
    EXPECT_HEARD(&subscriber, 1, 3);
    cr_assert_eq(subscriber.position, 4);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, an_idle_one_hears_heartbeats) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, HEARTBEAT_MS_MIN);
    struct subscriber subscriber = subscriber_open(request);
    while (subscriber.heartbeats_count < 2) hear_once(&subscriber);
    EXPECT_HEARD(&subscriber, 1, 2, 3, 4);
    cr_assert_eq(subscriber.position, 4);
    daybook_v1_EventStore_Subscribe_close(subscriber.stream);
}

Test(subscribe, a_wrong_request_is_refused) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, HEARTBEAT_MS_MIN - 1);
    struct answer answer = refusal_of(request);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_not_null(answer.bad_request);
    answer_free(&answer);
}

Test(subscribe, a_consumer_without_a_checkpoint_is_not_found) {
    daybook_v1_SubscribeRequest *request = request_new();
    daybook_v1_SubscribeRequest_set_consumer(request, upb_StringView_FromString("inventory"));
    struct answer answer = refusal_of(request);
    answer_expect(&answer, DAYBOOK_NOT_FOUND, "CONSUMER_NOT_FOUND");
    cr_assert_not_null(strstr(answer.status.message, "\"inventory\""), "%s", answer.status.message);
    answer_free(&answer);
}
