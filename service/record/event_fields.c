/* event_fields.c: one pass over the top level of an encoded daybook.v1.Event. Payload, metadata and what is not known
 * are stepped over by their length. */
#include <assert.h>

#include "service/base/limits.h"
#include "service/base/uuid.h"
#include "service/base/varint.h"
#include "service/record/record.h"

/* Field numbers of daybook.v1.Event. */
enum { FIELD_ID = 1, FIELD_TYPE = 2, FIELD_TAGS = 3 };

/* Wire types of the protobuf encoding. */
enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP_BEGIN = 3,
    WIRE_GROUP_END = 4,
    WIRE_FIXED32 = 5,
};

/* As deep as upb's decoder goes, which has accepted the event before. */
#define GROUPS_DEPTH_MAX 100
#define FIELD_NUMBER_MAX 0x1fffffffu

_Static_assert(sizeof((struct event_fields *)0)->tags / sizeof(struct bytes) == TAGS_COUNT_MAX, "room for every tag");

struct field {
    uint32_t number;
    uint32_t wire;
    struct bytes bytes; /* of WIRE_BYTES */
};

/* Like varint_read, but bits beyond the 64th are dropped: an event is as its sender encoded it, and the decoder that
 * let it in drops them, too. */
static const uint8_t *number_read(const uint8_t *at, const uint8_t *end, uint64_t *ret_value) {
    uint64_t value = 0;
    for (unsigned index = 0; index < VARINT_BYTES_MAX && at < end; index++) {
        const uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * index);
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* Reads the field at `at`; of a group only its begin or end. NULL when it is malformed. */
static const uint8_t *field_read(const uint8_t *at, const uint8_t *end, struct field *ret_field) {
    uint64_t value = 0;
    at = number_read(at, end, &value);
    if (at == NULL || value >> 3 == 0 || value >> 3 > FIELD_NUMBER_MAX) return NULL;
    ret_field->number = (uint32_t)(value >> 3);
    ret_field->wire = (uint32_t)(value & 7);
    size_t size = 0;
    switch (ret_field->wire) {
    case WIRE_VARINT:
        return number_read(at, end, &value);
    case WIRE_FIXED64:
        size = 8;
        break;
    case WIRE_FIXED32:
        size = 4;
        break;
    case WIRE_BYTES:
        at = number_read(at, end, &value);
        if (at == NULL || value > (uint64_t)(end - at)) return NULL;
        size = (size_t)value;
        ret_field->bytes = bytes_of(at, size);
        break;
    case WIRE_GROUP_BEGIN:
    case WIRE_GROUP_END:
        break;
    default:
        return NULL;
    }
    return size <= (size_t)(end - at) ? at + size : NULL;
}

/* Steps over an unknown group whose begin has been read. Groups nest, so the open ones are kept; no recursion. */
static const uint8_t *group_skip(const uint8_t *at, const uint8_t *end, uint32_t number) {
    uint32_t open[GROUPS_DEPTH_MAX];
    uint32_t depth = 0;
    open[depth++] = number;
    while (depth > 0) {
        struct field field;
        at = field_read(at, end, &field);
        if (at == NULL) return NULL;
        if (field.wire == WIRE_GROUP_BEGIN) {
            if (depth == GROUPS_DEPTH_MAX) return NULL;
            open[depth++] = field.number;
        } else if (field.wire == WIRE_GROUP_END) {
            if (field.number != open[--depth]) return NULL;
        }
    }
    return at;
}

/* A singular field that comes twice counts as its last, as in every protobuf decoder. */
static bool field_take(const struct field *field, struct event_fields *fields) {
    switch (field->number) {
    case FIELD_ID:
        fields->id = field->bytes;
        return field->bytes.size == 0 || field->bytes.size == UUID_TEXT_BYTES;
    case FIELD_TYPE:
        fields->type = field->bytes;
        return field->bytes.size <= NAME_BYTES_MAX;
    case FIELD_TAGS:
        if (fields->tags_count == TAGS_COUNT_MAX) return false;
        fields->tags[fields->tags_count++] = field->bytes;
        return field->bytes.size <= NAME_BYTES_MAX;
    default:
        return true;
    }
}

/* Reads the field at `at`, a group to its end. NULL when it is malformed. */
static const uint8_t *field_next(const uint8_t *at, const uint8_t *end, struct field *ret_field) {
    at = field_read(at, end, ret_field);
    if (at == NULL || ret_field->wire == WIRE_GROUP_END) return NULL;
    return ret_field->wire == WIRE_GROUP_BEGIN ? group_skip(at, end, ret_field->number) : at;
}

bool record_fields_hold(struct bytes fields, uint32_t number) {
    const uint8_t *at = fields.data;
    const uint8_t *end = bytes_end(fields);
    while (at != end) {
        struct field field;
        at = field_next(at, end, &field);
        if (at == NULL) return false;
        if (field.wire == WIRE_BYTES && field.number == number) return true;
    }
    return false;
}

result record_event_fields(struct bytes event, struct event_fields *ret_fields) {
    /* Only the first tags_count tags are ever read; clearing a kilobyte of them would cost more than the pass. */
    ret_fields->id = (struct bytes){0};
    ret_fields->type = (struct bytes){0};
    ret_fields->tags_count = 0;
    const uint8_t *at = event.data;
    const uint8_t *end = bytes_end(event);
    while (at != end) {
        struct field field;
        at = field_next(at, end, &field);
        if (at == NULL || (field.wire == WIRE_BYTES && !field_take(&field, ret_fields))) {
            return failure_result(FAILURE_CORRUPT);
        }
    }
    return RESULT_OK;
}
