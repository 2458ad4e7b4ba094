/* The bytes of an AppendOutcome: what is written by hand is what a decoder reads. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "service/api/append_outcome.h"
#include "service/base/limits.h"
#include "tests/support/random.h"
#include "tests/unit/service/api/answers.h"

static upb_Arena *arena;

static void setup(void) {
    arena = upb_Arena_New();
    cr_assert_not_null(arena);
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(append_outcome, .init = setup, .fini = teardown);

static const daybook_v1_AppendOutcome *decode(struct bytes encoded) {
    cr_assert_gt(encoded.size, 0);
    const daybook_v1_AppendOutcome *outcome =
        daybook_v1_AppendOutcome_parse((const char *)encoded.data, encoded.size, arena);
    cr_assert_not_null(outcome);
    return outcome;
}

/* Numbers of every length, zero among them. */
static uint64_t any_number(struct random *random) {
    return random_next(random) >> random_below(random, 64) & (random_below(random, 8) == 0 ? 0 : UINT64_MAX);
}

static void expect_round_trip(const struct append_request *request) {
    const daybook_v1_AppendOutcome *outcome = decode(append_outcome(request, arena));
    cr_assert(daybook_v1_AppendOutcome_has_appended(outcome));
    cr_assert_not(daybook_v1_AppendOutcome_has_error(outcome));
    const daybook_v1_AppendResponse *response = daybook_v1_AppendOutcome_appended(outcome);
    cr_assert_eq(daybook_v1_AppendResponse_replayed(response), request->replayed);
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(response, &count);
    cr_assert_eq(count, request->writes_count);
    for (size_t index = 0; index < count; index++) {
        const struct append_result *expected = &request->results[index];
        cr_assert_eq(daybook_v1_WriteResult_first_revision(results[index]), expected->first_revision);
        cr_assert_eq(daybook_v1_WriteResult_last_revision(results[index]), expected->last_revision);
        cr_assert_eq(daybook_v1_WriteResult_first_position(results[index]), expected->first_position);
        cr_assert_eq(daybook_v1_WriteResult_last_position(results[index]), expected->last_position);
    }
}

Test(append_outcome, what_was_committed_is_read_as_it_was_written) {
    static struct append_result results[REQUEST_WRITES_COUNT_MAX];
    static const uint32_t counts[] = {1, 2, 100, REQUEST_WRITES_COUNT_MAX};
    struct random random = random_start("append_outcome");
    for (uint32_t round = 0; round < 2000; round++) {
        struct append_request request = {.outcome = APPEND_COMMITTED, .results = results};
        request.writes_count = round < 1900 ? 1 : counts[random_below(&random, 4)];
        request.replayed = random_below(&random, 2) == 0;
        for (uint32_t index = 0; index < request.writes_count; index++) {
            results[index] = (struct append_result){any_number(&random), any_number(&random), any_number(&random),
                                                    any_number(&random)};
        }
        expect_round_trip(&request);
    }
}

Test(append_outcome, the_largest_is_within_what_a_response_allows_for) {
    static struct append_result results[REQUEST_WRITES_COUNT_MAX];
    struct append_request request = {
        .outcome = APPEND_COMMITTED, .results = results, .writes_count = REQUEST_WRITES_COUNT_MAX, .replayed = true};
    for (uint32_t index = 0; index < REQUEST_WRITES_COUNT_MAX; index++) {
        results[index] = (struct append_result){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    }
    expect_round_trip(&request);
    cr_assert_leq(append_outcome(&request, arena).size, 48 * REQUEST_WRITES_COUNT_MAX);
}

Test(append_outcome, an_error_has_its_code_text_reason_and_retry) {
    struct error error;
    error_set(&error, REASON_QUEUE_FULL, "the queue is full");
    const daybook_v1_AppendOutcome *outcome = decode(append_outcome_of_error(&error, arena));
    cr_assert_not(daybook_v1_AppendOutcome_has_appended(outcome));
    const daybook_v1_AppendError *sent = daybook_v1_AppendOutcome_error(outcome);
    cr_assert_not_null(sent);
    cr_assert_eq(daybook_v1_AppendError_code(sent), DAYBOOK_RESOURCE_EXHAUSTED);
    cr_assert(answer_text_is(daybook_v1_AppendError_message(sent), "the queue is full"));
    cr_assert(answer_text_is(google_rpc_ErrorInfo_reason(daybook_v1_AppendError_info(sent)), "QUEUE_FULL"));
    cr_assert_not_null(daybook_v1_AppendError_retry(sent));
    cr_assert_null(daybook_v1_AppendError_bad_request(sent));
    cr_assert_null(daybook_v1_AppendError_conflicts(sent));
}

static void *refuse_memory(upb_alloc *alloc, void *memory, size_t size_before, size_t size) {
    (void)alloc;
    (void)size_before;
    (void)size;
    cr_assert_null(memory);
    return NULL;
}

/* Whatever runs out in the middle, there are no bytes rather than wrong ones. */
Test(append_outcome, without_memory_there_are_no_bytes) {
    struct append_result written = {1, 2, 3, 4};
    const struct append_request committed = {.outcome = APPEND_COMMITTED, .writes_count = 1, .results = &written};
    const struct append_request refused = {.outcome = APPEND_STORAGE_FULL};
    upb_alloc nothing = {.func = refuse_memory};
    bool whole = false;
    for (size_t size = 128; size < 4096; size += 16) {
        _Alignas(16) char block[4096];
        upb_Arena *small = upb_Arena_Init(block, size, &nothing);
        if (small == NULL) continue;
        const struct bytes error = append_outcome(&refused, small);
        if (error.size > 0) {
            cr_assert(daybook_v1_AppendOutcome_has_error(decode(error)));
            whole = true;
        } else {
            cr_assert_not(whole, "more memory is not less");
        }
        const struct bytes appended = append_outcome(&committed, small);
        if (appended.size > 0) cr_assert(daybook_v1_AppendOutcome_has_appended(decode(appended)));
        upb_Arena_Free(small);
    }
    cr_assert(whole);
}
