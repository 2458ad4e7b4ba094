#include "tests/bench/random.h"

#include <assert.h>

uint64_t random_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint32_t random_below(uint64_t *state, uint32_t count) {
    assert(count > 0);
    /* The upper half scaled down: off from even by less than count / 2^32. */
    return (uint32_t)((random_next(state) >> 32) * count >> 32);
}

void random_id(uint64_t *state, char ret_text[RANDOM_ID_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t halves[2] = {
        (random_next(state) & ~UINT64_C(0xf000)) | UINT64_C(0x4000),
        (random_next(state) & UINT64_MAX >> 2) | UINT64_C(1) << 63,
    };
    /* By hand: printf would cost a client that writes its requests as it sends them more than all the rest. */
    char *text = ret_text;
    for (uint32_t digit = 0; digit < 32; digit++) {
        if (digit == 8 || digit == 12 || digit == 16 || digit == 20) *text++ = '-';
        *text++ = digits[halves[digit / 16] >> (60 - 4 * (digit % 16)) & 15];
    }
    *text = '\0';
}
