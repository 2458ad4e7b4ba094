/* AppendMany between a client that pipelines and a sequencer that decides when the test says. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "service/api/append_streams.h"
#include "service/base/limits.h"
#include "tests/support/random.h"
#include "tests/unit/service/api/append_many_client.h"

TestSuite(append_many, .init = many_open, .fini = many_close, .timeout = 50);

/* --- Order ------------------------------------------------------------------------------------------------------------- */

Test(append_many, outcomes_come_in_the_order_of_the_requests_and_share_a_response) {
    struct client client = client_open();
    client_send_many(&client, 3);
    held_decide(2, APPEND_COMMITTED);
    held_decide(1, APPEND_COMMITTED);
    held_decide(0, APPEND_COMMITTED);
    for (uint64_t position = 1; position <= 3; position++) expect_appended(&client, position);
    cr_assert_eq(client.responses_count, 1);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, each_request_is_answered_while_the_stream_goes_on) {
    struct client client = client_open();
    for (uint32_t number = 0; number < 20; number++) {
        client_send_many(&client, 1);
        held_decide(number, APPEND_COMMITTED);
        expect_appended(&client, number + 1);
    }
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, a_client_that_sends_nothing_ends_well) {
    struct client client = client_open();
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, what_is_in_flight_at_the_half_close_is_answered) {
    struct client client = client_open();
    client_send_many(&client, 5);
    raw_call_half_close(client.call);
    for (uint32_t number = 0; number < 5; number++) held_decide(number, APPEND_COMMITTED);
    for (uint64_t position = 1; position <= 5; position++) expect_appended(&client, position);
    expect_ended_well(&client);
}

/* --- Errors ------------------------------------------------------------------------------------------------------------ */

Test(append_many, a_wrong_request_answers_for_itself) {
    struct client client = client_open();
    daybook_v1_AppendRequest *wrong = request_new();
    daybook_v1_Event_set_type(event_of(wrong), text(""));
    client_send_many(&client, 1);
    client_send(&client, wrong);
    client_send_many(&client, 1);
    held_wait_taken(2);
    cr_assert_eq(held_count(), 2, "the wrong one is not submitted");
    held_decide(1, APPEND_COMMITTED);
    held_decide(0, APPEND_COMMITTED);
    expect_appended(&client, 1);
    const daybook_v1_AppendError *error = expect_error(&client, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_not_null(strstr(daybook_v1_AppendError_message(error).data, "writes[0].events[0].type"));
    size_t count;
    const google_rpc_BadRequest *bad = daybook_v1_AppendError_bad_request(error);
    cr_assert_not_null(bad);
    const google_rpc_BadRequest_FieldViolation *const *violations = google_rpc_BadRequest_field_violations(bad, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), "writes[0].events[0].type"));
    cr_assert_null(daybook_v1_AppendError_retry(error));
    expect_appended(&client, 2);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, a_conflict_is_told_and_the_next_request_goes_on) {
    struct client client = client_open();
    client_send_many(&client, 2);
    struct append_request *first = held_request(0);
    first->conflicts[0] = (struct append_conflict){.kind = CONFLICT_WRITE, .index = 0, .actual = 7};
    first->conflicts_count = 1;
    held_decide(0, APPEND_REVISION_CONFLICT);
    held_decide(1, APPEND_COMMITTED);
    const daybook_v1_AppendError *error = expect_error(&client, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    const daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendError_conflicts(error);
    cr_assert_not_null(conflicts);
    size_t count;
    const daybook_v1_StreamConflict *const *streams = daybook_v1_AppendConflicts_streams(conflicts, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(daybook_v1_StreamConflict_field(streams[0]), "writes[0]"));
    cr_assert(answer_text_is(daybook_v1_StreamConflict_stream(streams[0]), "orders"));
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(streams[0]), 7);
    expect_appended(&client, 2);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, every_other_outcome_has_its_reason) {
    static const struct {
        enum append_outcome outcome;
        daybook_code code;
        const char *reason;
        bool retry;
    } expected[] = {
        {APPEND_STORAGE_FULL, DAYBOOK_RESOURCE_EXHAUSTED, "STORAGE_FULL", true},
        {APPEND_STORAGE_CORRUPT, DAYBOOK_DATA_LOSS, "STORAGE_CORRUPT", false},
        {APPEND_OUTCOME_UNKNOWN, DAYBOOK_UNAVAILABLE, "OUTCOME_UNKNOWN", true},
        {APPEND_OUT_OF_MEMORY, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", true},
        {APPEND_STOPPED, DAYBOOK_UNAVAILABLE, "DRAINING", true},
        {APPEND_EXPIRED, DAYBOOK_DEADLINE_EXCEEDED, "DEADLINE_PASSED", false},
    };
    struct client client = client_open();
    for (uint32_t index = 0; index < sizeof expected / sizeof expected[0]; index++) {
        client_send_many(&client, 1);
        held_decide(index, expected[index].outcome);
        const daybook_v1_AppendError *error = expect_error(&client, expected[index].code, expected[index].reason);
        cr_assert_eq(daybook_v1_AppendError_retry(error) != NULL, expected[index].retry);
        cr_assert_null(daybook_v1_AppendError_conflicts(error));
    }
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, a_message_that_is_none_ends_the_stream_when_the_others_are_answered) {
    struct client client = client_open();
    client_send_many(&client, 2);
    held_wait_taken(2);
    cr_assert(raw_call_send(client.call, "\xff\xff\xff", 3));
    held_decide(0, APPEND_COMMITTED);
    held_decide(1, APPEND_COMMITTED);
    expect_appended(&client, 1);
    expect_appended(&client, 2);
    struct answer answer = client_end(&client);
    cr_assert_eq(answer.status.code, DAYBOOK_INVALID_ARGUMENT);
    answer_free(&answer);
}

/* --- The window -------------------------------------------------------------------------------------------------------- */

struct sender {
    struct client *client;
    uint32_t count;
    size_t data_bytes;
    pthread_t thread;
};

/* Encodes without the arena, which is the other thread's. */
static void *send_all(void *context) {
    const struct sender *sender = context;
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    daybook_v1_Write *write = daybook_v1_AppendRequest_add_writes(request, arena);
    daybook_v1_Write_set_stream(write, text("orders"));
    daybook_v1_Event *event = daybook_v1_Write_add_events(write, arena);
    daybook_v1_Event_set_type(event, text("T"));
    char *data = calloc(1, sender->data_bytes + 1);
    daybook_v1_Event_set_data(event, upb_StringView_FromDataAndSize(data, sender->data_bytes));
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, arena, &size);
    cr_assert_not_null(encoded);
    for (uint32_t index = 0; index < sender->count; index++) {
        cr_assert(raw_call_send(sender->client->call, encoded, size));
    }
    free(data);
    upb_Arena_Free(arena);
    return NULL;
}

static void sender_start(struct sender *sender) {
    cr_assert_eq(pthread_create(&sender->thread, NULL, send_all, sender), 0);
}

/* A client with more to say than the window holds is held, however fast it is. */
Test(append_many, a_stream_has_a_bounded_number_of_requests_in_flight) {
    enum { COUNT = APPEND_MANY_REQUESTS_COUNT_MAX * 3 / 2 }; /* their answers fit the 64 KiB that nobody must read */
    struct client client = client_open();
    struct sender sender = {.client = &client, .count = COUNT};
    sender_start(&sender);
    held_wait_taken(APPEND_MANY_REQUESTS_COUNT_MAX);
    for (uint32_t number = 0; number < COUNT; number++) held_decide(number, APPEND_COMMITTED);
    pthread_join(sender.thread, NULL);
    cr_assert_eq(held_count_most(), APPEND_MANY_REQUESTS_COUNT_MAX);
    for (uint64_t position = 1; position <= COUNT; position++) expect_appended(&client, position);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, a_stream_has_a_bounded_number_of_bytes_in_flight) {
    enum { COUNT = 40, DATA_BYTES = 1000000 };
    struct client client = client_open();
    struct sender sender = {.client = &client, .count = COUNT, .data_bytes = DATA_BYTES};
    sender_start(&sender);
    for (uint32_t number = 0; number < COUNT; number++) held_decide(number, APPEND_COMMITTED);
    pthread_join(sender.thread, NULL);
    cr_assert_leq(held_count_most(), APPEND_MANY_BYTES_MAX / DATA_BYTES + 1);
    for (uint64_t position = 1; position <= COUNT; position++) expect_appended(&client, position);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

/* A request that is refused with much to say. */
static const daybook_v1_AppendRequest *request_with_long_names(void) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    for (char name = 'a'; name < 'a' + 16; name++) {
        daybook_v1_Write *write = write_add(request, "");
        daybook_v1_Write_set_stream(write, text_of(name, NAME_BYTES_MAX));
        event_add(write, "T");
    }
    return request;
}

static void decide_conflicts(uint32_t number) {
    struct append_request *request = held_request(number);
    for (uint32_t index = 0; index < request->writes_count; index++) {
        request->conflicts[index] =
            (struct append_conflict){.kind = CONFLICT_WRITE, .index = index, .actual = number + 1};
    }
    request->conflicts_count = request->writes_count;
    held_decide(number, APPEND_REVISION_CONFLICT);
}

/* Answers that are not read wait, in responses of a bounded size, and none is lost. */
Test(append_many, a_client_reads_its_answers_when_it_likes) {
    enum { COUNT = 300, OUTCOME_BYTES_MIN = 2048 };
    struct client client = client_open();
    const daybook_v1_AppendRequest *request = request_with_long_names();
    for (uint32_t index = 0; index < COUNT; index++) client_send(&client, request);
    for (uint32_t number = 0; number < COUNT; number++) decide_conflicts(number);
    for (uint32_t number = 0; number < COUNT; number++) {
        const daybook_v1_AppendError *error = expect_error(&client, DAYBOOK_ABORTED, "REVISION_CONFLICT");
        size_t count;
        const daybook_v1_StreamConflict *const *streams =
            daybook_v1_AppendConflicts_streams(daybook_v1_AppendError_conflicts(error), &count);
        cr_assert_geq(count, 10);
        cr_assert_eq(daybook_v1_StreamConflict_actual_revision(streams[0]), number + 1);
        cr_assert_leq(client.outcomes_count, 1 + APPEND_MANY_RESPONSE_BYTES_MAX / OUTCOME_BYTES_MIN);
    }
    cr_assert_lt(client.responses_count, COUNT);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

/* --- The queue --------------------------------------------------------------------------------------------------------- */

Test(append_many, a_full_queue_is_waited_for) {
    struct client client = client_open();
    client_send_many(&client, 1);
    held_wait_taken(1);
    held_refuse(FAILURE_LIMIT);
    client_send_many(&client, 2);
    held_wait_refused(1);
    held_decide(0, APPEND_COMMITTED);
    expect_appended(&client, 1);
    cr_assert(held_tell_room()); /* Another was faster. */
    held_wait_refused(2);
    held_refuse(FAILURE_NONE);
    cr_assert(held_tell_room());
    held_decide(1, APPEND_COMMITTED);
    held_decide(2, APPEND_COMMITTED);
    expect_appended(&client, 2);
    expect_appended(&client, 3);
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

Test(append_many, who_waits_for_the_queue_at_the_half_close_is_answered) {
    struct client client = client_open();
    held_refuse(FAILURE_LIMIT);
    client_send_many(&client, 1);
    raw_call_half_close(client.call);
    held_wait_refused(1);
    held_refuse(FAILURE_NONE);
    cr_assert(held_tell_room());
    held_decide(0, APPEND_COMMITTED);
    expect_appended(&client, 1);
    expect_ended_well(&client);
}

Test(append_many, a_closed_queue_refuses_each_request) {
    struct client client = client_open();
    held_refuse(FAILURE_STOPPED);
    client_send_many(&client, 2);
    const daybook_v1_AppendError *error = expect_error(&client, DAYBOOK_UNAVAILABLE, "DRAINING");
    cr_assert_not_null(daybook_v1_AppendError_retry(error));
    (void)expect_error(&client, DAYBOOK_UNAVAILABLE, "DRAINING");
    raw_call_half_close(client.call);
    expect_ended_well(&client);
}

/* --- Clients that go --------------------------------------------------------------------------------------------------- */

static void client_go(struct client *client) {
    raw_call_cancel(client->call);
    raw_call_free(client->call);
}

Test(append_many, a_client_that_goes_leaves_its_requests_to_the_sequencer) {
    struct client client = client_open();
    client_send_many(&client, 3);
    held_wait_taken(3);
    client_go(&client);
    held_decide(0, APPEND_COMMITTED);
    held_decide(1, APPEND_STORAGE_FULL);
    cr_assert_eq(daybook_server_count(many.server).calls_open, 1, "the third is still there");
    held_decide(2, APPEND_COMMITTED);
    many_wait_until_closed();
}

Test(append_many, a_client_that_goes_while_it_waits_for_the_queue) {
    struct client client = client_open();
    held_refuse(FAILURE_LIMIT);
    client_send_many(&client, 1);
    held_wait_refused(1);
    client_go(&client);
    while (daybook_server_count(many.server).calls_open > 0) (void)held_tell_room();
    cr_assert_eq(held_count_most(), 0);
}

Test(append_many, a_client_that_goes_with_nothing_in_flight) {
    struct client client = client_open();
    raw_call_receive_headers(client.call);
    client_go(&client);
    many_wait_until_closed();
}

/* --- A daemon that stops ----------------------------------------------------------------------------------------------- */

static void expect_ended_by_drain(struct client *client) {
    struct answer answer = client_end(client);
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    cr_assert_eq(answer_retry_ms(&answer), 1000);
    answer_free(&answer);
}

Test(append_many, a_drain_ends_streams_when_they_are_answered) {
    struct client busy = client_open();
    struct client idle = client_open();
    client_send_many(&busy, 2);
    held_wait_taken(2);
    raw_call_receive_headers(idle.call);
    api_drain(&many.api);
    expect_ended_by_drain(&idle);
    held_decide(0, APPEND_COMMITTED);
    held_decide(1, APPEND_COMMITTED);
    expect_appended(&busy, 1);
    expect_appended(&busy, 2);
    expect_ended_by_drain(&busy);
    struct client late = client_open();
    expect_ended_by_drain(&late);
}

Test(append_many, a_drain_waits_for_one_that_waits_for_the_queue) {
    struct client client = client_open();
    held_refuse(FAILURE_LIMIT);
    client_send_many(&client, 1);
    held_wait_refused(1);
    api_drain(&many.api);
    held_refuse(FAILURE_NONE);
    cr_assert(held_tell_room());
    held_decide(0, APPEND_COMMITTED);
    expect_appended(&client, 1);
    expect_ended_by_drain(&client);
}

static void *drain(void *context) {
    (void)context;
    api_drain(&many.api);
    return NULL;
}

/* The ends of a stream cross, each from a thread of its own: whatever comes first, it is closed once, with all its memory. */
Test(append_many, ends_that_cross_are_harmless) {
    struct random random = random_start("append_many");
    uint32_t taken_count = 0;
    for (uint32_t round = 0; round < 200; round++) {
        pthread_t drainer;
        struct client client = client_open();
        raw_call_receive_headers(client.call); /* it is counted as open from here on */
        const uint32_t count = (uint32_t)random_below(&random, 4);
        client_send_many(&client, count);
        taken_count += count;
        held_wait_taken(taken_count);
        const bool drains = random_below(&random, 2) == 0;
        if (drains) cr_assert_eq(pthread_create(&drainer, NULL, drain, NULL), 0);
        const bool goes = random_below(&random, 2) == 0;
        if (goes) {
            raw_call_cancel(client.call);
        } else {
            raw_call_half_close(client.call);
        }
        for (uint32_t number = taken_count - count; number < taken_count; number++) {
            held_decide(number, APPEND_COMMITTED);
        }
        if (drains) pthread_join(drainer, NULL);
        raw_call_free(client.call);
        many_wait_until_closed();
        pthread_mutex_lock(&many.mutex);
        append_streams_free(many.api.append_streams);
        cr_assert_not(failed(append_streams_new(&many.api.append_streams)));
        pthread_mutex_unlock(&many.mutex);
    }
}
