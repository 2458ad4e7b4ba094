/* What may be asked of streams beside appending to them. */
#include <inttypes.h>

#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/record/record.h"

/* Of daybook.v1.StreamSettings. */
#define METADATA_FIELD_NUMBER 4

static void validate_stream_name(struct validation *validation, upb_StringView name) {
    const struct field field = field_of(NULL, "stream");
    validate_own_name(validation, &field, name);
}

/* Encoded, an entry takes its texts and at most eight bytes. */
static void validate_metadata_size(struct validation *validation, const struct field *field,
                                   const daybook_v1_StreamSettings *settings) {
    size_t size = 0;
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_StreamSettings_MetadataEntry *entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor);
    for (; entry != NULL; entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor)) {
        size += daybook_v1_StreamSettings_MetadataEntry_key(entry).size +
                daybook_v1_StreamSettings_MetadataEntry_value(entry).size + 8;
    }
    if (size <= STREAM_METADATA_BYTES_MAX) return;
    violation_add(validation, REASON_INVALID_FIELD, field, "has %zu bytes; at most %" PRIu64 " are allowed", size,
                  STREAM_METADATA_BYTES_MAX);
}

void validate_settings(struct validation *validation, const daybook_v1_UpdateStreamSettingsRequest *request) {
    validate_stream_name(validation, daybook_v1_UpdateStreamSettingsRequest_stream(request));
    const daybook_v1_StreamSettings *settings = daybook_v1_UpdateStreamSettingsRequest_settings(request);
    if (settings == NULL) return; /* all of them at their defaults */
    const struct field field = field_of(NULL, "settings");
    const struct field metadata = field_of(&field, "metadata");
    const uint64_t max_age_seconds = daybook_v1_StreamSettings_max_age_seconds(settings);
    if (max_age_seconds > STREAM_MAX_AGE_SECONDS_CEILING) {
        const struct field max_age = field_of(&field, "max_age_seconds");
        violation_add(validation, REASON_INVALID_FIELD, &max_age, "is %" PRIu64 "; at most %" PRIu64 " are allowed",
                      max_age_seconds, STREAM_MAX_AGE_SECONDS_CEILING);
    }
    const struct metadata_entries entries = {
        .message = settings,
        .field_number = METADATA_FIELD_NUMBER,
        .count = daybook_v1_StreamSettings_metadata_size(settings),
    };
    if (!validate_metadata_entries(validation, &metadata, &entries)) return;
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_StreamSettings_MetadataEntry *entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor);
    for (; entry != NULL; entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor)) {
        validate_metadata_entry(validation, &metadata, daybook_v1_StreamSettings_MetadataEntry_key(entry),
                                daybook_v1_StreamSettings_MetadataEntry_value(entry));
    }
    validate_metadata_size(validation, &metadata, settings);
}

void validate_delete(struct validation *validation, const daybook_v1_DeleteStreamRequest *request) {
    validate_stream_name(validation, daybook_v1_DeleteStreamRequest_stream(request));
}

void validate_erase(struct validation *validation, const daybook_v1_EraseEventsRequest *request, uint64_t head) {
    size_t count;
    const uint64_t *positions = daybook_v1_EraseEventsRequest_positions(request, &count);
    const struct field all = field_of(NULL, "positions");
    if (count == 0) violation_add(validation, REASON_INVALID_FIELD, &all, "is empty; at least one position is needed");
    if (count > REQUEST_EVENTS_COUNT_MAX) {
        violation_add(validation, REASON_TOO_MANY_EVENTS, &all, "has %zu entries; at most %d are allowed", count,
                      REQUEST_EVENTS_COUNT_MAX);
        return;
    }
    for (size_t index = 0; index < count; index++) {
        if (positions[index] > 0 && positions[index] <= head) continue;
        const struct field field = field_at(NULL, "positions", index);
        violation_add(validation, REASON_INVALID_FIELD, &field,
                      "is %" PRIu64 "; a position from 1 to the head, %" PRIu64 ", is needed", positions[index], head);
    }
}
