/* codec.c: see codec.h. */
#include "sdk/runtime/codec.h"

#include <assert.h>
#include <string.h>

#include <grpc/slice.h>

#include "google/protobuf/empty.upb.h"
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

codec_result daybook__codec_encode_slice(const void *message, const upb_MiniTable *table, grpc_slice *ret_slice) {
    assert(message != NULL);
    char memory[ENCODE_ARENA_BYTES] __attribute__((aligned(16), uninitialized));
    upb_Arena *arena = upb_Arena_Init(memory, sizeof memory, &upb_alloc_global);
    char *bytes = NULL;
    size_t size = 0;
    int options = kUpb_EncodeOption_CheckRequired | UPB_ENCODE_MAXDEPTH(DAYBOOK__CODEC_DEPTH_MAX);
    codec_result result = from_encode_status(upb_Encode(message, table, options, arena, &bytes, &size));
    if (result == CODEC_OK) *ret_slice = grpc_slice_from_copied_buffer(bytes, size);
    upb_Arena_Free(arena);
    return result;
}

codec_result daybook__codec_encode(const void *message, const upb_MiniTable *table, grpc_byte_buffer **ret_buffer) {
    grpc_slice slice;
    codec_result result = daybook__codec_encode_slice(message, table, &slice);
    if (result != CODEC_OK) return result;
    *ret_buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return CODEC_OK;
}

/* This upb (libupb.so.29) reads the last 16 bytes of its input from a copy. A map's entry that holds unknown fields and
 * crosses into them makes it subtract pointers of two buffers: it aborts, and anybody may send such bytes. So a field
 * that nobody knows follows the message and lies there alone: number 536,870,911, 16 bytes. */
static const unsigned char trailer[] = {
    0xfa, 0xff, 0xff, 0xff, 0x0f, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* Takes the trailer out of the message's unknown fields. CODEC_MALFORMED when it is not there, or not as a field of its
 * own, which the fields before it tell: one whose length runs over the end of the message has swallowed it. */
static codec_result trailer_remove(upb_Message *message, upb_Arena *arena) {
    size_t size = 0;
    const char *unknown = upb_Message_GetUnknown(message, &size);
    if (size < sizeof trailer || memcmp(unknown + size - sizeof trailer, trailer, sizeof trailer) != 0) {
        return CODEC_MALFORMED;
    }
    size -= sizeof trailer;
    if (size > 0) {
        google_protobuf_Empty *before = google_protobuf_Empty_new(arena);
        if (before == NULL) return CODEC_NO_MEMORY;
        const upb_DecodeStatus status =
            upb_Decode(unknown, size, before, &google_protobuf_Empty_msginit, NULL, 0, arena);
        if (status == kUpb_DecodeStatus_OutOfMemory) return CODEC_NO_MEMORY;
        if (status != kUpb_DecodeStatus_Ok) return CODEC_MALFORMED;
    }
    upb_Message_Getinternal(message)->internal->unknown_end -= (uint32_t)sizeof trailer;
    return CODEC_OK;
}

/* Tables that are looked at before a type counts as one that may hold maps. */
#define MAP_SEARCH_TABLES_MAX 64

/* Whether there may be a map in a message of this type, at any depth. */
static bool may_hold_maps(const upb_MiniTable *table, unsigned *tables_left) {
    if (*tables_left == 0) return true;
    (*tables_left)--;
    for (unsigned i = 0; i < table->field_count; i++) {
        const upb_MiniTable_Field *field = &table->fields[i];
        if (upb_FieldMode_Get(field) == kUpb_FieldMode_Map) return true;
        if (upb_IsSubMessage(field) && may_hold_maps(table->subs[field->submsg_index].submsg, tables_left)) return true;
    }
    return false;
}

/* The buffer's bytes joined in the arena, with room for the trailer; NULL without memory. */
static char *join(const grpc_slice_buffer *slices, upb_Arena *arena) {
    char *joined = upb_Arena_Malloc(arena, slices->length + sizeof trailer);
    if (joined == NULL) return NULL;
    size_t offset = 0;
    for (size_t i = 0; i < slices->count; i++) {
        memcpy(joined + offset, GRPC_SLICE_START_PTR(slices->slices[i]), GRPC_SLICE_LENGTH(slices->slices[i]));
        offset += GRPC_SLICE_LENGTH(slices->slices[i]);
    }
    assert(offset == slices->length);
    return joined;
}

static codec_result decode_bytes(const char *bytes, size_t size, const upb_MiniTable *table, upb_Arena *arena,
                                 upb_Message **ret_message) {
    upb_Message *message = _upb_Message_New(table, arena);
    if (message == NULL) return CODEC_NO_MEMORY;
    /* One copy of the whole message into the arena is cheaper than one of each string, so strings always alias. */
    int options = kUpb_DecodeOption_AliasString | kUpb_DecodeOption_CheckRequired |
                  (int)UPB_DECODE_MAXDEPTH(DAYBOOK__CODEC_DEPTH_MAX);
    codec_result result = from_decode_status(upb_Decode(bytes, size, message, table, NULL, options, arena));
    if (result == CODEC_OK) *ret_message = message;
    return result;
}

/* Decodes `length` bytes that have room for the trailer behind them; `bytes` may be NULL, without memory. */
static codec_result decode_with_trailer(char *bytes, size_t length, const upb_MiniTable *table, upb_Arena *arena,
                                        upb_Message **ret_message) {
    if (bytes == NULL) return CODEC_NO_MEMORY;
    memcpy(bytes + length, trailer, sizeof trailer);
    size_t size = length + sizeof trailer;
    upb_Message *message = NULL;
    codec_result result = decode_bytes(bytes, size, table, arena, &message);
    if (result == CODEC_BAD_UTF8) {
        /* Was it the message's own text, or one that is cut short and took in some of the trailer? Zeros are text. */
        memset(bytes + length, 0, sizeof trailer);
        result = decode_bytes(bytes, size, table, arena, &message);
        return result == CODEC_OK ? CODEC_MALFORMED : result;
    }
    if (result == CODEC_OK) result = trailer_remove(message, arena);
    if (result == CODEC_OK) *ret_message = message;
    return result;
}

static codec_result decode(grpc_byte_buffer *buffer, const upb_MiniTable *table, upb_Arena *arena, bool alias,
                           const void **ret_message) {
    assert(buffer != NULL && buffer->type == GRPC_BB_RAW);
    if (buffer->data.raw.compression != GRPC_COMPRESS_NONE) return CODEC_COMPRESSED;
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    unsigned tables_left = MAP_SEARCH_TABLES_MAX;
    upb_Message *message = NULL;
    codec_result result = CODEC_OK;
    if (alias && slices->count == 1 && !may_hold_maps(table, &tables_left)) {
        const char *bytes = (const char *)GRPC_SLICE_START_PTR(slices->slices[0]);
        result = decode_bytes(bytes, slices->length, table, arena, &message);
    } else {
        result = decode_with_trailer(join(slices, arena), slices->length, table, arena, &message);
    }
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

codec_result daybook__codec_decode_bytes(const void *bytes, size_t size, const upb_MiniTable *table, upb_Arena *arena,
                                         const void **ret_message) {
    char *copy = upb_Arena_Malloc(arena, size + sizeof trailer);
    if (copy != NULL && size > 0) memcpy(copy, bytes, size);
    upb_Message *message = NULL;
    codec_result result = decode_with_trailer(copy, size, table, arena, &message);
    if (result == CODEC_OK) *ret_message = message;
    return result;
}
