/* ListTypes and ListTags. */
#include "service/api/list_page.h"
#include "service/api/lists.h"
#include "service/store/index.h"

static bool count_fill(const struct list_page *page, uint32_t at, daybook_v1_NameCount *count) {
    if (count == NULL) return false;
    daybook_v1_NameCount_set_name(count, page->names[at]);
    daybook_v1_NameCount_set_events_count(count, page->figures[at].events_count);
    daybook_v1_NameCount_set_last_position(count, page->figures[at].position_last);
    return true;
}

static void types_answer(const struct api *api, daybook_server_call *call, const void *argument) {
    const daybook_v1_ListTypesRequest *request = argument;
    const struct list_request list = {.list = "types",
                                      .kind = TERM_TYPE,
                                      .prefix = daybook_v1_ListTypesRequest_prefix(request),
                                      .page_size = daybook_v1_ListTypesRequest_page_size(request),
                                      .page_token = daybook_v1_ListTypesRequest_page_token(request)};
    struct list_page page;
    if (!list_page_take(api->index, &list, call, &page)) return;
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_ListTypesResponse *response = daybook_v1_ListTypesResponse_new(arena);
    bool is_filled = response != NULL;
    for (uint32_t at = 0; at < page.count && is_filled; at++) {
        is_filled = count_fill(&page, at, daybook_v1_ListTypesResponse_add_types(response, arena));
    }
    if (!is_filled) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    daybook_v1_ListTypesResponse_set_next_page_token(response, page.next_page_token);
    daybook_v1_EventStore_ListTypes_reply(call, response);
}

static void tags_answer(const struct api *api, daybook_server_call *call, const void *argument) {
    const daybook_v1_ListTagsRequest *request = argument;
    const struct list_request list = {.list = "tags",
                                      .kind = TERM_TAG,
                                      .prefix = daybook_v1_ListTagsRequest_prefix(request),
                                      .page_size = daybook_v1_ListTagsRequest_page_size(request),
                                      .page_token = daybook_v1_ListTagsRequest_page_token(request)};
    struct list_page page;
    if (!list_page_take(api->index, &list, call, &page)) return;
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_ListTagsResponse *response = daybook_v1_ListTagsResponse_new(arena);
    bool is_filled = response != NULL;
    for (uint32_t at = 0; at < page.count && is_filled; at++) {
        is_filled = count_fill(&page, at, daybook_v1_ListTagsResponse_add_tags(response, arena));
    }
    if (!is_filled) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    daybook_v1_ListTagsResponse_set_next_page_token(response, page.next_page_token);
    daybook_v1_EventStore_ListTags_reply(call, response);
}

void api_list_types(void *context, daybook_server_call *call, const daybook_v1_ListTypesRequest *request) {
    lists_submit(context, types_answer, call, request);
}

void api_list_tags(void *context, daybook_server_call *call, const daybook_v1_ListTagsRequest *request) {
    lists_submit(context, tags_answer, call, request);
}
