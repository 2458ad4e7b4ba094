/* checked_loop.h: a closed loop of appends that is believed only when the head agrees.
 *
 * Ownership: everything belongs to the caller. Threads: one at a time.
 * Errors: false, after a line on standard error. */
#ifndef DAYBOOK_TESTS_BENCH_CHECKED_LOOP_H
#define DAYBOOK_TESTS_BENCH_CHECKED_LOOP_H

#include "tests/bench/closed_loop.h"
#include "tests/bench/phases.h"

/* Asks for the head; a peer that stores nothing has 0. */
bool checked_loop_head(const struct phase_options *options, uint64_t *ret_head);

/* Runs the loop between two questions for the head, which must agree with what was acknowledged: a peer that answers and
 * does not store would win every race. */
bool checked_loop_run(const struct phase_options *options, const struct closed_loop_options *loop,
                      struct closed_loop_result *ret_result);

/* The same for appends that were counted elsewhere. `acknowledged_count` events since the head was `head_before`. */
bool checked_loop_check(const struct phase_options *options, uint64_t head_before, uint64_t acknowledged_count);

/* Prints the pairs that all loops have, without the end of the line. */
void checked_loop_print(const char *phase, const struct phase_options *options,
                        const struct closed_loop_result *result);

#endif
