/* random.h: bytes that look random and are the same in every run, and ids made of them.
 *
 * Ownership: plain data. Threads: a state belongs to one thread. Errors: none. */
#ifndef DAYBOOK_TESTS_BENCH_RANDOM_H
#define DAYBOOK_TESTS_BENCH_RANDOM_H

#include <stdint.h>

/* A UUID as text, with its end. */
#define RANDOM_ID_BYTES 37u

/* The next 64 bits after `state`, which moves on: Sebastiano Vigna's splitmix64, a few instructions. */
uint64_t random_next(uint64_t *state);

/* A number below `count`, which is at least 1. */
uint32_t random_below(uint64_t *state, uint32_t count);

/* A UUID of random bits (RFC 9562, version 4). */
void random_id(uint64_t *state, char ret_text[RANDOM_ID_BYTES]);

#endif
