#include "service/record/remains.h"

#include <assert.h>

#include "service/base/checksum.h"
#include "service/base/uuid.h"
#include "service/base/varint.h"

/* Tags of the fields, (number << 3) | wire type. */
enum {
    TAG_EVENT = 0x2a,
    TAG_ID = 0x0a,
    TAG_TYPE = 0x12,
    TAG_ERASED_AT = 0x0a,
    TAG_SECONDS = 0x08,
    TAG_NANOSECONDS = 0x10,
    TAG_DIGEST = 0x12,
};

#define NANOSECONDS_PER_SECOND 1000000000u
/* An event that has its id alone. */
#define ID_FIELD_BYTES (2 + UUID_TEXT_BYTES)
/* 0a length, 08 seconds, 10 nanoseconds, 12 20 digest. */
#define ERASURE_BYTES_MAX (2 + 1 + VARINT_BYTES_MAX + 1 + 5 + 2 + SHA256_BYTES)

static uint8_t *text_write(uint8_t *out, uint8_t tag, struct bytes text) {
    *out++ = tag;
    out = varint_write(out, text.size);
    memcpy(out, text.data, text.size);
    return out + text.size;
}

static void remains_write(const struct record *record, struct remains *ret_remains) {
    ret_remains->size = record_size(record);
    assert(ret_remains->size <= sizeof ret_remains->bytes);
    (void)record_write(record, ret_remains->bytes);
}

result remains_of_removed(const struct record *record, struct remains *ret_remains) {
    struct event_fields fields;
    uint8_t event[ID_FIELD_BYTES];
    TRY(record_event_fields(record->event, &fields));
    if (fields.id.size != UUID_TEXT_BYTES) return failure_result(FAILURE_CORRUPT);
    (void)text_write(event, TAG_ID, fields.id);
    struct record remains = *record;
    remains.event = bytes_of(event, sizeof event);
    remains.erasure = (struct bytes){0};
    remains_write(&remains, ret_remains);
    return RESULT_OK;
}

static struct bytes erasure_write(struct bytes event, int64_t erased_ns, uint8_t out[ERASURE_BYTES_MAX]) {
    assert(erased_ns >= 0);
    uint8_t *time = out + 2;
    uint8_t *at = time;
    *at++ = TAG_SECONDS;
    at = varint_write(at, (uint64_t)erased_ns / NANOSECONDS_PER_SECOND);
    *at++ = TAG_NANOSECONDS;
    at = varint_write(at, (uint64_t)erased_ns % NANOSECONDS_PER_SECOND);
    out[0] = TAG_ERASED_AT;
    out[1] = (uint8_t)(at - time);
    uint8_t digest[SHA256_BYTES];
    checksum_sha256(event, digest);
    at = text_write(at, TAG_DIGEST, bytes_of(digest, sizeof digest));
    return bytes_of(out, (size_t)(at - out));
}

result remains_of_erased(const struct record *record, int64_t erased_ns, struct remains *ret_remains) {
    struct event_fields fields;
    uint8_t event[ID_FIELD_BYTES + 3 + NAME_BYTES_MAX];
    uint8_t erasure[ERASURE_BYTES_MAX];
    TRY(record_event_fields(record->event, &fields));
    if (fields.id.size != UUID_TEXT_BYTES || fields.type.size == 0) return failure_result(FAILURE_CORRUPT);
    const uint8_t *end = text_write(text_write(event, TAG_ID, fields.id), TAG_TYPE, fields.type);
    struct record remains = *record;
    remains.event = bytes_of(event, (size_t)(end - event));
    remains.erasure = erasure_write(record->event, erased_ns, erasure);
    remains_write(&remains, ret_remains);
    return RESULT_OK;
}

bool remains_is_removed(struct bytes encoded) {
    static const uint8_t head[] = {TAG_EVENT, ID_FIELD_BYTES, TAG_ID, UUID_TEXT_BYTES};
    if (encoded.size < sizeof head + UUID_TEXT_BYTES) return false;
    if (memcmp(encoded.data + encoded.size - UUID_TEXT_BYTES - sizeof head, head, sizeof head) != 0) return false;
    /* A payload may end like this, too. */
    struct record record;
    return !failed(record_read(encoded, &record)) && record.event.size == ID_FIELD_BYTES &&
           record.event.data[0] == TAG_ID;
}

bool remains_match(const struct record *record, struct bytes id, struct bytes event) {
    struct event_fields fields;
    if (failed(record_event_fields(record->event, &fields)) || !bytes_equal(fields.id, id)) return false;
    if (record->erasure.size == 0) return fields.type.size == 0;
    uint8_t digest[SHA256_BYTES];
    if (record->erasure.size < sizeof digest) return false;
    checksum_sha256(event, digest);
    return memcmp(record->erasure.data + record->erasure.size - sizeof digest, digest, sizeof digest) == 0;
}
