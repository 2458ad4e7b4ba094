/* ListStreams in the order of last change: as it was when the list began, described as they are when a page is made. */
#include "service/api/list_page.h"
#include "service/api/streams.h"
#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/feed/feed.h"
#include "service/store/streams_by_change.h"

/* What its page tokens are of. */
#define LIST "streams"

struct page {
    const struct api *api;
    upb_Arena *arena;
    struct bytes prefix;
    struct page_place place; /* where it begins */
    uint32_t size;
    uint32_t count;
    struct bytes *streams; /* valid while the reader has its snapshot */
    struct name_figures *figures;
    uint64_t next; /* 0: there is no further page */
};

static result streams_take(struct page *page, struct store_reader *reader) {
    const struct streams_by_change_options options = {.index = page->api->index,
                                                      .reader = reader,
                                                      .prefix = page->prefix,
                                                      .head = page->place.head,
                                                      .position = page->place.next,
                                                      .events_count_max = LAST_CHANGE_EVENTS_COUNT_MAX,
                                                      .streams_count_max = page->size};
    return streams_by_change_walk(&options, page->streams, &page->count, &page->next);
}

/* A stream of the log is in the catalogue. */
static result entry_fill(const struct page *page, uint32_t at, const struct stream_source *source,
                         daybook_v1_ListStreamsResponse *response) {
    const struct bytes stream = page->streams[at];
    char *copy = upb_Arena_Malloc(page->arena, stream.size);
    daybook_v1_Stream *entry = daybook_v1_ListStreamsResponse_add_streams(response, page->arena);
    if (copy == NULL || entry == NULL) return failure_result(FAILURE_MEMORY);
    memcpy(copy, stream.data, stream.size);
    if (page->figures[at].events_count == 0) return failure_result(FAILURE_CORRUPT);
    return stream_fill(source, upb_StringView_FromDataAndSize(copy, stream.size), &page->figures[at], entry,
                       page->arena);
}

/* The figures may be newer than the snapshot of the walk, so streams are described from a later one. */
static result streams_fill(const struct page *page, struct store_reader *reader,
                           daybook_v1_ListStreamsResponse *response) {
    const struct stream_source source = {.index = page->api->index, .reader = reader, .now_ns = clock_wall_ns()};
    TRY(store_reader_begin(reader, NULL));
    result outcome = RESULT_OK;
    for (uint32_t at = 0; at < page->count && !failed(outcome); at++) {
        outcome = entry_fill(page, at, &source, response);
    }
    store_reader_end(reader);
    return outcome;
}

static result page_fill(struct page *page, struct store_reader *walked, struct store_reader *reader,
                        daybook_v1_ListStreamsResponse *response) {
    page->streams = upb_Arena_Malloc(page->arena, page->size * sizeof *page->streams);
    page->figures = upb_Arena_Malloc(page->arena, page->size * sizeof *page->figures);
    if (page->streams == NULL || page->figures == NULL) return failure_result(FAILURE_MEMORY);
    TRY(streams_take(page, walked));
    TRY(index_names_find_all(page->api->index, TERM_STREAM, page->streams, page->count, page->figures));
    TRY(streams_fill(page, reader, response));
    if (page->next == 0) return RESULT_OK;
    const struct page_place place = {.head = page->place.head, .next = page->next};
    const upb_StringView token = page_token_of_place(LIST, page->prefix, place, page->arena);
    daybook_v1_ListStreamsResponse_set_next_page_token(response, token);
    return token.size > 0 ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

/* With two snapshots of the log. */
static result page_make(struct page *page, daybook_v1_ListStreamsResponse *response) {
    struct store_reader *walked = NULL;
    struct store_reader *reader = NULL;
    result outcome = store_reader_open(page->api->store, &walked);
    if (!failed(outcome)) outcome = store_reader_open(page->api->store, &reader);
    if (!failed(outcome)) outcome = store_reader_begin(walked, NULL);
    if (!failed(outcome)) {
        outcome = page_fill(page, walked, reader, response);
        store_reader_end(walked);
    }
    store_reader_close(reader);
    store_reader_close(walked);
    return outcome;
}

/* Says where the page begins; false: the request is wrong, and the call has ended. */
static bool place_take(struct page *page, upb_StringView token, uint64_t head, daybook_server_call *call) {
    struct validation validation;
    validation_init(&validation);
    validate_prefix(&validation, upb_StringView_FromDataAndSize((const char *)page->prefix.data, page->prefix.size));
    page->place = page_place_of(&validation, LIST, page->prefix, token);
    if (!validation.failed && page->place.head > head) {
        const struct field field = field_of(NULL, "page_token");
        violation_add(&validation, REASON_INVALID_FIELD, &field,
                      "is of another store, or of a later state of this one");
    }
    if (validation.failed) error_fail(call, &validation.error);
    if (page->place.head == 0) page->place = (struct page_place){.head = head, .next = head};
    return !validation.failed;
}

void streams_changed_answer(const struct api *api, daybook_server_call *call, const void *argument) {
    const daybook_v1_ListStreamsRequest *request = argument;
    const upb_StringView prefix = daybook_v1_ListStreamsRequest_prefix(request);
    struct page page = {.api = api,
                        .arena = daybook_server_call_arena(call),
                        .prefix = bytes_of(prefix.data, prefix.size),
                        .size = page_size_of(daybook_v1_ListStreamsRequest_page_size(request))};
    /* Everything up to the head is in the index; the log may have more. */
    const uint64_t head = feed_head(api->feed);
    if (!place_take(&page, daybook_v1_ListStreamsRequest_page_token(request), head, call)) return;
    daybook_v1_ListStreamsResponse *response = daybook_v1_ListStreamsResponse_new(page.arena);
    const result outcome = response == NULL ? failure_result(FAILURE_MEMORY) : page_make(&page, response);
    if (failed(outcome)) {
        error_fail_failure(call, outcome.failure);
    } else {
        daybook_v1_EventStore_ListStreams_reply(call, response);
    }
}
