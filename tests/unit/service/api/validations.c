#include "tests/unit/service/api/validations.h"

#include <criterion/criterion.h>
#include <string.h>

upb_Arena *validations_arena;

void validations_open(void) {
    validations_arena = upb_Arena_New();
    cr_assert_not_null(validations_arena);
}

void validations_close(void) {
    upb_Arena_Free(validations_arena);
}

upb_StringView text_of(char character, size_t count) {
    char *copy = upb_Arena_Malloc(validations_arena, count + 1);
    cr_assert_not_null(copy);
    memset(copy, character, count);
    return upb_StringView_FromDataAndSize(copy, count);
}

upb_StringView text(const char *terminated) {
    return upb_StringView_FromString(terminated);
}

daybook_v1_Event *event_add(daybook_v1_Write *write, const char *type) {
    daybook_v1_Event *event = daybook_v1_Write_add_events(write, validations_arena);
    cr_assert_not_null(event);
    daybook_v1_Event_set_type(event, text(type));
    return event;
}

daybook_v1_Write *write_add(daybook_v1_AppendRequest *request, const char *stream) {
    daybook_v1_Write *write = daybook_v1_AppendRequest_add_writes(request, validations_arena);
    cr_assert_not_null(write);
    daybook_v1_Write_set_stream(write, text(stream));
    return write;
}

daybook_v1_AppendRequest *request_new(void) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(validations_arena);
    cr_assert_not_null(request);
    event_add(write_add(request, "orders"), "T");
    return request;
}

daybook_v1_Write *write_of(daybook_v1_AppendRequest *request) {
    size_t count;
    daybook_v1_Write **writes = daybook_v1_AppendRequest_mutable_writes(request, &count);
    cr_assert_gt(count, 0);
    return writes[0];
}

daybook_v1_Event *event_of(daybook_v1_AppendRequest *request) {
    size_t count;
    daybook_v1_Event **events = daybook_v1_Write_mutable_events(write_of(request), &count);
    cr_assert_gt(count, 0);
    return events[0];
}

struct validation validation_of_append(const daybook_v1_AppendRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_append(&validation, request, VALIDATIONS_HEAD);
    return validation;
}

void expect_good(const struct validation *validation) {
    cr_assert_not(validation->failed, "%s", validation->error.message);
}

void expect_violation(const struct validation *validation, const char *field, const char *words) {
    cr_assert(validation->failed, "nothing was noted of %s", field);
    const struct error *error = &validation->error;
    for (uint32_t index = 0; index < error->violations_count; index++) {
        if (strcmp(error->violations[index].field, field) != 0) continue;
        cr_assert_not_null(strstr(error->violations[index].description, words), "%s: %s", field,
                           error->violations[index].description);
        return;
    }
    cr_assert_fail("%s was not noted; the error is \"%s\"", field, error->message);
}

void expect_only(const struct validation *validation, enum reason reason, const char *field, const char *words) {
    expect_violation(validation, field, words);
    cr_assert_eq(validation->error.violations_count, 1);
    cr_assert_eq(validation->error.reason, reason);
    cr_assert_null(validation->error.conflicts);
}

void expect_append_good(const daybook_v1_AppendRequest *request) {
    const struct validation validation = validation_of_append(request);
    expect_good(&validation);
}

void expect_append_refused(const daybook_v1_AppendRequest *request, enum reason reason, const char *field,
                           const char *words) {
    const struct validation validation = validation_of_append(request);
    expect_only(&validation, reason, field, words);
}
