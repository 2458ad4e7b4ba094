/* progress.h: a long run of appends cut into pieces of equal size: how fast each was, and its longest pause.
 *
 * A pause is the time between two answers while requests are in flight.
 * Ownership: plain data of the caller. Threads: one at a time. Errors: none. */
#ifndef DAYBOOK_TESTS_BENCH_PROGRESS_H
#define DAYBOOK_TESTS_BENCH_PROGRESS_H

#include "tests/bench/histogram.h"

#include <stdint.h>

#define PROGRESS_PIECES_COUNT 20u

struct progress_piece {
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t pause_max_us;
    /* For the caller: the longest stall of the machine. */
    uint64_t stall_max_us;
    struct histogram latency_us;
};

struct progress {
    uint64_t answers_per_piece;
    uint64_t last_ns;
    struct progress_piece pieces[PROGRESS_PIECES_COUNT];
};

/* Begins a run of `answers_count` answers, a multiple of PROGRESS_PIECES_COUNT. */
void progress_init(struct progress *progress, uint64_t answers_count, uint64_t now_ns);

/* Takes answer `answered_count`, from 1; answers come nearly in order: several threads take them. Returns its piece. */
struct progress_piece *progress_take(struct progress *progress, uint64_t answered_count, uint64_t now_ns,
                                     uint64_t latency_us);

#endif
