#include "tests/support/events.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "service/base/varint.h"

enum { FIELD_ID = 1, FIELD_TYPE = 2, FIELD_TAGS = 3, FIELD_DATA = 4 };

struct events_id events_id_of(uint64_t number) {
    struct events_id id;
    const int size = snprintf(id.text, sizeof id.text, "01890a5d-ac96-774b-%04" PRIx64 "-%012" PRIx64,
                              0x8000 | (number >> 48 & 0x3fff), number & 0xffffffffffff);
    assert(size == 36);
    return id;
}

uint8_t *event_field_write(uint8_t *out, uint32_t number, struct bytes bytes) {
    out = varint_write(out, (uint64_t)number << 3 | 2);
    out = varint_write(out, bytes.size);
    if (bytes.size > 0) memcpy(out, bytes.data, bytes.size);
    return out + bytes.size;
}

struct bytes event_encode(const struct event_parts *parts, uint8_t *buffer, size_t capacity) {
    size_t bound = 64 + parts->data.size;
    if (parts->id != NULL) bound += strlen(parts->id);
    if (parts->type != NULL) bound += strlen(parts->type);
    for (uint32_t index = 0; index < parts->tags_count; index++) bound += 8 + strlen(parts->tags[index]);
    assert(bound <= capacity);

    uint8_t *out = buffer;
    if (parts->id != NULL) out = event_field_write(out, FIELD_ID, bytes_of_text(parts->id));
    if (parts->type != NULL) out = event_field_write(out, FIELD_TYPE, bytes_of_text(parts->type));
    for (uint32_t index = 0; index < parts->tags_count; index++) {
        out = event_field_write(out, FIELD_TAGS, bytes_of_text(parts->tags[index]));
    }
    if (parts->data.size > 0) out = event_field_write(out, FIELD_DATA, parts->data);
    return bytes_of(buffer, (size_t)(out - buffer));
}

struct bytes event_record_encode(const struct record *record, uint8_t *buffer, size_t capacity) {
    const size_t size = record_size(record);
    assert(size <= capacity);
    const uint8_t *end = record_write(record, buffer);
    assert(end == buffer + size);
    return bytes_of(buffer, size);
}
