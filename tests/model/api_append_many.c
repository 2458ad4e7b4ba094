/* AppendMany: several requests on one call, decided and answered in their order. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/api_append.h"

#define METHOD_APPEND_MANY "/daybook.v1.EventStore/AppendMany"
#define REQUESTS_COUNT_MAX 8

/* What a unary call would have said. */
static struct answer answer_from(struct api_world *world, const daybook_v1_AppendOutcome *outcome) {
    struct answer answer = {0};
    const daybook_v1_AppendResponse *appended = daybook_v1_AppendOutcome_appended(outcome);
    const daybook_v1_AppendError *error = daybook_v1_AppendOutcome_error(outcome);
    cr_assert((appended != NULL) != (error != NULL), "exactly one is set");
    if (appended != NULL) {
        answer.response.data = daybook_v1_AppendResponse_serialize(appended, world->arena, &answer.response.size);
        return answer;
    }
    answer.status.code = daybook_v1_AppendError_code(error);
    answer.info = daybook_v1_AppendError_info(error);
    answer.bad_request = daybook_v1_AppendError_bad_request(error);
    answer.conflicts = daybook_v1_AppendError_conflicts(error);
    cr_assert_not_null(answer.info);
    return answer;
}

/* Compares the outcomes of a response with what the reference says, one after the other. Returns how many. */
static uint32_t outcomes_compare(struct api_world *world, const struct reference_append *appends, uint32_t left,
                                 struct raw_bytes bytes) {
    const struct answer whole = {.response = bytes};
    const daybook_v1_AppendManyResponse *response = api_response(world, &whole, &daybook_v1_AppendManyResponse_msginit);
    size_t count;
    const daybook_v1_AppendOutcome *const *outcomes = daybook_v1_AppendManyResponse_outcomes(response, &count);
    cr_assert_leq(count, left);
    for (size_t index = 0; index < count; index++) {
        const struct answer answer = answer_from(world, outcomes[index]);
        const struct reference_answer expected = reference_append(world->reference, &appends[index]);
        cr_assert(api_append_equals(world, &answer, &expected), "%d instead of %s", answer.status.code,
                  expected.reason);
    }
    return (uint32_t)count;
}

/* What a condition and a checkpoint may name is checked when a request comes, before those in front of it are written: the
 * positions are of the moment before the call, so that makes no difference. */
const char *api_run_append_many(struct api_world *world) {
    struct reference_append *appends = calloc(REQUESTS_COUNT_MAX, sizeof *appends);
    cr_assert_not_null(appends);
    const uint32_t count = (uint32_t)api_below(world, REQUESTS_COUNT_MAX + 1);
    struct raw_call *call = raw_call_start(world->rooms.channels[api_below(world, API_CLIENTS_COUNT)],
                                           METHOD_APPEND_MANY, RAW_TIMEOUT_NONE, NULL);
    for (uint32_t index = 0; index < count; index++) {
        const bool again = index > 0 && api_one_in(world, 5);
        appends[index] = again ? appends[api_below(world, index)] : api_append_make(world);
        const upb_StringView encoded = api_append_encode(world, &appends[index]);
        cr_assert(raw_call_send(call, encoded.data, encoded.size));
    }
    raw_call_half_close(call);
    uint32_t answered = 0;
    for (struct raw_bytes bytes = raw_call_receive(call); bytes.data != NULL; bytes = raw_call_receive(call)) {
        answered += outcomes_compare(world, appends + answered, count - answered, bytes);
        free(bytes.data);
    }
    cr_assert_eq(answered, count, "every request is answered");
    struct answer answer = answer_of(call);
    raw_call_free(call);
    const char *outcome = api_expect(&answer, DAYBOOK_OK, "OK");
    answer_free(&answer);
    free(appends);
    return count == 0 ? "nothing asked" : outcome;
}
