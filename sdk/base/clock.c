#include "sdk/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "daybook/options.h"

#define MILLIS_A_SECOND 1000
#define NANOS_A_MILLI   1000000

int64_t daybook__clock_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MILLIS_A_SECOND + (now.tv_nsec + NANOS_A_MILLI - 1) / NANOS_A_MILLI;
}

int64_t daybook__clock_unix_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * MILLIS_A_SECOND + now.tv_nsec / NANOS_A_MILLI;
}

int64_t daybook__clock_after_ms(uint32_t wait_ms) {
    return wait_ms == DAYBOOK_TIMEOUT_NONE ? CLOCK_NEVER_MS : daybook__clock_now_ms() + wait_ms;
}

uint32_t daybook__clock_until_ms(int64_t until_ms) {
    if (until_ms >= CLOCK_NEVER_MS) return DAYBOOK_TIMEOUT_NONE;
    const int64_t left_ms = until_ms - daybook__clock_now_ms();
    if (left_ms <= 0) return 0;
    return left_ms < DAYBOOK_TIMEOUT_NONE ? (uint32_t)left_ms : DAYBOOK_TIMEOUT_NONE - 1;
}

void daybook__clock_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    assert(error == 0);
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(error == 0);
    error = pthread_cond_init(condition, &attributes);
    assert(error == 0);
    pthread_condattr_destroy(&attributes);
}

bool daybook__clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms) {
    if (until_ms >= CLOCK_NEVER_MS) {
        pthread_cond_wait(condition, mutex);
        return true;
    }
    const struct timespec until = {.tv_sec = until_ms / MILLIS_A_SECOND,
                                   .tv_nsec = until_ms % MILLIS_A_SECOND * NANOS_A_MILLI};
    const int error = pthread_cond_timedwait(condition, mutex, &until);
    assert(error == 0 || error == ETIMEDOUT);
    return error == 0;
}
