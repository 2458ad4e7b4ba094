/* Bytes of a client as a request: decoded as the runtime does, checked as the edge does. What
 * passes must be stored and found again; what does not must be refused with words.
 *
 * Input: a byte that chooses the request, and the encoded request. */
#include <string.h>

#include "daybook/v1/event_store.upb.h"
#include "service/api/filters.h"
#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/base/utf8.h"
#include "service/base/uuid.h"
#include "tests/fuzz/fuzz.h"

/* What conditions and checkpoints must not lie beyond. */
#define HEAD 100

static void expect_refusal_with_words(const struct validation *validation) {
    const struct error *error = &validation->error;
    assert(error->violations_count > 0 && error->violations_count <= ERROR_VIOLATIONS_COUNT_MAX);
    assert(error->wrong_count >= error->violations_count);
    assert(strnlen(error->message, ERROR_TEXT_BYTES) > 0 &&
           strnlen(error->message, ERROR_TEXT_BYTES) < ERROR_TEXT_BYTES);
    for (uint32_t index = 0; index < error->violations_count; index++) {
        const struct violation *violation = &error->violations[index];
        const size_t field_size = strnlen(violation->field, ERROR_FIELD_BYTES);
        const size_t description_size = strnlen(violation->description, ERROR_TEXT_BYTES);
        assert(field_size > 0 && field_size < ERROR_FIELD_BYTES);
        assert(description_size > 0 && description_size < ERROR_TEXT_BYTES);
        assert(utf8_is_valid(bytes_of_text(violation->field)) && utf8_is_valid(bytes_of_text(violation->description)));
    }
}

/* Gives the event an id as the edge does, and encodes it. */
static struct bytes event_encode(daybook_v1_Event *event, upb_Arena *arena) {
    struct uuid uuid = {.bytes = {7}};
    const upb_StringView given = daybook_v1_Event_id(event);
    if (given.size > 0) assert(!failed(uuid_parse(bytes_of(given.data, given.size), &uuid)));
    char *text = upb_Arena_Malloc(arena, UUID_TEXT_BYTES);
    assert(text != NULL);
    uuid_format(&uuid, text);
    daybook_v1_Event_set_id(event, upb_StringView_FromDataAndSize(text, UUID_TEXT_BYTES));
    char *data;
    size_t size;
    assert(upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) ==
           kUpb_EncodeStatus_Ok);
    return bytes_of(data, size);
}

/* A record of the event is read back, by our scanner and by upb, and is the same event. */
static void expect_storable(daybook_v1_Event *event, upb_StringView stream, upb_Arena *arena) {
    const struct bytes encoded = event_encode(event, arena);
    struct event_fields fields;
    assert(!failed(record_event_fields(encoded, &fields)));
    fuzz_expect_fields(&fields, event);

    const struct record record = {.position = HEAD + 1,
                                  .stream = bytes_of(stream.data, stream.size),
                                  .revision = 1,
                                  .recorded_ns = 1,
                                  .event = encoded};
    const size_t size = record_size(&record);
    assert(size <= encoded.size + RECORD_OVERHEAD_BYTES_MAX);
    uint8_t *out = upb_Arena_Malloc(arena, size);
    assert(out != NULL && record_write(&record, out) == out + size);
    const daybook_v1_RecordedEvent *read = fuzz_decode(bytes_of(out, size), &daybook_v1_RecordedEvent_msginit, arena);
    assert(read != NULL);
    fuzz_expect_same(record.stream, daybook_v1_RecordedEvent_stream(read));
    daybook_v1_Event *again = (daybook_v1_Event *)(uintptr_t)daybook_v1_RecordedEvent_event(read);
    assert(again != NULL && bytes_equal(event_encode(again, arena), encoded));
}

/* The decoder leaves the texts of a map alone; the edge must not. */
static void expect_metadata_is_text(const daybook_v1_Event *event) {
    assert(daybook_v1_Event_metadata_size(event) <= METADATA_COUNT_MAX);
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_Event_MetadataEntry *entry;
    while ((entry = daybook_v1_Event_metadata_next(event, &cursor)) != NULL) {
        const upb_StringView key = daybook_v1_Event_MetadataEntry_key(entry);
        const upb_StringView value = daybook_v1_Event_MetadataEntry_value(entry);
        assert(key.size > 0 && utf8_is_valid(bytes_of(key.data, key.size)));
        assert(utf8_is_valid(bytes_of(value.data, value.size)));
    }
}

static void expect_compilable(const daybook_v1_Filter *message, upb_Arena *arena) {
    size_t count = 0;
    if (message != NULL) (void)daybook_v1_Filter_any_of(message, &count);
    struct filter *filter = NULL;
    assert(!failed(filter_compile(message, arena, &filter)));
    assert(count == 0 ? filter == NULL : filter_clauses_count(filter) == count);
    filter_free(filter);
}

static void append_test(daybook_v1_AppendRequest *request, upb_Arena *arena) {
    struct validation validation;
    validation_init(&validation);
    validate_append(&validation, request, HEAD);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
        return;
    }
    size_t writes_count;
    daybook_v1_Write **writes = daybook_v1_AppendRequest_mutable_writes(request, &writes_count);
    size_t events_total = 0;
    for (size_t write = 0; write < writes_count; write++) {
        size_t events_count;
        daybook_v1_Event **events = daybook_v1_Write_mutable_events(writes[write], &events_count);
        for (size_t event = 0; event < events_count; event++) {
            expect_metadata_is_text(events[event]);
            expect_storable(events[event], daybook_v1_Write_stream(writes[write]), arena);
        }
        events_total += events_count;
    }
    assert(events_total > 0 && events_total <= REQUEST_EVENTS_COUNT_MAX);
    const daybook_v1_Condition *condition = daybook_v1_AppendRequest_condition(request);
    if (condition == NULL) return;
    assert(daybook_v1_Condition_after(condition) <= HEAD);
    expect_compilable(daybook_v1_Condition_none_match(condition), arena);
}

static void read_test(const daybook_v1_ReadRequest *request, upb_Arena *arena) {
    struct validation validation;
    validation_init(&validation);
    validate_read(&validation, request);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
    } else {
        expect_compilable(daybook_v1_ReadRequest_filter(request), arena);
    }
}

static void subscribe_test(const daybook_v1_SubscribeRequest *request, upb_Arena *arena) {
    struct validation validation;
    validation_init(&validation);
    validate_subscribe(&validation, request);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
    } else {
        expect_compilable(daybook_v1_SubscribeRequest_filter(request), arena);
    }
}

static void settings_test(const daybook_v1_UpdateStreamSettingsRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_settings(&validation, request);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
        return;
    }
    const daybook_v1_StreamSettings *settings = daybook_v1_UpdateStreamSettingsRequest_settings(request);
    if (settings == NULL) return;
    assert(daybook_v1_StreamSettings_metadata_size(settings) <= METADATA_COUNT_MAX);
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_StreamSettings_MetadataEntry *entry;
    while ((entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor)) != NULL) {
        const upb_StringView key = daybook_v1_StreamSettings_MetadataEntry_key(entry);
        const upb_StringView value = daybook_v1_StreamSettings_MetadataEntry_value(entry);
        assert(utf8_is_valid(bytes_of(key.data, key.size)) && utf8_is_valid(bytes_of(value.data, value.size)));
    }
}

static void delete_test(const daybook_v1_DeleteStreamRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_delete(&validation, request);
    const upb_StringView stream = daybook_v1_DeleteStreamRequest_stream(request);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
    } else {
        assert(stream.size > 0 && stream.size <= NAME_BYTES_MAX && stream.data[0] != SYSTEM_NAME_PREFIX);
    }
}

static void erase_test(const daybook_v1_EraseEventsRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_erase(&validation, request, HEAD);
    if (validation.failed) {
        expect_refusal_with_words(&validation);
        return;
    }
    size_t count;
    const uint64_t *positions = daybook_v1_EraseEventsRequest_positions(request, &count);
    assert(count > 0 && count <= REQUEST_EVENTS_COUNT_MAX);
    for (size_t index = 0; index < count; index++) assert(positions[index] > 0 && positions[index] <= HEAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const upb_MiniTable *const tables[] = {
        &daybook_v1_AppendRequest_msginit,       &daybook_v1_ReadRequest_msginit,
        &daybook_v1_SubscribeRequest_msginit,    &daybook_v1_UpdateStreamSettingsRequest_msginit,
        &daybook_v1_DeleteStreamRequest_msginit, &daybook_v1_EraseEventsRequest_msginit,
    };
    struct fuzz_input input = {.data = data, .size = size};
    const unsigned kind = fuzz_byte(&input) % (sizeof tables / sizeof tables[0]);
    upb_Arena *arena = upb_Arena_New();
    assert(arena != NULL);
    void *request = fuzz_decode(fuzz_rest(&input), tables[kind], arena);
    if (request != NULL && kind == 0) append_test(request, arena);
    if (request != NULL && kind == 1) read_test(request, arena);
    if (request != NULL && kind == 2) subscribe_test(request, arena);
    if (request != NULL && kind == 3) settings_test(request);
    if (request != NULL && kind == 4) delete_test(request);
    if (request != NULL && kind == 5) erase_test(request);
    upb_Arena_Free(arena);
    return 0;
}
