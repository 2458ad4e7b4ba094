/* Moments of the monotonic clock, and conditions that wait for them. */
#include "sdk/base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

#include "daybook/options.h"

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
};

static void gate_init(struct gate *gate) {
    pthread_mutex_init(&gate->mutex, NULL);
    daybook__clock_condition_init(&gate->changed);
    gate->open = false;
}

/* Waits for the gate; false when the moment came first. */
static bool gate_wait(struct gate *gate, uint32_t wait_ms) {
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    bool in_time = true;
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open && in_time) {
        in_time = daybook__clock_condition_wait(&gate->changed, &gate->mutex, until_ms);
    }
    pthread_mutex_unlock(&gate->mutex);
    return gate->open;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

Test(clock, a_moment_lies_that_far_ahead) {
    static const uint32_t waits_ms[] = {0, 1, 999, 1000, 1001, 123456789, UINT32_MAX - 1};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        const int64_t until_ms = daybook__clock_after_ms(waits_ms[i]);
        const uint32_t left_ms = daybook__clock_until_ms(until_ms);
        cr_assert_leq(left_ms, waits_ms[i]);
        cr_assert_gt((int64_t)left_ms, (int64_t)waits_ms[i] - 10000);
    }
}

Test(clock, never_is_never) {
    cr_assert_eq(daybook__clock_after_ms(DAYBOOK_TIMEOUT_NONE), CLOCK_NEVER_MS);
    cr_assert_eq(daybook__clock_until_ms(CLOCK_NEVER_MS), DAYBOOK_TIMEOUT_NONE);
    cr_assert_eq(daybook__clock_until_ms(daybook__clock_now_ms() - 1), 0);
}

Test(clock, nothing_in_time_gives_up_and_not_before) {
    struct gate gate;
    gate_init(&gate);
    for (uint32_t wait_ms = 0; wait_ms < 10; wait_ms++) {
        const int64_t begin_us = now_us();
        cr_assert_not(gate_wait(&gate, wait_ms));
        cr_assert_geq(now_us() - begin_us, 1000 * (int64_t)wait_ms);
    }
}

static void *open_gate(void *argument) {
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
    return NULL;
}

Test(clock, a_signal_ends_it) {
    static const uint32_t waits_ms[] = {DAYBOOK_TIMEOUT_NONE, 600000};
    for (size_t i = 0; i < 2; i++) {
        struct gate gate;
        gate_init(&gate);
        pthread_t opener;
        cr_assert_eq(pthread_create(&opener, NULL, open_gate, &gate), 0);
        cr_assert(gate_wait(&gate, waits_ms[i]));
        pthread_join(opener, NULL);
    }
}
