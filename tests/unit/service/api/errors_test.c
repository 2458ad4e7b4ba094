/* Every reason as a client gets it: code, text, and the details of google.rpc. */
#include "service/api/errors.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "tests/unit/service/api/answers.h"

/* A server whose every Append and Read fails with the test's error. */
static struct error shown;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* between the test and the server, whose gRPC nobody sees */
static daybook_server *server;
static struct raw_channel *channel;

static void append_fails(void *context, daybook_server_call *call, const daybook_v1_AppendRequest *request) {
    (void)request;
    pthread_mutex_lock(&mutex);
    error_fail(call, context);
    pthread_mutex_unlock(&mutex);
}

static void read_fails(void *context, daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    (void)request;
    pthread_mutex_lock(&mutex);
    error_finish(stream, context);
    pthread_mutex_unlock(&mutex);
}

static void setup(void) {
    static const daybook_v1_EventStore_handlers handlers = {.Append = append_fails, .Read = read_fails};
    daybook_status status;
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &handlers, &shown, &status));
    cr_assert(daybook_server_start(server, &status));
    channel = raw_channel_open(daybook_server_port(server));
}

static void teardown(void) {
    raw_channel_close(channel);
    daybook_server_close(server);
}

TestSuite(errors, .init = setup, .fini = teardown);

static struct answer answer_by(const char *method) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    const struct answer answer = answer_to(channel, method, upb_StringView_FromString(""));
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return answer;
}

/* The table of DESIGN and of protos/daybook/v1, once more. */
static const struct {
    enum reason reason;
    const char *name;
    daybook_code code;
    int64_t retry_ms; /* -1: a retry does not help */
} expected[] = {
    {REASON_INVALID_FIELD, "INVALID_FIELD", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_WRITES, "TOO_MANY_WRITES", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_CHECKS, "TOO_MANY_CHECKS", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_EVENTS, "TOO_MANY_EVENTS", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_TAGS, "TOO_MANY_TAGS", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_METADATA, "TOO_MANY_METADATA", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_TOO_MANY_CLAUSES, "TOO_MANY_CLAUSES", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_EVENT_TOO_LARGE, "EVENT_TOO_LARGE", DAYBOOK_INVALID_ARGUMENT, -1},
    {REASON_REVISION_CONFLICT, "REVISION_CONFLICT", DAYBOOK_ABORTED, -1},
    {REASON_CONDITION_FAILED, "CONDITION_FAILED", DAYBOOK_ABORTED, -1},
    {REASON_CHECKPOINT_STALE, "CHECKPOINT_STALE", DAYBOOK_ABORTED, -1},
    {REASON_EVENT_ID_CONFLICT, "EVENT_ID_CONFLICT", DAYBOOK_ALREADY_EXISTS, -1},
    {REASON_STREAM_TOMBSTONED, "STREAM_TOMBSTONED", DAYBOOK_FAILED_PRECONDITION, -1},
    {REASON_STREAM_NOT_FOUND, "STREAM_NOT_FOUND", DAYBOOK_NOT_FOUND, -1},
    {REASON_CONSUMER_NOT_FOUND, "CONSUMER_NOT_FOUND", DAYBOOK_NOT_FOUND, -1},
    {REASON_OPERATION_RUNNING, "OPERATION_RUNNING", DAYBOOK_ABORTED, 10000},
    {REASON_QUEUE_FULL, "QUEUE_FULL", DAYBOOK_RESOURCE_EXHAUSTED, 50},
    {REASON_DEADLINE_PASSED, "DEADLINE_PASSED", DAYBOOK_DEADLINE_EXCEEDED, -1},
    {REASON_TOO_MANY_READERS, "QUOTA_EXCEEDED", DAYBOOK_RESOURCE_EXHAUSTED, 1000},
    {REASON_OUT_OF_MEMORY, "OUT_OF_MEMORY", DAYBOOK_RESOURCE_EXHAUSTED, 1000},
    {REASON_STORAGE_FULL, "STORAGE_FULL", DAYBOOK_RESOURCE_EXHAUSTED, 10000},
    {REASON_STORAGE_CORRUPT, "STORAGE_CORRUPT", DAYBOOK_DATA_LOSS, -1},
    {REASON_NOT_READY, "NOT_READY", DAYBOOK_UNAVAILABLE, 1000},
    {REASON_DRAINING, "DRAINING", DAYBOOK_UNAVAILABLE, 1000},
    {REASON_OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN", DAYBOOK_UNAVAILABLE, 1000},
    {REASON_UNIMPLEMENTED, "UNIMPLEMENTED", DAYBOOK_UNIMPLEMENTED, -1},
};

Test(errors, every_reason_has_its_code_its_name_and_its_retry) {
    static const char *const methods[] = {METHOD_APPEND, METHOD_READ};
    for (size_t index = 0; index < sizeof expected / sizeof expected[0]; index++) {
        error_set(&shown, expected[index].reason, "number %zu of %s", index, "the table");
        for (size_t method = 0; method < 2; method++) {
            struct answer answer = answer_by(methods[method]);
            answer_expect(&answer, (int)expected[index].code, expected[index].name);
            cr_assert_eq(answer_retry_ms(&answer), expected[index].retry_ms, "%s", expected[index].name);
            cr_assert_eq(strncmp(answer.status.message, "number ", 7), 0);
            cr_assert_null(answer.bad_request);
            cr_assert_null(answer.conflicts);
            answer_free(&answer);
        }
    }
    cr_assert_eq(sizeof expected / sizeof expected[0], REASON_UNIMPLEMENTED + 1, "a reason is missing in this test");
}

Test(errors, violations_travel_with_field_and_description) {
    error_set(&shown, REASON_INVALID_FIELD, "two are wrong");
    shown.violations_count = 2;
    shown.violations[0] = (struct violation){.field = "writes[0].stream", .description = "is missing"};
    shown.violations[1] = (struct violation){.field = "checks[1]", .description = "expects nothing"};
    struct answer answer = answer_by(METHOD_APPEND);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 2);
    for (size_t index = 0; index < count; index++) {
        cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[index]),
                                 shown.violations[index].field));
        cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_description(violations[index]),
                                 shown.violations[index].description));
    }
    answer_free(&answer);
}

/* gRPC's clients take 8 KiB of metadata and the SDK sends 4 KiB of details: more would be lost as a whole. */
Test(errors, the_largest_error_still_brings_its_details) {
    error_set(&shown, REASON_QUEUE_FULL, "%0*d", ERROR_TEXT_BYTES - 1, 7);
    shown.wrong_count = UINT32_MAX;
    shown.violations_count = ERROR_VIOLATIONS_COUNT_MAX;
    for (size_t index = 0; index < ERROR_VIOLATIONS_COUNT_MAX; index++) {
        memset(shown.violations[index].field, 'f', ERROR_FIELD_BYTES - 1);
        memset(shown.violations[index].description, 'd', ERROR_TEXT_BYTES - 1);
    }
    struct answer answer = answer_by(METHOD_APPEND);
    answer_expect(&answer, DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    cr_assert_eq(strlen(answer.status.message), ERROR_TEXT_BYTES - 1);
    size_t count;
    (void)google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, ERROR_VIOLATIONS_COUNT_MAX);
    cr_assert_eq(answer_retry_ms(&answer), 50);
    answer_free(&answer);
}

Test(errors, metadata_tells_how_many_are_wrong) {
    error_set(&shown, REASON_INVALID_FIELD, "many are wrong");
    struct answer answer = answer_by(METHOD_APPEND);
    cr_assert_eq(google_rpc_ErrorInfo_metadata_size(answer.info), 0);
    answer_free(&answer);
    shown.wrong_count = 12;
    answer = answer_by(METHOD_APPEND);
    cr_assert(answer_text_is(answer_metadata(&answer, "count"), "12"));
    answer_free(&answer);
}

Test(errors, setting_an_error_forgets_what_it_was_before) {
    struct error error = {.violations_count = 3, .wrong_count = 9, .conflicts = (const void *)&shown};
    error_set(&error, REASON_DRAINING, "%s", "new");
    cr_assert_eq(error.reason, REASON_DRAINING);
    cr_assert_str_eq(error.message, "new");
    cr_assert_eq(error.violations_count, 0);
    cr_assert_eq(error.wrong_count, 0);
    cr_assert_null(error.conflicts);
}

Test(errors, a_message_that_is_too_long_is_cut) {
    struct error error;
    error_set(&error, REASON_DRAINING, "%0*d", 1000, 7);
    cr_assert_eq(strlen(error.message), ERROR_TEXT_BYTES - 1);
}

Test(errors, every_failure_of_the_rooms_below_means_something) {
    static const struct {
        enum failure failure;
        enum reason reason;
    } meanings[] = {
        {FAILURE_NOT_FOUND, REASON_STREAM_NOT_FOUND}, {FAILURE_LIMIT, REASON_TOO_MANY_READERS},
        {FAILURE_MEMORY, REASON_OUT_OF_MEMORY},       {FAILURE_STORAGE_FULL, REASON_STORAGE_FULL},
        {FAILURE_CORRUPT, REASON_STORAGE_CORRUPT},    {FAILURE_STOPPED, REASON_DRAINING},
        {FAILURE_STORAGE, REASON_OUTCOME_UNKNOWN},    {FAILURE_NOT_READY, REASON_NOT_READY},
        {FAILURE_BUSY, REASON_OPERATION_RUNNING},
    };
    for (size_t index = 0; index < sizeof meanings / sizeof meanings[0]; index++) {
        struct error error;
        error_of_failure(&error, meanings[index].failure);
        cr_assert_eq(error.reason, meanings[index].reason, "%s", failure_name(meanings[index].failure));
        cr_assert_gt(strlen(error.message), 10);
    }
}
