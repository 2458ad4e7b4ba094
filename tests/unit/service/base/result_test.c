/* Failures are values with names; the clocks that the rest of the daemon is kept away from. */
#include <criterion/criterion.h>
#include <string.h>

#include "service/base/clock.h"
#include "service/base/result.h"
#include "service/base/state_machine.h"

static result hand_on(enum failure failure, uint32_t *reached) {
    TRY(failure_result(failure));
    (*reached)++;
    return RESULT_OK;
}

Test(result, try_hands_a_failure_to_the_caller) {
    uint32_t reached = 0;
    cr_assert_eq(hand_on(FAILURE_LIMIT, &reached).failure, FAILURE_LIMIT);
    cr_assert_eq(reached, 0);
    cr_assert_not(failed(hand_on(FAILURE_NONE, &reached)));
    cr_assert_eq(reached, 1);
}

Test(result, every_failure_has_a_name_of_its_own) {
    for (int one = FAILURE_NONE; one <= FAILURE_NOT_READY; one++) {
        const char *name = failure_name((enum failure)one);
        cr_assert_gt(strlen(name), 0);
        for (int other = FAILURE_NONE; other < one; other++) cr_assert_str_neq(name, failure_name((enum failure)other));
    }
    cr_assert_str_eq(failure_name(FAILURE_STORAGE_FULL), "storage_full");
}

Test(result, a_problem_is_one_line_that_fits) {
    struct problem problem;
    problem_set(&problem, "%s is %d", "port", 80);
    cr_assert_str_eq(problem.text, "port is 80");
    char long_text[3 * sizeof problem.text];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    problem_set(&problem, "%s", long_text);
    cr_assert_lt(strlen(problem.text), sizeof problem.text);
    problem_set(NULL, "nobody asks");
}

Test(clock, the_monotonic_one_never_goes_back_and_the_wall_is_of_this_century) {
    int64_t before = clock_monotonic_ns();
    for (uint32_t turn = 0; turn < 100000; turn++) {
        const int64_t now = clock_monotonic_ns();
        cr_assert_geq(now, before);
        before = now;
    }
    cr_assert_gt(clock_wall_ns(), INT64_C(1600000000) * 1000000000);
}

enum light { LIGHT_RED, LIGHT_GREEN };

static const struct state lights[] = {[LIGHT_RED] = {"red", 1u << LIGHT_GREEN}, [LIGHT_GREEN] = {"green", 0}};

Test(state_machine, moves_as_the_table_allows) {
    struct state_machine machine;
    state_machine_init(&machine, lights, LIGHT_RED);
    cr_assert_str_eq(state_machine_name(&machine), "red");
    state_machine_move(&machine, LIGHT_GREEN);
    cr_assert_str_eq(state_machine_name(&machine), "green");
}
