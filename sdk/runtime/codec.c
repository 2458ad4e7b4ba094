/* codec.c: see codec.h. */
#include "sdk/runtime/codec.h"

#include <assert.h>
#include <string.h>

#include <grpc/slice.h>

#include "upb/decode.h"
#include "upb/encode.h"
#include "upb/msg_internal.h"

/* Requests up to about half of this are encoded without touching the heap before their slice is made. */
#define ENCODE_ARENA_BYTES 4096

const char *daybook__codec_text(codec_result result) {
    switch (result) {
    case CODEC_OK:
        return "is valid";
    case CODEC_MALFORMED:
        return "is not a valid protobuf message";
    case CODEC_BAD_UTF8:
        return "holds a string that is not UTF-8";
    case CODEC_TOO_DEEP:
        return "is nested too deeply";
    case CODEC_MISSING_REQUIRED:
        return "lacks a required field";
    case CODEC_COMPRESSED:
        return "is compressed, which was not offered";
    case CODEC_NO_MEMORY:
        return "does not fit in memory";
    }
    assert(false);
    return "";
}

static codec_result from_encode_status(upb_EncodeStatus status) {
    switch (status) {
    case kUpb_EncodeStatus_Ok:
        return CODEC_OK;
    case kUpb_EncodeStatus_OutOfMemory:
        return CODEC_NO_MEMORY;
    case kUpb_EncodeStatus_MaxDepthExceeded:
        return CODEC_TOO_DEEP;
    case kUpb_EncodeStatus_MissingRequired:
        return CODEC_MISSING_REQUIRED;
    }
    assert(false);
    return CODEC_MALFORMED;
}

static codec_result from_decode_status(upb_DecodeStatus status) {
    switch (status) {
    case kUpb_DecodeStatus_Ok:
        return CODEC_OK;
    case kUpb_DecodeStatus_Malformed:
        return CODEC_MALFORMED;
    case kUpb_DecodeStatus_OutOfMemory:
        return CODEC_NO_MEMORY;
    case kUpb_DecodeStatus_BadUtf8:
        return CODEC_BAD_UTF8;
    case kUpb_DecodeStatus_MaxDepthExceeded:
        return CODEC_TOO_DEEP;
    case kUpb_DecodeStatus_MissingRequired:
        return CODEC_MISSING_REQUIRED;
    }
    assert(false);
    return CODEC_MALFORMED;
}

codec_result daybook__codec_encode(const void *message, const upb_MiniTable *table, grpc_byte_buffer **ret_buffer) {
    assert(message != NULL);
    char memory[ENCODE_ARENA_BYTES] __attribute__((aligned(16), uninitialized));
    upb_Arena *arena = upb_Arena_Init(memory, sizeof memory, &upb_alloc_global);
    char *bytes = NULL;
    size_t size = 0;
    int options = kUpb_EncodeOption_CheckRequired | UPB_ENCODE_MAXDEPTH(DAYBOOK__CODEC_DEPTH_MAX);
    codec_result result = from_encode_status(upb_Encode(message, table, options, arena, &bytes, &size));
    if (result == CODEC_OK) {
        grpc_slice slice = grpc_slice_from_copied_buffer(bytes, size);
        *ret_buffer = grpc_raw_byte_buffer_create(&slice, 1);
        grpc_slice_unref(slice);
    }
    upb_Arena_Free(arena);
    return result;
}

/* The buffer's bytes joined in the arena; NULL without memory. */
static char *join(const grpc_slice_buffer *slices, upb_Arena *arena) {
    char *joined = upb_Arena_Malloc(arena, slices->length);
    if (joined == NULL) return NULL;
    size_t offset = 0;
    for (size_t i = 0; i < slices->count; i++) {
        memcpy(joined + offset, GRPC_SLICE_START_PTR(slices->slices[i]), GRPC_SLICE_LENGTH(slices->slices[i]));
        offset += GRPC_SLICE_LENGTH(slices->slices[i]);
    }
    assert(offset == slices->length);
    return joined;
}

static codec_result decode(grpc_byte_buffer *buffer, const upb_MiniTable *table, upb_Arena *arena, bool alias,
                           const void **ret_message) {
    assert(buffer != NULL && buffer->type == GRPC_BB_RAW);
    if (buffer->data.raw.compression != GRPC_COMPRESS_NONE) return CODEC_COMPRESSED;
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    upb_Message *message = _upb_Message_New(table, arena);
    if (message == NULL) return CODEC_NO_MEMORY;

    /* One copy of the whole message into the arena is cheaper than one of each string, so strings always alias. */
    const char *bytes = "";
    if (alias && slices->count == 1)
        bytes = (const char *)GRPC_SLICE_START_PTR(slices->slices[0]);
    else if (slices->length > 0)
        bytes = join(slices, arena);
    if (bytes == NULL) return CODEC_NO_MEMORY;

    int options = kUpb_DecodeOption_AliasString | kUpb_DecodeOption_CheckRequired |
                  (int)UPB_DECODE_MAXDEPTH(DAYBOOK__CODEC_DEPTH_MAX);
    codec_result result = from_decode_status(upb_Decode(bytes, slices->length, message, table, NULL, options, arena));
    if (result == CODEC_OK) *ret_message = message;
    return result;
}

codec_result daybook__codec_decode(grpc_byte_buffer *buffer, const upb_MiniTable *table, upb_Arena *arena,
                                   const void **ret_message) {
    return decode(buffer, table, arena, false, ret_message);
}

codec_result daybook__codec_decode_alias(grpc_byte_buffer *buffer, const upb_MiniTable *table, upb_Arena *arena,
                                         const void **ret_message) {
    return decode(buffer, table, arena, true, ret_message);
}
