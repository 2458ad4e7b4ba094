#include "tests/support/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random random_start(const char *test_name) {
    struct random random = {0};
    const char *seed = getenv("DAYBOOK_TEST_SEED");
    if (seed != NULL) {
        random.state = strtoull(seed, NULL, 10);
    } else {
        struct timespec now;
        const int code = clock_gettime(CLOCK_REALTIME, &now);
        assert(code == 0);
        random.state = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    (void)fprintf(stderr, "%s: seed %" PRIu64 " (DAYBOOK_TEST_SEED)\n", test_name, random.state);
    return random;
}

uint64_t random_next(struct random *random) {
    random->state += 0x9e3779b97f4a7c15u;
    uint64_t value = random->state;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t random_below(struct random *random, uint64_t limit) {
    assert(limit > 0);
    return random_next(random) % limit;
}

void random_fill(struct random *random, uint8_t *ret_bytes, size_t size) {
    for (size_t index = 0; index < size; index++) ret_bytes[index] = (uint8_t)random_next(random);
}
