/* GetCheckpoint and ListCheckpoints. */
#include "service/api/checkpoints.h"

#include "google/protobuf/timestamp.upb.h"
#include "service/api/api.h"
#include "service/api/pages.h"
#include "service/api/validate.h"
#include "service/store/store.h"

#define LIST                   "checkpoints"
#define NANOSECONDS_PER_SECOND 1000000000

/* A snapshot of the store for one call. */
static result snapshot_take(struct store *store, struct store_reader **ret_reader) {
    TRY(store_reader_open(store, ret_reader));
    const result outcome = store_reader_begin(*ret_reader, NULL);
    if (failed(outcome)) store_reader_close(*ret_reader);
    return outcome;
}

static void snapshot_give(struct store_reader *reader) {
    store_reader_end(reader);
    store_reader_close(reader);
}

static bool fill(const struct checkpoint *checkpoint, daybook_v1_GetCheckpointResponse *response, upb_Arena *arena) {
    daybook_v1_Checkpoint *message = daybook_v1_GetCheckpointResponse_mutable_checkpoint(response, arena);
    google_protobuf_Timestamp *recorded_at = daybook_v1_GetCheckpointResponse_mutable_recorded_at(response, arena);
    /* The name lives in the snapshot. */
    char *name = upb_Arena_Malloc(arena, checkpoint->consumer.size);
    if (message == NULL || recorded_at == NULL || name == NULL) return false;
    memcpy(name, checkpoint->consumer.data, checkpoint->consumer.size);
    daybook_v1_Checkpoint_set_consumer(message, upb_StringView_FromDataAndSize(name, checkpoint->consumer.size));
    daybook_v1_Checkpoint_set_position(message, checkpoint->position);
    google_protobuf_Timestamp_set_seconds(recorded_at, checkpoint->recorded_ns / NANOSECONDS_PER_SECOND);
    google_protobuf_Timestamp_set_nanos(recorded_at, (int32_t)(checkpoint->recorded_ns % NANOSECONDS_PER_SECOND));
    return true;
}

static void failure_explain(enum failure failure, struct bytes consumer, struct error *ret_error) {
    if (failure != FAILURE_NOT_FOUND) {
        error_of_failure(ret_error, failure);
        return;
    }
    error_set(ret_error, REASON_CONSUMER_NOT_FOUND, "the consumer \"%.*s\" has stored no checkpoint",
              (int)consumer.size, (const char *)consumer.data);
}

bool checkpoint_position(struct store *store, struct bytes consumer, uint64_t *ret_position, struct error *ret_error) {
    struct store_reader *reader;
    struct checkpoint checkpoint;
    result outcome = snapshot_take(store, &reader);
    if (!failed(outcome)) {
        outcome = store_reader_checkpoint(reader, consumer, &checkpoint);
        snapshot_give(reader);
    }
    if (failed(outcome)) {
        failure_explain(outcome.failure, consumer, ret_error);
        return false;
    }
    *ret_position = checkpoint.position;
    return true;
}

static result get(struct store *store, struct bytes consumer, daybook_v1_GetCheckpointResponse *response,
                  upb_Arena *arena) {
    struct store_reader *reader;
    struct checkpoint checkpoint;
    TRY(snapshot_take(store, &reader));
    result outcome = store_reader_checkpoint(reader, consumer, &checkpoint);
    if (!failed(outcome) && !fill(&checkpoint, response, arena)) outcome = failure_result(FAILURE_MEMORY);
    snapshot_give(reader);
    return outcome;
}

void api_get_checkpoint(void *context, daybook_server_call *call, const daybook_v1_GetCheckpointRequest *request) {
    const struct api *api = context;
    const upb_StringView name = daybook_v1_GetCheckpointRequest_consumer(request);
    const struct field field = field_of(NULL, "consumer");
    struct validation validation;
    validation_init(&validation);
    validate_name(&validation, &field, name);
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_GetCheckpointResponse *response = daybook_v1_GetCheckpointResponse_new(arena);
    const struct bytes consumer = bytes_of(name.data, name.size);
    const result outcome =
        response == NULL ? failure_result(FAILURE_MEMORY) : get(api->store, consumer, response, arena);
    if (failed(outcome)) {
        struct error error;
        failure_explain(outcome.failure, consumer, &error);
        error_fail(call, &error);
        return;
    }
    daybook_v1_EventStore_GetCheckpoint_reply(call, response);
}

/* Fills a page and, when there is more, the token of the next. */
static result page_fill(struct store_reader *reader, struct bytes after, uint32_t size,
                        daybook_v1_ListCheckpointsResponse *response, upb_Arena *arena) {
    struct bytes last = after;
    for (uint32_t count = 0;; count++) {
        struct checkpoint checkpoint;
        const result found = store_reader_checkpoint_after(reader, last, &checkpoint);
        if (found.failure == FAILURE_NOT_FOUND) return RESULT_OK;
        TRY(found);
        if (count == size) break;
        daybook_v1_GetCheckpointResponse *entry = daybook_v1_ListCheckpointsResponse_add_checkpoints(response, arena);
        if (entry == NULL || !fill(&checkpoint, entry, arena)) return failure_result(FAILURE_MEMORY);
        last = checkpoint.consumer;
    }
    const upb_StringView token = page_token_new(LIST, last, arena);
    if (token.size == 0) return failure_result(FAILURE_MEMORY);
    daybook_v1_ListCheckpointsResponse_set_next_page_token(response, token);
    return RESULT_OK;
}

void api_list_checkpoints(void *context, daybook_server_call *call, const daybook_v1_ListCheckpointsRequest *request) {
    const struct api *api = context;
    struct validation validation;
    validation_init(&validation);
    const struct bytes after = page_after(&validation, LIST, daybook_v1_ListCheckpointsRequest_page_token(request));
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_ListCheckpointsResponse *response = daybook_v1_ListCheckpointsResponse_new(arena);
    struct store_reader *reader = NULL;
    result outcome = response == NULL ? failure_result(FAILURE_MEMORY) : snapshot_take(api->store, &reader);
    if (!failed(outcome)) {
        const uint32_t size = page_size_of(daybook_v1_ListCheckpointsRequest_page_size(request));
        outcome = page_fill(reader, after, size, response, arena);
        snapshot_give(reader);
    }
    if (failed(outcome)) {
        error_fail_failure(call, outcome.failure);
        return;
    }
    daybook_v1_EventStore_ListCheckpoints_reply(call, response);
}
