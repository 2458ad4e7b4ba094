#include "tests/bench/histogram.h"

#include <criterion/criterion.h>

static struct histogram histogram;

Test(histogram, empty_has_no_quantile) {
    histogram_init(&histogram);
    cr_assert_eq(histogram_quantile(&histogram, 500), 0);
    cr_assert_eq(histogram.count, 0);
}

Test(histogram, small_values_are_exact) {
    histogram_init(&histogram);
    for (uint64_t value = 1; value <= 60; value++) histogram_record(&histogram, value);
    cr_assert_eq(histogram_quantile(&histogram, 500), 30);
    cr_assert_eq(histogram_quantile(&histogram, 900), 54);
    cr_assert_eq(histogram_quantile(&histogram, 1000), 60);
    cr_assert_eq(histogram_quantile(&histogram, 0), 1);
}

Test(histogram, every_value_is_at_most_a_32nd_below_its_quantile) {
    for (uint32_t bits = 0; bits < 64; bits++) {
        const uint64_t power = UINT64_C(1) << bits;
        const uint64_t values[] = {power, power + power / 3, power + (power - 1)};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            histogram_init(&histogram);
            histogram_record(&histogram, values[i]);
            histogram_record(&histogram, UINT64_MAX);
            uint64_t quantile = histogram_quantile(&histogram, 500);
            cr_assert_geq(quantile, values[i]);
            cr_assert_leq(quantile - values[i], values[i] / 32);
        }
    }
}

Test(histogram, a_quantile_never_exceeds_the_largest_value) {
    histogram_init(&histogram);
    histogram_record(&histogram, 1000001);
    cr_assert_eq(histogram_quantile(&histogram, 500), 1000001);
    cr_assert_eq(histogram.value_max, 1000001);
}

Test(histogram, the_tail_is_found) {
    histogram_init(&histogram);
    for (uint32_t i = 0; i < 9980; i++) histogram_record(&histogram, 10);
    for (uint32_t i = 0; i < 20; i++) histogram_record(&histogram, 50);
    cr_assert_eq(histogram_quantile(&histogram, 990), 10);
    cr_assert_eq(histogram_quantile(&histogram, 998), 10);
    cr_assert_eq(histogram_quantile(&histogram, 999), 50);
}

Test(histogram, merged_is_as_recorded_in_one) {
    static struct histogram left;
    static struct histogram right;
    histogram_init(&histogram);
    histogram_init(&left);
    histogram_init(&right);
    for (uint64_t value = 1; value < 100000; value += 7) {
        histogram_record(&histogram, value);
        histogram_record(value % 2 == 0 ? &left : &right, value);
    }
    histogram_merge(&left, &right);
    cr_assert_eq(left.count, histogram.count);
    cr_assert_eq(left.value_max, histogram.value_max);
    for (uint32_t per_mille = 0; per_mille <= 1000; per_mille++)
        cr_assert_eq(histogram_quantile(&left, per_mille), histogram_quantile(&histogram, per_mille));
}
