/* Memory that runs out at every point: the n-th allocation of our own code fails, alone or with all after it, for every n
 * until a scenario gets by without. Each ends well or with RESOURCE_EXHAUSTED, on time, and forgets nothing. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/allocation_faults.h"
#include "tests/support/certificates.h"
#include "tests/unit/sdk/runtime/resilience_service.h"

/* Whoever waits so long hangs. */
#define PATIENCE_MS 60000
/* No scenario allocates so often. */
#define ALLOCATIONS_MAX 2000
/* Larger than the arenas that calls have on their stack and in themselves. */
#define LARGE_BYTES 20000

static daybook_server *server;
static daybook_client *client;
static upb_Arena *arena;
static const void *large_request;
static const void *flaky_request;
static const void *fail_request;
static struct certificate authority;
static struct certificate localhost;

static const void *request_of(const char *text, size_t size) {
    return fixture_new_text(arena, upb_StringView_FromDataAndSize(text, size));
}

static void setup(void) {
    static char large[LARGE_BYTES];
    memset(large, 'l', sizeof large);
    arena = upb_Arena_New();
    large_request = request_of(large, sizeof large);
    flaky_request = request_of(RESILIENCE_FLAKY, strlen(RESILIENCE_FLAKY));
    fail_request = request_of(RESILIENCE_FAIL, strlen(RESILIENCE_FAIL));
    authority = certificate_authority("the test's authority");
    localhost = certificate_issue(&authority, "a server", "IP:127.0.0.1");
    daybook_status status;
    server = resilience_server_open(1, NULL, &status);
    cr_assert_not_null(server, "%s", status.message);
    client = resilience_client_open(server, (daybook_client_options){0}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

static void teardown(void) {
    daybook_client_close(client);
    daybook_server_close(server);
    certificate_free(&localhost);
    certificate_free(&authority);
    upb_Arena_Free(arena);
    cr_assert_eq(allocation_faults_live_count(), 0, "%ld blocks were forgotten", (long)allocation_faults_live_count());
}

TestSuite(resilience_allocation, .init = setup, .fini = teardown, .timeout = 300);

/* Whether the status is what a lack of memory may end with. */
static bool is_exhausted(const char *name, uint32_t number, const daybook_status *status) {
    if (status->code == DAYBOOK_RESOURCE_EXHAUSTED) return true;
    cr_log_error("%s, allocation %u: %s: %s", name, number, daybook_code_name(status->code), status->message);
    return false;
}

/* Runs the scenario with every allocation failing in its turn. It returns whether it went well, and why not. */
static void fail_every_allocation(const char *name, bool (*scenario)(daybook_status *ret_status)) {
    for (int and_all_after = 0; and_all_after <= 1; and_all_after++) {
        for (uint32_t number = 1;; number++) {
            cr_assert_leq(number, ALLOCATIONS_MAX, "%s", name);
            daybook_status status = {.code = DAYBOOK_UNKNOWN};
            allocation_faults_begin(number, and_all_after != 0);
            const bool went_well = scenario(&status);
            const uint32_t failed_count = allocation_faults_end();
            cr_assert(went_well || is_exhausted(name, number, &status), "%s, %d", name, and_all_after);
            if (failed_count > 0) continue;
            cr_assert(went_well, "%s: %s", name, status.message);
            cr_assert_gt(number, 1, "%s: nothing was allocated", name);
            cr_log_info("%s: %u allocations", name, number - 1);
            break;
        }
        daybook_status status;
        cr_assert(scenario(&status), "%s, afterwards: %s", name, status.message);
    }
}

static bool fail_out_of_memory(daybook_status *ret_status) {
    daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the call");
    return false;
}

/* --- Unary calls -------------------------------------------------------------------------------------------------- */

static bool blocking(const void *request, const daybook_call_options *options, daybook_status *ret_status) {
    upb_Arena *own = upb_Arena_New();
    if (own == NULL) return fail_out_of_memory(ret_status);
    const void *response = NULL;
    const bool ok = daybook_call_unary(client, resilience_method(DAYBOOK_METHOD_UNARY), request, options, own,
                                       &response, ret_status);
    upb_Arena_Free(own);
    return ok;
}

static bool blocking_call(daybook_status *ret_status) {
    return blocking(large_request, &(daybook_call_options){.timeout_ms = PATIENCE_MS}, ret_status);
}

Test(resilience_allocation, blocking_calls) {
    fail_every_allocation("blocking call", blocking_call);
}

static const daybook_header headers[] = {
    {.key = RESILIENCE_HEADER, .value = "a mark"},
    {.key = "x-another", .value = "of no meaning"},
};

static bool blocking_call_with_headers(daybook_status *ret_status) {
    const daybook_call_options options = {.timeout_ms = PATIENCE_MS, .headers = headers, .headers_count = 2};
    return blocking(large_request, &options, ret_status);
}

Test(resilience_allocation, headers_and_trailers) {
    fail_every_allocation("blocking call with headers", blocking_call_with_headers);
}

/* The status is what the server said, also where its details cannot be decoded any more. */
static bool call_that_fails(daybook_status *ret_status) {
    static daybook_details details;
    const daybook_call_options options = {.timeout_ms = PATIENCE_MS, .details = &details};
    cr_assert_not(blocking(fail_request, &options, ret_status));
    return ret_status->code == DAYBOOK_NOT_FOUND;
}

Test(resilience_allocation, details_of_an_error) {
    fail_every_allocation("call that fails", call_that_fails);
}

static void note_done(daybook_call *call, void *context) {
    (void)call;
    counter_add(context);
}

static bool future(const void *request, const daybook_call_options *options, daybook_status *ret_status) {
    static struct counter done = COUNTER_INIT;
    daybook_call *call = daybook_call_start(client, resilience_method(DAYBOOK_METHOD_UNARY), request, options);
    if (call == NULL) return fail_out_of_memory(ret_status);
    const uint32_t done_before = counter_get(&done);
    daybook_call_on_done(call, note_done, &done);
    cr_assert(daybook_call_wait(call, PATIENCE_MS), "the future hangs");
    counter_wait(&done, done_before + 1);
    *ret_status = *daybook_call_status(call);
    cr_assert_eq(ret_status->code == DAYBOOK_OK, daybook_call_result(call) != NULL);
    daybook_call_free(call);
    return ret_status->code == DAYBOOK_OK;
}

static bool future_call(daybook_status *ret_status) {
    const daybook_call_options options = {.timeout_ms = PATIENCE_MS, .headers = headers, .headers_count = 2};
    return future(large_request, &options, ret_status);
}

Test(resilience_allocation, futures) {
    fail_every_allocation("future", future_call);
}

static bool future_with_retries(daybook_status *ret_status) {
    const daybook_call_options options = {
        .timeout_ms = PATIENCE_MS,
        .idempotent = 1,
        .retry = &(daybook_retry_options){.attempts_max = 5, .backoff_first_ms = 1, .backoff_max_ms = 1},
        .headers = headers,
        .headers_count = 2,
    };
    return future(flaky_request, &options, ret_status);
}

Test(resilience_allocation, futures_with_retries) {
    fail_every_allocation("future with retries", future_with_retries);
}

/* --- Streams ------------------------------------------------------------------------------------------------------ */

static daybook_stream *open_stream(daybook_method_kind kind, daybook_status *ret_status) {
    const daybook_call_options options = {.timeout_ms = PATIENCE_MS, .headers = headers, .headers_count = 2};
    const void *request = kind == DAYBOOK_METHOD_SERVER_STREAMING ? large_request : NULL;
    return daybook_stream_open(client, resilience_method(kind), request, &options, ret_status);
}

/* Reads to the end. */
static bool read_all(daybook_stream *stream, daybook_status *ret_status) {
    const void *message = NULL;
    daybook_next next;
    do {
        next = daybook_stream_next(stream, PATIENCE_MS, &message, ret_status);
        cr_assert_neq(next, DAYBOOK_NEXT_TIMEOUT, "the stream hangs");
    } while (next == DAYBOOK_NEXT_MESSAGE);
    daybook_stream_close(stream);
    return next == DAYBOOK_NEXT_END;
}

static bool server_streaming(daybook_status *ret_status) {
    daybook_stream *stream = open_stream(DAYBOOK_METHOD_SERVER_STREAMING, ret_status);
    return stream != NULL && read_all(stream, ret_status);
}

Test(resilience_allocation, streams_of_the_server) {
    fail_every_allocation("server streaming", server_streaming);
}

/* Writes three messages; those that are refused are none, and a stream without any is an error that is none of ours. */
static bool write_all(daybook_stream *stream, daybook_status *ret_status) {
    for (int i = 0; i < 3; i++) {
        const daybook_write written = daybook_stream_write(stream, large_request, PATIENCE_MS, ret_status);
        cr_assert_neq(written, DAYBOOK_WRITE_TIMEOUT, "the write hangs");
        if (written == DAYBOOK_WRITE_REFUSED) return false;
    }
    return true;
}

static bool client_streaming(daybook_status *ret_status) {
    daybook_stream *stream = open_stream(DAYBOOK_METHOD_CLIENT_STREAMING, ret_status);
    if (stream == NULL) return false;
    const void *response = NULL;
    daybook_next found = DAYBOOK_NEXT_ERROR;
    if (write_all(stream, ret_status)) {
        found = daybook_stream_finish(stream, PATIENCE_MS, &response, ret_status);
        cr_assert_neq(found, DAYBOOK_NEXT_TIMEOUT, "the stream hangs");
    }
    daybook_stream_close(stream);
    return found == DAYBOOK_NEXT_MESSAGE;
}

Test(resilience_allocation, streams_of_the_client) {
    fail_every_allocation("client streaming", client_streaming);
}

static bool bidirectional(daybook_status *ret_status) {
    daybook_stream *stream = open_stream(DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING, ret_status);
    if (stream == NULL) return false;
    if (!write_all(stream, ret_status)) {
        daybook_stream_close(stream);
        return false;
    }
    daybook_stream_writes_done(stream);
    return read_all(stream, ret_status);
}

Test(resilience_allocation, streams_both_ways) {
    fail_every_allocation("bidirectional", bidirectional);
}

/* --- Lives of clients and servers --------------------------------------------------------------------------------- */

static bool open_and_close_client(daybook_status *ret_status) {
    const daybook_tls_options tls = {.authorities_pem = authority.certificate_pem,
                                     .certificate_pem = localhost.certificate_pem,
                                     .key_pem = localhost.key_pem};
    const daybook_client_options options = {.threads_count = 2, .tls = &tls, .bearer_token = "a-token"};
    daybook_client *opened = resilience_client_open(server, options, ret_status);
    daybook_client_close(opened);
    return opened != NULL;
}

Test(resilience_allocation, clients) {
    fail_every_allocation("client with TLS and a token", open_and_close_client);
}

/* A fresh server has no memory in stock: everything that it does is allocated. */
static bool serve_once(daybook_status *ret_status) {
    const daybook_tls_options tls = {.certificate_pem = localhost.certificate_pem, .key_pem = localhost.key_pem};
    const daybook_tls_options trust = {.authorities_pem = authority.certificate_pem};
    daybook_server *fresh = resilience_server_open(2, &tls, ret_status);
    if (fresh == NULL) return false;
    daybook_client *before = client;
    client = resilience_client_open(fresh, (daybook_client_options){.tls = &trust}, ret_status);
    const bool ok = client != NULL && blocking_call_with_headers(ret_status) && server_streaming(ret_status) &&
                    client_streaming(ret_status) && bidirectional(ret_status);
    daybook_client_close(client);
    client = before;
    daybook_server_close(fresh);
    return ok;
}

Test(resilience_allocation, servers) {
    fail_every_allocation("server with TLS", serve_once);
}
