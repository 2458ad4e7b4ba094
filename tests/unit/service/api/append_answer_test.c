/* What becomes of a decided append: a response that says where its events went, or an error that says why not. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "service/api/append.h"
#include "tests/unit/service/api/answers.h"

#define STREAMS_COUNT 1024

/* The request that every Append of the server is answered with. */
static struct append_request decided;
static struct append_write writes[STREAMS_COUNT];
static struct append_check checks[STREAMS_COUNT];
static struct append_result results[STREAMS_COUNT];
static struct append_conflict conflicts[2 * STREAMS_COUNT];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* between the test and the server, whose gRPC nobody sees */
static daybook_server *server;
static struct raw_channel *channel;

static void append_decided(void *context, daybook_server_call *call, const daybook_v1_AppendRequest *message) {
    (void)context;
    (void)message;
    pthread_mutex_lock(&mutex);
    struct append_call *unary = upb_Arena_Malloc(daybook_server_call_arena(call), sizeof *unary);
    cr_assert_not_null(unary);
    *unary = (struct append_call){.append = {.request = decided}, .call = call};
    unary->append.request.context = unary;
    append_answer(&unary->append.request);
    pthread_mutex_unlock(&mutex);
}

static void setup(void) {
    static const daybook_v1_EventStore_handlers handlers = {.Append = append_decided};
    daybook_status status;
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &handlers, NULL, &status));
    cr_assert(daybook_server_start(server, &status));
    channel = raw_channel_open(daybook_server_port(server));
    decided = (struct append_request){.writes = writes, .checks = checks, .results = results, .conflicts = conflicts};
}

static void teardown(void) {
    raw_channel_close(channel);
    daybook_server_close(server);
}

TestSuite(append_answer, .init = setup, .fini = teardown);

static struct answer answer_with(enum append_outcome outcome) {
    pthread_mutex_lock(&mutex);
    decided.outcome = outcome;
    pthread_mutex_unlock(&mutex);
    const struct answer answer = answer_to(channel, METHOD_APPEND, upb_StringView_FromString(""));
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return answer;
}

static struct bytes bytes_from(const char *text) {
    return bytes_of(text, strlen(text));
}

static const daybook_v1_StreamConflict *conflict_of(const struct answer *answer, size_t index) {
    size_t count;
    cr_assert_not_null(answer->conflicts);
    const daybook_v1_StreamConflict *const *streams = daybook_v1_AppendConflicts_streams(answer->conflicts, &count);
    cr_assert_lt(index, count);
    return streams[index];
}

static size_t conflicts_count_of(const struct answer *answer) {
    size_t count;
    cr_assert_not_null(answer->conflicts);
    (void)daybook_v1_AppendConflicts_streams(answer->conflicts, &count);
    return count;
}

Test(append_answer, a_commit_answers_with_the_place_of_every_write) {
    decided.writes_count = 2;
    results[0] =
        (struct append_result){.first_revision = 1, .last_revision = 3, .first_position = 100, .last_position = 102};
    results[1] =
        (struct append_result){.first_revision = 7, .last_revision = 7, .first_position = 103, .last_position = 103};
    struct answer answer = answer_with(APPEND_COMMITTED);
    cr_assert_eq(answer.status.code, DAYBOOK_OK, "%s", answer.status.message);
    cr_assert_null(answer.details);
    const daybook_v1_AppendResponse *response =
        daybook_v1_AppendResponse_parse(answer.response.data, answer.response.size, answer.arena);
    cr_assert_not_null(response);
    cr_assert_not(daybook_v1_AppendResponse_replayed(response));
    size_t count;
    const daybook_v1_WriteResult *const *written = daybook_v1_AppendResponse_results(response, &count);
    cr_assert_eq(count, 2);
    for (size_t index = 0; index < count; index++) {
        cr_assert_eq(daybook_v1_WriteResult_first_revision(written[index]), results[index].first_revision);
        cr_assert_eq(daybook_v1_WriteResult_last_revision(written[index]), results[index].last_revision);
        cr_assert_eq(daybook_v1_WriteResult_first_position(written[index]), results[index].first_position);
        cr_assert_eq(daybook_v1_WriteResult_last_position(written[index]), results[index].last_position);
    }
    answer_free(&answer);
}

Test(append_answer, a_replay_says_so) {
    decided.writes_count = 1;
    decided.replayed = true;
    struct answer answer = answer_with(APPEND_COMMITTED);
    cr_assert_eq(answer.status.code, DAYBOOK_OK, "%s", answer.status.message);
    const daybook_v1_AppendResponse *response =
        daybook_v1_AppendResponse_parse(answer.response.data, answer.response.size, answer.arena);
    cr_assert_not_null(response);
    cr_assert(daybook_v1_AppendResponse_replayed(response));
    answer_free(&answer);
}

static const daybook_v1_EventIdConflict *id_conflict_of(const struct answer *answer, size_t index, size_t *ret_count) {
    cr_assert_not_null(answer->conflicts);
    const daybook_v1_EventIdConflict *const *events = daybook_v1_AppendConflicts_events(answer->conflicts, ret_count);
    cr_assert_lt(index, *ret_count);
    return events[index];
}

/* A request of one write whose events all have the same id; here that is nobody's business. */
static void decide_ids(struct append_event *events, uint32_t events_count, uint32_t known_count) {
    for (uint32_t index = 0; index < events_count; index++) {
        events[index].id = bytes_from("01890a5d-ac96-774b-bcce-b302099a8057");
        conflicts[index] = (struct append_conflict){.kind = CONFLICT_ID, .event = index, .actual = 100 + index};
    }
    writes[0] = (struct append_write){.stream = bytes_from("s"), .events = events, .events_count = events_count};
    decided.writes_count = 1;
    decided.events_count = events_count;
    decided.conflicts_count = known_count;
}

Test(append_answer, known_ids_are_named_with_their_positions) {
    struct append_event events[3];
    size_t count;
    decide_ids(events, 3, 2);
    struct answer answer = answer_with(APPEND_ID_CONFLICT);
    answer_expect(&answer, DAYBOOK_ALREADY_EXISTS, "EVENT_ID_CONFLICT");
    cr_assert_eq(answer_retry_ms(&answer), -1);
    cr_assert_not_null(strstr(answer.status.message, "2 of 3 event ids are known, the others are new"), "%s",
                       answer.status.message);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "2"));
    const daybook_v1_EventIdConflict *second = id_conflict_of(&answer, 1, &count);
    cr_assert_eq(count, 2);
    cr_assert(answer_text_is(daybook_v1_EventIdConflict_field(second), "writes[0].events[1]"));
    cr_assert(answer_text_is(daybook_v1_EventIdConflict_id(second), "01890a5d-ac96-774b-bcce-b302099a8057"));
    cr_assert_eq(daybook_v1_EventIdConflict_position(second), 101);
    answer_free(&answer);
}

Test(append_answer, more_known_ids_than_the_trailers_hold_are_counted) {
    static struct append_event events[1024];
    size_t count;
    decide_ids(events, 1024, 1024);
    for (uint32_t index = 0; index < 1024; index++) conflicts[index].actual = UINT64_MAX - 1;
    struct answer answer = answer_with(APPEND_ID_CONFLICT);
    answer_expect(&answer, DAYBOOK_ALREADY_EXISTS, "EVENT_ID_CONFLICT");
    cr_assert_not_null(strstr(answer.status.message, "with other content"), "%s", answer.status.message);
    (void)id_conflict_of(&answer, 9, &count);
    cr_assert_lt(count, 1024);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1024"));
    answer_free(&answer);
}

Test(append_answer, a_condition_that_failed_names_the_event) {
    const struct append_condition condition = {.after = 40};
    decided.condition = &condition;
    conflicts[0] = (struct append_conflict){.kind = CONFLICT_CONDITION, .actual = 41};
    decided.conflicts_count = 1;
    struct answer answer = answer_with(APPEND_CONDITION_FAILED);
    answer_expect(&answer, DAYBOOK_ABORTED, "CONDITION_FAILED");
    cr_assert_not_null(strstr(answer.status.message, "position 41 matches the condition, which stands on position 40"),
                       "%s", answer.status.message);
    cr_assert_eq(conflicts_count_of(&answer), 0);
    const daybook_v1_ConditionConflict *conflict = daybook_v1_AppendConflicts_condition(answer.conflicts);
    cr_assert_not_null(conflict);
    cr_assert_eq(daybook_v1_ConditionConflict_position(conflict), 41);
    answer_free(&answer);
}

/* However many streams there are, the condition is told. */
Test(append_answer, a_condition_that_failed_beside_streams_is_told_too) {
    const struct append_condition condition = {.after = 0};
    decided.condition = &condition;
    for (uint32_t index = 0; index < STREAMS_COUNT; index++) {
        checks[index] = (struct append_check){.stream = bytes_from("s"), .expectation = EXPECT_EXISTS};
        conflicts[index] = (struct append_conflict){.kind = CONFLICT_CHECK, .index = index};
    }
    conflicts[STREAMS_COUNT] = (struct append_conflict){.kind = CONFLICT_CONDITION, .actual = 3};
    decided.checks_count = STREAMS_COUNT;
    decided.conflicts_count = STREAMS_COUNT + 1;
    struct answer answer = answer_with(APPEND_REVISION_CONFLICT);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1024"));
    cr_assert_not_null(strstr(answer.status.message, "and the condition does not hold"), "%s", answer.status.message);
    cr_assert_not_null(daybook_v1_AppendConflicts_condition(answer.conflicts));
    answer_free(&answer);
}

Test(append_answer, every_other_outcome_has_its_reason) {
    static const struct {
        enum append_outcome outcome;
        daybook_code code;
        const char *reason;
        int64_t retry_ms;
    } expected[] = {
        {APPEND_STORAGE_FULL, DAYBOOK_RESOURCE_EXHAUSTED, "STORAGE_FULL", 10000},
        {APPEND_STORAGE_CORRUPT, DAYBOOK_DATA_LOSS, "STORAGE_CORRUPT", -1},
        {APPEND_OUTCOME_UNKNOWN, DAYBOOK_UNAVAILABLE, "OUTCOME_UNKNOWN", 1000},
        {APPEND_OUT_OF_MEMORY, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", 1000},
        {APPEND_STOPPED, DAYBOOK_UNAVAILABLE, "DRAINING", 1000},
        {APPEND_EXPIRED, DAYBOOK_DEADLINE_EXCEEDED, "DEADLINE_PASSED", -1},
    };
    for (size_t index = 0; index < sizeof expected / sizeof expected[0]; index++) {
        struct answer answer = answer_with(expected[index].outcome);
        answer_expect(&answer, (int)expected[index].code, expected[index].reason);
        cr_assert_eq(answer_retry_ms(&answer), expected[index].retry_ms);
        cr_assert_null(answer.response.data);
        cr_assert_null(answer.conflicts);
        answer_free(&answer);
    }
}

Test(append_answer, an_unknown_outcome_asks_for_the_same_ids) {
    struct answer answer = answer_with(APPEND_OUTCOME_UNKNOWN);
    cr_assert_not_null(strstr(answer.status.message, "same event ids"));
    answer_free(&answer);
}

Test(append_answer, a_conflict_names_field_stream_and_both_revisions) {
    writes[1] =
        (struct append_write){.stream = bytes_from("order-1"), .expectation = EXPECT_REVISION, .expected_revision = 4};
    decided.writes_count = 2;
    conflicts[0] = (struct append_conflict){.index = 1, .actual = 9};
    decided.conflicts_count = 1;
    struct answer answer = answer_with(APPEND_REVISION_CONFLICT);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert_eq(answer_retry_ms(&answer), -1);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1"));
    cr_assert_not_null(strstr(answer.status.message, "writes[1] is at 9"), "%s", answer.status.message);
    const daybook_v1_StreamConflict *conflict = conflict_of(&answer, 0);
    cr_assert_eq(conflicts_count_of(&answer), 1);
    cr_assert(answer_text_is(daybook_v1_StreamConflict_field(conflict), "writes[1]"));
    cr_assert(answer_text_is(daybook_v1_StreamConflict_stream(conflict), "order-1"));
    cr_assert(daybook_v1_StreamConflict_has_expected_revision(conflict));
    cr_assert_eq(daybook_v1_StreamConflict_expected_revision(conflict), 4);
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(conflict), 9);
    answer_free(&answer);
}

Test(append_answer, every_conflict_is_told_writes_and_checks) {
    writes[0] = (struct append_write){.stream = bytes_from("new"), .expectation = EXPECT_REVISION};
    checks[3] = (struct append_check){.stream = bytes_from("gone"), .expectation = EXPECT_EXISTS};
    decided.writes_count = 1;
    decided.checks_count = 4;
    conflicts[0] = (struct append_conflict){.index = 0, .actual = 1};
    conflicts[1] = (struct append_conflict){.kind = CONFLICT_CHECK, .index = 3, .actual = 0};
    decided.conflicts_count = 2;
    struct answer answer = answer_with(APPEND_REVISION_CONFLICT);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert_eq(conflicts_count_of(&answer), 2);
    cr_assert(daybook_v1_StreamConflict_has_expected_revision(conflict_of(&answer, 0)), "0 was expected");
    const daybook_v1_StreamConflict *check = conflict_of(&answer, 1);
    cr_assert(answer_text_is(daybook_v1_StreamConflict_field(check), "checks[3]"));
    cr_assert(answer_text_is(daybook_v1_StreamConflict_stream(check), "gone"));
    cr_assert_not(daybook_v1_StreamConflict_has_expected_revision(check), "only its existence was expected");
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(check), 0);
    answer_free(&answer);
}

/* What the trailers cannot hold would be left out as a whole, and the reason with it. */
Test(append_answer, more_conflicts_than_the_trailers_hold_are_counted) {
    char name[255];
    memset(name, 's', sizeof name);
    for (uint32_t index = 0; index < STREAMS_COUNT; index++) {
        writes[index] = (struct append_write){
            .stream = bytes_of(name, sizeof name), .expectation = EXPECT_REVISION, .expected_revision = UINT64_MAX};
        conflicts[index] = (struct append_conflict){.index = index, .actual = UINT64_MAX - 1};
    }
    decided.writes_count = STREAMS_COUNT;
    decided.conflicts_count = STREAMS_COUNT;
    struct answer answer = answer_with(APPEND_REVISION_CONFLICT);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert_geq(conflicts_count_of(&answer), 10);
    cr_assert_lt(conflicts_count_of(&answer), STREAMS_COUNT);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1024"));
    cr_assert_eq(daybook_v1_StreamConflict_expected_revision(conflict_of(&answer, 9)), UINT64_MAX);
    answer_free(&answer);
}

/* The other way to fill the trailers: as many conflicts as possible, each as small as possible. */
Test(append_answer, many_short_conflicts_are_counted_too) {
    for (uint32_t index = 0; index < STREAMS_COUNT; index++) {
        checks[index] = (struct append_check){
            .stream = bytes_from("s"), .expectation = EXPECT_REVISION, .expected_revision = UINT64_MAX};
        conflicts[index] =
            (struct append_conflict){.kind = CONFLICT_CHECK, .index = STREAMS_COUNT - 1, .actual = UINT64_MAX - 1};
    }
    decided.checks_count = STREAMS_COUNT;
    decided.conflicts_count = STREAMS_COUNT;
    struct answer answer = answer_with(APPEND_REVISION_CONFLICT);
    answer_expect(&answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    cr_assert_geq(conflicts_count_of(&answer), 50);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "1024"));
    answer_free(&answer);
}
