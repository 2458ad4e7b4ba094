/* server_parking.h: unary calls that their handler leaves for another thread.
 *
 * Ownership: the test's, on its stack; it is the context of the fixture's handlers. Threads: any. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_RUNTIME_SERVER_PARKING_H
#define TESTS_UNIT_SDK_RUNTIME_SERVER_PARKING_H

#include "tests/unit/sdk/runtime/server_fixture.h"

#define PARKED_MAX 1024

struct parking {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    daybook_server_call *calls[PARKED_MAX];
    const fixture_text *requests[PARKED_MAX];
    uint32_t count;
};

#define PARKING_INIT                                                                                                   \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

/* The handler. */
void parking_keep(void *context, daybook_server_call *call, const fixture_text *request);

/* Waits until at least so many calls are parked. */
void parking_wait(struct parking *parking, uint32_t count_min);

/* Takes all parked calls, at least `count_min`, and answers them in one go. Returns how many. */
uint32_t parking_answer(struct parking *parking, uint32_t count_min);

#endif
