#include "service/base/uuid.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/random.h>

#include "service/base/clock.h"

#define NANOSECONDS_PER_MILLISECOND 1000000

/* Random bytes are fetched from the kernel this many at a time: a system call for each id would be felt. */
#define RANDOM_BYTES          1000
#define RANDOM_BYTES_PER_UUID 10

static void random_take(uint8_t ret_bytes[RANDOM_BYTES_PER_UUID]) {
    static _Thread_local uint8_t pool[RANDOM_BYTES];
    static _Thread_local size_t used = RANDOM_BYTES;
    if (used == RANDOM_BYTES) {
        size_t filled = 0;
        while (filled < RANDOM_BYTES) {
            const ssize_t count = getrandom(pool + filled, RANDOM_BYTES - filled, 0);
            if (count > 0) filled += (size_t)count; /* A signal may interrupt it; it cannot fail otherwise. */
        }
        used = 0;
    }
    memcpy(ret_bytes, pool + used, RANDOM_BYTES_PER_UUID);
    used += RANDOM_BYTES_PER_UUID;
}

struct uuid uuid_new(void) {
    struct uuid uuid;
    const uint64_t milliseconds = (uint64_t)(clock_wall_ns() / NANOSECONDS_PER_MILLISECOND);
    for (unsigned index = 0; index < 6; index++) uuid.bytes[index] = (uint8_t)(milliseconds >> (40 - 8 * index));
    random_take(uuid.bytes + 6);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x70); /* version 7 */
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80); /* variant 10 */
    return uuid;
}

/* Every id of every append goes through here: a table, because branches on random digits are guessed wrong. The value of a
 * digit plus one; 0: it is none. */
static const uint8_t digit_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static bool hyphen_at(size_t index) {
    return index == 8 || index == 13 || index == 18 || index == 23;
}

result uuid_parse(struct bytes text, struct uuid *ret_uuid) {
    if (text.size != UUID_TEXT_BYTES) return failure_result(FAILURE_INPUT);
    struct uuid uuid;
    size_t filled = 0;
    for (size_t index = 0; index < UUID_TEXT_BYTES;) {
        if (hyphen_at(index)) {
            if (text.data[index] != '-') return failure_result(FAILURE_INPUT);
            index++;
            continue;
        }
        const uint8_t high = digit_values[text.data[index]];
        const uint8_t low = digit_values[text.data[index + 1]];
        if (high == 0 || low == 0) return failure_result(FAILURE_INPUT);
        uuid.bytes[filled++] = (uint8_t)((high - 1) << 4 | (low - 1));
        index += 2;
    }
    assert(filled == sizeof uuid.bytes);
    *ret_uuid = uuid;
    return RESULT_OK;
}

void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    size_t filled = 0;
    for (size_t index = 0; index < sizeof uuid->bytes; index++) {
        if (hyphen_at(filled)) ret_text[filled++] = '-';
        ret_text[filled++] = digits[uuid->bytes[index] >> 4];
        ret_text[filled++] = digits[uuid->bytes[index] & 0x0f];
    }
    assert(filled == UUID_TEXT_BYTES);
}
