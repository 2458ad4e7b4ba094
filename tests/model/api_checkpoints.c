/* The head, a checkpoint, and the list of all of them in pages. */
#include <criterion/criterion.h>

#include "google/protobuf/timestamp.upb.h"
#include "tests/model/api_world.h"

#define METHOD_GET_CHECKPOINT   "/daybook.v1.EventStore/GetCheckpoint"
#define METHOD_LIST_CHECKPOINTS "/daybook.v1.EventStore/ListCheckpoints"

const char *api_run_head(struct api_world *world) {
    struct answer answer =
        api_call(world, METHOD_HEAD, daybook_v1_HeadRequest_new(world->arena), &daybook_v1_HeadRequest_msginit);
    const daybook_v1_HeadResponse *response = api_response(world, &answer, &daybook_v1_HeadResponse_msginit);
    cr_assert_eq(daybook_v1_HeadResponse_head(response), world->reference->head);
    answer_free(&answer);
    return "OK";
}

static void entry_compare(const daybook_v1_GetCheckpointResponse *entry, const struct reference_checkpoint *expected) {
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_GetCheckpointResponse_checkpoint(entry);
    cr_assert_not_null(checkpoint);
    cr_assert(answer_text_is(daybook_v1_Checkpoint_consumer(checkpoint), expected->consumer));
    cr_assert_eq(daybook_v1_Checkpoint_position(checkpoint), expected->position);
    const google_protobuf_Timestamp *recorded_at = daybook_v1_GetCheckpointResponse_recorded_at(entry);
    cr_assert(recorded_at != NULL && google_protobuf_Timestamp_seconds(recorded_at) > 0);
}

const char *api_run_checkpoint(struct api_world *world) {
    const struct reference_checkpoint *expected =
        &world->reference->checkpoints[api_below(world, REFERENCE_CONSUMERS_COUNT)];
    daybook_v1_GetCheckpointRequest *request = daybook_v1_GetCheckpointRequest_new(world->arena);
    daybook_v1_GetCheckpointRequest_set_consumer(request, upb_StringView_FromString(expected->consumer));
    struct answer answer = api_call(world, METHOD_GET_CHECKPOINT, request, &daybook_v1_GetCheckpointRequest_msginit);
    const char *outcome = NULL;
    if (expected->position == 0) {
        outcome = api_expect(&answer, DAYBOOK_NOT_FOUND, "CONSUMER_NOT_FOUND");
    } else {
        outcome = api_expect(&answer, DAYBOOK_OK, "OK");
        entry_compare(api_response(world, &answer, &daybook_v1_GetCheckpointResponse_msginit), expected);
    }
    answer_free(&answer);
    return outcome;
}

/* The stored checkpoint at an index, by name; NULL: there are no more. */
static const struct reference_checkpoint *stored_at(const struct reference *reference, uint32_t index) {
    for (uint32_t consumer = 0; consumer < REFERENCE_CONSUMERS_COUNT; consumer++) {
        if (reference->checkpoints[consumer].position > 0 && index-- == 0) return &reference->checkpoints[consumer];
    }
    return NULL;
}

const char *api_run_checkpoints(struct api_world *world) {
    const uint32_t page_size = (uint32_t)api_below(world, 4);
    upb_StringView token = upb_StringView_FromString("");
    uint32_t listed = 0;
    do {
        daybook_v1_ListCheckpointsRequest *request = daybook_v1_ListCheckpointsRequest_new(world->arena);
        daybook_v1_ListCheckpointsRequest_set_page_size(request, page_size);
        daybook_v1_ListCheckpointsRequest_set_page_token(request, token);
        struct answer answer =
            api_call(world, METHOD_LIST_CHECKPOINTS, request, &daybook_v1_ListCheckpointsRequest_msginit);
        const daybook_v1_ListCheckpointsResponse *response =
            api_response(world, &answer, &daybook_v1_ListCheckpointsResponse_msginit);
        answer_free(&answer);
        size_t count;
        const daybook_v1_GetCheckpointResponse *const *entries =
            daybook_v1_ListCheckpointsResponse_checkpoints(response, &count);
        for (size_t index = 0; index < count; index++) {
            const struct reference_checkpoint *expected = stored_at(world->reference, listed++);
            cr_assert_not_null(expected);
            entry_compare(entries[index], expected);
        }
        token = daybook_v1_ListCheckpointsResponse_next_page_token(response);
        cr_assert(page_size == 0 || count == page_size || token.size == 0, "a page that is not full is the last");
    } while (token.size > 0);
    cr_assert_null(stored_at(world->reference, listed), "all are listed");
    return "OK";
}
