/* random.h: random numbers that can be had again.
 *
 * A test takes its seed from DAYBOOK_TEST_SEED, or from the clock, and prints it; the same seed gives the same numbers.
 * Ownership: plain data. Threads: one each. Errors: none. */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* Seeds from the environment or the clock and prints "NAME: seed N" to standard error. */
struct random random_start(const char *test_name);

/* Any 64-bit number (splitmix64). */
uint64_t random_next(struct random *random);

/* A number in [0, limit); limit is not 0. */
uint64_t random_below(struct random *random, uint64_t limit);

void random_fill(struct random *random, uint8_t *ret_bytes, size_t size);

#endif
