/* loop.c: see loop.h. */
#include "sdk/runtime/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sdk/runtime/core_timers.h"

/* The loop whose thread this is. */
static _Thread_local struct loop *current;

/* What a thread's own fault raises must reach a crash handler; everything else is for the program's threads. */
static void block_signals(sigset_t *ret_previous) {
    static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sigdelset(&blocked, faults[i]);
    }
    int error = pthread_sigmask(SIG_BLOCK, &blocked, ret_previous);
    assert(error == 0);
}

static void restore_signals(const sigset_t *previous) {
    int error = pthread_sigmask(SIG_SETMASK, previous, NULL);
    assert(error == 0);
}

void daybook__core_ref(void) {
    sigset_t previous;
    block_signals(&previous);
    grpc_init();
    restore_signals(&previous);
}

void daybook__core_unref(void) {
    grpc_shutdown();
}

bool daybook__thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context,
                           daybook_status *ret_status) {
    assert(strlen(name) <= 15);
    sigset_t previous;
    block_signals(&previous);
    int error = pthread_create(thread, NULL, run, context);
    restore_signals(&previous);
    if (error != 0) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "cannot make a thread: %s", strerror(error));
        return false;
    }
    pthread_setname_np(*thread, name);
    return true;
}

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);

void daybook__loop_give(struct loop_operation *operation) {
    __tsan_release(operation);
}

void daybook__loop_take(struct loop_operation *operation) {
    __tsan_acquire(operation);
}
#else
void daybook__loop_give(struct loop_operation *operation) {
    (void)operation;
}

void daybook__loop_take(struct loop_operation *operation) {
    (void)operation;
}
#endif

void daybook__loop_start(grpc_call *call, const grpc_op *batch, size_t batch_count, struct loop_operation *operation) {
    daybook__loop_give(operation);
    grpc_call_error error = grpc_call_start_batch(call, batch, batch_count, operation, NULL);
    assert(error == GRPC_CALL_OK);
}

/* Runs the timers that are due. One that is started meanwhile waits for the next round, so that completions have theirs. */
static void expire(struct timers *timers) {
    const gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    while (timers->first != NULL && gpr_time_cmp(timers->first->at, now) <= 0) {
        struct timer *timer = timers->first;
        daybook__timers_remove(timers, timer);
        timer->expire(timer);
    }
}

/* The next completion, or GRPC_QUEUE_TIMEOUT when a timer, ours or one of gRPC's, is due before. */
static grpc_event next_event(struct loop *loop) {
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (loop->timers.first != NULL) {
        expire(&loop->timers);
        if (loop->timers.first != NULL) deadline = loop->timers.first->at;
    }
    return grpc_completion_queue_next(loop->queue, daybook__core_timers_bound(deadline), NULL);
}

void daybook__loop_hold(struct loop *loop) {
    if (atomic_fetch_add(&loop->holds_count, 1) > 0) return;
    pthread_mutex_lock(&loop->mutex);
    pthread_cond_signal(&loop->changed);
    pthread_mutex_unlock(&loop->mutex);
}

void daybook__loop_release(struct loop *loop) {
    const unsigned before = atomic_fetch_sub(&loop->holds_count, 1);
    assert(before > 0);
}

/* Sleeps until the loop is held, or closed. */
static void wait_for_hold(struct loop *loop) {
    if (atomic_load(&loop->holds_count) > 0) return;
    pthread_mutex_lock(&loop->mutex);
    while (atomic_load(&loop->holds_count) == 0 && !loop->closing) pthread_cond_wait(&loop->changed, &loop->mutex);
    pthread_mutex_unlock(&loop->mutex);
}

static void *run(void *argument) {
    struct loop *loop = argument;
    int64_t timers_run_seconds = 0;
    current = loop;
    for (;;) {
        wait_for_hold(loop);
        daybook__core_timers_run(&timers_run_seconds);
        grpc_event event = next_event(loop);
        if (event.type == GRPC_QUEUE_TIMEOUT) continue;
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            assert(loop->timers.first == NULL);
            return NULL;
        }
        assert(event.type == GRPC_OP_COMPLETE);
        struct loop_operation *operation = event.tag;
        daybook__loop_take(operation);
        operation->complete(operation, event.success != 0);
    }
}

/* The queue must be shut down and empty. */
static void loop_free(struct loop *loop) {
    grpc_completion_queue_destroy(loop->queue);
    loop->queue = NULL;
    pthread_cond_destroy(&loop->changed);
    pthread_mutex_destroy(&loop->mutex);
}

bool daybook__loop_open(struct loop *loop, const char *name, daybook_status *ret_status) {
    loop->queue = grpc_completion_queue_create_for_next(NULL);
    loop->timers = (struct timers){0};
    atomic_init(&loop->holds_count, 0);
    loop->closing = false;
    pthread_mutex_init(&loop->mutex, NULL);
    pthread_cond_init(&loop->changed, NULL);
    if (daybook__thread_start(&loop->thread, name, run, loop, ret_status)) return true;
    grpc_completion_queue_shutdown(loop->queue);
    loop_free(loop);
    return false;
}

void daybook__loop_close(struct loop *loop) {
    daybook__loops_close(loop, 1);
}

void daybook__loops_close(struct loop *loops, uint32_t count) {
    assert(!daybook__loop_is_inside());
    for (uint32_t i = 0; i < count; i++) {
        grpc_completion_queue_shutdown(loops[i].queue);
        pthread_mutex_lock(&loops[i].mutex);
        loops[i].closing = true;
        pthread_cond_signal(&loops[i].changed);
        pthread_mutex_unlock(&loops[i].mutex);
    }
    for (uint32_t i = 0; i < count; i++) {
        int error = pthread_join(loops[i].thread, NULL);
        assert(error == 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        loop_free(&loops[i]);
    }
}

void daybook__loop_timer_start(struct timer *timer, uint32_t pause_ms) {
    assert(current != NULL);
    timer->at = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(pause_ms, GPR_TIMESPAN));
    daybook__timers_add(&current->timers, timer);
}

void daybook__loop_timer_stop(struct timer *timer) {
    assert(current != NULL);
    if (timer->is_in_heap) daybook__timers_remove(&current->timers, timer);
}

bool daybook__loop_is_inside(void) {
    return current != NULL;
}

bool daybook__loop_is_current(const struct loop *loop) {
    return current == loop;
}
