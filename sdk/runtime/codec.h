/* codec.h: upb messages to gRPC's byte buffers and back. The only file that knows both libraries.
 *
 * Ownership: an encoded buffer belongs to the caller (grpc_byte_buffer_destroy); a decoded message belongs to the arena.
 * Threads: any; an arena serves one thread at a time.
 * Errors: a codec_result; what it means for the call (whose mistake it was) is for the caller to say. Running out of
 * memory inside gRPC's allocator ends the process, as gRPC does everywhere. */
#ifndef DAYBOOK_SDK_RUNTIME_CODEC_H
#define DAYBOOK_SDK_RUNTIME_CODEC_H

#include <grpc/byte_buffer.h>

#include "daybook/method.h"

/* Messages nested deeper are refused in both directions, as all of protobuf's libraries do. */
#define DAYBOOK__CODEC_DEPTH_MAX 100

typedef enum codec_result {
    CODEC_OK,
    CODEC_MALFORMED,
    CODEC_BAD_UTF8,
    CODEC_TOO_DEEP,
    CODEC_MISSING_REQUIRED,
    CODEC_COMPRESSED,
    CODEC_NO_MEMORY,
} codec_result;

/* What is wrong, to go on after "the response ": "is not a valid protobuf message". Static text. */
const char *daybook__codec_text(codec_result result);

/* Serialises a message into a new buffer. The message is not needed afterwards. */
DAYBOOK_MUST_USE codec_result daybook__codec_encode(const void *message, const upb_MiniTable *table,
                                                    grpc_byte_buffer **ret_buffer);

/* The same into a slice, which is to be given to grpc_slice_unref. */
DAYBOOK_MUST_USE codec_result daybook__codec_encode_slice(const void *message, const upb_MiniTable *table,
                                                          grpc_slice *ret_slice);

/* Decodes into `arena` alone: the buffer may be destroyed at once. */
DAYBOOK_MUST_USE codec_result daybook__codec_decode(grpc_byte_buffer *buffer, const upb_MiniTable *table,
                                                    upb_Arena *arena, const void **ret_message);

/* Decodes with strings that point into the buffer where it is in one piece and the type holds no maps, which spares
 * their copy: the message lives as long as both the arena and the buffer. */
DAYBOOK_MUST_USE codec_result daybook__codec_decode_alias(grpc_byte_buffer *buffer, const upb_MiniTable *table,
                                                          upb_Arena *arena, const void **ret_message);

/* Decodes a copy of plain bytes. Whatever comes from another process is decoded here, not by the parse functions that
 * upb generates: this version of upb aborts on some bytes, see codec.c. */
DAYBOOK_MUST_USE codec_result daybook__codec_decode_bytes(const void *bytes, size_t size, const upb_MiniTable *table,
                                                          upb_Arena *arena, const void **ret_message);

#endif
