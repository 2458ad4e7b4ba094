/* Subscriptions that stay open while everything else happens: ordered, without a gap, without a duplicate. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "google/protobuf/empty.upb.h"
#include "tests/model/api_world.h"
#include "tests/model/responses.h"

#define HEARTBEAT_MS 100

/* Fields of SubscribeResponse. */
enum { POSITION = 2, HEAD = 3, CAUGHT_UP = 4, APPEND_CONTINUES = 7 };

/* An event that was hidden or erased while the subscription was open may have been on its way before. */
static bool may_differ(const struct api_subscriber *subscriber, const struct reference_event *event) {
    return event->changed_at > subscriber->opened_at;
}

static bool must_come(const struct api_world *world, const struct api_subscriber *subscriber, uint64_t position) {
    const struct reference_event *event = reference_at(world->reference, position);
    return !may_differ(subscriber, event) && reference_shows(world->reference, event) &&
           reference_matches(event, &subscriber->filter);
}

/* The first event after a position that must come; 0: none. */
static uint64_t next(const struct api_world *world, const struct api_subscriber *subscriber, uint64_t after) {
    for (uint64_t position = after + 1; position <= world->reference->head; position++) {
        if (must_come(world, subscriber, position)) return position;
    }
    return 0;
}

static void record_check(struct api_world *world, struct api_subscriber *subscriber, struct bytes record) {
    struct reference *reference = world->reference;
    const uint64_t expected = next(world, subscriber, subscriber->delivered);
    const uint64_t position = reference_check_record(reference, record, true);
    const struct reference_event *event = reference_at(reference, position);
    cr_assert_gt(position, subscriber->delivered, "twice, or out of order");
    cr_assert(expected == 0 || position <= expected, "position %" PRIu64 " was passed over", expected);
    cr_assert(position == expected || may_differ(subscriber, event), "position %" PRIu64 " does not match", position);
    subscriber->delivered = position;
    world->events_checked_count++;
}

/* The position of a response splits no append, unless it says so. */
static bool ends_append(const struct reference *reference, uint64_t position) {
    if (position == 0 || position >= reference->head) return true;
    return reference_at(reference, position)->append != reference_at(reference, position + 1)->append;
}

static void response_check(struct api_world *world, struct api_subscriber *subscriber, struct bytes encoded) {
    struct response response = response_read(encoded);
    struct bytes record;
    const uint64_t position = response.fields[POSITION];
    cr_assert_geq(position, subscriber->position);
    cr_assert_leq(response.fields[HEAD], world->reference->head);
    while (response_take(&response, &record)) record_check(world, subscriber, record);
    const uint64_t missing = next(world, subscriber, subscriber->delivered);
    cr_assert(missing == 0 || missing > position, "position %" PRIu64 " was passed over", missing);
    cr_assert(position <= subscriber->position || response.fields[APPEND_CONTINUES] != 0 ||
                  ends_append(world->reference, position),
              "position %" PRIu64 " splits an append", position);
    if (subscriber->delivered < position) subscriber->delivered = position;
    subscriber->position = position;
    world->responses_checked_count++;
}

static void take(struct api_world *world, struct api_subscriber *subscriber) {
    struct raw_bytes bytes = raw_call_receive(subscriber->call);
    cr_assert_not_null(bytes.data, "a subscription never ends by itself");
    response_check(world, subscriber, bytes_of(bytes.data, bytes.size));
    free(bytes.data);
}

static void open(struct api_world *world, struct api_subscriber *subscriber, daybook_v1_SubscribeRequest *request) {
    daybook_v1_SubscribeRequest_set_filter(request, api_filter_message(world, &subscriber->filter));
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, HEARTBEAT_MS);
    subscriber->call = api_stream(world, METHOD_SUBSCRIBE, request, &daybook_v1_SubscribeRequest_msginit);
    subscriber->opened_at = world->reference->operation;
    subscriber->delivered = subscriber->position;
}

void api_subscriber_resume(struct api_world *world, struct api_subscriber *subscriber) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(world->arena);
    daybook_v1_SubscribeRequest_set_after(request, subscriber->position);
    open(world, subscriber, request);
}

void api_subscriber_close(struct api_subscriber *subscriber) {
    raw_call_free(subscriber->call);
    subscriber->call = NULL;
}

/* After a consumer's checkpoint, or an error when it has none. */
static const char *open_for_consumer(struct api_world *world, struct api_subscriber *subscriber,
                                     daybook_v1_SubscribeRequest *request) {
    const struct reference_checkpoint *stored =
        &world->reference->checkpoints[api_below(world, REFERENCE_CONSUMERS_COUNT)];
    daybook_v1_SubscribeRequest_set_consumer(request, upb_StringView_FromString(stored->consumer));
    subscriber->position = stored->position;
    open(world, subscriber, request);
    if (stored->position > 0) return "opened for a consumer";
    const struct raw_bytes none = raw_call_receive(subscriber->call);
    cr_assert_null(none.data);
    struct answer answer = answer_of(subscriber->call);
    const char *outcome = api_expect(&answer, DAYBOOK_NOT_FOUND, "CONSUMER_NOT_FOUND");
    answer_free(&answer);
    api_subscriber_close(subscriber);
    return outcome;
}

static const char *open_anywhere(struct api_world *world, struct api_subscriber *subscriber) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(world->arena);
    subscriber->filter = api_filter(world, false);
    subscriber->position = 0;
    switch (api_below(world, 4)) {
    case 0:
        (void)daybook_v1_SubscribeRequest_mutable_beginning(request, world->arena);
        open(world, subscriber, request);
        return "opened at the beginning";
    case 1:
        (void)daybook_v1_SubscribeRequest_mutable_end(request, world->arena);
        subscriber->position = world->reference->head;
        open(world, subscriber, request);
        take(world, subscriber); /* the head of this moment is taken when the server gets the call */
        return "opened at the end";
    case 2:
        return open_for_consumer(world, subscriber, request);
    default:
        subscriber->position = api_below(world, world->reference->head + 1);
        daybook_v1_SubscribeRequest_set_after(request, subscriber->position);
        open(world, subscriber, request);
        return "opened after a position";
    }
}

const char *api_run_subscribe(struct api_world *world) {
    struct api_subscriber *subscriber = &world->subscribers[api_below(world, API_SUBSCRIBERS_COUNT)];
    if (subscriber->call == NULL) return open_anywhere(world, subscriber);
    if (api_one_in(world, 10)) {
        api_subscriber_close(subscriber);
        return "closed";
    }
    /* A subscriber that has nothing to get hears no more than its heartbeat. */
    while (next(world, subscriber, subscriber->delivered) != 0) take(world, subscriber);
    return "came to the head";
}

void api_subscribers_settle(struct api_world *world) {
    for (uint32_t index = 0; index < API_SUBSCRIBERS_COUNT; index++) {
        struct api_subscriber *subscriber = &world->subscribers[index];
        while (subscriber->call != NULL && subscriber->position < world->reference->head) take(world, subscriber);
    }
}
