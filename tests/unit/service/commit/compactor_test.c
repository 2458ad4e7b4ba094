/* Compactions beside appends: one at a time, ended by whoever may end them, and told of once. */
#include "service/commit/compactor.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "service/commit/sequencer.h"
#include "tests/support/system_faults.h"
#include "tests/unit/service/commit/appends.h"

static struct rooms rooms;
static struct sequencer *sequencer;
static struct compactor *compactor;
static atomic_uint storage_failures_count;

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    (void)failure;
    atomic_fetch_add(&storage_failures_count, 1);
}

static const struct commit_listener listener = {.committed = appends_ignore, .storage_failed = on_storage_failed};

static void setup(void) {
    rooms = rooms_open();
    const struct sequencer_options options = {.store = rooms.store, .index = rooms.index, .listener = &listener};
    cr_assert_eq(sequencer_open(&options, &sequencer).failure, FAILURE_NONE);
    cr_assert_eq(compactor_open(rooms.store, rooms.index, sequencer, &compactor).failure, FAILURE_NONE);
}

static void teardown(void) {
    compactor_close(compactor);
    sequencer_close(sequencer);
    rooms_close(&rooms);
}

TestSuite(compactor, .init = setup, .fini = teardown);

/* Where the end of a compaction is waited for. */
struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    unsigned ends_count;
    struct compactor_end end;
};

#define WAITER                                                                                                         \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER }

static void on_ended(void *context, const struct compactor_end *end) {
    struct waiter *waiter = context;
    pthread_mutex_lock(&waiter->mutex);
    waiter->ends_count++;
    waiter->end = *end;
    pthread_cond_signal(&waiter->ended);
    pthread_mutex_unlock(&waiter->mutex);
}

static struct compactor_end wait_for_end(struct waiter *waiter) {
    pthread_mutex_lock(&waiter->mutex);
    while (waiter->ends_count == 0) pthread_cond_wait(&waiter->ended, &waiter->mutex);
    cr_assert_eq(waiter->ends_count, 1);
    waiter->ends_count = 0;
    const struct compactor_end end = waiter->end;
    pthread_mutex_unlock(&waiter->mutex);
    return end;
}

/* Appends and returns the request, to be compared with what is stored. */
static struct append *append_one(const char *stream) {
    struct append *append = append_of(stream);
    cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_NONE);
    cr_assert_eq(append_wait(append), APPEND_COMMITTED);
    return append;
}

Test(compactor, a_compaction_ends_with_its_figures) {
    struct append *before = append_one("s");
    struct waiter waiter = WAITER;
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
    const struct compactor_end end = wait_for_end(&waiter);
    cr_assert_eq(end.failure, FAILURE_NONE);
    cr_assert_eq(end.progress.events_copied_count, 1);
    cr_assert_eq(end.progress.events_count, 1);
    struct append *after = append_one("s");
    append_expect_stored(before, rooms.store);
    append_expect_stored(after, rooms.store);
    append_free(before);
    append_free(after);
}

/* Holds the sequencer up, so that a compaction cannot end. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_reached;
    bool is_open;
};

#define GATE                                                                                                           \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static result gate_pass(void *context) {
    struct gate *gate = context;
    pthread_mutex_lock(&gate->mutex);
    gate->is_reached = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open) pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return RESULT_OK;
}

static void *gate_run(void *context) {
    result outcome;
    cr_assert_eq(sequencer_run(sequencer, gate_pass, context, &outcome).failure, FAILURE_NONE);
    return NULL;
}

static pthread_t gate_close(struct gate *gate) {
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, gate_run, gate), 0);
    pthread_mutex_lock(&gate->mutex);
    while (!gate->is_reached) pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return thread;
}

static void gate_open(struct gate *gate, pthread_t thread) {
    pthread_mutex_lock(&gate->mutex);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
    pthread_join(thread, NULL);
}

Test(compactor, one_at_a_time) {
    struct waiter first = WAITER;
    struct waiter second = WAITER;
    struct gate gate = GATE;
    const pthread_t thread = gate_close(&gate);
    cr_assert_eq(compactor_start(compactor, on_ended, &first).failure, FAILURE_NONE);
    cr_assert_eq(compactor_start(compactor, on_ended, &second).failure, FAILURE_BUSY);
    compactor_cancel(compactor, &second); /* whose compaction does not exist */
    gate_open(&gate, thread);
    cr_assert_eq(wait_for_end(&first).failure, FAILURE_NONE);
    cr_assert_eq(second.ends_count, 0);
    /* The end is told of when the next may start. */
    cr_assert_eq(compactor_start(compactor, on_ended, &second).failure, FAILURE_NONE);
    cr_assert_eq(wait_for_end(&second).failure, FAILURE_NONE);
}

Test(compactor, a_cancelled_one_leaves_the_log) {
    struct append *before = append_one("s");
    bool was_cancelled = false;
    while (!was_cancelled) { /* it may come too late */
        struct waiter waiter = WAITER;
        cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
        compactor_cancel(compactor, &waiter);
        was_cancelled = wait_for_end(&waiter).failure == FAILURE_STOPPED;
    }
    append_expect_stored(before, rooms.store);
    append_free(before);
    struct waiter waiter = WAITER;
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
    cr_assert_eq(wait_for_end(&waiter).failure, FAILURE_NONE);
}

Test(compactor, a_drain_ends_it_and_lets_no_other_start) {
    struct waiter waiter = WAITER;
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
    compactor_stop(compactor);
    const enum failure failure = wait_for_end(&waiter).failure;
    cr_assert(failure == FAILURE_STOPPED || failure == FAILURE_NONE, "%s", failure_name(failure));
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_STOPPED);
    append_free(append_one("s"));
}

Test(compactor, the_close_waits_for_the_one_at_work) {
    struct waiter waiter = WAITER;
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
    compactor = compactor_close(compactor);
    cr_assert_null(compactor);
    cr_assert_eq(waiter.ends_count, 1);
}

/* The exchange may or may not be on disk: the one failure of a compaction that is the log's. The fault holds for threads that
 * are started after it. */
Test(compactor, an_exchange_that_is_not_known_stops_everything) {
    append_free(append_one("s"));
    compactor_close(compactor);
    sequencer_close(sequencer);
    system_fault(SYS_renameat2, EIO);
    const struct sequencer_options options = {.store = rooms.store, .index = rooms.index, .listener = &listener};
    cr_assert_eq(sequencer_open(&options, &sequencer).failure, FAILURE_NONE);
    cr_assert_eq(compactor_open(rooms.store, rooms.index, sequencer, &compactor).failure, FAILURE_NONE);
    struct waiter waiter = WAITER;
    cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
    cr_assert_eq(wait_for_end(&waiter).failure, FAILURE_STORAGE);
    cr_assert_eq(atomic_load(&storage_failures_count), 1);
    struct append *append = append_of("s");
    cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_STOPPED);
    append_free(append);
}

/* --- Appends and compactions at once. ------------------------------------------------------------------------------- */

enum { COMPACTIONS_COUNT = 20 };

static atomic_bool stopping;

static void *append_always(void *context) {
    uint64_t revision = 0;
    while (!atomic_load(&stopping)) {
        struct append *append = append_expecting(context, revision++);
        cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_NONE);
        cr_assert_eq(append_wait(append), APPEND_COMMITTED);
        append_expect_stored(append, rooms.store);
        append_free(append);
    }
    return NULL;
}

Test(compactor, appends_go_on) {
    pthread_t threads[2];
    cr_assert_eq(pthread_create(&threads[0], NULL, append_always, (void *)(uintptr_t) "a"), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, append_always, (void *)(uintptr_t) "b"), 0);
    for (int count = 0; count < COMPACTIONS_COUNT; count++) {
        struct waiter waiter = WAITER;
        cr_assert_eq(compactor_start(compactor, on_ended, &waiter).failure, FAILURE_NONE);
        cr_assert_eq(wait_for_end(&waiter).failure, FAILURE_NONE);
    }
    atomic_store(&stopping, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}
