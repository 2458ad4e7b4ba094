/* A slot holds a request for as long as it is needed, and then its outcome alone. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/duration.upb.h"
#include "service/api/append_slot.h"
#include "service/base/limits.h"
#include "tests/unit/service/api/answers.h"
#include "tests/unit/service/api/validations.h"

#define DATA_BYTES 300000
/* What an outcome of a few hundred bytes takes beside the slot. */
#define OUTCOME_MEMORY_BYTES 2048

static const struct api api = {.event_bytes_max = EVENT_BYTES_MAX_DEFAULT};
static struct append_slot *slot;

static void setup(void) {
    validations_open();
    slot = append_slot_new(NULL);
    cr_assert_not_null(slot);
}

static void teardown(void) {
    append_slot_end(slot);
    cr_assert_null(append_slot_free(slot));
    validations_close();
}

TestSuite(append_slot, .init = setup, .fini = teardown);

/* As it is received. */
static const daybook_v1_AppendRequest *receive(const daybook_v1_AppendRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, validations_arena, &size);
    cr_assert_not_null(encoded);
    const daybook_v1_AppendRequest *received = daybook_v1_AppendRequest_parse(encoded, size, slot->arena);
    cr_assert_not_null(received);
    return received;
}

static daybook_v1_AppendRequest *large_request(void) {
    daybook_v1_AppendRequest *request = request_new();
    daybook_v1_Event_set_data(event_of(request), text_of('x', DATA_BYTES));
    return request;
}

static void fill(const daybook_v1_AppendRequest *request) {
    append_slot_fill(slot, &api, receive(request));
}

static void decide(enum append_outcome outcome) {
    cr_assert_eq(slot->state, SLOT_OPEN);
    struct append_request *request = &slot->append.request;
    for (uint32_t index = 0; index < request->writes_count; index++) {
        request->results[index] = (struct append_result){1, 2, 3000000000, 3000000001};
    }
    request->outcome = outcome;
    slot->state = SLOT_DECIDED;
}

/* Settles the slot, which leaves the outcome that it would have had. */
static void expect_settled_to_the_same(void) {
    const struct bytes before = append_slot_outcome(slot);
    cr_assert_gt(before.size, 0);
    char *copy = upb_Arena_Malloc(validations_arena, before.size);
    memcpy(copy, before.data, before.size);
    append_slot_settle(slot);
    cr_assert_eq(slot->state, SLOT_SETTLED);
    cr_assert(bytes_equal(append_slot_outcome(slot), bytes_of(copy, before.size)));
}

static const daybook_v1_AppendError *outcome_error(void) {
    const struct bytes outcome = append_slot_outcome(slot);
    const daybook_v1_AppendOutcome *parsed =
        daybook_v1_AppendOutcome_parse((const char *)outcome.data, outcome.size, validations_arena);
    cr_assert_not_null(parsed);
    cr_assert(daybook_v1_AppendOutcome_has_error(parsed));
    return daybook_v1_AppendOutcome_error(parsed);
}

Test(append_slot, a_small_request_takes_nothing_but_the_slot) {
    fill(request_new());
    cr_assert_eq(slot->size_bytes, APPEND_SLOT_BYTES);
    decide(APPEND_COMMITTED);
    append_slot_settle(slot);
    cr_assert_eq(slot->state, SLOT_DECIDED, "nothing would be won");
    cr_assert_gt(append_slot_outcome(slot).size, 0);
}

Test(append_slot, what_a_request_holds_is_counted_and_told_to_the_queue) {
    fill(large_request());
    cr_assert_gt(slot->size_bytes, 2 * DATA_BYTES, "as it came, and encoded");
    cr_assert_geq(slot->append.request.memory_bytes, slot->size_bytes);
}

Test(append_slot, a_committed_request_is_settled_to_its_results) {
    fill(large_request());
    decide(APPEND_COMMITTED);
    expect_settled_to_the_same();
    cr_assert_leq(slot->size_bytes, APPEND_SLOT_BYTES + OUTCOME_MEMORY_BYTES);
}

Test(append_slot, a_conflict_is_settled_with_its_names) {
    daybook_v1_AppendRequest *request = large_request();
    for (char name = 'a'; name < 'a' + 8; name++) {
        daybook_v1_Write *write = write_add(request, "");
        daybook_v1_Write_set_stream(write, text_of(name, NAME_BYTES_MAX));
        event_add(write, "T");
    }
    fill(request);
    for (uint32_t index = 0; index < 9; index++) {
        slot->append.request.conflicts[index] =
            (struct append_conflict){.kind = CONFLICT_WRITE, .index = index, .actual = index + 1};
    }
    slot->append.request.conflicts_count = 9;
    decide(APPEND_REVISION_CONFLICT);
    expect_settled_to_the_same();
    cr_assert_lt(slot->size_bytes, DATA_BYTES / 4);
    size_t count;
    const daybook_v1_StreamConflict *const *streams =
        daybook_v1_AppendConflicts_streams(daybook_v1_AppendError_conflicts(outcome_error()), &count);
    cr_assert_eq(count, 9);
    cr_assert_eq(daybook_v1_StreamConflict_stream(streams[8]).size, NAME_BYTES_MAX);
}

Test(append_slot, a_slot_is_used_again_after_it_was_settled) {
    for (uint32_t round = 0; round < 3; round++) {
        fill(large_request());
        decide(APPEND_COMMITTED);
        append_slot_settle(slot);
        append_slot_end(slot);
        append_slot_begin(slot);
        cr_assert_eq(slot->state, SLOT_OPEN);
        cr_assert_eq(slot->size_bytes, APPEND_SLOT_BYTES);
    }
}

static void *no_memory(upb_alloc *alloc, void *memory, size_t size_before, size_t size) {
    (void)alloc;
    (void)size_before;
    if (size == 0) free(memory);
    return NULL;
}

Test(append_slot, without_memory_for_its_outcome_a_request_stays) {
    fill(large_request());
    decide(APPEND_COMMITTED);
    const uint64_t size_bytes = slot->size_bytes;
    upb_alloc_func *const func = slot->alloc.func;
    slot->alloc.func = no_memory;
    append_slot_settle(slot);
    cr_assert_eq(slot->state, SLOT_DECIDED);
    cr_assert_eq(slot->size_bytes, size_bytes);
    slot->alloc.func = func;
    expect_settled_to_the_same();
}

Test(append_slot, a_wrong_request_gives_its_memory_back) {
    daybook_v1_AppendRequest *request = large_request();
    daybook_v1_Event_set_type(event_of(request), text(""));
    fill(request);
    cr_assert_eq(slot->state, SLOT_SETTLED);
    cr_assert_eq(slot->size_bytes, APPEND_SLOT_BYTES);
    cr_assert_eq(daybook_v1_AppendError_code(outcome_error()), DAYBOOK_INVALID_ARGUMENT);
}

static void expect_refusal(daybook_code code, const char *reason, int32_t retry_ms) {
    cr_assert_eq(slot->state, SLOT_SETTLED);
    cr_assert_eq(slot->size_bytes, APPEND_SLOT_BYTES);
    const daybook_v1_AppendError *error = outcome_error();
    cr_assert_eq(daybook_v1_AppendError_code(error), (int32_t)code);
    cr_assert(answer_text_is(google_rpc_ErrorInfo_reason(daybook_v1_AppendError_info(error)), reason));
    const google_protobuf_Duration *delay = google_rpc_RetryInfo_retry_delay(daybook_v1_AppendError_retry(error));
    cr_assert_eq(google_protobuf_Duration_seconds(delay) * 1000 + google_protobuf_Duration_nanos(delay) / 1000000,
                 retry_ms);
}

Test(append_slot, a_request_without_room_gives_its_memory_back_unread) {
    (void)receive(large_request());
    cr_assert_gt(slot->size_bytes, DATA_BYTES);
    append_slot_refuse_full(slot);
    expect_refusal(DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL", 50);
}

Test(append_slot, a_request_that_is_not_taken_gives_its_memory_back) {
    fill(large_request());
    append_slot_refuse(slot, FAILURE_STOPPED);
    expect_refusal(DAYBOOK_UNAVAILABLE, "DRAINING", 1000);
}
