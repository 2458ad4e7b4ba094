#include "service/api/stream_metadata.h"

#include <string.h>

#include "service/base/varint.h"
#include "upb/encode.h"

/* Tags of the encoding: field number << 3 | 2. */
enum { TAG_METADATA = 0x22, TAG_KEY = 0x0a, TAG_VALUE = 0x12 };

result stream_metadata_encode(const daybook_v1_StreamSettings *settings, upb_Arena *arena, struct bytes *ret_encoded) {
    daybook_v1_StreamSettings *copy = daybook_v1_StreamSettings_new(arena);
    if (copy == NULL) return failure_result(FAILURE_MEMORY);
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_StreamSettings_MetadataEntry *entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor);
    for (; entry != NULL; entry = daybook_v1_StreamSettings_metadata_next(settings, &cursor)) {
        if (!daybook_v1_StreamSettings_metadata_set(copy, daybook_v1_StreamSettings_MetadataEntry_key(entry),
                                                    daybook_v1_StreamSettings_MetadataEntry_value(entry), arena)) {
            return failure_result(FAILURE_MEMORY);
        }
    }
    char *data;
    size_t size;
    if (upb_Encode(copy, &daybook_v1_StreamSettings_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) !=
        kUpb_EncodeStatus_Ok) {
        return failure_result(FAILURE_MEMORY);
    }
    *ret_encoded = bytes_of(data, size);
    return RESULT_OK;
}

/* Reads one field; NULL when it is not this one or runs over the end. */
static const uint8_t *field_read(const uint8_t *at, const uint8_t *end, uint8_t tag, struct bytes *ret_field) {
    uint64_t size = 0;
    if (at == NULL || at == end || *at != tag) return NULL;
    at = varint_read(at + 1, end, &size);
    if (at == NULL || size > (uint64_t)(end - at)) return NULL;
    *ret_field = bytes_of(at, (size_t)size);
    return at + size;
}

static bool text_copy(struct bytes text, upb_StringView *ret_copy, upb_Arena *arena) {
    char *copy = upb_Arena_Malloc(arena, text.size + 1);
    if (copy == NULL) return false;
    memcpy(copy, text.data, text.size);
    *ret_copy = upb_StringView_FromDataAndSize(copy, text.size);
    return true;
}

static result entry_decode(struct bytes encoded, daybook_v1_StreamSettings *settings, upb_Arena *arena) {
    const uint8_t *end = encoded.data + encoded.size;
    struct bytes key;
    struct bytes value;
    const uint8_t *at = field_read(encoded.data, end, TAG_KEY, &key);
    at = field_read(at, end, TAG_VALUE, &value);
    if (at != end) return failure_result(FAILURE_CORRUPT);
    upb_StringView key_copy;
    upb_StringView value_copy;
    const bool set = text_copy(key, &key_copy, arena) && text_copy(value, &value_copy, arena) &&
                     daybook_v1_StreamSettings_metadata_set(settings, key_copy, value_copy, arena);
    return set ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

result stream_metadata_decode(struct bytes encoded, daybook_v1_StreamSettings *settings, upb_Arena *arena) {
    const uint8_t *at = encoded.data;
    const uint8_t *end = encoded.data + encoded.size;
    while (at != end) {
        struct bytes entry;
        at = field_read(at, end, TAG_METADATA, &entry);
        if (at == NULL) return failure_result(FAILURE_CORRUPT);
        TRY(entry_decode(entry, settings, arena));
    }
    return RESULT_OK;
}
