/* What runs when a unary call has ended, and freeing the call at every moment of it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/echo_fixture.h"

static struct echo_fixture fixture;

static void setup(void) {
    fixture = echo_fixture_open();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(call_done, .init = setup, .fini = teardown, .timeout = 60);

struct completion {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t count;
    daybook_code code;
    bool has_result;
    bool could_wait;
    pthread_t thread;
    bool free_it;
    bool may_go_on; /* what a `done` that is held back waits for */
};

static struct completion completion_new(void) {
    struct completion completion = {.may_go_on = true};
    pthread_mutex_init(&completion.mutex, NULL);
    pthread_cond_init(&completion.changed, NULL);
    return completion;
}

static void done(daybook_call *call, void *context) {
    struct completion *completion = context;
    pthread_mutex_lock(&completion->mutex);
    completion->code = daybook_call_status(call)->code;
    completion->has_result = daybook_call_result(call) != NULL;
    completion->could_wait = daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE);
    completion->thread = pthread_self();
    if (completion->free_it) daybook_call_free(call);
    completion->count++;
    pthread_cond_broadcast(&completion->changed);
    while (!completion->may_go_on) {
        pthread_cond_wait(&completion->changed, &completion->mutex);
    }
    pthread_mutex_unlock(&completion->mutex);
}

static void wait_done(struct completion *completion) {
    pthread_mutex_lock(&completion->mutex);
    while (completion->count == 0) {
        pthread_cond_wait(&completion->changed, &completion->mutex);
    }
    pthread_mutex_unlock(&completion->mutex);
}

Test(call_done, done_before_the_end_runs_on_a_thread_of_the_client) {
    struct completion completion = completion_new();
    daybook_call *call = echo_call_hold(&fixture, 1);
    daybook_call_on_done(call, done, &completion);
    cr_assert_eq(completion.count, 0);
    daybook_call_cancel(call);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    cr_assert_eq(completion.count, 1, "a waiter is released after `done`");
    cr_assert_eq(completion.code, DAYBOOK_CANCELLED);
    cr_assert(completion.could_wait);
    cr_assert_not(pthread_equal(completion.thread, pthread_self()));
    daybook_call_free(call);
    cr_assert_eq(completion.count, 1);
}

Test(call_done, done_after_the_end_runs_at_once) {
    struct completion completion = completion_new();
    daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1}, NULL);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    daybook_call_on_done(call, done, &completion);
    cr_assert_eq(completion.count, 1);
    cr_assert_eq(completion.code, DAYBOOK_OK);
    cr_assert(completion.has_result);
    cr_assert(pthread_equal(completion.thread, pthread_self()));
    daybook_call_free(call);
}

Test(call_done, done_may_free_its_call) {
    struct completion running = completion_new();
    running.free_it = true;
    daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1}, NULL);
    daybook_call_on_done(call, done, &running);
    wait_done(&running);
    cr_assert_eq(running.code, DAYBOOK_OK);

    struct completion ended = completion_new();
    ended.free_it = true;
    call = echo_call_start(&fixture, &(struct echo_script){.count = 1}, NULL);
    cr_assert(daybook_call_wait(call, DAYBOOK_TIMEOUT_NONE));
    daybook_call_on_done(call, done, &ended);
    cr_assert_eq(ended.count, 1);
}

/* Freeing at any moment of a call's life: no `done` runs after the free. */
Test(call_done, free_while_running_keeps_done_away) {
    for (uint32_t i = 1; i <= 200; i++) {
        struct completion completion = completion_new();
        daybook_call *call = echo_call_start(&fixture, &(struct echo_script){.count = 1, .hold = i % 2 == 0}, NULL);
        daybook_call_on_done(call, done, &completion);
        bool ended = i % 4 < 2 && daybook_call_wait(call, i % 5);
        if (i % 3 == 0 && !ended) daybook_call_cancel(call);
        daybook_call_free(call);
        uint32_t count = completion.count;
        cr_assert_leq(count, 1);
        pthread_mutex_destroy(&completion.mutex);
        pthread_cond_destroy(&completion.changed);
        memset(&completion, 0xee, sizeof completion);
    }
}

static void *let_go_on(void *argument) {
    struct completion *completion = argument;
    wait_done(completion);
    pthread_mutex_lock(&completion->mutex);
    completion->may_go_on = true;
    pthread_cond_broadcast(&completion->changed);
    pthread_mutex_unlock(&completion->mutex);
    return NULL;
}

Test(call_done, free_waits_for_a_done_that_runs) {
    struct completion completion = completion_new();
    completion.may_go_on = false;
    daybook_call *call = echo_call_hold(&fixture, 1);
    daybook_call_on_done(call, done, &completion);
    daybook_call_cancel(call);
    wait_done(&completion);
    pthread_t helper;
    cr_assert_eq(pthread_create(&helper, NULL, let_go_on, &completion), 0);
    daybook_call_free(call);
    cr_assert(completion.may_go_on, "free returned while `done` was held back");
    pthread_join(helper, NULL);
}

struct chain {
    struct completion completion;
    const void *request;
    uint32_t left;
};

static void chain_on(daybook_call *call, void *context) {
    struct chain *chain = context;
    bool ok = daybook_call_status(call)->code == DAYBOOK_OK;
    daybook_call_free(call);
    if (ok && --chain->left > 0) {
        daybook_call_on_done(daybook_call_start(fixture.client, &ECHO_CALL, chain->request, NULL), chain_on, chain);
        return;
    }
    pthread_mutex_lock(&chain->completion.mutex);
    chain->completion.count = 1;
    pthread_cond_broadcast(&chain->completion.changed);
    pthread_mutex_unlock(&chain->completion.mutex);
}

Test(call_done, done_may_start_the_next_call) {
    struct chain chain = {.completion = completion_new(),
                          .request = echo_request(&fixture, &(struct echo_script){.count = 1}),
                          .left = 100};
    daybook_call_on_done(daybook_call_start(fixture.client, &ECHO_CALL, chain.request, NULL), chain_on, &chain);
    wait_done(&chain.completion);
    cr_assert_eq(chain.left, 0);
}
