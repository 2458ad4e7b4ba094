/* Deadlines on the monotonic clock. */
#include <criterion/criterion.h>

#include "daybook/options.h"
#include "sdk/runtime/wait.h"

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
};

static void gate_init(struct gate *gate) {
    pthread_mutex_init(&gate->mutex, NULL);
    daybook__condition_init(&gate->changed);
    gate->open = false;
}

/* Waits for the gate; false when the deadline came first. */
static bool gate_wait(struct gate *gate, uint32_t wait_ms) {
    struct wait_deadline deadline = daybook__wait_deadline(wait_ms);
    bool in_time = true;
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open && in_time) {
        in_time = daybook__condition_wait(&gate->changed, &gate->mutex, &deadline);
    }
    pthread_mutex_unlock(&gate->mutex);
    return gate->open;
}

static int64_t milliseconds_since(const struct timespec *begin) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
}

Test(wait, a_deadline_lies_that_far_ahead) {
    static const uint32_t waits_ms[] = {0, 1, 999, 1000, 1001, 123456789, UINT32_MAX - 1};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        struct wait_deadline deadline = daybook__wait_deadline(waits_ms[i]);
        cr_assert_not(deadline.never);
        cr_assert(deadline.at.tv_nsec >= 0 && deadline.at.tv_nsec < 1000000000L);
        int64_t ahead_ms = -milliseconds_since(&deadline.at);
        cr_assert_leq(ahead_ms, (int64_t)waits_ms[i] + 1);
        cr_assert_gt(ahead_ms, (int64_t)waits_ms[i] - 10000);
    }
    cr_assert(daybook__wait_deadline(DAYBOOK_TIMEOUT_NONE).never);
}

Test(wait, nothing_in_time_gives_up_and_not_before) {
    struct gate gate;
    gate_init(&gate);
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    cr_assert_not(gate_wait(&gate, 0));
    cr_assert_not(gate_wait(&gate, 30));
    cr_assert_geq(milliseconds_since(&begin), 29);
}

static void *open_gate(void *argument) {
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
    return NULL;
}

Test(wait, a_signal_ends_it) {
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
