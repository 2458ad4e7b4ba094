/* server_parking.c: see server_parking.h. */
#include "tests/unit/sdk/runtime/server_parking.h"

#include <criterion/criterion.h>
#include <string.h>

void parking_keep(void *context, daybook_server_call *call, const fixture_text *request) {
    struct parking *parking = context;
    pthread_mutex_lock(&parking->mutex);
    cr_assert_lt(parking->count, PARKED_MAX);
    parking->calls[parking->count] = call;
    parking->requests[parking->count] = request;
    parking->count++;
    pthread_cond_signal(&parking->changed);
    pthread_mutex_unlock(&parking->mutex);
}

void parking_wait(struct parking *parking, uint32_t count_min) {
    pthread_mutex_lock(&parking->mutex);
    while (parking->count < count_min) pthread_cond_wait(&parking->changed, &parking->mutex);
    pthread_mutex_unlock(&parking->mutex);
}

uint32_t parking_answer(struct parking *parking, uint32_t count_min) {
    daybook_server_call *calls[PARKED_MAX];
    const fixture_text *requests[PARKED_MAX];
    pthread_mutex_lock(&parking->mutex);
    while (parking->count < count_min) pthread_cond_wait(&parking->changed, &parking->mutex);
    uint32_t count = parking->count;
    memcpy(calls, parking->calls, count * sizeof calls[0]);
    memcpy(requests, parking->requests, count * sizeof requests[0]);
    parking->count = 0;
    pthread_mutex_unlock(&parking->mutex);
    for (uint32_t i = 0; i < count; i++) daybook_server_call_reply(calls[i], requests[i]);
    return count;
}
