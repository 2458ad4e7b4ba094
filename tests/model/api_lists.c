/* What is known of streams, types and tags: one stream, and the lists in pages. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/api_world.h"

#define METHOD_GET_STREAM   "/daybook.v1.EventStore/GetStream"
#define METHOD_LIST_STREAMS "/daybook.v1.EventStore/ListStreams"
#define METHOD_LIST_TYPES   "/daybook.v1.EventStore/ListTypes"
#define METHOD_LIST_TAGS    "/daybook.v1.EventStore/ListTags"
#define STREAMS_COUNT       (REFERENCE_STREAMS_COUNT + 1)

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static const char *prefix_any(struct api_world *world) {
    static const char *const prefixes[] = {"", "", "", "order", "order-", "c", "$", "zebra"};
    return prefixes[api_below(world, sizeof prefixes / sizeof prefixes[0])];
}

/* --- Streams. ------------------------------------------------------------------------------------------------------------ */

static void stream_compare(const struct reference *reference, const daybook_v1_Stream *told, uint32_t index) {
    static const int32_t states[] = {daybook_v1_STREAM_STATE_ACTIVE, daybook_v1_STREAM_STATE_DELETED,
                                     daybook_v1_STREAM_STATE_TOMBSTONED};
    const struct reference_stream *stream = &reference->streams[index];
    const uint64_t first = reference_first_revision(reference, index);
    const bool is_readable = stream->state == REFERENCE_ACTIVE && first <= stream->revision;
    cr_assert(answer_text_is(daybook_v1_Stream_name(told), reference_streams[index]));
    cr_assert_eq(daybook_v1_Stream_state(told), states[stream->state]);
    cr_assert_eq(daybook_v1_Stream_last_revision(told), stream->revision);
    cr_assert_eq(daybook_v1_Stream_first_revision(told), is_readable ? first : 0);
    cr_assert_eq(daybook_v1_Stream_events_count(told), is_readable ? stream->revision - first + 1 : 0);
    const daybook_v1_StreamSettings *settings = daybook_v1_Stream_settings(told);
    if (settings == NULL) {
        cr_assert(stream->max_age_seconds == 0 && stream->max_count == 0 && stream->truncate_before == 0);
        return;
    }
    cr_assert_eq(daybook_v1_StreamSettings_max_age_seconds(settings), stream->max_age_seconds);
    cr_assert_eq(daybook_v1_StreamSettings_max_count(settings), stream->max_count);
    cr_assert_eq(daybook_v1_StreamSettings_truncate_before(settings), stream->truncate_before);
}

const char *api_run_stream(struct api_world *world) {
    const uint32_t index = (uint32_t)api_below(world, STREAMS_COUNT);
    const struct reference_stream *stream = &world->reference->streams[index];
    daybook_v1_GetStreamRequest *request = daybook_v1_GetStreamRequest_new(world->arena);
    daybook_v1_GetStreamRequest_set_stream(request, view(reference_streams[index]));
    struct answer answer = api_call_when_ready(world, METHOD_GET_STREAM, request, &daybook_v1_GetStreamRequest_msginit);
    const char *outcome = NULL;
    if (stream->revision == 0 && !stream->has_settings) {
        outcome = api_expect(&answer, DAYBOOK_NOT_FOUND, "STREAM_NOT_FOUND");
    } else {
        outcome = api_expect(&answer, DAYBOOK_OK, "OK");
        const daybook_v1_GetStreamResponse *response =
            api_response(world, &answer, &daybook_v1_GetStreamResponse_msginit);
        stream_compare(world->reference, daybook_v1_GetStreamResponse_stream(response), index);
    }
    answer_free(&answer);
    return outcome;
}

/* How the list goes: by name, or by the last event, the newest first. */
struct order {
    bool by_change;
    uint64_t last[STREAMS_COUNT]; /* position of each stream's last event; 0: it has none */
    bool listed[STREAMS_COUNT];
};

static bool comes_before(const struct order *order, uint32_t one, uint32_t other) {
    if (order->by_change) return order->last[one] > order->last[other];
    return strcmp(reference_streams[one], reference_streams[other]) < 0;
}

/* The next stream of the list that has events and begins with the prefix; STREAMS_COUNT: there are no more. */
static uint32_t stream_next(struct order *order, const char *prefix) {
    uint32_t found = STREAMS_COUNT;
    for (uint32_t index = 0; index < STREAMS_COUNT; index++) {
        const bool begins = strncmp(reference_streams[index], prefix, strlen(prefix)) == 0;
        if (!begins || order->last[index] == 0 || order->listed[index]) continue;
        if (found == STREAMS_COUNT || comes_before(order, index, found)) found = index;
    }
    if (found < STREAMS_COUNT) order->listed[found] = true;
    return found;
}

static struct order order_make(struct api_world *world) {
    struct order order = {.by_change = api_one_in(world, 2)};
    for (uint64_t position = 1; position <= world->reference->head; position++) {
        order.last[reference_at(world->reference, position)->stream] = position;
    }
    return order;
}

static const daybook_v1_ListStreamsResponse *streams_page(struct api_world *world, bool by_change, const char *prefix,
                                                          uint32_t page_size, upb_StringView token) {
    daybook_v1_ListStreamsRequest *request = daybook_v1_ListStreamsRequest_new(world->arena);
    daybook_v1_ListStreamsRequest_set_prefix(request, view(prefix));
    daybook_v1_ListStreamsRequest_set_page_size(request, page_size);
    daybook_v1_ListStreamsRequest_set_page_token(request, token);
    if (by_change) daybook_v1_ListStreamsRequest_set_order(request, daybook_v1_STREAM_ORDER_LAST_CHANGE);
    struct answer answer =
        api_call_when_ready(world, METHOD_LIST_STREAMS, request, &daybook_v1_ListStreamsRequest_msginit);
    const daybook_v1_ListStreamsResponse *response =
        api_response(world, &answer, &daybook_v1_ListStreamsResponse_msginit);
    answer_free(&answer);
    return response;
}

const char *api_run_streams(struct api_world *world) {
    struct order order = order_make(world);
    const char *prefix = prefix_any(world);
    const uint32_t page_size = (uint32_t)api_below(world, 5);
    upb_StringView token = view("");
    do {
        const daybook_v1_ListStreamsResponse *response = streams_page(world, order.by_change, prefix, page_size, token);
        size_t count;
        const daybook_v1_Stream *const *streams = daybook_v1_ListStreamsResponse_streams(response, &count);
        cr_assert(page_size == 0 || count <= page_size);
        for (size_t index = 0; index < count; index++) {
            const uint32_t expected = stream_next(&order, prefix);
            cr_assert_lt(expected, STREAMS_COUNT, "more than there are");
            stream_compare(world->reference, streams[index], expected);
        }
        token = daybook_v1_ListStreamsResponse_next_page_token(response);
    } while (token.size > 0);
    cr_assert_eq(stream_next(&order, prefix), STREAMS_COUNT, "all are listed");
    return order.by_change ? "by last change" : "by name";
}

/* --- Types and tags. ----------------------------------------------------------------------------------------------------- */

/* An event that was removed or erased may still be counted for what it had. */
struct bounds {
    uint64_t counts_min;
    uint64_t counts_max;
    uint64_t last_min; /* position of the last that is counted in any case */
    uint64_t last_max;
};

static struct bounds bounds_of(const struct reference *reference, const char *name, bool are_tags) {
    struct bounds bounds = {0};
    for (uint64_t position = 1; position <= reference->head; position++) {
        const struct reference_event *event = reference_at(reference, position);
        bool has = !are_tags && strcmp(event->event.type, name) == 0;
        for (uint32_t tag = 0; are_tags && tag < event->tags_written_count; tag++) {
            has = has || strcmp(event->event.tags[tag], name) == 0;
        }
        if (!has) continue;
        bounds.counts_max++;
        bounds.last_max = position;
        if (event->is_removed || (are_tags && event->is_erased)) continue;
        bounds.counts_min++;
        bounds.last_min = position;
    }
    return bounds;
}

static void name_compare(const struct reference *reference, const daybook_v1_NameCount *told, const char *name,
                         bool are_tags) {
    const struct bounds bounds = bounds_of(reference, name, are_tags);
    const uint64_t count = daybook_v1_NameCount_events_count(told);
    const uint64_t last = daybook_v1_NameCount_last_position(told);
    cr_assert(count >= bounds.counts_min && count <= bounds.counts_max, "%s: %" PRIu64 " of %" PRIu64 " to %" PRIu64,
              name, count, bounds.counts_min, bounds.counts_max);
    cr_assert(last >= bounds.last_min && last <= bounds.last_max);
}

static int text_compare(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* All names there may be, in the order of the list. */
static uint32_t names_all(bool are_tags, const char *ret_names[REFERENCE_TYPES_COUNT + REFERENCE_TAGS_COUNT]) {
    static const char *const own[] = {"$EventsErased", "$StreamDeleted", "$StreamTombstoned"};
    uint32_t count = 0;
    for (uint32_t index = 0; are_tags && index < REFERENCE_TAGS_COUNT; index++) {
        ret_names[count++] = reference_tags[index];
    }
    for (uint32_t index = 0; !are_tags && index < REFERENCE_TYPES_COUNT; index++) {
        ret_names[count++] = reference_types[index];
    }
    for (uint32_t index = 0; !are_tags && index < 3; index++) ret_names[count++] = own[index];
    qsort(ret_names, count, sizeof ret_names[0], text_compare);
    return count;
}

const char *api_run_names(struct api_world *world) {
    const bool are_tags = api_one_in(world, 2);
    const char *names[REFERENCE_TYPES_COUNT + REFERENCE_TAGS_COUNT];
    const uint32_t names_count = names_all(are_tags, names);
    const uint32_t page_size = (uint32_t)api_below(world, 5);
    upb_StringView token = view("");
    uint32_t at = 0;
    do {
        /* Both requests and both responses have the same fields. */
        daybook_v1_ListTypesRequest *request = daybook_v1_ListTypesRequest_new(world->arena);
        daybook_v1_ListTypesRequest_set_page_size(request, page_size);
        daybook_v1_ListTypesRequest_set_page_token(request, token);
        struct answer answer = api_call_when_ready(world, are_tags ? METHOD_LIST_TAGS : METHOD_LIST_TYPES, request,
                                                   &daybook_v1_ListTypesRequest_msginit);
        const daybook_v1_ListTypesResponse *response =
            api_response(world, &answer, &daybook_v1_ListTypesResponse_msginit);
        answer_free(&answer);
        size_t count;
        const daybook_v1_NameCount *const *told = daybook_v1_ListTypesResponse_types(response, &count);
        for (size_t index = 0; index < count; index++) {
            while (at < names_count && !answer_text_is(daybook_v1_NameCount_name(told[index]), names[at])) {
                cr_assert_eq(bounds_of(world->reference, names[at], are_tags).counts_min, 0, "%s is missing",
                             names[at]);
                at++;
            }
            cr_assert_lt(at, names_count, "a name that was never used, or out of order");
            name_compare(world->reference, told[index], names[at++], are_tags);
        }
        token = daybook_v1_ListTypesResponse_next_page_token(response);
    } while (token.size > 0);
    for (; at < names_count; at++) {
        cr_assert_eq(bounds_of(world->reference, names[at], are_tags).counts_min, 0, "%s is missing", names[at]);
    }
    return are_tags ? "tags" : "types";
}
