/* Codes, texts and rich details of a status. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "sdk/runtime/status.h"

static void set_text(daybook_status *status, const char *text) {
    daybook__status_set_text(status, DAYBOOK_ABORTED, text, strlen(text));
}

Test(status, names_every_code) {
    cr_assert_str_eq(daybook_code_name(DAYBOOK_OK), "OK");
    cr_assert_str_eq(daybook_code_name(DAYBOOK_ABORTED), "ABORTED");
    cr_assert_str_eq(daybook_code_name(DAYBOOK_UNAUTHENTICATED), "UNAUTHENTICATED");
    for (int code = DAYBOOK_OK; code <= DAYBOOK_UNAUTHENTICATED; code++) {
        cr_assert_not_null(daybook_code_name((daybook_code)code), "code %d", code);
        cr_assert_eq(daybook__code_from_number(code), (daybook_code)code);
    }
}

Test(status, a_number_that_is_no_code_is_unknown) {
    cr_assert_str_eq(daybook_code_name((daybook_code)17), "UNKNOWN");
    cr_assert_eq(daybook__code_from_number(17), DAYBOOK_UNKNOWN);
    cr_assert_eq(daybook__code_from_number(-1), DAYBOOK_UNKNOWN);
}

Test(status, set_formats_and_forgets_what_was_there) {
    daybook_status status = {.code = DAYBOOK_OK, .retry_delay_ms = 7, .reason = "OLD"};
    daybook_status_set(&status, DAYBOOK_NOT_FOUND, "no stream %s at %d", "order-42", 7);
    cr_assert_eq(status.code, DAYBOOK_NOT_FOUND);
    cr_assert_str_eq(status.message, "no stream order-42 at 7");
    cr_assert_str_eq(status.reason, "");
    cr_assert_eq(status.retry_delay_ms, 0);
    cr_assert_not(status.retryable);
}

Test(status, only_unavailable_is_retryable_by_its_code) {
    for (int code = DAYBOOK_CANCELLED; code <= DAYBOOK_UNAUTHENTICATED; code++) {
        daybook_status status;
        daybook_status_set(&status, (daybook_code)code, "x");
        cr_assert_eq(status.retryable, code == DAYBOOK_UNAVAILABLE, "code %d", code);
    }
}

Test(status, accepts_null) {
    daybook_status_clear(NULL);
    daybook_status_set(NULL, DAYBOOK_ABORTED, "x");
    daybook__status_set_text(NULL, DAYBOOK_ABORTED, "x", 1);
    daybook__status_add_details(NULL, "x", 1);
}

Test(status, ok_has_no_text) {
    daybook_status status;
    daybook__status_set_text(&status, DAYBOOK_OK, "fine", 4);
    cr_assert_str_eq(status.message, "");
    daybook_status_set(&status, DAYBOOK_OK, "fine");
    cr_assert_str_eq(status.message, "");
}

Test(status, a_text_is_cut_at_its_last_byte) {
    char text[DAYBOOK_STATUS_MESSAGE_BYTES + 100];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    daybook_status status;
    daybook_status_set(&status, DAYBOOK_ABORTED, "%s", text);
    cr_assert_eq(strlen(status.message), DAYBOOK_STATUS_MESSAGE_BYTES - 1);
    text[DAYBOOK_STATUS_MESSAGE_BYTES - 1] = '\0';
    daybook_status_set(&status, DAYBOOK_ABORTED, "%s", text);
    cr_assert_str_eq(status.message, text);
}

/* Each character of two, three and four bytes, at each distance from the end. */
Test(status, a_text_is_cut_between_two_characters) {
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\x96"};
    for (size_t c = 0; c < 3; c++) {
        size_t size = strlen(characters[c]);
        for (size_t missing = 0; missing <= size; missing++) {
            size_t prefix = DAYBOOK_STATUS_MESSAGE_BYTES - 1 - size + missing;
            char text[DAYBOOK_STATUS_MESSAGE_BYTES + 8] = {0};
            memset(text, 'a', prefix);
            memcpy(text + prefix, characters[c], size);
            size_t expected = missing == 0 ? prefix + size : prefix;
            daybook_status status;
            set_text(&status, text);
            cr_assert_eq(strlen(status.message), expected, "character %zu, %zu bytes too long", c, missing);
            cr_assert_eq(memcmp(status.message, text, expected), 0);
            daybook_status_set(&status, DAYBOOK_ABORTED, "%s", text);
            cr_assert_eq(strlen(status.message), expected, "formatted: character %zu, %zu too long", c, missing);
        }
    }
}

Test(status, bytes_that_are_no_text_become_question_marks) {
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"a\xff"
         "b",
         "a?b"},
        {"\xc0\xaf", "??"},                       /* overlong */
        {"\xe0\x80\xaf", "???"},                  /* overlong */
        {"\xed\xa0\x80", "???"},                  /* a surrogate */
        {"\xf4\x90\x80\x80", "????"},             /* above U+10FFFF */
        {"\xf5\x80\x80\x80", "????"},             /* no first byte */
        {"\xe2\x82", "??"},                       /* ends inside a character */
        {"\xe2\x82x", "??x"},                     /* broken off by another */
        {"\x80", "?"},                            /* goes on with nothing before */
        {"\xed\x9f\xbf", "\xed\x9f\xbf"},         /* U+D7FF */
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* U+10FFFF */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        daybook_status status;
        set_text(&status, cases[i].text);
        cr_assert_str_eq(status.message, cases[i].expected, "case %zu: %s", i, status.message);
    }
}

Test(status, a_text_needs_no_terminator) {
    daybook_status status;
    daybook__status_set_text(&status, DAYBOOK_ABORTED, "abcdef", 3);
    cr_assert_str_eq(status.message, "abc");
    daybook__status_set_text(&status, DAYBOOK_ABORTED, "ab\0cd", 5);
    cr_assert_str_eq(status.message, "ab");
}

/* --- Details ------------------------------------------------------------------------------------------------------ */

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static void add(google_rpc_Status *rich, const char *type, upb_StringView value, upb_Arena *arena) {
    google_protobuf_Any *any = google_rpc_Status_add_details(rich, arena);
    google_protobuf_Any_set_type_url(any, view(type));
    google_protobuf_Any_set_value(any, value);
}

static upb_StringView error_info(const char *reason, upb_Arena *arena) {
    google_rpc_ErrorInfo *info = google_rpc_ErrorInfo_new(arena);
    google_rpc_ErrorInfo_set_reason(info, view(reason));
    google_rpc_ErrorInfo_metadata_set(info, view("expected"), view("3"), arena);
    upb_StringView bytes;
    bytes.data = google_rpc_ErrorInfo_serialize(info, arena, &bytes.size);
    return bytes;
}

static upb_StringView retry_info(int64_t seconds, int32_t nanos, upb_Arena *arena) {
    google_rpc_RetryInfo *retry = google_rpc_RetryInfo_new(arena);
    google_protobuf_Duration *delay = google_rpc_RetryInfo_mutable_retry_delay(retry, arena);
    google_protobuf_Duration_set_seconds(delay, seconds);
    google_protobuf_Duration_set_nanos(delay, nanos);
    upb_StringView bytes;
    bytes.data = google_rpc_RetryInfo_serialize(retry, arena, &bytes.size);
    return bytes;
}

/* Adds the encoded details to a status of `code`. */
static daybook_status with_details(daybook_code code, const google_rpc_Status *rich, upb_Arena *arena) {
    size_t size = 0;
    const char *bytes = google_rpc_Status_serialize(rich, arena, &size);
    daybook_status status;
    daybook_status_set(&status, code, "text");
    daybook__status_add_details(&status, bytes, size);
    return status;
}

Test(status_details, reason_and_retry_are_found_among_others) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    add(rich, "type.googleapis.com/google.rpc.BadRequest", view(""), arena);
    add(rich, "example.com/path/google.rpc.RetryInfo", retry_info(1, 500000000, arena), arena);
    add(rich, "type.googleapis.com/google.rpc.ErrorInfo", error_info("QUEUE_FULL", arena), arena);
    daybook_status status = with_details(DAYBOOK_RESOURCE_EXHAUSTED, rich, arena);
    cr_assert_str_eq(status.reason, "QUEUE_FULL");
    cr_assert_eq(status.retry_delay_ms, 1500);
    cr_assert(status.retryable);
    cr_assert_str_eq(status.message, "text");
    upb_Arena_Free(arena);
}

/* Bytes that end a process in which upb alone reads them; see codec.c. */
Test(status_details, a_hostile_servers_details_do_no_harm) {
    char info[64] = "\x0a\x01X\x1a\x3a"; /* reason, then an entry of the metadata with fields that nobody knows */
    memset(info + 5, 0x70, sizeof info - 6);
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    add(rich, "type.googleapis.com/google.rpc.ErrorInfo", upb_StringView_FromDataAndSize(info, 5 + 0x3a), arena);
    cr_assert_str_eq(with_details(DAYBOOK_ABORTED, rich, arena).reason, "X");
    upb_Arena_Free(arena);
}

Test(status_details, a_type_must_match_whole) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    add(rich, "type.googleapis.com/not.google.rpc.ErrorInfo", error_info("A", arena), arena);
    add(rich, "google.rpc.ErrorInfo", error_info("B", arena), arena);
    add(rich, "type.googleapis.com/google.rpc.ErrorInfos", error_info("C", arena), arena);
    cr_assert_str_eq(with_details(DAYBOOK_ABORTED, rich, arena).reason, "");
    upb_Arena_Free(arena);
}

Test(status_details, a_delay_is_rounded_up_and_bounded) {
    static const struct {
        int64_t seconds;
        int32_t nanos;
        uint32_t expected_ms;
    } cases[] = {
        {0, 0, 0},
        {0, 1, 1},
        {0, 1000000, 1},
        {0, 1000001, 2},
        {2, 0, 2000},
        {-1, 0, 0},
        {0, -5, 0},
        {INT64_MAX, 0, UINT32_MAX},
        {0, INT32_MAX, 2148},
        {4294967, 0, UINT32_MAX},
        {4294966, 999999999, 4294967000u},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        upb_Arena *arena = upb_Arena_New();
        google_rpc_Status *rich = google_rpc_Status_new(arena);
        add(rich, "type.googleapis.com/google.rpc.RetryInfo", retry_info(cases[i].seconds, cases[i].nanos, arena),
            arena);
        daybook_status status = with_details(DAYBOOK_ABORTED, rich, arena);
        cr_assert(status.retryable, "case %zu", i);
        cr_assert_eq(status.retry_delay_ms, cases[i].expected_ms, "case %zu: %u", i, status.retry_delay_ms);
        upb_Arena_Free(arena);
    }
}

static void add_violation(google_rpc_BadRequest *bad_request, const char *field, const char *description,
                          upb_Arena *arena) {
    google_rpc_BadRequest_FieldViolation *violation = google_rpc_BadRequest_add_field_violations(bad_request, arena);
    google_rpc_BadRequest_FieldViolation_set_field(violation, view(field));
    google_rpc_BadRequest_FieldViolation_set_description(violation, view(description));
}

static void add_bad_request(google_rpc_Status *rich, const google_rpc_BadRequest *bad_request, upb_Arena *arena) {
    upb_StringView bytes;
    bytes.data = google_rpc_BadRequest_serialize(bad_request, arena, &bytes.size);
    add(rich, "type.googleapis.com/google.rpc.BadRequest", bytes, arena);
}

Test(status_details, violated_fields_are_told_in_their_order) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    google_rpc_BadRequest *first = google_rpc_BadRequest_new(arena);
    add_violation(first, "writes[0].events[2].type", "is empty", arena);
    add_violation(first, "", "", arena);
    google_rpc_BadRequest *second = google_rpc_BadRequest_new(arena);
    add_violation(second, "writes[1].stream", "is too long", arena);
    add_bad_request(rich, first, arena);
    add_bad_request(rich, second, arena);
    daybook_status status = with_details(DAYBOOK_INVALID_ARGUMENT, rich, arena);
    cr_assert_eq(status.field_violations_count, 3);
    cr_assert_str_eq(status.field_violations[0].field, "writes[0].events[2].type");
    cr_assert_str_eq(status.field_violations[0].description, "is empty");
    cr_assert_str_eq(status.field_violations[1].field, "");
    cr_assert_str_eq(status.field_violations[1].description, "");
    cr_assert_str_eq(status.field_violations[2].field, "writes[1].stream");
    upb_Arena_Free(arena);
}

Test(status_details, more_violated_fields_than_there_is_room_for_are_left_out) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    google_rpc_BadRequest *bad_request = google_rpc_BadRequest_new(arena);
    for (uint32_t i = 0; i < DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX + 3; i++) {
        add_violation(bad_request, i == DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX - 1 ? "last" : "field", "is wrong", arena);
    }
    add_bad_request(rich, bad_request, arena);
    add_bad_request(rich, bad_request, arena);
    daybook_status status = with_details(DAYBOOK_INVALID_ARGUMENT, rich, arena);
    cr_assert_eq(status.field_violations_count, DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX);
    cr_assert_str_eq(status.field_violations[DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX - 1].field, "last");
    upb_Arena_Free(arena);
}

Test(status_details, texts_of_violations_are_cut_between_two_characters) {
    upb_Arena *arena = upb_Arena_New();
    char field[DAYBOOK_STATUS_VIOLATION_FIELD_BYTES + 2] = {0};
    memset(field, 'a', DAYBOOK_STATUS_VIOLATION_FIELD_BYTES - 3);
    memcpy(field + DAYBOOK_STATUS_VIOLATION_FIELD_BYTES - 3, "\xe2\x82\xac", 3); /* one byte too long */
    char description[DAYBOOK_STATUS_VIOLATION_DESCRIPTION_BYTES + 50] = {0};
    memset(description, 'b', sizeof description - 1);
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    google_rpc_BadRequest *bad_request = google_rpc_BadRequest_new(arena);
    add_violation(bad_request, field, description, arena);
    add_bad_request(rich, bad_request, arena);
    daybook_status status = with_details(DAYBOOK_INVALID_ARGUMENT, rich, arena);
    cr_assert_eq(status.field_violations_count, 1);
    cr_assert_eq(strlen(status.field_violations[0].field), DAYBOOK_STATUS_VIOLATION_FIELD_BYTES - 3);
    cr_assert_eq(strlen(status.field_violations[0].description), DAYBOOK_STATUS_VIOLATION_DESCRIPTION_BYTES - 1);
    upb_Arena_Free(arena);
}

Test(status, a_copy_has_what_is_filled_in) {
    daybook_status status;
    daybook_status_set(&status, DAYBOOK_INVALID_ARGUMENT, "the request is wrong");
    status.field_violations_count = 2;
    daybook_field_violation *violation = &status.field_violations[1];
    daybook__status_copy_text(violation->field, sizeof violation->field, "type", 4);
    violation->description[0] = '\0';
    daybook_status copy;
    memset(&copy, 'x', sizeof copy);
    daybook__status_copy(&status, &copy);
    cr_assert_eq(copy.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(copy.message, "the request is wrong");
    cr_assert_str_eq(copy.reason, "");
    cr_assert_eq(copy.field_violations_count, 2);
    cr_assert_str_eq(copy.field_violations[1].field, "type");
    cr_assert_eq(copy.field_violations[2].field[0], 'x', "what nobody reads is not copied");
    daybook_status_clear(&status);
    daybook__status_copy(&status, &copy);
    cr_assert_eq(copy.code, DAYBOOK_OK);
    cr_assert_str_eq(copy.message, "");
    cr_assert_eq(copy.field_violations_count, 0);
    daybook__status_copy(&status, NULL);
}

/* Half a reason would compare wrongly, so one that does not fit is none. */
Test(status_details, a_reason_is_whole_or_absent) {
    upb_Arena *arena = upb_Arena_New();
    char reason[DAYBOOK_STATUS_REASON_BYTES + 1] = {0};
    memset(reason, 'R', DAYBOOK_STATUS_REASON_BYTES - 1);
    google_rpc_Status *fits = google_rpc_Status_new(arena);
    add(fits, "t/google.rpc.ErrorInfo", error_info(reason, arena), arena);
    cr_assert_str_eq(with_details(DAYBOOK_ABORTED, fits, arena).reason, reason);
    reason[DAYBOOK_STATUS_REASON_BYTES - 1] = 'R';
    google_rpc_Status *too_long = google_rpc_Status_new(arena);
    add(too_long, "t/google.rpc.ErrorInfo", error_info(reason, arena), arena);
    cr_assert_str_eq(with_details(DAYBOOK_ABORTED, too_long, arena).reason, "");
    google_rpc_Status *spaced = google_rpc_Status_new(arena);
    add(spaced, "t/google.rpc.ErrorInfo", error_info("NOT A REASON", arena), arena);
    cr_assert_str_eq(with_details(DAYBOOK_ABORTED, spaced, arena).reason, "");
    upb_Arena_Free(arena);
}

Test(status_details, a_broken_trailer_hides_nothing) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    add(rich, "t/google.rpc.ErrorInfo", error_info("GOOD", arena), arena);
    add(rich, "t/google.rpc.RetryInfo", view("\xff\xff\xff"), arena);
    size_t size = 0;
    const char *bytes = google_rpc_Status_serialize(rich, arena, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        /* An exact copy, so that a sanitizer sees a read past its end. */
        char *copy = malloc(cut + 1);
        memcpy(copy, bytes, cut);
        daybook_status status;
        daybook_status_set(&status, DAYBOOK_ABORTED, "text");
        daybook__status_add_details(&status, copy, cut);
        free(copy);
        cr_assert_eq(status.code, DAYBOOK_ABORTED);
        cr_assert_str_eq(status.message, "text");
        cr_assert_not(status.retryable);
        cr_assert(status.reason[0] == '\0' || strcmp(status.reason, "GOOD") == 0);
        if (cut == size) cr_assert_str_eq(status.reason, "GOOD");
    }
    upb_Arena_Free(arena);
}

Test(status_details, ok_takes_none) {
    upb_Arena *arena = upb_Arena_New();
    google_rpc_Status *rich = google_rpc_Status_new(arena);
    add(rich, "t/google.rpc.ErrorInfo", error_info("GOOD", arena), arena);
    size_t size = 0;
    const char *bytes = google_rpc_Status_serialize(rich, arena, &size);
    daybook_status status;
    daybook_status_clear(&status);
    daybook__status_add_details(&status, bytes, size);
    cr_assert_str_eq(status.reason, "");
    upb_Arena_Free(arena);
}
