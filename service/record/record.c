/* record.c: writing a record and taking it apart; event_fields.c looks into the event. */
#include "service/record/record.h"

#include <assert.h>

#include "service/base/limits.h"
#include "service/base/varint.h"

/* Tags of the fields, (number << 3) | wire type; all of them take one byte. */
enum {
    TAG_POSITION = 0x08,
    TAG_STREAM = 0x12,
    TAG_REVISION = 0x18,
    TAG_RECORDED_AT = 0x22,
    TAG_EVENT = 0x2a,
    TAG_ERASURE = 0x32,
    TAG_SECONDS = 0x08,
    TAG_NANOSECONDS = 0x10,
};

#define NANOSECONDS_PER_SECOND 1000000000u
#define SECONDS_MAX            ((uint64_t)INT64_MAX / NANOSECONDS_PER_SECOND)

struct time {
    uint64_t seconds;
    uint32_t nanoseconds;
};

static struct time time_of(int64_t recorded_ns) {
    assert(recorded_ns >= 0);
    return (struct time){
        .seconds = (uint64_t)recorded_ns / NANOSECONDS_PER_SECOND,
        .nanoseconds = (uint32_t)((uint64_t)recorded_ns % NANOSECONDS_PER_SECOND),
    };
}

/* A number that is 0 is absent, as proto3 encoders have it; so a record equals its re-encoding byte for byte. */
static size_t number_size(uint64_t value) {
    return value == 0 ? 0 : 1 + varint_size(value);
}

static uint8_t *number_write(uint8_t *out, uint8_t tag, uint64_t value) {
    if (value == 0) return out;
    *out++ = tag;
    return varint_write(out, value);
}

static size_t time_size(struct time time) {
    return number_size(time.seconds) + number_size(time.nanoseconds);
}

static size_t bytes_field_size(size_t size) {
    return 1 + varint_size(size) + size;
}

static uint8_t *bytes_field_write(uint8_t *out, uint8_t tag, struct bytes bytes) {
    *out++ = tag;
    out = varint_write(out, bytes.size);
    if (bytes.size > 0) memcpy(out, bytes.data, bytes.size);
    return out + bytes.size;
}

size_t record_size(const struct record *record) {
    return number_size(record->position) + bytes_field_size(record->stream.size) + number_size(record->revision) +
           bytes_field_size(time_size(time_of(record->recorded_ns))) + bytes_field_size(record->event.size) +
           (record->erasure.size > 0 ? bytes_field_size(record->erasure.size) : 0);
}

uint8_t *record_write(const struct record *record, uint8_t *out) {
    assert(record->position > 0 && record->revision > 0);
    assert(record->stream.size > 0 && record->stream.size <= NAME_BYTES_MAX);
    const struct time time = time_of(record->recorded_ns);
    out = number_write(out, TAG_POSITION, record->position);
    out = bytes_field_write(out, TAG_STREAM, record->stream);
    out = number_write(out, TAG_REVISION, record->revision);
    *out++ = TAG_RECORDED_AT;
    out = varint_write(out, time_size(time));
    out = number_write(out, TAG_SECONDS, time.seconds);
    out = number_write(out, TAG_NANOSECONDS, time.nanoseconds);
    out = bytes_field_write(out, TAG_EVENT, record->event);
    return record->erasure.size > 0 ? bytes_field_write(out, TAG_ERASURE, record->erasure) : out;
}

/* Readers of one field: NULL when it is not there or runs over the end. */

static const uint8_t *number_read(const uint8_t *at, const uint8_t *end, uint8_t tag, uint64_t *ret_value) {
    if (at == NULL || at == end || *at != tag) return NULL;
    return varint_read(at + 1, end, ret_value);
}

static const uint8_t *bytes_field_read(const uint8_t *at, const uint8_t *end, uint8_t tag, struct bytes *ret_bytes) {
    uint64_t size = 0;
    at = number_read(at, end, tag, &size);
    if (at == NULL || size > (uint64_t)(end - at)) return NULL;
    *ret_bytes = bytes_of(at, (size_t)size);
    return at + size;
}

static bool time_read(struct bytes encoded, int64_t *ret_recorded_ns) {
    const uint8_t *at = encoded.data;
    const uint8_t *end = bytes_end(encoded);
    uint64_t seconds = 0;
    uint64_t nanoseconds = 0;
    if (at != NULL && at < end && *at == TAG_SECONDS) at = number_read(at, end, TAG_SECONDS, &seconds);
    if (at != NULL && at < end) at = number_read(at, end, TAG_NANOSECONDS, &nanoseconds);
    /* Below SECONDS_MAX no number of nanoseconds leaves 64 bits. */
    if (at != end || seconds >= SECONDS_MAX || nanoseconds >= NANOSECONDS_PER_SECOND) return false;
    *ret_recorded_ns = (int64_t)(seconds * NANOSECONDS_PER_SECOND + nanoseconds);
    return true;
}

result record_read(struct bytes encoded, struct record *ret_record) {
    struct record record = {0};
    struct bytes time = {0};
    const uint8_t *at = encoded.data;
    const uint8_t *end = bytes_end(encoded);
    at = number_read(at, end, TAG_POSITION, &record.position);
    at = bytes_field_read(at, end, TAG_STREAM, &record.stream);
    at = number_read(at, end, TAG_REVISION, &record.revision);
    at = bytes_field_read(at, end, TAG_RECORDED_AT, &time);
    at = bytes_field_read(at, end, TAG_EVENT, &record.event);
    if (at != NULL && at != end) at = bytes_field_read(at, end, TAG_ERASURE, &record.erasure);
    const bool sound = at != NULL && at == end && record.position > 0 && record.revision > 0 &&
                       record.stream.size > 0 && record.stream.size <= NAME_BYTES_MAX &&
                       time_read(time, &record.recorded_ns);
    if (!sound) return failure_result(FAILURE_CORRUPT);
    *ret_record = record;
    return RESULT_OK;
}

uint64_t record_position(struct bytes encoded) {
    uint64_t position = 0;
    const uint8_t *after = number_read(encoded.data, bytes_end(encoded), TAG_POSITION, &position);
    return after == NULL ? 0 : position;
}
