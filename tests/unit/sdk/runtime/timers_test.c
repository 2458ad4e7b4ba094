/* Timers come out by their time, whatever was added and removed before. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "sdk/runtime/timers.h"
#include "tests/support/random.h"

#define TIMERS_COUNT 300
#define STEPS_COUNT  20000

static struct timer at_ms(int64_t ms) {
    return (struct timer){.at = gpr_time_add(gpr_time_0(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN))};
}

Test(timers, the_earliest_is_first) {
    struct timers timers = {0};
    struct timer late = at_ms(30);
    struct timer early = at_ms(10);
    struct timer middle = at_ms(20);
    daybook__timers_add(&timers, &late);
    cr_assert_eq(timers.first, &late);
    daybook__timers_add(&timers, &early);
    daybook__timers_add(&timers, &middle);
    cr_assert_eq(timers.first, &early);
    daybook__timers_remove(&timers, &middle);
    cr_assert_eq(timers.first, &early);
    daybook__timers_remove(&timers, &early);
    cr_assert_eq(timers.first, &late);
    daybook__timers_remove(&timers, &late);
    cr_assert_null(timers.first);
    cr_assert_not(late.is_in_heap);
}

/* The earliest of those that are in the heap, by looking at all. */
static const struct timer *earliest(const struct timer *all) {
    const struct timer *found = NULL;
    for (size_t i = 0; i < TIMERS_COUNT; i++) {
        if (all[i].is_in_heap && (found == NULL || gpr_time_cmp(all[i].at, found->at) < 0)) found = &all[i];
    }
    return found;
}

Test(timers, any_order_of_adding_and_removing_keeps_the_order) {
    struct random random = random_start("timers");
    static struct timer all[TIMERS_COUNT];
    struct timers timers = {0};
    for (uint32_t step = 0; step < STEPS_COUNT; step++) {
        struct timer *timer = &all[random_below(&random, TIMERS_COUNT)];
        if (timer->is_in_heap) {
            daybook__timers_remove(&timers, random_below(&random, 3) == 0 ? timers.first : timer);
        } else {
            *timer = at_ms((int64_t)random_below(&random, 1000));
            daybook__timers_add(&timers, timer);
        }
        const struct timer *expected = earliest(all);
        cr_assert((expected == NULL) == (timers.first == NULL), "step %u", step);
        if (expected != NULL) cr_assert_eq(gpr_time_cmp(timers.first->at, expected->at), 0, "step %u", step);
    }
    for (struct timer *previous = NULL; timers.first != NULL;) {
        struct timer *first = timers.first;
        if (previous != NULL) cr_assert_leq(gpr_time_cmp(previous->at, first->at), 0);
        daybook__timers_remove(&timers, first);
        previous = first;
    }
    cr_assert_null(earliest(all));
}
