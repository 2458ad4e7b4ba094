/* GetStream and ListStreams through the edge. */
#include <criterion/criterion.h>

#include "google/protobuf/timestamp.upb.h"
#include "tests/unit/service/api/rooms.h"

/* order-1: positions 1, 4 and 5; order-2: 2; orders: 3. */
static void setup(void) {
    rooms_open();
    (void)rooms_append_one("order-1", "A");
    (void)rooms_append_one("order-2", "A");
    (void)rooms_append_one("orders", "A");
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Write *write = rooms_write(request, "order-1");
    rooms_event(write, "B");
    rooms_event(write, "C");
    rooms_append(request);
}

TestSuite(streams, .init = setup, .fini = rooms_close);

static const daybook_call_options options = {.timeout_ms = ROOMS_PATIENCE_MS};

static const daybook_v1_Stream *stream_get(const char *name) {
    daybook_v1_GetStreamRequest *request = daybook_v1_GetStreamRequest_new(rooms.arena);
    daybook_v1_GetStreamRequest_set_stream(request, upb_StringView_FromString(name));
    const daybook_v1_GetStreamResponse *response = NULL;
    daybook_status status;
    cr_assert(daybook_v1_EventStore_GetStream(rooms.client, request, &options, rooms.arena, &response, &status), "%s",
              status.message);
    return daybook_v1_GetStreamResponse_stream(response);
}

/* Nanoseconds of a time that is set. */
static int64_t time_of(const google_protobuf_Timestamp *time) {
    cr_assert_not_null(time);
    return google_protobuf_Timestamp_seconds(time) * 1000000000 + google_protobuf_Timestamp_nanos(time);
}

static void expect_stream(const daybook_v1_Stream *stream, const char *name, const uint64_t *positions, size_t count) {
    size_t events_count;
    const daybook_v1_RecordedEvent **events = rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &events_count);
    uint64_t bytes = 0;
    for (size_t index = 0; index < count; index++) {
        size_t size;
        cr_assert_not_null(daybook_v1_RecordedEvent_serialize(events[positions[index] - 1], rooms.arena, &size));
        bytes += size;
    }
    cr_assert(answer_text_is(daybook_v1_Stream_name(stream), name));
    cr_assert_eq(daybook_v1_Stream_state(stream), daybook_v1_STREAM_STATE_ACTIVE);
    cr_assert_eq(daybook_v1_Stream_first_revision(stream), 1);
    cr_assert_eq(daybook_v1_Stream_last_revision(stream), count);
    cr_assert_eq(daybook_v1_Stream_events_count(stream), count);
    cr_assert_eq(daybook_v1_Stream_size_bytes(stream), bytes);
    cr_assert_eq(time_of(daybook_v1_Stream_first_recorded_at(stream)),
                 time_of(daybook_v1_RecordedEvent_recorded_at(events[positions[0] - 1])));
    cr_assert_eq(time_of(daybook_v1_Stream_last_recorded_at(stream)),
                 time_of(daybook_v1_RecordedEvent_recorded_at(events[positions[count - 1] - 1])));
}

#define EXPECT_STREAM(stream, name, ...)                                                                               \
    expect_stream(stream, name, (const uint64_t[]){__VA_ARGS__},                                                       \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

Test(streams, one_is_described_by_its_events) {
    EXPECT_STREAM(stream_get("order-1"), "order-1", 1, 4, 5);
    EXPECT_STREAM(stream_get("order-2"), "order-2", 2);
    (void)rooms_append_one("order-2", "D");
    EXPECT_STREAM(stream_get("order-2"), "order-2", 2, 6);
}

static struct answer answer_get(upb_StringView name) {
    daybook_v1_GetStreamRequest *request = daybook_v1_GetStreamRequest_new(rooms.arena);
    daybook_v1_GetStreamRequest_set_stream(request, name);
    size_t size;
    const char *encoded = daybook_v1_GetStreamRequest_serialize(request, rooms.arena, &size);
    return answer_to(rooms.channel, "/daybook.v1.EventStore/GetStream", upb_StringView_FromDataAndSize(encoded, size));
}

Test(streams, one_without_events_is_not_found) {
    static const char *const names[] = {"order", "order-", "order-11", "A"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        struct answer answer = answer_get(upb_StringView_FromString(names[index]));
        answer_expect(&answer, DAYBOOK_NOT_FOUND, "STREAM_NOT_FOUND");
        answer_free(&answer);
    }
}

Test(streams, a_name_must_be_one) {
    static const char *const names[] = {"", "\n"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        struct answer answer = answer_get(upb_StringView_FromString(names[index]));
        answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
        answer_free(&answer);
    }
}

static daybook_v1_ListStreamsRequest *request_of(const char *prefix, int32_t order, uint32_t page_size) {
    daybook_v1_ListStreamsRequest *request = daybook_v1_ListStreamsRequest_new(rooms.arena);
    daybook_v1_ListStreamsRequest_set_prefix(request, upb_StringView_FromString(prefix));
    daybook_v1_ListStreamsRequest_set_order(request, order);
    daybook_v1_ListStreamsRequest_set_page_size(request, page_size);
    return request;
}

static const daybook_v1_ListStreamsResponse *page_of(const daybook_v1_ListStreamsRequest *request) {
    const daybook_v1_ListStreamsResponse *response = NULL;
    daybook_status status;
    cr_assert(daybook_v1_EventStore_ListStreams(rooms.client, request, &options, rooms.arena, &response, &status), "%s",
              status.message);
    return response;
}

/* All pages, each of `page_size` names at most; `names` ends with NULL. */
static void expect_list(const char *prefix, int32_t order, uint32_t page_size, const char *const *names) {
    daybook_v1_ListStreamsRequest *request = request_of(prefix, order, page_size);
    upb_StringView token;
    do {
        size_t count;
        const daybook_v1_ListStreamsResponse *response = page_of(request);
        const daybook_v1_Stream *const *streams = daybook_v1_ListStreamsResponse_streams(response, &count);
        cr_assert(page_size == 0 || count <= page_size);
        for (size_t index = 0; index < count; index++, names++) {
            cr_assert_not_null(*names);
            cr_assert(answer_text_is(daybook_v1_Stream_name(streams[index]), *names));
        }
        token = daybook_v1_ListStreamsResponse_next_page_token(response);
        daybook_v1_ListStreamsRequest_set_page_token(request, token);
    } while (token.size > 0);
    cr_assert_null(*names, "%s is missing", *names);
}
#define EXPECT_LIST(prefix, order, page_size, ...)                                                                     \
    expect_list(prefix, order, page_size, (const char *const[]){__VA_ARGS__, NULL})

Test(streams, a_list_is_in_the_order_of_names_or_of_changes) {
    static const uint32_t page_sizes[] = {0, 1, 2, 3, 5000};
    for (size_t index = 0; index < sizeof page_sizes / sizeof page_sizes[0]; index++) {
        const uint32_t size = page_sizes[index];
        EXPECT_LIST("", daybook_v1_STREAM_ORDER_UNSPECIFIED, size, "order-1", "order-2", "orders");
        EXPECT_LIST("order-", daybook_v1_STREAM_ORDER_NAME, size, "order-1", "order-2");
        EXPECT_LIST("", daybook_v1_STREAM_ORDER_LAST_CHANGE, size, "order-1", "orders", "order-2");
        EXPECT_LIST("order-", daybook_v1_STREAM_ORDER_LAST_CHANGE, size, "order-1", "order-2");
        EXPECT_LIST("orders", daybook_v1_STREAM_ORDER_LAST_CHANGE, size, "orders");
        expect_list("x", daybook_v1_STREAM_ORDER_LAST_CHANGE, size, (const char *const[]){NULL});
        expect_list("x", daybook_v1_STREAM_ORDER_NAME, size, (const char *const[]){NULL});
    }
}

Test(streams, an_entry_is_what_get_says) {
    static const int32_t orders[] = {daybook_v1_STREAM_ORDER_NAME, daybook_v1_STREAM_ORDER_LAST_CHANGE};
    for (size_t index = 0; index < 2; index++) {
        size_t count;
        const daybook_v1_Stream *const *streams =
            daybook_v1_ListStreamsResponse_streams(page_of(request_of("order-1", orders[index], 0)), &count);
        cr_assert_eq(count, 1);
        EXPECT_STREAM(streams[0], "order-1", 1, 4, 5);
    }
}

Test(streams, a_list_by_change_keeps_the_order_of_its_beginning) {
    daybook_v1_ListStreamsRequest *request = request_of("", daybook_v1_STREAM_ORDER_LAST_CHANGE, 1);
    size_t count;
    const daybook_v1_ListStreamsResponse *response = page_of(request);
    cr_assert_eq(daybook_v1_ListStreamsResponse_streams(response, &count) != NULL && count == 1, 1);
    (void)rooms_append_one("order-2", "later");
    (void)rooms_append_one("new", "later");
    daybook_v1_ListStreamsRequest_set_page_token(request, daybook_v1_ListStreamsResponse_next_page_token(response));
    daybook_v1_ListStreamsRequest_set_page_size(request, 10);
    response = page_of(request);
    const daybook_v1_Stream *const *streams = daybook_v1_ListStreamsResponse_streams(response, &count);
    cr_assert_eq(count, 2);
    cr_assert(answer_text_is(daybook_v1_Stream_name(streams[0]), "orders"));
    EXPECT_STREAM(streams[1], "order-2", 2, 6); /* described as it is */
}

static struct answer answer_list(const daybook_v1_ListStreamsRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_ListStreamsRequest_serialize(request, rooms.arena, &size);
    return answer_to(rooms.channel, "/daybook.v1.EventStore/ListStreams",
                     upb_StringView_FromDataAndSize(encoded, size));
}

static void expect_refused(const daybook_v1_ListStreamsRequest *request, const char *field) {
    struct answer answer = answer_list(request);
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), field));
    answer_free(&answer);
}

Test(streams, wrong_lists_are_refused) {
    expect_refused(request_of("", 3, 0), "order");
    expect_refused(request_of("", -1, 0), "order");
    expect_refused(request_of("a\nb", daybook_v1_STREAM_ORDER_NAME, 0), "prefix");
    expect_refused(request_of("a\nb", daybook_v1_STREAM_ORDER_LAST_CHANGE, 0), "prefix");
    daybook_v1_ListStreamsRequest *request = request_of("", daybook_v1_STREAM_ORDER_LAST_CHANGE, 0);
    daybook_v1_ListStreamsRequest_set_page_token(request, upb_StringView_FromString("streams@6/6:"));
    expect_refused(request, "page_token"); /* beyond the head, 5 */
    daybook_v1_ListStreamsRequest_set_page_token(request, upb_StringView_FromString("streams/0:order-1"));
    expect_refused(request, "page_token"); /* of the other order */
    daybook_v1_ListStreamsRequest_set_order(request, daybook_v1_STREAM_ORDER_NAME);
    daybook_v1_ListStreamsRequest_set_page_token(request, upb_StringView_FromString("streams@5/4:"));
    expect_refused(request, "page_token");
}

Test(streams, a_stretch_without_a_stream_of_the_prefix_ends_a_page) {
    for (int append = 0; append < 20; append++) {
        daybook_v1_AppendRequest *request = rooms_request();
        daybook_v1_Write *write = rooms_write(request, "busy");
        for (int event = 0; event < 1000; event++) rooms_event(write, "T");
        rooms_append(request);
    }
    size_t count;
    daybook_v1_ListStreamsRequest *request = request_of("orders", daybook_v1_STREAM_ORDER_LAST_CHANGE, 0);
    const daybook_v1_ListStreamsResponse *response = page_of(request);
    (void)daybook_v1_ListStreamsResponse_streams(response, &count);
    cr_assert_eq(count, 0);
    cr_assert_gt(daybook_v1_ListStreamsResponse_next_page_token(response).size, 0);
    EXPECT_LIST("orders", daybook_v1_STREAM_ORDER_LAST_CHANGE, 0, "orders");
    EXPECT_LIST("", daybook_v1_STREAM_ORDER_LAST_CHANGE, 0, "busy", "order-1", "orders", "order-2");
}
