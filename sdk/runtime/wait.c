/* wait.c: see wait.h. */
#include "sdk/runtime/wait.h"

#include <assert.h>
#include <errno.h>

#include "daybook/options.h"

#define NANOS_A_SECOND 1000000000L

struct wait_deadline daybook__wait_deadline(uint32_t wait_ms) {
    struct wait_deadline deadline = {.never = wait_ms == DAYBOOK_TIMEOUT_NONE};
    if (deadline.never) return deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline.at);
    deadline.at.tv_sec += wait_ms / 1000;
    deadline.at.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (deadline.at.tv_nsec >= NANOS_A_SECOND) {
        deadline.at.tv_sec += 1;
        deadline.at.tv_nsec -= NANOS_A_SECOND;
    }
    return deadline;
}

void daybook__condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    assert(error == 0);
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(error == 0);
    error = pthread_cond_init(condition, &attributes);
    assert(error == 0);
    pthread_condattr_destroy(&attributes);
}

bool daybook__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct wait_deadline *deadline) {
    if (deadline->never) {
        pthread_cond_wait(condition, mutex);
        return true;
    }
    int error = pthread_cond_timedwait(condition, mutex, &deadline->at);
    assert(error == 0 || error == ETIMEDOUT);
    return error == 0;
}
