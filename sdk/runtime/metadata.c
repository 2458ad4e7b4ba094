/* metadata.c: see metadata.h. */
#include "sdk/runtime/metadata.h"

#include <assert.h>
#include <string.h>

#include "sdk/runtime/loop.h"

static upb_StringView slice_view(const grpc_slice *slice) {
    return upb_StringView_FromDataAndSize((const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

/* --- Received ----------------------------------------------------------------------------------------------------- */

size_t daybook_metadata_count(const daybook_metadata *metadata) {
    return metadata == NULL ? 0 : metadata->array.count;
}

upb_StringView daybook_metadata_key(const daybook_metadata *metadata, size_t index) {
    assert(index < daybook_metadata_count(metadata));
    return slice_view(&metadata->array.metadata[index].key);
}

upb_StringView daybook_metadata_value(const daybook_metadata *metadata, size_t index) {
    assert(index < daybook_metadata_count(metadata));
    return slice_view(&metadata->array.metadata[index].value);
}

upb_StringView daybook_metadata_find(const daybook_metadata *metadata, const char *key) {
    for (size_t i = 0; i < daybook_metadata_count(metadata); i++) {
        if (grpc_slice_str_cmp(metadata->array.metadata[i].key, key) == 0) return daybook_metadata_value(metadata, i);
    }
    return (upb_StringView){0};
}

void daybook__metadata_hold(grpc_metadata_array *array) {
    /* Most calls have none, and then gRPC's core need not be held, either. */
    if (array->count > 0) daybook__core_ref();
    for (size_t i = 0; i < array->count; i++) {
        grpc_slice_ref(array->metadata[i].key);
        grpc_slice_ref(array->metadata[i].value);
    }
}

void daybook__metadata_move(grpc_metadata_array *array, grpc_metadata_array *ret_array) {
    daybook__metadata_hold(array);
    *ret_array = *array;
    grpc_metadata_array_init(array);
}

void daybook__metadata_free(grpc_metadata_array *array) {
    for (size_t i = 0; i < array->count; i++) {
        grpc_slice_unref(array->metadata[i].key);
        grpc_slice_unref(array->metadata[i].value);
    }
    const bool held = array->count > 0;
    grpc_metadata_array_destroy(array);
    *array = (grpc_metadata_array){0};
    if (held) daybook__core_unref();
}

/* --- To send ------------------------------------------------------------------------------------------------------ */

/* Keys that HTTP/2 and gRPC use themselves; a program that sets them would change what the message means. */
static bool key_is_reserved(const char *key) {
    static const char *const reserved[] = {
        "connection", "content-length",   "content-type",      "host",    "keep-alive",
        "te",         "proxy-connection", "transfer-encoding", "upgrade", "user-agent",
    };
    if (strncmp(key, "grpc-", 5) == 0) return true;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(key, reserved[i]) == 0) return true;
    }
    return false;
}

/* Whether the value may be any bytes; as for gRPC, "-bin" alone is an ordinary key. */
static bool key_is_binary(const char *key) {
    const size_t size = strlen(key);
    return size > 4 && strcmp(key + size - 4, "-bin") == 0;
}

static size_t value_size(const daybook_header *header) {
    if (header->value_size > 0) return header->value_size;
    return strnlen(header->value, DAYBOOK__HEADER_VALUE_BYTES_MAX + 1);
}

/* The grammar is that of gRPC's PROTOCOL-HTTP2.md. */
const char *daybook__header_check(const daybook_header *header) {
    if (header->key == NULL || header->key[0] == '\0') return "has no key";
    size_t key_size = strnlen(header->key, DAYBOOK__HEADER_KEY_BYTES_MAX + 1);
    if (key_size > DAYBOOK__HEADER_KEY_BYTES_MAX) return "has a key of more than 255 bytes";
    if (strspn(header->key, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != key_size) {
        return "has a key with other characters than a-z 0-9 _ - .";
    }
    if (key_is_reserved(header->key)) return "has a key that is reserved for gRPC";
    if (header->value == NULL) return "has no value";
    const size_t size = value_size(header);
    if (size > DAYBOOK__HEADER_VALUE_BYTES_MAX) return "has a value of more than 8192 bytes";
    if (key_is_binary(header->key)) return NULL;
    for (size_t i = 0; i < size; i++) {
        if (header->value[i] < ' ' || header->value[i] > '~') return "has a value that is not printable ASCII";
    }
    return NULL;
}

grpc_metadata daybook__header_convert(const daybook_header *header) {
    return (grpc_metadata){
        .key = grpc_slice_from_copied_string(header->key),
        .value = grpc_slice_from_copied_buffer(header->value, value_size(header)),
    };
}
