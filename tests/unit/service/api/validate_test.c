/* Names, field paths, and the requests of Read and Subscribe. */
#include "service/api/validate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "service/base/limits.h"
#include "tests/unit/service/api/validations.h"

TestSuite(validate, .init = validations_open, .fini = validations_close);

static struct validation validation_of_name(upb_StringView name) {
    struct validation validation;
    const struct field field = field_of(NULL, "stream");
    validation_init(&validation);
    validate_name(&validation, &field, name);
    return validation;
}

static void expect_name_good(const char *data, size_t size) {
    const struct validation validation = validation_of_name(upb_StringView_FromDataAndSize(data, size));
    expect_good(&validation);
}

static void expect_name_bad(const char *data, size_t size, const char *words) {
    const struct validation validation = validation_of_name(upb_StringView_FromDataAndSize(data, size));
    expect_only(&validation, REASON_INVALID_FIELD, "stream", words);
}

Test(validate, a_name_has_1_to_255_bytes) {
    cr_assert_eq(NAME_BYTES_MAX, 255);
    expect_name_bad("", 0, "is missing; 1 to 255 bytes");
    expect_name_bad(NULL, 0, "is missing");
    expect_name_good("x", 1);
    expect_name_good(text_of('x', 254).data, 254);
    expect_name_good(text_of('x', 255).data, 255);
    expect_name_bad(text_of('x', 256).data, 256, "has 256 bytes; at most 255");
    expect_name_bad(text_of('x', 1 << 20).data, 1 << 20, "has 1048576 bytes");
}

Test(validate, a_name_is_measured_in_bytes_not_in_characters) {
    char name[256];
    for (size_t index = 0; index < sizeof name; index += 2) memcpy(name + index, "\xc3\xa9", 2);
    expect_name_good(name, 254);
    expect_name_bad(name, 256, "has 256 bytes");
}

Test(validate, every_ascii_control_character_is_refused_wherever_it_stands) {
    for (int byte = 0; byte <= 0x7f; byte++) {
        const char first[] = {(char)byte, 'b', 'c'};
        const char last[] = {'a', 'b', (char)byte};
        const char alone[] = {(char)byte};
        if (byte < 0x20 || byte == 0x7f) {
            expect_name_bad(first, sizeof first, "control character");
            expect_name_bad(last, sizeof last, "control character");
            expect_name_bad(alone, sizeof alone, "control character");
        } else {
            expect_name_good(first, sizeof first);
            expect_name_good(last, sizeof last);
            expect_name_good(alone, sizeof alone);
        }
    }
}

/* U+0080 to U+009F are controls; U+00A0, the first character behind them, and others that share a byte are none. */
Test(validate, every_c1_control_character_is_refused) {
    for (int second = 0x80; second <= 0xbf; second++) {
        const char name[] = {'a', (char)0xc2, (char)second, 'b'};
        if (second < 0xa0) {
            expect_name_bad(name, sizeof name, "control character");
        } else {
            expect_name_good(name, sizeof name);
        }
    }
    expect_name_good("\xc3\x80", 2);
    expect_name_good("\xe2\x82\xac", 3);
    expect_name_good("\xf0\x9f\x93\x94", 4);
}

Test(validate, a_path_names_every_field_on_the_way) {
    struct validation validation;
    const struct field write = field_at(NULL, "writes", 1023);
    const struct field event = field_at(&write, "events", 7);
    const struct field tag = field_at(&event, "tags", 63);
    const struct field type = field_of(&event, "type");
    validation_init(&validation);
    violation_add(&validation, REASON_INVALID_FIELD, &tag, "is %s", "wrong");
    violation_add(&validation, REASON_TOO_MANY_TAGS, &type, "is too");
    cr_assert_str_eq(validation.error.violations[0].field, "writes[1023].events[7].tags[63]");
    cr_assert_str_eq(validation.error.violations[0].description, "is wrong");
    cr_assert_str_eq(validation.error.violations[1].field, "writes[1023].events[7].type");
    cr_assert_str_eq(validation.error.violations[1].description, "is too");
}

Test(validate, the_first_violation_gives_the_reason_and_the_message) {
    struct validation validation;
    const struct field field = field_of(NULL, "direction");
    validation_init(&validation);
    cr_assert_not(validation.failed);
    violation_add(&validation, REASON_TOO_MANY_CHECKS, &field, "is first");
    violation_add(&validation, REASON_INVALID_FIELD, &field, "is second");
    cr_assert_eq(validation.error.reason, REASON_TOO_MANY_CHECKS);
    cr_assert_str_eq(validation.error.message, "direction is first");
}

Test(validate, violations_beyond_the_limit_are_counted_but_not_noted) {
    struct validation validation;
    validation_init(&validation);
    for (uint32_t index = 0; index < 3 * ERROR_VIOLATIONS_COUNT_MAX; index++) {
        const struct field field = field_at(NULL, "writes", index);
        violation_add(&validation, REASON_INVALID_FIELD, &field, "is wrong");
        const uint32_t expected = index < ERROR_VIOLATIONS_COUNT_MAX ? index + 1 : ERROR_VIOLATIONS_COUNT_MAX;
        cr_assert_eq(validation.error.violations_count, expected);
        cr_assert_eq(validation.error.wrong_count, index + 1);
    }
    for (uint32_t index = 0; index < ERROR_VIOLATIONS_COUNT_MAX; index++) {
        char field[ERROR_FIELD_BYTES];
        snprintf(field, sizeof field, "writes[%u]", index);
        expect_violation(&validation, field, "is wrong");
    }
}

Test(validate, a_path_that_is_too_long_is_cut) {
    struct validation validation;
    struct field chain[40];
    for (size_t index = 0; index < 40; index++) chain[index] = field_of(index == 0 ? NULL : &chain[index - 1], "field");
    validation_init(&validation);
    violation_add(&validation, REASON_INVALID_FIELD, &chain[39], "is deep");
    const char *field = validation.error.violations[0].field;
    cr_assert_eq(strlen(field), ERROR_FIELD_BYTES - 1);
    cr_assert_eq(strncmp(field, "field.field.field", 17), 0);
}

/* --- Read. ------------------------------------------------------------------------------------------------------------ */

static struct validation validation_of_read(const daybook_v1_ReadRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_read(&validation, request);
    return validation;
}

Test(validate, a_read_may_be_of_everything) {
    const struct validation validation = validation_of_read(daybook_v1_ReadRequest_new(validations_arena));
    expect_good(&validation);
}

Test(validate, the_stream_of_a_read_is_a_name) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(validations_arena);
    daybook_v1_ReadRequest_set_stream(request, text_of('x', 255));
    struct validation validation = validation_of_read(request);
    expect_good(&validation);
    daybook_v1_ReadRequest_set_stream(request, text_of('x', 256));
    validation = validation_of_read(request);
    expect_only(&validation, REASON_INVALID_FIELD, "stream", "256");
    daybook_v1_ReadRequest_set_stream(request, text("a\nb"));
    validation = validation_of_read(request);
    expect_only(&validation, REASON_INVALID_FIELD, "stream", "control character");
}

Test(validate, a_direction_is_one_that_there_is) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(validations_arena);
    for (int32_t direction = -1; direction <= 3; direction++) {
        daybook_v1_ReadRequest_set_direction(request, direction);
        const struct validation validation = validation_of_read(request);
        if (direction >= 0 && direction <= 2) {
            expect_good(&validation);
        } else {
            expect_only(&validation, REASON_INVALID_FIELD, "direction", "DIRECTION_FORWARD (1)");
        }
    }
}

Test(validate, everything_that_is_wrong_with_a_read_is_noted) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(validations_arena);
    daybook_v1_ReadRequest_set_stream(request, text("\x01"));
    daybook_v1_ReadRequest_set_direction(request, 77);
    daybook_v1_Filter *filter = daybook_v1_ReadRequest_mutable_filter(request, validations_arena);
    cr_assert_not_null(daybook_v1_Filter_add_any_of(filter, validations_arena));
    const struct validation validation = validation_of_read(request);
    expect_violation(&validation, "stream", "control character");
    expect_violation(&validation, "filter.any_of[0]", "no field set");
    expect_violation(&validation, "direction", "is 77");
    cr_assert_eq(validation.error.violations_count, 3);
}

/* --- Subscribe. ------------------------------------------------------------------------------------------------------- */

static struct validation validation_of_heartbeat(uint32_t heartbeat_ms) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(validations_arena);
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, heartbeat_ms);
    struct validation validation;
    validation_init(&validation);
    validate_subscribe(&validation, request);
    return validation;
}

Test(validate, a_heartbeat_is_the_default_or_100_ms_to_10_minutes) {
    static const uint32_t good[] = {0, 100, 101, 10000, 599999, 600000};
    static const uint32_t bad[] = {1, 99, 600001, UINT32_MAX};
    for (size_t index = 0; index < sizeof good / sizeof good[0]; index++) {
        const struct validation validation = validation_of_heartbeat(good[index]);
        expect_good(&validation);
    }
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        const struct validation validation = validation_of_heartbeat(bad[index]);
        expect_only(&validation, REASON_INVALID_FIELD, "heartbeat_ms", "100 to 600000");
    }
}

Test(validate, the_filter_of_a_subscription_is_checked) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(validations_arena);
    daybook_v1_Filter *filter = daybook_v1_SubscribeRequest_mutable_filter(request, validations_arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, validations_arena);
    cr_assert(daybook_v1_Clause_add_types(clause, text(""), validations_arena));
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, 5);
    struct validation validation;
    validation_init(&validation);
    validate_subscribe(&validation, request);
    expect_violation(&validation, "filter.any_of[0].types[0]", "missing");
    expect_violation(&validation, "heartbeat_ms", "is 5");
}
