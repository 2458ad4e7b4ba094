/* ListTypes and ListTags through the edge. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/service/api/rooms.h"

#define TYPES_COUNT 1203 /* more than a page may have */

/* Every type once, and every second again; tags alike. */
static void setup(void) {
    rooms_open();
    for (int number = 0; number < TYPES_COUNT;) {
        daybook_v1_AppendRequest *request = rooms_request();
        daybook_v1_Write *write = rooms_write(request, "s");
        for (int event = 0; event < 401; event++, number++) {
            char *name = upb_Arena_Malloc(rooms.arena, 16);
            (void)snprintf(name, 16, "T-%04d", number);
            for (int again = 0; again < 1 + number % 2; again++) {
                daybook_v1_Event *added = rooms_event(write, name);
                cr_assert(daybook_v1_Event_add_tags(added, upb_StringView_FromString(name), rooms.arena));
            }
        }
        rooms_append(request);
    }
}

TestSuite(names, .init = setup, .fini = rooms_close);

static const daybook_v1_ListTypesResponse *types(const char *prefix, uint32_t page_size, upb_StringView token) {
    daybook_v1_ListTypesRequest *request = daybook_v1_ListTypesRequest_new(rooms.arena);
    daybook_v1_ListTypesRequest_set_prefix(request, upb_StringView_FromString(prefix));
    daybook_v1_ListTypesRequest_set_page_size(request, page_size);
    daybook_v1_ListTypesRequest_set_page_token(request, token);
    const daybook_v1_ListTypesResponse *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = ROOMS_PATIENCE_MS};
    cr_assert(daybook_v1_EventStore_ListTypes(rooms.client, request, &options, rooms.arena, &response, &status), "%s",
              status.message);
    return response;
}

static void expect_types(const char *prefix, uint32_t page_size, size_t expected_count, bool has_more) {
    size_t count;
    const daybook_v1_ListTypesResponse *response = types(prefix, page_size, upb_StringView_FromString(""));
    const daybook_v1_NameCount *const *entries = daybook_v1_ListTypesResponse_types(response, &count);
    cr_assert_eq(count, expected_count);
    cr_assert_eq(daybook_v1_ListTypesResponse_next_page_token(response).size > 0, has_more);
    for (size_t index = 0; index < count; index++) {
        char name[32];
        (void)snprintf(name, sizeof name, "T-%04zu", index);
        cr_assert(answer_text_is(daybook_v1_NameCount_name(entries[index]), name));
        cr_assert_eq(daybook_v1_NameCount_events_count(entries[index]), 1 + index % 2);
        /* Two events for every two types, and one more for the second of them. */
        cr_assert_eq(daybook_v1_NameCount_last_position(entries[index]), index + 1 + (index + 1) / 2);
    }
}

Test(names, a_page_has_as_many_as_asked_for_a_hundred_or_a_thousand) {
    expect_types("", 0, 100, true);
    expect_types("", 1, 1, true);
    expect_types("", 5000, 1000, true);
    expect_types("T-0", 5000, 1000, false);
    expect_types("T-000", 10, 10, false);
    expect_types("T-000", 9, 9, true);
    expect_types("T-0000", 0, 1, false);
    expect_types("T-00000", 0, 0, false);
    expect_types("U", 0, 0, false);
}

Test(names, pages_follow_each_other_to_the_end) {
    size_t total = 0;
    upb_StringView token = upb_StringView_FromString("");
    do {
        size_t count;
        const daybook_v1_ListTypesResponse *response = types("T", 601, token);
        const daybook_v1_NameCount *const *entries = daybook_v1_ListTypesResponse_types(response, &count);
        for (size_t index = 0; index < count; index++, total++) {
            char name[32];
            (void)snprintf(name, sizeof name, "T-%04zu", total);
            cr_assert(answer_text_is(daybook_v1_NameCount_name(entries[index]), name));
        }
        token = daybook_v1_ListTypesResponse_next_page_token(response);
    } while (token.size > 0);
    cr_assert_eq(total, TYPES_COUNT);
}

Test(names, a_list_sees_what_has_just_been_appended) {
    for (int number = 19; number >= 0; number--) {
        char type[16];
        (void)snprintf(type, sizeof type, "new-%d", number);
        const uint64_t position = rooms_append_one("other", type);
        size_t count;
        const daybook_v1_NameCount *const *entries =
            daybook_v1_ListTypesResponse_types(types(type, 0, upb_StringView_FromString("")), &count);
        cr_assert_eq(count, number == 1 ? 11 : 1);
        cr_assert_eq(daybook_v1_NameCount_last_position(entries[0]), position);
    }
}

static struct answer tags_answer(const char *prefix, const char *token) {
    size_t size;
    daybook_v1_ListTagsRequest *request = daybook_v1_ListTagsRequest_new(rooms.arena);
    daybook_v1_ListTagsRequest_set_prefix(request, upb_StringView_FromString(prefix));
    daybook_v1_ListTagsRequest_set_page_token(request, upb_StringView_FromString(token));
    const char *encoded = daybook_v1_ListTagsRequest_serialize(request, rooms.arena, &size);
    cr_assert_not_null(encoded);
    return answer_to(rooms.channel, "/daybook.v1.EventStore/ListTags", upb_StringView_FromDataAndSize(encoded, size));
}

Test(names, tags_are_a_list_of_their_own) {
    struct answer answer = tags_answer("T-1", "");
    cr_assert_eq(answer.status.code, DAYBOOK_OK, "%s", answer.status.message);
    const daybook_v1_ListTagsResponse *response =
        daybook_v1_ListTagsResponse_parse((const char *)answer.response.data, answer.response.size, rooms.arena);
    size_t count;
    const daybook_v1_NameCount *const *entries = daybook_v1_ListTagsResponse_tags(response, &count);
    cr_assert_eq(count, 100);
    cr_assert(answer_text_is(daybook_v1_NameCount_name(entries[0]), "T-1000"));
    cr_assert(answer_text_is(daybook_v1_ListTagsResponse_next_page_token(response), "tags/3:T-1099"));
    answer_free(&answer);
}

Test(names, a_wrong_request_is_refused_with_every_wrong_field) {
    struct answer answer = tags_answer("T\n", "types/0:T-0001");
    answer_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 2);
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[0]), "prefix"));
    cr_assert(answer_text_is(google_rpc_BadRequest_FieldViolation_field(violations[1]), "page_token"));
    answer_free(&answer);
}
