/* The forms of options' values: durations, pairs, expectations, places. */
#include "sdk/cli/values.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sdk/cli/common.h"

static struct argp_state state;

/* As argp has it when it runs a parser, so that argp_error ends the program. */
static void setup(void) {
    static const struct argp none;
    argp_err_exit_status = EXIT_USAGE;
    state = (struct argp_state){
        .root_argp = &none, .name = (char *)(uintptr_t) "test", .err_stream = stderr, .out_stream = stderr};
}

TestSuite(values, .init = setup);

static bool is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

static void expect_duration(const char *text, uint64_t seconds) {
    cr_assert_eq(value_duration_seconds(&state, text, "--max-age"), seconds, "%s", text);
}

Test(values, a_duration_has_units_or_is_seconds) {
    expect_duration("0", 0);
    expect_duration("90", 90);
    expect_duration("90s", 90);
    expect_duration("15m", 900);
    expect_duration("12h", 43200);
    expect_duration("30d", 2592000);
    expect_duration("2w", 1209600);
    expect_duration("1d12h", 129600);
    expect_duration("1w2d3h4m5s", 788645);
    expect_duration("18446744073709551615", UINT64_MAX);
    expect_duration("18446744073709551615s", UINT64_MAX);
}

#define NO_DURATION(name, text)                                                                                        \
    Test(values, no_duration_##name, .exit_code = EXIT_USAGE) {                                                        \
        (void)value_duration_seconds(&state, text, "--max-age");                                                       \
    }
NO_DURATION(empty, "")
NO_DURATION(word, "soon")
NO_DURATION(unit, "5y")
NO_DURATION(negative, "-5s")
NO_DURATION(number_behind_a_unit, "1d12")
NO_DURATION(fraction, "1.5h")
NO_DURATION(product_too_large, "18446744073709551615m")
NO_DURATION(sum_too_large, "18446744073709551615s1s")

Test(values, a_duration_is_told_in_the_largest_unit_that_gives_it_whole) {
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {{1, "1s"}, {60, "1m"}, {61, "61s"}, {3600, "1h"}, {2592000, "30d"}, {1209600, "2w"}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        char text[VALUE_DURATION_BYTES];
        value_duration_text(cases[index].seconds, text);
        cr_assert_str_eq(text, cases[index].text);
        cr_assert_eq(value_duration_seconds(&state, text, "--max-age"), cases[index].seconds);
    }
}

Test(values, a_pair_is_split_at_the_first_equals) {
    const struct value_pair pair = value_pair(&state, "key=a=b", "--metadata");
    cr_assert(is(pair.key, "key") && is(pair.text, "a=b"));
    const struct value_pair empty = value_pair(&state, "key=", "--metadata");
    cr_assert(is(empty.key, "key") && is(empty.text, ""));
    cr_assert_not_null(empty.text.data);
}

Test(values, a_pair_without_equals_exits_64, .exit_code = EXIT_USAGE) {
    (void)value_pair(&state, "key", "--metadata");
}

Test(values, a_pair_without_a_key_exits_64, .exit_code = EXIT_USAGE) {
    (void)value_pair(&state, "=text", "--metadata");
}

Test(values, an_expectation_is_a_word_or_a_revision) {
    struct value_expectation expectation = value_expectation(&state, "any", "--expect");
    cr_assert(!expectation.exists && !expectation.has_revision);
    expectation = value_expectation(&state, "exists", "--expect");
    cr_assert(expectation.exists && !expectation.has_revision);
    expectation = value_expectation(&state, "new", "--expect");
    cr_assert(!expectation.exists && expectation.has_revision && expectation.revision == 0);
    expectation = value_expectation(&state, "18446744073709551615", "--expect");
    cr_assert(!expectation.exists && expectation.has_revision && expectation.revision == UINT64_MAX);
}

Test(values, another_expectation_exits_64, .exit_code = EXIT_USAGE) {
    (void)value_expectation(&state, "old", "--expect");
}

Test(values, a_place_is_split_at_the_last_at) {
    const struct value_place place = value_place(&state, "me@home@7", "--checkpoint");
    cr_assert(is(place.name, "me@home"));
    cr_assert_str_eq(place.place, "7");
}

#define NO_PLACE(name, text)                                                                                           \
    Test(values, no_place_##name, .exit_code = EXIT_USAGE) {                                                           \
        (void)value_place(&state, text, "--check");                                                                    \
    }
NO_PLACE(without_at, "order-1")
NO_PLACE(without_name, "@7")
NO_PLACE(without_place, "order-1@")
