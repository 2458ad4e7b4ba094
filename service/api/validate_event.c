/* The fields of one event; see protos/daybook/v1/event.proto for what is allowed and why. */
#include <stdlib.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/base/utf8.h"
#include "service/base/uuid.h"
#include "service/record/record.h"
#include "upb/msg.h"

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z (google/protobuf/timestamp.proto). */
#define TIMESTAMP_SECONDS_MIN (-62135596800)
#define TIMESTAMP_SECONDS_MAX 253402300799
#define TIMESTAMP_NANOS_MAX   999999999

/* Of daybook.v1.Event. */
#define METADATA_FIELD_NUMBER 8

static void validate_id(struct validation *validation, const struct field *parent, upb_StringView id) {
    struct uuid uuid;
    if (id.size == 0 || !failed(uuid_parse(bytes_of(id.data, id.size), &uuid))) return;
    const struct field field = field_of(parent, "id");
    violation_add(validation, REASON_INVALID_FIELD, &field,
                  "is not a UUID; the form 01890a5d-ac96-774b-bcce-b302099a8057 is needed, or nothing");
}

static int view_compare(const void *left, const void *right) {
    const upb_StringView *a = left;
    const upb_StringView *b = right;
    const int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    if (order != 0) return order;
    return (a->size > b->size) - (a->size < b->size);
}

static void validate_tags(struct validation *validation, const struct field *parent, const daybook_v1_Event *event) {
    size_t count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &count);
    const struct field field = field_of(parent, "tags");
    if (count > TAGS_COUNT_MAX) {
        violation_add(validation, REASON_TOO_MANY_TAGS, &field, "has %zu entries; at most %d are allowed", count,
                      TAGS_COUNT_MAX);
        return;
    }
    upb_StringView sorted[TAGS_COUNT_MAX];
    for (size_t index = 0; index < count; index++) {
        const struct field place = field_at(parent, "tags", index);
        validate_name(validation, &place, tags[index]);
        sorted[index] = tags[index];
    }
    qsort(sorted, count, sizeof sorted[0], view_compare);
    for (size_t index = 1; index < count; index++) {
        if (view_compare(&sorted[index - 1], &sorted[index]) != 0) continue;
        violation_add(validation, REASON_INVALID_FIELD, &field, "contains a tag twice; each is allowed once");
        return;
    }
}

/* The decoder looks at the UTF-8 of every text but those in a map. One that is none would be stored, and no reader in
 * another language could decode its event, or any response with it, ever again. */
static bool validate_utf8(struct validation *validation, const struct field *field, upb_StringView text) {
    if (utf8_is_valid(bytes_of(text.data, text.size))) return true;
    violation_add(validation, REASON_INVALID_FIELD, field, "is not valid UTF-8");
    return false;
}

/* The decoder takes an entry that holds more than a key and a value for an unknown field of the event. It would be stored
 * as it is and be metadata to every reader, past all that is checked here. */
static void validate_hidden_metadata(struct validation *validation, const struct field *field,
                                     const struct metadata_entries *entries) {
    size_t size;
    const char *unknown = upb_Message_GetUnknown(entries->message, &size);
    if (size == 0 || !record_fields_hold(bytes_of(unknown, size), entries->field_number)) return;
    violation_add(validation, REASON_INVALID_FIELD, field,
                  "has an entry with unknown fields; a key and a value are allowed");
}

bool validate_metadata_entries(struct validation *validation, const struct field *field,
                               const struct metadata_entries *entries) {
    validate_hidden_metadata(validation, field, entries);
    if (entries->count <= METADATA_COUNT_MAX) return true;
    violation_add(validation, REASON_TOO_MANY_METADATA, field, "has %zu entries; at most %d are allowed",
                  entries->count, METADATA_COUNT_MAX);
    return false;
}

void validate_metadata_entry(struct validation *validation, const struct field *field, upb_StringView key,
                             upb_StringView value) {
    const struct field key_field = field_of(field, "key");
    const struct field value_field = field_of(field, "value");
    if (validate_utf8(validation, &key_field, key)) validate_name(validation, &key_field, key);
    if (value.size > METADATA_VALUE_BYTES_MAX) {
        violation_add(validation, REASON_INVALID_FIELD, &value_field, "has %zu bytes; at most %d are allowed",
                      value.size, METADATA_VALUE_BYTES_MAX);
    } else {
        (void)validate_utf8(validation, &value_field, value);
    }
}

static void validate_metadata(struct validation *validation, const struct field *parent,
                              const daybook_v1_Event *event) {
    const struct field field = field_of(parent, "metadata");
    const struct metadata_entries entries = {
        .message = event, .field_number = METADATA_FIELD_NUMBER, .count = daybook_v1_Event_metadata_size(event)};
    if (!validate_metadata_entries(validation, &field, &entries) || entries.count == 0) return;
    size_t cursor = kUpb_Map_Begin;
    for (const daybook_v1_Event_MetadataEntry *entry = daybook_v1_Event_metadata_next(event, &cursor); entry != NULL;
         entry = daybook_v1_Event_metadata_next(event, &cursor)) {
        validate_metadata_entry(validation, &field, daybook_v1_Event_MetadataEntry_key(entry),
                                daybook_v1_Event_MetadataEntry_value(entry));
    }
}

static void validate_content_type(struct validation *validation, const struct field *parent,
                                  upb_StringView content_type) {
    if (content_type.size == 0) return; /* the one text that may be absent */
    const struct field field = field_of(parent, "content_type");
    validate_name(validation, &field, content_type);
}

void validate_time(struct validation *validation, const struct field *field, const google_protobuf_Timestamp *time) {
    const int64_t seconds = google_protobuf_Timestamp_seconds(time);
    const int32_t nanos = google_protobuf_Timestamp_nanos(time);
    if (seconds >= TIMESTAMP_SECONDS_MIN && seconds <= TIMESTAMP_SECONDS_MAX && nanos >= 0 &&
        nanos <= TIMESTAMP_NANOS_MAX) {
        return;
    }
    violation_add(validation, REASON_INVALID_FIELD, field,
                  "is no time; seconds from 0001-01-01 to 9999-12-31 and nanos from 0 to 999999999 are allowed");
}

static void validate_occurred_at(struct validation *validation, const struct field *parent,
                                 const daybook_v1_Event *event) {
    const google_protobuf_Timestamp *time = daybook_v1_Event_occurred_at(event);
    const struct field field = field_of(parent, "occurred_at");
    if (time != NULL) validate_time(validation, &field, time);
}

void validate_event(struct validation *validation, const struct field *field, const daybook_v1_Event *event) {
    const struct field type = field_of(field, "type");
    validate_id(validation, field, daybook_v1_Event_id(event));
    validate_own_name(validation, &type, daybook_v1_Event_type(event));
    validate_tags(validation, field, event);
    validate_content_type(validation, field, daybook_v1_Event_content_type(event));
    validate_metadata(validation, field, event);
    validate_occurred_at(validation, field, event);
}
