/* What Append hands to the sequencer, and what it says when the sequencer will not have it.
 *
 * `sequencer_submit` is this file's, so that a queue is full or closed when the test says so. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "service/api/api.h"
#include "service/api/append.h"
#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/commit/sequencer.h"
#include "tests/unit/service/api/answers.h"
#include "tests/unit/service/api/validations.h"

static daybook_server *server;
static struct raw_channel *channel;
static const struct api api = {.event_bytes_max = EVENT_BYTES_MAX_DEFAULT};

/* What the next submission returns, and who looks at a request that is taken. */
static enum failure refusal;
static void (*inspect)(const struct append_request *request);
static uint32_t submitted_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* between the test and the server, whose gRPC nobody sees */

result sequencer_submit(struct sequencer *sequencer, struct append_request *request) {
    cr_assert_null(sequencer);
    pthread_mutex_lock(&mutex);
    submitted_count++;
    const enum failure failure = refusal;
    if (failure == FAILURE_NONE && inspect != NULL) inspect(request);
    pthread_mutex_unlock(&mutex);
    if (failure != FAILURE_NONE) return failure_result(failure);
    request->outcome = APPEND_OUT_OF_MEMORY; /* an answer that needs no result */
    request->done(request);
    return RESULT_OK;
}

static enum queue_prospect prospect;
static uint64_t prospect_bytes;
static int64_t prospect_deadline_ns;

enum queue_prospect sequencer_prospect(struct sequencer *sequencer, uint64_t memory_bytes, int64_t deadline_ns) {
    cr_assert_null(sequencer);
    pthread_mutex_lock(&mutex);
    const enum queue_prospect told = prospect;
    prospect_bytes = memory_bytes;
    prospect_deadline_ns = deadline_ns;
    pthread_mutex_unlock(&mutex);
    return told;
}

static void setup(void) {
    static const daybook_v1_EventStore_handlers handlers = {.Append = api_append};
    daybook_status status;
    validations_open();
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &handlers, (void *)(uintptr_t)&api, &status));
    daybook_server_set_admission(server, api_admit, (void *)(uintptr_t)&api);
    cr_assert(daybook_server_start(server, &status));
    channel = raw_channel_open(daybook_server_port(server));
}

static void teardown(void) {
    raw_channel_close(channel);
    daybook_server_close(server);
    validations_close();
}

TestSuite(append_queue, .init = setup, .fini = teardown);

static struct answer answer_to_bytes(upb_StringView bytes) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    const struct answer answer = answer_to(channel, METHOD_APPEND, bytes);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return answer;
}

static struct answer answer_to_append(const daybook_v1_AppendRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, validations_arena, &size);
    cr_assert_not_null(encoded);
    return answer_to_bytes(upb_StringView_FromDataAndSize(encoded, size));
}

Test(append_queue, a_full_queue_says_so_and_when_to_retry) {
    refusal = FAILURE_LIMIT;
    struct answer answer = answer_to_append(request_new());
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    cr_assert_eq(answer_retry_ms(&answer), 50);
    cr_assert_not_null(strstr(answer.status.message, "16384 requests"), "%s", answer.status.message);
    cr_assert_eq(submitted_count, 1);
    answer_free(&answer);
}

/* Bytes that are no message get the same answer, so they were not read. */
static void expect_refused_unread(const char *words) {
    struct answer answer = answer_to_bytes(text("\xff\xff\xff"));
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    cr_assert_eq(answer_retry_ms(&answer), 50);
    cr_assert_not_null(strstr(answer.status.message, words), "%s", answer.status.message);
    cr_assert_eq(submitted_count, 0);
    answer_free(&answer);
}

Test(append_queue, what_comes_to_a_full_queue_is_not_even_read) {
    prospect = QUEUE_IS_FULL;
    expect_refused_unread("16384 requests");
}

Test(append_queue, what_would_wait_longer_than_it_can_is_not_even_read) {
    prospect = QUEUE_IS_TOO_LONG;
    expect_refused_unread("longer than this call can wait");
}

Test(append_queue, the_queue_is_asked_about_what_a_call_holds_and_how_long_it_waits) {
    const int64_t before_ns = clock_monotonic_ns();
    prospect = QUEUE_IS_TOO_LONG;
    expect_refused_unread("longer");
    cr_assert_eq(prospect_bytes, CALL_MEMORY_BYTES + REQUEST_MEMORY_BYTES + 9);
    cr_assert(prospect_deadline_ns == 0 || prospect_deadline_ns > before_ns);
}

Test(append_queue, a_closed_queue_is_a_server_that_stops) {
    refusal = FAILURE_STOPPED;
    struct answer answer = answer_to_append(request_new());
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    cr_assert_eq(answer_retry_ms(&answer), 1000);
    answer_free(&answer);
}

Test(append_queue, what_is_refused_by_a_check_is_never_submitted) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Event_set_type(event_of(request), text(""));
    struct answer answer = answer_to_append(request);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    answer_free(&answer);
    answer = answer_to_bytes(text("\xff\xff\xff"));
    cr_assert_eq(answer.status.code, DAYBOOK_INVALID_ARGUMENT);
    answer_free(&answer);
    cr_assert_eq(submitted_count, 0);
}

/* --- The request that is handed over. --------------------------------------------------------------------------------- */

static bool stream_is(struct bytes stream, struct term term, const char *name) {
    const struct bytes expected = bytes_of(name, strlen(name));
    const struct term expected_term = term_of(TERM_STREAM, expected);
    return bytes_equal(stream, expected) && memcmp(&term, &expected_term, sizeof term) == 0;
}

static void inspect_writes(const struct append_request *request) {
    cr_assert_eq(request->writes_count, 3);
    cr_assert_eq(request->events_count, 4);
    uint64_t size_bytes = 0;
    static const char *const names[] = {"any", "revision", "exists"};
    static const enum expectation expectations[] = {EXPECT_ANY, EXPECT_REVISION, EXPECT_EXISTS};
    for (uint32_t index = 0; index < 3; index++) {
        const struct append_write *write = &request->writes[index];
        cr_assert(stream_is(write->stream, write->term, names[index]));
        cr_assert_eq(write->expectation, expectations[index]);
        cr_assert_eq(write->events_count, index == 0 ? 2 : 1);
        for (uint32_t event = 0; event < write->events_count; event++) {
            size_bytes += write->events[event].encoded.size + write->stream.size;
        }
    }
    cr_assert_eq(request->writes[1].expected_revision, 0);
    cr_assert_eq(request->size_bytes, size_bytes);
    cr_assert_not_null(request->results);
    cr_assert_not_null(request->conflicts);
}

Test(append_queue, writes_carry_their_terms_their_expectations_and_their_size) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    daybook_v1_Write *any = write_add(request, "any");
    event_add(any, "A");
    event_add(any, "B");
    daybook_v1_Write *revision = write_add(request, "revision");
    event_add(revision, "C");
    daybook_v1_Write_set_expected_revision(revision, 0);
    daybook_v1_Write *exists = write_add(request, "exists");
    event_add(exists, "D");
    daybook_v1_Write_set_stream_exists(exists, true);
    inspect = inspect_writes;
    struct answer answer = answer_to_append(request);
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY");
    answer_free(&answer);
}

static void inspect_checks(const struct append_request *request) {
    cr_assert_eq(request->checks_count, 2);
    cr_assert(stream_is(request->checks[0].stream, request->checks[0].term, "revision"));
    cr_assert_eq(request->checks[0].expectation, EXPECT_REVISION);
    cr_assert_eq(request->checks[0].expected_revision, UINT64_MAX);
    cr_assert(stream_is(request->checks[1].stream, request->checks[1].term, "exists"));
    cr_assert_eq(request->checks[1].expectation, EXPECT_EXISTS);
}

Test(append_queue, checks_carry_their_terms_and_their_expectations) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_StreamCheck *revision = daybook_v1_AppendRequest_add_checks(request, validations_arena);
    daybook_v1_StreamCheck_set_stream(revision, text("revision"));
    daybook_v1_StreamCheck_set_expected_revision(revision, UINT64_MAX);
    daybook_v1_StreamCheck *exists = daybook_v1_AppendRequest_add_checks(request, validations_arena);
    daybook_v1_StreamCheck_set_stream(exists, text("exists"));
    daybook_v1_StreamCheck_set_stream_exists(exists, true);
    inspect = inspect_checks;
    struct answer answer = answer_to_append(request);
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY");
    cr_assert_eq(submitted_count, 1);
    answer_free(&answer);
}

/* What the last request that was handed over holds, and its encoded events. */
static _Atomic uint64_t memory_bytes;
static _Atomic uint64_t size_bytes;

static void keep_memory(const struct append_request *request) {
    memory_bytes = request->memory_bytes;
    size_bytes = request->size_bytes;
}

/* A hundred events whose metadata has so many entries of a few bytes, each of which is a hundred when it is decoded. */
static void append_metadata(size_t entries_count) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    daybook_v1_Write *write = write_add(request, "s");
    for (size_t index = 0; index < 100; index++) {
        daybook_v1_Event *event = event_add(write, "T");
        for (size_t entry = 0; entry < entries_count; entry++) {
            const char key[] = {(char)('a' + entry), '\0'};
            cr_assert(daybook_v1_Event_metadata_set(event, text(key), text(""), validations_arena));
        }
    }
    struct answer answer = answer_to_append(request);
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY");
    answer_free(&answer);
}

Test(append_queue, a_request_counts_for_what_it_has_become) {
    inspect = keep_memory;
    append_metadata(0);
    const uint64_t plain_bytes = memory_bytes;
    append_metadata(26);
    cr_assert_gt(memory_bytes - plain_bytes, UINT64_C(100) * 26 * 32, "%" PRIu64, (uint64_t)memory_bytes);
    cr_assert_gt(memory_bytes, 5 * size_bytes);
}

/* The deadline of the last request that was handed over. */
static _Atomic int64_t deadline_ns;

static void keep_deadline(const struct append_request *request) {
    deadline_ns = request->deadline_ns;
}

static void append_within(uint32_t timeout_ms) {
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request_new(), validations_arena, &size);
    struct raw_call *call = raw_call_start(channel, METHOD_APPEND, timeout_ms, NULL);
    cr_assert(raw_call_send(call, encoded, size));
    raw_call_half_close(call);
    struct answer answer = answer_of(call);
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY");
    answer_free(&answer);
    raw_call_free(call);
}

Test(append_queue, a_request_carries_its_callers_deadline) {
    const int64_t minute_ns = INT64_C(60000000000);
    inspect = keep_deadline;
    append_within(RAW_TIMEOUT_NONE);
    cr_assert_eq(deadline_ns, 0);
    const int64_t before_ns = clock_monotonic_ns();
    append_within(60 * 60000);
    /* It is an hour from when the call was made; gRPC sends it with some digits only. */
    cr_assert_gt(deadline_ns, before_ns + 59 * minute_ns);
    cr_assert_lt(deadline_ns, clock_monotonic_ns() + 61 * minute_ns);
}

/* Equal events have equal bytes, whatever the order of their metadata on the wire: retries are recognised by it later. */
static uint8_t encoded_first[512];
static size_t encoded_first_size;

static void keep_encoded(const struct append_request *request) {
    const struct bytes encoded = request->writes[0].events[0].encoded;
    cr_assert_leq(encoded.size, sizeof encoded_first);
    memcpy(encoded_first, encoded.data, encoded.size);
    encoded_first_size = encoded.size;
}

static void compare_encoded(const struct append_request *request) {
    const struct bytes encoded = request->writes[0].events[0].encoded;
    cr_assert(bytes_equal(encoded, bytes_of(encoded_first, encoded_first_size)));
}

Test(append_queue, equal_events_are_encoded_to_equal_bytes) {
    static const char start[] = "\x0a\x24"
                                "01890a5d-ac96-774b-bcce-b302099a8057"
                                "\x12\x01T"; /* id and type */
    static const char entries[2][9] = {"\x42\x06\x0a\x01"
                                       "a"
                                       "\x12\x01"
                                       "1",
                                       "\x42\x06\x0a\x01"
                                       "b"
                                       "\x12\x01"
                                       "2"};
    enum { START_BYTES = sizeof start - 1, ENTRY_BYTES = 8, EVENT_BYTES = START_BYTES + 2 * ENTRY_BYTES };
    for (size_t order = 0; order < 2; order++) {
        /* writes[0] { stream: "s" events[0] { ... } } */
        char wire[7 + EVENT_BYTES] = {0x0a, 5 + EVENT_BYTES, 0x0a, 1, 's', 0x22, EVENT_BYTES};
        memcpy(wire + 7, start, START_BYTES);
        memcpy(wire + 7 + START_BYTES, entries[order], ENTRY_BYTES);
        memcpy(wire + 7 + START_BYTES + ENTRY_BYTES, entries[1 - order], ENTRY_BYTES);
        inspect = order == 0 ? keep_encoded : compare_encoded;
        struct answer answer = answer_to_bytes(upb_StringView_FromDataAndSize(wire, sizeof wire));
        answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY");
        answer_free(&answer);
    }
    cr_assert_eq(submitted_count, 2);
}
