#include "tests/fuzz/fuzz.h"

#include "sdk/runtime/codec.h"
#include "service/base/limits.h"
#include "service/base/uuid.h"

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->size == 0) return 0;
    input->size--;
    return *input->data++;
}

uint64_t fuzz_number(struct fuzz_input *input) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) number |= (uint64_t)fuzz_byte(input) << shift;
    return number;
}

struct bytes fuzz_bytes(struct fuzz_input *input) {
    const size_t low = fuzz_byte(input);
    const size_t wanted = low | (size_t)fuzz_byte(input) << 8;
    const struct bytes bytes = bytes_of(input->data, wanted < input->size ? wanted : input->size);
    input->data += bytes.size;
    input->size -= bytes.size;
    return bytes;
}

struct bytes fuzz_rest(struct fuzz_input *input) {
    return bytes_of(input->data, input->size);
}

void *fuzz_decode(struct bytes encoded, const upb_MiniTable *table, upb_Arena *arena) {
    const void *message = NULL;
    const codec_result decoded = daybook__codec_decode_bytes(encoded.data, encoded.size, table, arena, &message);
    assert(decoded != CODEC_NO_MEMORY && decoded != CODEC_COMPRESSED);
    /* The message is the arena's and nobody else's, as a server's call has it. */
    return decoded == CODEC_OK ? (void *)(uintptr_t)message : NULL;
}

void fuzz_expect_same(struct bytes left, upb_StringView right) {
    assert(bytes_equal(left, bytes_of(right.data, right.size)));
}

bool fuzz_event_is_within_limits(const daybook_v1_Event *event) {
    size_t count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &count);
    if (count > TAGS_COUNT_MAX) return false;
    for (size_t index = 0; index < count; index++) {
        if (tags[index].size > NAME_BYTES_MAX) return false;
    }
    const size_t id_size = daybook_v1_Event_id(event).size;
    return daybook_v1_Event_type(event).size <= NAME_BYTES_MAX && (id_size == 0 || id_size == UUID_TEXT_BYTES);
}

void fuzz_expect_fields(const struct event_fields *fields, const daybook_v1_Event *event) {
    fuzz_expect_same(fields->id, daybook_v1_Event_id(event));
    fuzz_expect_same(fields->type, daybook_v1_Event_type(event));
    size_t count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &count);
    assert(fields->tags_count == count);
    for (size_t index = 0; index < count; index++) fuzz_expect_same(fields->tags[index], tags[index]);
}
