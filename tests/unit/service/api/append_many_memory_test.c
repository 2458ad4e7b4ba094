/* What AppendMany streams hold together, and what becomes of requests when that is as much as may be. */
#include <criterion/criterion.h>

#include "google/protobuf/duration.upb.h"
#include "service/api/append_streams.h"
#include "service/base/limits.h"
#include "tests/unit/service/api/append_many_client.h"

/* One holds less than five times as much, as it came and encoded; three hold more than six times. */
#define DATA_BYTES 400000

TestSuite(append_many_memory, .init = many_open, .fini = many_close, .timeout = 50);

static struct append_streams_counts counts(void) {
    return append_streams_count(many.api.append_streams);
}

/* As if others held it. */
static void others_hold(int64_t bytes) {
    append_streams_hold(many.api.append_streams, bytes);
}

static void wait_until_held(uint64_t bytes_min, uint64_t bytes_max) {
    for (;;) {
        const uint64_t held_bytes = counts().held_bytes;
        if (held_bytes >= bytes_min && held_bytes <= bytes_max) return;
    }
}

static void wait_until_refused(uint64_t count) {
    while (counts().refused_count < count) {
    }
}

static const daybook_v1_AppendRequest *large_request(void) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Event_set_data(event_of(request), text_of('x', DATA_BYTES));
    return request;
}

static void expect_no_room(struct client *client) {
    const daybook_v1_AppendError *error = expect_error(client, DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    const google_rpc_RetryInfo *retry = daybook_v1_AppendError_retry(error);
    cr_assert_not_null(retry);
    cr_assert_eq(google_protobuf_Duration_nanos(google_rpc_RetryInfo_retry_delay(retry)), 50000000);
}

Test(append_many_memory, what_is_decided_and_waits_keeps_its_outcome_alone) {
    struct client client = client_open();
    const daybook_v1_AppendRequest *request = large_request();
    for (uint32_t index = 0; index < 3; index++) client_send(&client, request);
    held_wait_taken(3);
    wait_until_held(6 * DATA_BYTES, UINT64_MAX);
    held_decide(2, APPEND_COMMITTED);
    held_decide(1, APPEND_COMMITTED);
    wait_until_held(2 * DATA_BYTES, 5 * DATA_BYTES);
    held_decide(0, APPEND_COMMITTED);
    for (uint64_t position = 1; position <= 3; position++) expect_appended(&client, position);
    wait_until_held(0, 0);
    expect_ended_well_at_half_close(&client);
}

Test(append_many_memory, slots_that_wait_to_be_used_again_count) {
    enum { COUNT = 100 };
    struct client client = client_open();
    client_send_many(&client, COUNT);
    held_wait_taken(COUNT);
    wait_until_held(COUNT * APPEND_SLOT_BYTES, COUNT * APPEND_SLOT_BYTES);
    for (uint32_t number = 0; number < COUNT - 1; number++) held_decide(number, APPEND_COMMITTED);
    for (uint64_t position = 1; position < COUNT; position++) expect_appended(&client, position);
    client_send_many(&client, 1);
    held_wait_taken(COUNT + 1); /* so the answers before it have left */
    wait_until_held(COUNT * APPEND_SLOT_BYTES, COUNT * APPEND_SLOT_BYTES);
    held_decide(COUNT - 1, APPEND_COMMITTED);
    held_decide(COUNT, APPEND_COMMITTED);
    expect_appended(&client, COUNT);
    expect_appended(&client, COUNT + 1);
    wait_until_held(0, 0);
    expect_ended_well_at_half_close(&client);
}

/* It is neither written nor waited with, and what is behind it goes on. */
Test(append_many_memory, a_request_without_room_is_refused_in_its_place) {
    struct client client = client_open();
    others_hold((int64_t)(APPEND_STREAMS_BYTES_MAX - KIB(64)));
    client_send_many(&client, 1);
    client_send(&client, large_request());
    client_send_many(&client, 1);
    wait_until_refused(1);
    cr_assert_eq(held_count(), 1);
    held_decide(0, APPEND_COMMITTED);
    expect_appended(&client, 1);
    expect_no_room(&client);
    held_decide(1, APPEND_COMMITTED);
    expect_appended(&client, 2);
    others_hold(-(int64_t)(APPEND_STREAMS_BYTES_MAX - KIB(64)));
    client_send(&client, large_request());
    held_decide(2, APPEND_COMMITTED);
    expect_appended(&client, 3);
    cr_assert_eq(counts().refused_count, 1);
    expect_ended_well_at_half_close(&client);
}

/* Small requests go on whatever others hold, one after the other. */
Test(append_many_memory, a_stream_without_a_window_takes_one_request_at_a_time) {
    enum { COUNT = 20 };
    struct client client = client_open();
    others_hold((int64_t)APPEND_STREAMS_BYTES_MAX);
    client_send_many(&client, COUNT);
    for (uint32_t number = 0; number < COUNT; number++) {
        held_decide(number, APPEND_COMMITTED);
        expect_appended(&client, number + 1);
    }
    cr_assert_eq(held_count_most(), 1);
    cr_assert_eq(counts().refused_count, 0);
    others_hold(-(int64_t)APPEND_STREAMS_BYTES_MAX);
    expect_ended_well_at_half_close(&client);
}

/* A smaller window holds a stream sooner; what it has of its own wakes it. */
Test(append_many_memory, a_stream_goes_on_in_a_small_window) {
    enum { COUNT = 200, WINDOW_SLOTS_COUNT = 10 };
    struct client client = client_open();
    const uint64_t left_bytes = APPEND_STREAMS_SHARE * WINDOW_SLOTS_COUNT * APPEND_SLOT_BYTES;
    others_hold((int64_t)(APPEND_STREAMS_BYTES_MAX - left_bytes));
    client_send_many(&client, COUNT);
    for (uint32_t number = 0; number < COUNT; number++) held_decide(number, APPEND_COMMITTED);
    for (uint64_t position = 1; position <= COUNT; position++) expect_appended(&client, position);
    cr_assert_leq(held_count_most(), WINDOW_SLOTS_COUNT);
    others_hold(-(int64_t)(APPEND_STREAMS_BYTES_MAX - left_bytes));
    expect_ended_well_at_half_close(&client);
}

/* What a client leaves behind counts until the sequencer has it decided, and then no more. */
Test(append_many_memory, a_client_that_goes_leaves_nothing_behind) {
    struct client client = client_open();
    client_send(&client, large_request());
    client_send(&client, large_request());
    held_wait_taken(2);
    wait_until_held(4 * DATA_BYTES, UINT64_MAX);
    raw_call_cancel(client.call);
    raw_call_free(client.call);
    held_decide(0, APPEND_COMMITTED);
    held_decide(1, APPEND_COMMITTED);
    many_wait_until_closed();
    wait_until_held(0, 0);
}
