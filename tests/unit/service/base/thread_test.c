/* Threads that take no signals of the program's. */
#include "service/base/thread.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

struct seen {
    sigset_t mask;
    sem_t done;
    sem_t may_end; /* a thread that has ended has no name any more */
};

static void semaphore_wait(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
    }
}

static void *look(void *context) {
    struct seen *seen = context;
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &seen->mask), 0);
    sem_post(&seen->done);
    semaphore_wait(&seen->may_end);
    return seen;
}

static struct seen seen;

static void setup(void) {
    cr_assert_eq(sem_init(&seen.done, 0, 0), 0);
    cr_assert_eq(sem_init(&seen.may_end, 0, 0), 0);
    sigemptyset(&seen.mask);
}

TestSuite(thread, .init = setup);

static void expect_signals(void) {
    cr_assert(sigismember(&seen.mask, SIGTERM));
    cr_assert(sigismember(&seen.mask, SIGINT));
    cr_assert_not(sigismember(&seen.mask, SIGSEGV), "its own faults reach it");
    cr_assert_not(sigismember(&seen.mask, SIGABRT));
    sigset_t mask;
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    cr_assert_not(sigismember(&mask, SIGTERM), "its maker goes on as before");
}

Test(thread, is_named_and_hears_of_its_own_faults_alone) {
    pthread_t thread;
    cr_assert_eq(thread_start("a-name-of-15-ch", look, &seen, &thread).failure, FAILURE_NONE);
    char name[16];
    cr_assert_eq(pthread_getname_np(thread, name, sizeof name), 0);
    cr_assert_str_eq(name, "a-name-of-15-ch");
    sem_post(&seen.may_end);
    void *returned = NULL;
    cr_assert_eq(pthread_join(thread, &returned), 0);
    cr_assert_eq(returned, &seen);
    expect_signals();
}

Test(thread, may_be_one_that_nobody_joins) {
    cr_assert_eq(thread_start_detached(look, &seen).failure, FAILURE_NONE);
    semaphore_wait(&seen.done);
    expect_signals();
    sem_post(&seen.may_end);
}
