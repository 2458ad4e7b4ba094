/* The requests that change streams, and the names that are the server's own. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "service/base/limits.h"
#include "tests/unit/service/api/validations.h"

TestSuite(validate_streams, .init = validations_open, .fini = validations_close);

static struct validation validation_of_settings(const daybook_v1_UpdateStreamSettingsRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_settings(&validation, request);
    return validation;
}

static daybook_v1_UpdateStreamSettingsRequest *update_new(const char *stream) {
    daybook_v1_UpdateStreamSettingsRequest *request = daybook_v1_UpdateStreamSettingsRequest_new(validations_arena);
    daybook_v1_UpdateStreamSettingsRequest_set_stream(request, text(stream));
    return request;
}

static daybook_v1_StreamSettings *settings_of(daybook_v1_UpdateStreamSettingsRequest *request) {
    return daybook_v1_UpdateStreamSettingsRequest_mutable_settings(request, validations_arena);
}

static void metadata_set(daybook_v1_StreamSettings *settings, const char *key, upb_StringView value) {
    cr_assert(daybook_v1_StreamSettings_metadata_set(settings, text(key), value, validations_arena));
}

Test(validate_streams, no_settings_are_the_defaults) {
    const struct validation validation = validation_of_settings(update_new("order-1"));
    expect_good(&validation);
}

Test(validate_streams, an_age_is_at_most_a_hundred_years) {
    daybook_v1_UpdateStreamSettingsRequest *request = update_new("order-1");
    daybook_v1_StreamSettings_set_max_age_seconds(settings_of(request), STREAM_MAX_AGE_SECONDS_CEILING);
    struct validation validation = validation_of_settings(request);
    expect_good(&validation);
    daybook_v1_StreamSettings_set_max_age_seconds(settings_of(request), STREAM_MAX_AGE_SECONDS_CEILING + 1);
    validation = validation_of_settings(request);
    expect_only(&validation, REASON_INVALID_FIELD, "settings.max_age_seconds", "is 3153600001; at most 3153600000");
}

Test(validate_streams, metadata_has_the_limits_of_an_event) {
    daybook_v1_UpdateStreamSettingsRequest *request = update_new("order-1");
    metadata_set(settings_of(request), "owner", text_of('x', METADATA_VALUE_BYTES_MAX + 1));
    struct validation validation = validation_of_settings(request);
    expect_only(&validation, REASON_INVALID_FIELD, "settings.metadata.value", "has 8193 bytes; at most 8192");

    request = update_new("order-1");
    metadata_set(settings_of(request), "", text("x"));
    validation = validation_of_settings(request);
    expect_only(&validation, REASON_INVALID_FIELD, "settings.metadata.key", "is missing");

    request = update_new("order-1");
    metadata_set(settings_of(request), "owner", text("\xff"));
    validation = validation_of_settings(request);
    expect_only(&validation, REASON_INVALID_FIELD, "settings.metadata.value", "is not valid UTF-8");

    request = update_new("order-1");
    for (int index = 0; index <= METADATA_COUNT_MAX; index++) {
        char *key = upb_Arena_Malloc(validations_arena, 16);
        (void)snprintf(key, 16, "key-%d", index);
        metadata_set(settings_of(request), key, text("x"));
    }
    validation = validation_of_settings(request);
    expect_only(&validation, REASON_TOO_MANY_METADATA, "settings.metadata", "has 65 entries; at most 64");
}

Test(validate_streams, all_metadata_together_is_bounded) {
    daybook_v1_UpdateStreamSettingsRequest *request = update_new("order-1");
    for (char key = 'a'; key < 'i'; key++) {
        char *name = upb_Arena_Malloc(validations_arena, 2);
        name[0] = key;
        name[1] = '\0';
        metadata_set(settings_of(request), name, text_of('x', METADATA_VALUE_BYTES_MAX));
    }
    const struct validation validation = validation_of_settings(request);
    expect_only(&validation, REASON_INVALID_FIELD, "settings.metadata", "has 65608 bytes; at most 65536");
}

Test(validate_streams, the_names_of_the_server_are_not_for_clients) {
    struct validation validation = validation_of_settings(update_new("$erasures"));
    expect_only(&validation, REASON_INVALID_FIELD, "stream", "begins with '$'; such names are the server's own");

    daybook_v1_DeleteStreamRequest *deletion = daybook_v1_DeleteStreamRequest_new(validations_arena);
    daybook_v1_DeleteStreamRequest_set_stream(deletion, text("$erasures"));
    validation_init(&validation);
    validate_delete(&validation, deletion);
    expect_only(&validation, REASON_INVALID_FIELD, "stream", "begins with '$'");

    daybook_v1_AppendRequest *append = request_new();
    daybook_v1_Write_set_stream(write_of(append), text("$s"));
    expect_append_refused(append, REASON_INVALID_FIELD, "writes[0].stream", "begins with '$'");
    append = request_new();
    daybook_v1_Event_set_type(event_of(append), text("$StreamDeleted"));
    expect_append_refused(append, REASON_INVALID_FIELD, "writes[0].events[0].type", "begins with '$'");
    append = request_new();
    daybook_v1_Event_set_type(event_of(append), text("Price$Changed"));
    expect_append_good(append);
}

static struct validation validation_of_erasure(const uint64_t *positions, size_t count) {
    struct validation validation;
    daybook_v1_EraseEventsRequest *request = daybook_v1_EraseEventsRequest_new(validations_arena);
    for (size_t index = 0; index < count; index++) {
        cr_assert(daybook_v1_EraseEventsRequest_add_positions(request, positions[index], validations_arena));
    }
    validation_init(&validation);
    validate_erase(&validation, request, VALIDATIONS_HEAD);
    return validation;
}

Test(validate_streams, positions_to_erase_are_there) {
    static const uint64_t good[] = {1, VALIDATIONS_HEAD, 1};
    struct validation validation = validation_of_erasure(good, 3);
    expect_good(&validation);
    validation = validation_of_erasure(good, 0);
    expect_only(&validation, REASON_INVALID_FIELD, "positions", "is empty");
    static const uint64_t beyond[] = {1, VALIDATIONS_HEAD + 1};
    validation = validation_of_erasure(beyond, 2);
    expect_only(&validation, REASON_INVALID_FIELD, "positions[1]", "is 101; a position from 1 to the head, 100,");
    static const uint64_t zero[] = {0};
    validation = validation_of_erasure(zero, 1);
    expect_only(&validation, REASON_INVALID_FIELD, "positions[0]", "is 0;");
}

Test(validate_streams, at_most_1024_events_are_erased_at_once) {
    uint64_t positions[REQUEST_EVENTS_COUNT_MAX + 1];
    for (size_t index = 0; index <= REQUEST_EVENTS_COUNT_MAX; index++) positions[index] = 1;
    struct validation validation = validation_of_erasure(positions, REQUEST_EVENTS_COUNT_MAX);
    expect_good(&validation);
    validation = validation_of_erasure(positions, REQUEST_EVENTS_COUNT_MAX + 1);
    expect_only(&validation, REASON_TOO_MANY_EVENTS, "positions", "has 1025 entries; at most 1024");
}
