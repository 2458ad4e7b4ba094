/* Several appends at once, so that they share groups: the positions of those that were written tell the order, and every
 * other must have been refused, or recognised, at some place in it. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/model/api_append.h"

#define AT_ONCE_MAX 8

struct entrant {
    struct reference_append append;
    struct raw_call *call;
    struct answer answer;
    uint64_t position; /* of its first event, when it was written now; 0: it was not */
    bool is_explained; /* the reference gives the same answer at some place */
};

static void start(struct api_world *world, struct entrant *entrant) {
    const upb_StringView encoded = api_append_encode(world, &entrant->append);
    entrant->call = raw_call_request(world->rooms.channels[api_below(world, API_CLIENTS_COUNT)], METHOD_APPEND,
                                     encoded.data, encoded.size);
}

static void finish(struct api_world *world, struct entrant *entrant) {
    const struct raw_bytes bytes = raw_call_receive(entrant->call);
    entrant->answer = answer_of(entrant->call);
    entrant->answer.response = bytes;
    raw_call_free(entrant->call);
    if (entrant->answer.status.code != DAYBOOK_OK) return;
    const daybook_v1_AppendResponse *response =
        api_response(world, &entrant->answer, &daybook_v1_AppendResponse_msginit);
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(response, &count);
    cr_assert_gt(count, 0);
    if (daybook_v1_AppendResponse_replayed(response)) return;
    entrant->position = daybook_v1_WriteResult_first_position(results[0]);
}

/* Those that were written in their order, the others behind them. */
static int entrant_compare(const void *left, const void *right) {
    const uint64_t one = ((const struct entrant *)left)->position - 1;
    const uint64_t other = ((const struct entrant *)right)->position - 1;
    return (one > other) - (one < other);
}

/* Finds those that nothing was written for, and whose answer is that of this moment. */
static void explain(struct api_world *world, struct entrant *entrants, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        struct entrant *entrant = &entrants[index];
        if (entrant->position != 0 || entrant->is_explained) continue;
        const struct reference_answer expected = reference_decide(world->reference, &entrant->append);
        if (expected.code == DAYBOOK_OK && !expected.replayed) continue;
        entrant->is_explained = api_append_equals(world, &entrant->answer, &expected);
    }
}

/* A retry that is sent while the first is on its way is one append as well. */
static void append_choose(struct api_world *world, struct entrant *entrants, uint32_t index) {
    const bool again = index > 0 && api_one_in(world, 4);
    entrants[index].append = again ? entrants[api_below(world, index)].append : api_append_make(world);
}

const char *api_run_append_at_once(struct api_world *world) {
    struct entrant *entrants = calloc(AT_ONCE_MAX, sizeof *entrants);
    cr_assert_not_null(entrants);
    const uint32_t count = 2 + (uint32_t)api_below(world, AT_ONCE_MAX - 1);
    for (uint32_t index = 0; index < count; index++) append_choose(world, entrants, index);
    for (uint32_t index = 0; index < count; index++) start(world, &entrants[index]);
    for (uint32_t index = 0; index < count; index++) finish(world, &entrants[index]);
    qsort(entrants, count, sizeof *entrants, entrant_compare);
    explain(world, entrants, count);
    for (uint32_t index = 0; index < count && entrants[index].position != 0; index++) {
        const struct reference_answer expected = reference_append(world->reference, &entrants[index].append);
        cr_assert(api_append_equals(world, &entrants[index].answer, &expected), "not in this order: %s",
                  expected.reason);
        explain(world, entrants, count);
    }
    uint32_t refused_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        const struct entrant *entrant = &entrants[index];
        cr_assert(entrant->position != 0 || entrant->is_explained, "at no place: %s", entrant->answer.status.message);
        refused_count += entrant->position != 0 ? 0 : 1;
        answer_free(&entrants[index].answer);
    }
    free(entrants);
    return refused_count == 0 ? "all written" : refused_count == count ? "none written" : "some written";
}
