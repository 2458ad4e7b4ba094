/* Messages to byte buffers and back: whole, in pieces, aliased, and everything that is wrong with some. */
#include <criterion/criterion.h>
#include <string.h>

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "echo.upb.h"
#include "google/protobuf/descriptor.upb.h"
#include "google/protobuf/struct.upb.h"
#include "sdk/runtime/codec.h"

static const upb_MiniTable *const table = &daybook_test_EchoResponse_msginit;

static void *response_new(const char *text, size_t payload_size, upb_Arena *arena) {
    daybook_test_EchoResponse *response = daybook_test_EchoResponse_new(arena);
    daybook_test_EchoResponse_set_text(response, upb_StringView_FromString(text));
    char *payload = upb_Arena_Malloc(arena, payload_size);
    for (size_t i = 0; i < payload_size; i++) {
        payload[i] = (char)(i * 7);
    }
    daybook_test_EchoResponse_set_payload(response, upb_StringView_FromDataAndSize(payload, payload_size));
    daybook_test_EchoResponse_set_index(response, 42);
    return response;
}

static void assert_same(const void *message, const void *expected) {
    upb_StringView text = daybook_test_EchoResponse_text(message);
    cr_assert(upb_StringView_IsEqual(text, daybook_test_EchoResponse_text(expected)));
    upb_StringView payload = daybook_test_EchoResponse_payload(message);
    cr_assert(upb_StringView_IsEqual(payload, daybook_test_EchoResponse_payload(expected)));
    cr_assert_eq(daybook_test_EchoResponse_index(message), daybook_test_EchoResponse_index(expected));
}

static grpc_byte_buffer *buffer_of(const void *bytes, size_t size) {
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, size);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/* The same bytes in slices of `piece` bytes. */
static grpc_byte_buffer *in_pieces(grpc_byte_buffer *whole, size_t piece) {
    grpc_slice all = whole->data.raw.slice_buffer.slices[0];
    size_t size = GRPC_SLICE_LENGTH(all);
    grpc_slice slices[2048];
    size_t count = 0;
    for (size_t offset = 0; offset < size; offset += piece) {
        size_t length = size - offset < piece ? size - offset : piece;
        cr_assert_lt(count, sizeof slices / sizeof slices[0]);
        slices[count++] = grpc_slice_from_copied_buffer((const char *)GRPC_SLICE_START_PTR(all) + offset, length);
    }
    cr_assert_gt(count, 1);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, count);
    for (size_t i = 0; i < count; i++) {
        grpc_slice_unref(slices[i]);
    }
    return buffer;
}

static codec_result decode_bytes(const void *bytes, size_t size, const upb_MiniTable *of) {
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = buffer_of(bytes, size);
    const void *untouched = &arena;
    const void *message = untouched;
    codec_result result = daybook__codec_decode(buffer, of, arena, &message);
    cr_assert_eq(result == CODEC_OK, message != untouched, "the message is set on success alone");
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
    return result;
}

/* Around the size that is encoded on the stack, and far above. */
Test(codec, a_message_survives_the_round_trip) {
    static const size_t sizes[] = {0, 1, 16, 1000, 2000, 4000, 4096, 5000, 100000, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        upb_Arena *arena = upb_Arena_New();
        const void *sent = response_new("text", sizes[i], arena);
        grpc_byte_buffer *buffer = NULL;
        cr_assert_eq(daybook__codec_encode(sent, table, &buffer), CODEC_OK);
        const void *copied = NULL;
        const void *aliased = NULL;
        cr_assert_eq(daybook__codec_decode(buffer, table, arena, &copied), CODEC_OK);
        cr_assert_eq(daybook__codec_decode_alias(buffer, table, arena, &aliased), CODEC_OK);
        assert_same(aliased, sent);
        grpc_byte_buffer_destroy(buffer);
        assert_same(copied, sent);
        upb_Arena_Free(arena);
    }
}

Test(codec, an_empty_message_is_no_bytes) {
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    cr_assert_eq(daybook__codec_encode(daybook_test_EchoResponse_new(arena), table, &buffer), CODEC_OK);
    cr_assert_eq(grpc_byte_buffer_length(buffer), 0);
    const void *message = NULL;
    cr_assert_eq(daybook__codec_decode(buffer, table, arena, &message), CODEC_OK);
    cr_assert_eq(daybook_test_EchoResponse_text(message).size, 0);
    grpc_byte_buffer_destroy(buffer);
    grpc_byte_buffer *nothing = grpc_raw_byte_buffer_create(NULL, 0);
    cr_assert_eq(daybook__codec_decode_alias(nothing, table, arena, &message), CODEC_OK);
    cr_assert_eq(daybook_test_EchoResponse_index(message), 0);
    grpc_byte_buffer_destroy(nothing);
    upb_Arena_Free(arena);
}

Test(codec, a_message_in_pieces_is_joined) {
    static const size_t pieces[] = {1, 3, 23, 24, 100, 1000};
    upb_Arena *arena = upb_Arena_New();
    const void *sent = response_new("pieces", 1000, arena);
    grpc_byte_buffer *whole = NULL;
    cr_assert_eq(daybook__codec_encode(sent, table, &whole), CODEC_OK);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        grpc_byte_buffer *buffer = in_pieces(whole, pieces[i]);
        const void *message = NULL;
        cr_assert_eq(daybook__codec_decode_alias(buffer, table, arena, &message), CODEC_OK);
        grpc_byte_buffer_destroy(buffer);
        assert_same(message, sent);
    }
    grpc_byte_buffer_destroy(whole);
    upb_Arena_Free(arena);
}

/* An entry of a map with fields that nobody knows, at each distance from the end of the message: upb alone aborts on
 * the ones that cross into its last 16 bytes. */
Test(codec, unknown_fields_of_a_map_entry_do_no_harm_at_the_end) {
    for (size_t entry_size = 2; entry_size <= 60; entry_size += 2) {
        for (size_t after = 0; after <= 40; after += 2) {
            char bytes[2 + 60 + 40];
            bytes[0] = 0x0a; /* Struct.fields */
            bytes[1] = (char)entry_size;
            memset(bytes + 2, 0x70, entry_size + after); /* field 14, a number */
            cr_assert_eq(decode_bytes(bytes, 2 + entry_size + after, &google_protobuf_Struct_msginit), CODEC_OK);
        }
    }
}

/* What keeps upb from the end of its input is neither content for a field that is cut short nor left in the message. */
Test(codec, the_end_of_a_message_is_its_end) {
    for (unsigned length = 4; length < 128; length++) {
        const char bytes[] = {0x12, (char)length, 'a', 'b', 'c'}; /* EchoResponse.payload */
        cr_assert_eq(decode_bytes(bytes, sizeof bytes, table), CODEC_MALFORMED, "length %u", length);
        const char entry[] = {0x0a, (char)length, 0x70, 0x70, 0x70}; /* Struct.fields, with field 14, a number */
        cr_assert_eq(decode_bytes(entry, sizeof entry, &google_protobuf_Struct_msginit), CODEC_MALFORMED);
        const char group[] = {0x7b, 0x70, 0x70, 0x72, (char)length}; /* field 15, a group with fields 14 */
        cr_assert_eq(decode_bytes(group, sizeof group, table), CODEC_MALFORMED);
    }
    static const char unknown[] = "\xf8\x07\x05"; /* field 127, a number */
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = buffer_of(unknown, sizeof unknown - 1);
    grpc_byte_buffer *again = NULL;
    const void *message = NULL;
    cr_assert_eq(daybook__codec_decode(buffer, table, arena, &message), CODEC_OK);
    cr_assert_eq(daybook__codec_encode(message, table, &again), CODEC_OK);
    cr_assert_eq(grpc_byte_buffer_length(again), sizeof unknown - 1, "unknown fields are kept, and nothing is added");
    grpc_byte_buffer_destroy(again);
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
}

Test(codec, an_aliased_message_points_into_its_buffer) {
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    cr_assert_eq(daybook__codec_encode(response_new("alias", 1000, arena), table, &buffer), CODEC_OK);
    const void *message = NULL;
    cr_assert_eq(daybook__codec_decode_alias(buffer, table, arena, &message), CODEC_OK);
    grpc_slice slice = buffer->data.raw.slice_buffer.slices[0];
    const char *payload = daybook_test_EchoResponse_payload(message).data;
    cr_assert(payload > (const char *)GRPC_SLICE_START_PTR(slice));
    cr_assert(payload < (const char *)GRPC_SLICE_END_PTR(slice));
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
}

/* No prefix of a message may crash; one that ends inside a field is malformed. */
Test(codec, a_cut_message_is_malformed) {
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    cr_assert_eq(daybook__codec_encode(response_new("cut", 300, arena), table, &buffer), CODEC_OK);
    grpc_slice slice = buffer->data.raw.slice_buffer.slices[0];
    size_t malformed = 0;
    for (size_t size = 0; size < GRPC_SLICE_LENGTH(slice); size++) {
        codec_result result = decode_bytes(GRPC_SLICE_START_PTR(slice), size, table);
        cr_assert(result == CODEC_OK || result == CODEC_MALFORMED);
        if (result == CODEC_MALFORMED) malformed++;
    }
    /* All but the empty message and those that end between two of its three fields. */
    cr_assert_eq(malformed, GRPC_SLICE_LENGTH(slice) - 3);
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
}

Test(codec, bad_bytes_are_named) {
    cr_assert_eq(decode_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, table), CODEC_MALFORMED);
    cr_assert_eq(decode_bytes("\x0a\x02\xff\xfe", 4, table), CODEC_BAD_UTF8);
    cr_assert_eq(decode_bytes("\x0a\x02ok", 4, table), CODEC_OK);
}

/* descriptor.proto has the recursive messages and the required fields. */
static google_protobuf_DescriptorProto *nested(uint32_t depth, upb_Arena *arena) {
    google_protobuf_DescriptorProto *root = google_protobuf_DescriptorProto_new(arena);
    google_protobuf_DescriptorProto *inner = root;
    for (uint32_t i = 1; i < depth; i++) {
        inner = google_protobuf_DescriptorProto_add_nested_type(inner, arena);
    }
    return root;
}

Test(codec, nesting_is_bounded_both_ways) {
    const upb_MiniTable *recursive = &google_protobuf_DescriptorProto_msginit;
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    cr_assert_eq(daybook__codec_encode(nested(90, arena), recursive, &buffer), CODEC_OK);
    const void *message = NULL;
    cr_assert_eq(daybook__codec_decode(buffer, recursive, arena, &message), CODEC_OK);
    grpc_byte_buffer_destroy(buffer);
    cr_assert_eq(daybook__codec_encode(nested(110, arena), recursive, &buffer), CODEC_TOO_DEEP);

    /* 110 messages of the field nested_type (3), from the inside out. */
    unsigned char bytes[1000];
    size_t size = 0;
    for (uint32_t i = 0; i < 110; i++) {
        size_t header = size < 128 ? 2 : 3;
        memmove(bytes + header, bytes, size);
        bytes[0] = 3 << 3 | 2;
        bytes[1] = size < 128 ? (unsigned char)size : (unsigned char)((size & 0x7f) | 0x80);
        if (header == 3) bytes[2] = (unsigned char)(size >> 7);
        size += header;
    }
    cr_assert_eq(decode_bytes(bytes, size, recursive), CODEC_TOO_DEEP);
    upb_Arena_Free(arena);
}

Test(codec, required_fields_are_required_both_ways) {
    const upb_MiniTable *part = &google_protobuf_UninterpretedOption_NamePart_msginit;
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    const void *message = google_protobuf_UninterpretedOption_NamePart_new(arena);
    cr_assert_eq(daybook__codec_encode(message, part, &buffer), CODEC_MISSING_REQUIRED);
    cr_assert_eq(decode_bytes("", 0, part), CODEC_MISSING_REQUIRED);
    cr_assert_eq(decode_bytes("\x0a\x01n\x10\x01", 5, part), CODEC_OK);
    upb_Arena_Free(arena);
}

Test(codec, a_compressed_message_is_refused) {
    upb_Arena *arena = upb_Arena_New();
    grpc_slice slice = grpc_slice_from_static_string("whatever");
    grpc_byte_buffer *buffer = grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_GZIP);
    const void *message = NULL;
    cr_assert_eq(daybook__codec_decode(buffer, table, arena, &message), CODEC_COMPRESSED);
    cr_assert_null(message);
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
}

static void *no_memory(upb_alloc *alloc, void *pointer, size_t old_size, size_t size) {
    (void)alloc;
    (void)pointer;
    (void)old_size;
    (void)size;
    return NULL;
}

Test(codec, an_arena_without_memory_is_an_error) {
    upb_Arena *arena = upb_Arena_New();
    grpc_byte_buffer *buffer = NULL;
    cr_assert_eq(daybook__codec_encode(response_new("full", 1000, arena), table, &buffer), CODEC_OK);
    grpc_byte_buffer *pieces = in_pieces(buffer, 100);
    upb_alloc exhausted = {.func = no_memory};
    /* All of them are too small for the payload alone. */
    for (size_t size = 128; size <= 1008; size += 16) {
        char memory[1008] __attribute__((aligned(16)));
        upb_Arena *small = upb_Arena_Init(memory, size, &exhausted);
        const void *message = NULL;
        codec_result result = daybook__codec_decode(pieces, table, small, &message);
        cr_assert(result == CODEC_NO_MEMORY && message == NULL, "with %zu bytes", size);
        upb_Arena_Free(small);
    }
    grpc_byte_buffer_destroy(pieces);
    grpc_byte_buffer_destroy(buffer);
    upb_Arena_Free(arena);
}

Test(codec, every_result_has_a_text) {
    for (int result = CODEC_OK; result <= CODEC_NO_MEMORY; result++) {
        cr_assert_gt(strlen(daybook__codec_text((codec_result)result)), 0);
    }
}
