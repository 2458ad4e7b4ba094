#include "service/base/thread.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

/* A new thread inherits the mask of the one that makes it. */
static sigset_t signals_block(void) {
    static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t blocked;
    sigset_t previous;
    sigfillset(&blocked);
    for (size_t index = 0; index < sizeof faults / sizeof faults[0]; index++) sigdelset(&blocked, faults[index]);
    pthread_sigmask(SIG_BLOCK, &blocked, &previous);
    return previous;
}

static result start(const pthread_attr_t *attributes, void *(*run)(void *), void *context, pthread_t *ret_thread) {
    const sigset_t previous = signals_block();
    const int error = pthread_create(ret_thread, attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    return error == 0 ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

result thread_start(const char *name, void *(*run)(void *context), void *context, pthread_t *ret_thread) {
    assert(strlen(name) <= 15);
    pthread_t thread;
    TRY(start(NULL, run, context, &thread));
    pthread_setname_np(thread, name);
    *ret_thread = thread;
    return RESULT_OK;
}

result thread_start_detached(void *(*run)(void *context), void *context) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const result started = start(&attributes, run, context, &thread);
    pthread_attr_destroy(&attributes);
    return started;
}
