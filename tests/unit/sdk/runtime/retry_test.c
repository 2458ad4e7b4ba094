/* The arithmetic of retries: when there is another attempt, and how long the pause before it is. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/runtime/retry.h"

static const struct retry_pushback no_pushback = {.kind = RETRY_PUSHBACK_NONE};

static struct retry retry_of(uint32_t attempts_max, uint32_t backoff_first_ms, uint32_t backoff_max_ms) {
    return (struct retry){
        .options = {.attempts_max = attempts_max,
                    .backoff_first_ms = backoff_first_ms,
                    .backoff_max_ms = backoff_max_ms},
        .is_safe = true,
        .attempts_count = 1,
    };
}

static bool plan(struct retry *retry, const struct retry_pushback *pushback, uint64_t left_ms, uint32_t *pause_ms) {
    const daybook_status status = {.code = DAYBOOK_UNAVAILABLE, .retryable = true};
    return daybook__retry_plan(retry, &status, pushback, left_ms, pause_ms);
}

Test(retry, pauses_double_up_to_the_longest_and_lose_up_to_a_half) {
    static const uint32_t full_ms[] = {100, 200, 400, 800, 1600, 2000, 2000, 2000};
    bool differs = false;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct retry retry = retry_of(100, 100, 2000);
        retry.random = seed;
        for (size_t i = 0; i < sizeof full_ms / sizeof full_ms[0]; i++) {
            uint32_t pause_ms = 0;
            cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
            cr_assert_leq(pause_ms, full_ms[i], "seed %lu, pause %zu: %u", (unsigned long)seed, i, pause_ms);
            cr_assert_geq(pause_ms, full_ms[i] / 2, "seed %lu, pause %zu: %u", (unsigned long)seed, i, pause_ms);
            if (pause_ms != full_ms[i]) differs = true;
        }
    }
    cr_assert(differs);
}

Test(retry, seeds_spread_the_first_pause_over_its_half) {
    uint32_t counts[51] = {0};
    for (uint64_t seed = 0; seed < 5100; seed++) {
        struct retry retry = retry_of(5, 100, 2000);
        retry.random = seed;
        uint32_t pause_ms = 0;
        cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
        counts[pause_ms - 50]++;
    }
    for (size_t i = 0; i < 51; i++) {
        cr_assert(counts[i] > 50 && counts[i] < 200, "%zu ms were chosen %u times of 5100", i + 50, counts[i]);
    }
}

Test(retry, one_seed_gives_the_same_pauses) {
    struct retry first = retry_of(5, 100, 2000);
    struct retry second = first;
    for (int i = 0; i < 4; i++) {
        uint32_t first_ms = 0;
        uint32_t second_ms = 0;
        cr_assert(plan(&first, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &first_ms));
        cr_assert(plan(&second, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &second_ms));
        cr_assert_eq(first_ms, second_ms);
    }
}

Test(retry, extremes_do_not_overflow) {
    struct retry retry = retry_of(100, INT32_MAX, INT32_MAX);
    for (int i = 0; i < 99; i++) {
        uint32_t pause_ms = 0;
        cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
        cr_assert_geq(pause_ms, INT32_MAX / 2);
        cr_assert_leq(pause_ms, INT32_MAX);
    }
    struct retry short_first = retry_of(5, 1, 1);
    uint32_t pause_ms = 0;
    cr_assert(plan(&short_first, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_eq(pause_ms, 1);
    struct retry long_first = retry_of(5, 5000, 10);
    cr_assert(plan(&long_first, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_leq(pause_ms, 10);
}

Test(retry, attempts_are_counted) {
    uint32_t pause_ms = 7;
    struct retry retry = retry_of(3, 100, 2000);
    retry.attempts_count = 2;
    cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    retry.attempts_count = 3;
    pause_ms = 7;
    cr_assert_not(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_eq(pause_ms, 7);
}

Test(retry, only_what_is_safe_and_retryable_is_done_again) {
    uint32_t pause_ms = 0;
    struct retry retry = retry_of(5, 100, 2000);
    const daybook_status final = {.code = DAYBOOK_RESOURCE_EXHAUSTED};
    cr_assert_not(daybook__retry_plan(&retry, &final, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    const struct retry_pushback after = {.kind = RETRY_PUSHBACK_AFTER, .after_ms = 1};
    cr_assert_not(daybook__retry_plan(&retry, &final, &after, DAYBOOK__RETRY_TIME_NONE, &pause_ms),
                  "the server's word makes no other status retryable");
    retry.is_safe = false;
    cr_assert_not(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
}

Test(retry, what_the_status_asks_for_is_the_least) {
    struct retry retry = retry_of(5, 100, 200);
    daybook_status status = {.code = DAYBOOK_RESOURCE_EXHAUSTED, .retryable = true, .retry_delay_ms = 3000};
    uint32_t pause_ms = 0;
    cr_assert(daybook__retry_plan(&retry, &status, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_eq(pause_ms, 3000);
    status.retry_delay_ms = 1;
    cr_assert(daybook__retry_plan(&retry, &status, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_geq(pause_ms, 100);
}

Test(retry, the_servers_word_is_exact_and_begins_anew) {
    struct retry retry = retry_of(100, 100, 2000);
    uint32_t pause_ms = 0;
    for (int i = 0; i < 4; i++) {
        cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    }
    for (uint32_t after_ms = 0; after_ms < 9000; after_ms += 3000) {
        const struct retry_pushback after = {.kind = RETRY_PUSHBACK_AFTER, .after_ms = after_ms};
        cr_assert(plan(&retry, &after, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
        cr_assert_eq(pause_ms, after_ms);
    }
    cr_assert(plan(&retry, &no_pushback, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
    cr_assert_leq(pause_ms, 100);
    const struct retry_pushback never = {.kind = RETRY_PUSHBACK_NEVER};
    cr_assert_not(plan(&retry, &never, DAYBOOK__RETRY_TIME_NONE, &pause_ms));
}

Test(retry, no_pause_outlasts_the_call) {
    uint32_t pause_ms = 0;
    const struct retry_pushback after = {.kind = RETRY_PUSHBACK_AFTER, .after_ms = 500};
    struct retry retry = retry_of(5, 100, 2000);
    cr_assert(plan(&retry, &after, 501, &pause_ms));
    cr_assert_not(plan(&retry, &after, 500, &pause_ms));
    cr_assert_not(plan(&retry, &no_pushback, 10, &pause_ms));
    const struct retry_pushback at_once = {.kind = RETRY_PUSHBACK_AFTER, .after_ms = 0};
    cr_assert(plan(&retry, &at_once, 1, &pause_ms));
    cr_assert_not(plan(&retry, &at_once, 0, &pause_ms));
}

Test(retry, the_servers_word_is_a_number) {
    static const struct {
        const char *text;
        int kind;
        uint32_t after_ms;
    } cases[] = {
        {"0", RETRY_PUSHBACK_AFTER, 0},          {"250", RETRY_PUSHBACK_AFTER, 250},
        {"007", RETRY_PUSHBACK_AFTER, 7},        {"2147483647", RETRY_PUSHBACK_AFTER, 2147483647},
        {"2147483648", RETRY_PUSHBACK_NEVER, 0}, {"99999999999999999999999999", RETRY_PUSHBACK_NEVER, 0},
        {"-1", RETRY_PUSHBACK_NEVER, 0},         {"", RETRY_PUSHBACK_NEVER, 0},
        {"soon", RETRY_PUSHBACK_NEVER, 0},       {"1 ", RETRY_PUSHBACK_NEVER, 0},
        {"+1", RETRY_PUSHBACK_NEVER, 0},         {"1.5", RETRY_PUSHBACK_NEVER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct retry_pushback pushback = daybook__retry_pushback_parse(cases[i].text, strlen(cases[i].text));
        cr_assert_eq((int)pushback.kind, cases[i].kind, "\"%s\"", cases[i].text);
        cr_assert_eq(pushback.after_ms, cases[i].after_ms, "\"%s\"", cases[i].text);
    }
    cr_assert_eq(daybook__retry_pushback_parse("12x", 2).after_ms, 12, "a text needs no terminator");
}
