#include "sdk/client/uuid.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define UUID_BYTES 16
#define COUNT_MAX  0xfff
/* A new millisecond's count begins below this. */
#define COUNT_START_MASK 0x7ff

static bool random_take(struct uuid_source *source, uint8_t *ret_bytes, size_t size) {
    assert(size <= sizeof source->random);
    if (source->random_left < size) {
        ssize_t drawn;
        do {
            drawn = getrandom(source->random, sizeof source->random, 0);
        } while (drawn < 0 && errno == EINTR);
        if (drawn < (ssize_t)size) return false;
        source->random_left = (size_t)drawn;
    }
    source->random_left -= size;
    memcpy(ret_bytes, source->random + source->random_left, size);
    return true;
}

static void text_write(const uint8_t bytes[UUID_BYTES], char *ret_text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t index = 0; index < UUID_BYTES; index++) {
        if (index == 4 || index == 6 || index == 8 || index == 10) *ret_text++ = '-';
        *ret_text++ = digits[bytes[index] >> 4];
        *ret_text++ = digits[bytes[index] & 0xf];
    }
}

bool daybook__uuid_next(struct uuid_source *source, uint64_t unix_ms, char *ret_text) {
    uint8_t bytes[UUID_BYTES];
    /* Bytes 6 and 7 are the count's, and of use where it begins. */
    if (!random_take(source, bytes + 6, UUID_BYTES - 6)) return false;
    const bool is_used_up = source->count == COUNT_MAX;
    if (unix_ms > source->unix_ms || is_used_up) {
        source->unix_ms = unix_ms > source->unix_ms ? unix_ms : source->unix_ms + 1;
        source->count = ((uint32_t)bytes[6] << 8 | bytes[7]) & COUNT_START_MASK;
    } else {
        source->count++;
    }
    for (int index = 0; index < 6; index++) bytes[index] = (uint8_t)(source->unix_ms >> (40 - 8 * index));
    bytes[6] = (uint8_t)(0x70 | source->count >> 8);
    bytes[7] = (uint8_t)(source->count & 0xff);
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    text_write(bytes, ret_text);
    return true;
}
