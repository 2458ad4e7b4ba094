#include "tests/bench/progress.h"

#include <criterion/criterion.h>

#define MS UINT64_C(1000000)

static struct progress progress;

Test(progress, pieces_are_of_equal_size_and_follow_each_other) {
    progress_init(&progress, 40, 100 * MS);
    for (uint64_t answer = 1; answer <= 40; answer++)
        cr_assert_eq(progress_take(&progress, answer, (100 + answer) * MS, answer), &progress.pieces[(answer - 1) / 2]);
    for (uint32_t i = 0; i < PROGRESS_PIECES_COUNT; i++) {
        const struct progress_piece *piece = &progress.pieces[i];
        cr_assert_eq(piece->begin_ns, (100 + 2 * i) * MS);
        cr_assert_eq(piece->end_ns, (102 + 2 * i) * MS);
        cr_assert_eq(piece->pause_max_us, 1000);
        cr_assert_eq(piece->latency_us.count, 2);
        cr_assert_eq(piece->latency_us.value_max, 2 * i + 2);
    }
}

Test(progress, the_longest_pause_of_a_piece_counts_from_the_answer_before_it) {
    progress_init(&progress, 40, 0);
    progress_take(&progress, 1, 1 * MS, 1);
    progress_take(&progress, 2, 2 * MS, 1);
    progress_take(&progress, 3, 152 * MS, 1);
    progress_take(&progress, 4, 153 * MS, 1);
    cr_assert_eq(progress.pieces[0].pause_max_us, 1000);
    cr_assert_eq(progress.pieces[1].pause_max_us, 150000);
    cr_assert_eq(progress.pieces[1].begin_ns, 2 * MS);
}

Test(progress, answers_that_two_threads_take_out_of_order_are_no_pause) {
    progress_init(&progress, 40, 0);
    progress_take(&progress, 2, 20 * MS, 1);
    progress_take(&progress, 1, 19 * MS, 1);
    cr_assert_eq(progress.pieces[0].pause_max_us, 20000);
    cr_assert_eq(progress.pieces[0].end_ns, 20 * MS);
    progress_take(&progress, 3, 21 * MS, 1);
    cr_assert_eq(progress.pieces[1].pause_max_us, 1000);
}
