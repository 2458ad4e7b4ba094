/* wall_clock.h: the wall clock of the daemon's code as a test sets it, so that what has an age has it at once and exactly.
 *
 * Whatever depends on it is linked so (the linker's --wrap on clock_wall_ns); until it is set, it is the real one.
 * Ownership: none. Threads: any. Errors: none. */
#ifndef TESTS_SUPPORT_WALL_CLOCK_H
#define TESTS_SUPPORT_WALL_CLOCK_H

#include <stdint.h>

/* From now on it is this time, until the next call; 0: the real one again. */
void wall_clock_set(int64_t now_ns);

#endif
