#include "tests/bench/progress.h"

#include <assert.h>

void progress_init(struct progress *progress, uint64_t answers_count, uint64_t now_ns) {
    assert(answers_count > 0 && answers_count % PROGRESS_PIECES_COUNT == 0);
    *progress = (struct progress){.answers_per_piece = answers_count / PROGRESS_PIECES_COUNT, .last_ns = now_ns};
    for (uint32_t i = 0; i < PROGRESS_PIECES_COUNT; i++) {
        progress->pieces[i].begin_ns = UINT64_MAX;
        histogram_init(&progress->pieces[i].latency_us);
    }
    progress->pieces[0].begin_ns = now_ns;
}

struct progress_piece *progress_take(struct progress *progress, uint64_t answered_count, uint64_t now_ns,
                                     uint64_t latency_us) {
    const uint64_t index = (answered_count - 1) / progress->answers_per_piece;
    assert(answered_count > 0 && index < PROGRESS_PIECES_COUNT);
    struct progress_piece *piece = &progress->pieces[index];
    /* Two threads may take their answers in another order than they have read the clock. */
    if (now_ns < progress->last_ns) now_ns = progress->last_ns;
    /* A piece begins where the one before it ends, with the last answer of that. */
    if (piece->begin_ns > progress->last_ns) piece->begin_ns = progress->last_ns;
    piece->end_ns = now_ns;
    const uint64_t pause_us = (now_ns - progress->last_ns) / 1000;
    if (pause_us > piece->pause_max_us) piece->pause_max_us = pause_us;
    histogram_record(&piece->latency_us, latency_us);
    progress->last_ns = now_ns;
    return piece;
}
