/* GetStream, and ListStreams in the order of names. */
#include "service/api/streams.h"

#include <inttypes.h>

#include "service/api/list_page.h"
#include "service/base/clock.h"
#include "service/store/index.h"

static result get(const struct api *api, upb_StringView name, daybook_v1_GetStreamResponse *response,
                  upb_Arena *arena) {
    daybook_v1_Stream *stream = daybook_v1_GetStreamResponse_mutable_stream(response, arena);
    if (stream == NULL) return failure_result(FAILURE_MEMORY);
    struct name_figures figures = {0};
    const result found = index_names_find(api->index, TERM_STREAM, bytes_of(name.data, name.size), &figures);
    if (found.failure != FAILURE_NOT_FOUND) TRY(found);
    struct store_reader *reader;
    TRY(store_reader_open(api->store, &reader));
    result outcome = store_reader_begin(reader, NULL);
    if (!failed(outcome)) {
        const struct stream_source source = {.index = api->index, .reader = reader, .now_ns = clock_wall_ns()};
        outcome = stream_fill(&source, name, &figures, stream, arena);
        store_reader_end(reader);
    }
    store_reader_close(reader);
    return outcome;
}

static void get_answer(const struct api *api, daybook_server_call *call, const void *request) {
    const upb_StringView name = daybook_v1_GetStreamRequest_stream(request);
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_GetStreamResponse *response = daybook_v1_GetStreamResponse_new(arena);
    const result outcome = response == NULL ? failure_result(FAILURE_MEMORY) : get(api, name, response, arena);
    if (outcome.failure == FAILURE_NOT_FOUND) {
        struct error error;
        error_set(&error, REASON_STREAM_NOT_FOUND, "the stream \"%.*s\" has neither events nor settings",
                  (int)name.size, name.data);
        error_fail(call, &error);
    } else if (failed(outcome)) {
        error_fail_failure(call, outcome.failure);
    } else {
        daybook_v1_EventStore_GetStream_reply(call, response);
    }
}

void api_get_stream(void *context, daybook_server_call *call, const daybook_v1_GetStreamRequest *request) {
    const struct field field = field_of(NULL, "stream");
    struct validation validation;
    validation_init(&validation);
    validate_name(&validation, &field, daybook_v1_GetStreamRequest_stream(request));
    if (validation.failed) {
        error_fail(call, &validation.error);
        return;
    }
    lists_submit(context, get_answer, call, request);
}

static result page_fill(const struct api *api, struct store_reader *reader, const struct list_page *page,
                        daybook_v1_ListStreamsResponse *response, upb_Arena *arena) {
    const struct stream_source source = {.index = api->index, .reader = reader, .now_ns = clock_wall_ns()};
    TRY(store_reader_begin(reader, NULL));
    result outcome = RESULT_OK;
    for (uint32_t at = 0; at < page->count && !failed(outcome); at++) {
        daybook_v1_Stream *stream = daybook_v1_ListStreamsResponse_add_streams(response, arena);
        outcome = stream == NULL ? failure_result(FAILURE_MEMORY)
                                 : stream_fill(&source, page->names[at], &page->figures[at], stream, arena);
    }
    store_reader_end(reader);
    return outcome;
}

static void list_answer(const struct api *api, daybook_server_call *call, const void *argument) {
    const daybook_v1_ListStreamsRequest *request = argument;
    const struct list_request list = {.list = "streams",
                                      .kind = TERM_STREAM,
                                      .prefix = daybook_v1_ListStreamsRequest_prefix(request),
                                      .page_size = daybook_v1_ListStreamsRequest_page_size(request),
                                      .page_token = daybook_v1_ListStreamsRequest_page_token(request)};
    struct list_page page;
    if (!list_page_take(api->index, &list, call, &page)) return;
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_ListStreamsResponse *response = daybook_v1_ListStreamsResponse_new(arena);
    struct store_reader *reader = NULL;
    result outcome = response == NULL ? failure_result(FAILURE_MEMORY) : store_reader_open(api->store, &reader);
    if (!failed(outcome)) outcome = page_fill(api, reader, &page, response, arena);
    store_reader_close(reader);
    if (failed(outcome)) {
        error_fail_failure(call, outcome.failure);
        return;
    }
    daybook_v1_ListStreamsResponse_set_next_page_token(response, page.next_page_token);
    daybook_v1_EventStore_ListStreams_reply(call, response);
}

void api_list_streams(void *context, daybook_server_call *call, const daybook_v1_ListStreamsRequest *request) {
    const int32_t order = daybook_v1_ListStreamsRequest_order(request);
    if (order < daybook_v1_STREAM_ORDER_UNSPECIFIED || order > daybook_v1_STREAM_ORDER_LAST_CHANGE) {
        const struct field field = field_of(NULL, "order");
        struct validation validation;
        validation_init(&validation);
        violation_add(&validation, REASON_INVALID_FIELD, &field,
                      "is %" PRId32 "; STREAM_ORDER_NAME (1) and STREAM_ORDER_LAST_CHANGE (2) are allowed", order);
        error_fail(call, &validation.error);
        return;
    }
    const bool by_change = order == daybook_v1_STREAM_ORDER_LAST_CHANGE;
    lists_submit(context, by_change ? streams_changed_answer : list_answer, call, request);
}
