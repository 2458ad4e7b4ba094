/* The one writer: everything that was submitted is answered, in order, after it is on disk; or the disk has failed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "service/base/clock.h"
#include "service/commit/sequencer.h"
#include "tests/support/system_faults.h"
#include "tests/unit/service/commit/appends.h"

static struct rooms rooms;
static struct sequencer *sequencer;
static atomic_uint failed_count;

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    (void)failure;
    atomic_fetch_add(&failed_count, 1);
}

static const struct commit_listener listener = {
    .committed = appends_ignore, .rewritten = appends_ignore_rewritten, .storage_failed = on_storage_failed};

static void begin(void) {
    const struct sequencer_options options = {.store = rooms.store, .index = rooms.index, .listener = &listener};
    cr_assert_eq(sequencer_open(&options, &sequencer).failure, FAILURE_NONE);
}

static void setup(void) {
    rooms = rooms_open();
}

static void teardown(void) {
    rooms_close(&rooms);
}

TestSuite(sequencer, .init = setup, .fini = teardown);

static void submit(struct append *append) {
    cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_NONE);
}

Test(sequencer, an_append_is_on_disk_when_it_is_answered) {
    begin();
    struct append *append = append_of("s");
    submit(append);
    cr_assert_eq(append_wait(append), APPEND_COMMITTED);
    append_expect_stored(append, rooms.store);
    append_free(append);
    sequencer = sequencer_close(sequencer);
}

Test(sequencer, the_close_answers_what_is_queued) {
    begin();
    struct append *appends[100];
    for (uint32_t index = 0; index < 100; index++) {
        appends[index] = append_of("s");
        submit(appends[index]);
    }
    sequencer = sequencer_close(sequencer);
    for (uint32_t index = 0; index < 100; index++) {
        cr_assert(append_is_done(appends[index]));
        append_expect_stored(appends[index], rooms.store);
        append_free(appends[index]);
    }
}

Test(sequencer, counts_what_it_did) {
    begin();
    struct append *good = append_new();
    append_write_add(good, "s", 3, EXPECT_ANY, 0);
    struct append *bad = append_expecting("s", 9);
    submit(good);
    submit(bad);
    append_wait(good);
    append_wait(bad);
    struct sequencer *open = sequencer;
    /* The answer of the last request comes before its counting. */
    while (sequencer_count(open).requests_refused == 0) {
    }
    const struct sequencer_counts counts = sequencer_count(open);
    cr_assert_eq(counts.events_committed, 3);
    cr_assert_eq(counts.requests_committed, 1);
    cr_assert_eq(counts.requests_refused, 1);
    cr_assert_eq(counts.groups_committed, 1);
    cr_assert_eq(counts.queue_requests_count, 0);
    append_free(good);
    append_free(bad);
    sequencer = sequencer_close(sequencer);
}

#define WRITERS_COUNT      4
#define APPENDS_PER_WRITER 200

/* Appends one after the other, each expecting the revision that the one before has made. */
static void *append_in_turn(void *context) {
    const char *stream = context;
    for (uint64_t revision = 0; revision < APPENDS_PER_WRITER; revision++) {
        struct append *append = append_expecting(stream, revision);
        submit(append);
        cr_assert_eq(append_wait(append), APPEND_COMMITTED);
        append_expect_stored(append, rooms.store);
        append_free(append);
    }
    return NULL;
}

Test(sequencer, many_writers_never_miss_their_own_writes) {
    begin();
    pthread_t threads[WRITERS_COUNT];
    char streams[WRITERS_COUNT][8];
    for (uint32_t index = 0; index < WRITERS_COUNT; index++) {
        (void)snprintf(streams[index], sizeof streams[index], "s-%u", index);
        pthread_create(&threads[index], NULL, append_in_turn, streams[index]);
    }
    for (uint32_t index = 0; index < WRITERS_COUNT; index++) pthread_join(threads[index], NULL);
    sequencer = sequencer_close(sequencer);
    cr_assert_eq(store_position_last(rooms.store), WRITERS_COUNT * APPENDS_PER_WRITER, "gapless");
}

/* What a function between two groups may do: a transaction of its own, in which nobody else is. */
static result checkpoint_count(void *context) {
    uint64_t *calls_count = context;
    const struct bytes consumer = bytes_of("counter", 7);
    uint64_t position;
    TRY(store_begin(rooms.store));
    cr_assert_eq(store_checkpoint_get(rooms.store, consumer, &position).failure, FAILURE_NONE);
    const struct checkpoint checkpoint = {.consumer = consumer, .position = position + 1, .recorded_ns = 1};
    cr_assert_eq(store_checkpoint_put(rooms.store, &checkpoint).failure, FAILURE_NONE);
    (*calls_count)++;
    return store_commit(rooms.store);
}

/* Holds the sequencer's thread between two groups, so that a test says what waits when it goes on. */
static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool reached;
    bool open;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static result gate_pass(void *context) {
    (void)context;
    pthread_mutex_lock(&gate.mutex);
    gate.reached = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open) pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    return RESULT_OK;
}

static void *gate_run(void *context) {
    (void)context;
    result outcome = RESULT_OK;
    cr_assert_eq(sequencer_run(sequencer, gate_pass, NULL, &outcome).failure, FAILURE_NONE);
    return NULL;
}

static pthread_t gate_close(void) {
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, gate_run, NULL), 0);
    pthread_mutex_lock(&gate.mutex);
    while (!gate.reached) pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    return thread;
}

static void gate_open(pthread_t thread) {
    pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    pthread_join(thread, NULL);
}

static struct append *submit_until(const char *stream, int64_t deadline_ns) {
    struct append *append = append_of(stream);
    append_request_of(append)->deadline_ns = deadline_ns;
    submit(append);
    return append;
}

Test(sequencer, a_request_whose_deadline_has_passed_is_not_written) {
    const int64_t now_ns = clock_monotonic_ns();
    const int64_t hour_ns = INT64_C(3600000000000);
    begin();
    const pthread_t held = gate_close();
    struct append *late = submit_until("late", now_ns);
    struct append *patient = submit_until("patient", 0);
    struct append *later = submit_until("late", 1);
    struct append *in_time = submit_until("in time", now_ns + hour_ns);
    struct append *last = submit_until("late", now_ns);
    gate_open(held);
    cr_assert_eq(append_wait(late), APPEND_EXPIRED);
    cr_assert_eq(append_wait(later), APPEND_EXPIRED);
    cr_assert_eq(append_wait(last), APPEND_EXPIRED);
    cr_assert_eq(append_wait(patient), APPEND_COMMITTED);
    cr_assert_eq(append_wait(in_time), APPEND_COMMITTED);
    cr_assert_eq(sequencer_count(sequencer).requests_expired, 3);
    sequencer = sequencer_close(sequencer);
    append_expect_stored(patient, rooms.store);
    append_expect_stored(in_time, rooms.store);
    cr_assert_eq(store_position_last(rooms.store), 2);
    struct append *const all[] = {late, patient, later, in_time, last};
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) append_free(all[index]);
}

Test(sequencer, a_group_of_which_nothing_is_left_writes_nothing) {
    begin();
    struct append *late = submit_until("s", clock_monotonic_ns());
    cr_assert_eq(append_wait(late), APPEND_EXPIRED);
    append_free(late);
    struct append *append = append_of("s");
    submit(append);
    cr_assert_eq(append_wait(append), APPEND_COMMITTED);
    sequencer = sequencer_close(sequencer);
    append_expect_stored(append, rooms.store);
    cr_assert_eq(store_position_last(rooms.store), 1);
    append_free(append);
}

static void *run_in_turn(void *context) {
    uint64_t *calls_count = context;
    for (uint32_t index = 0; index < APPENDS_PER_WRITER; index++) {
        result outcome = failure_result(FAILURE_LIMIT);
        cr_assert_eq(sequencer_run(sequencer, checkpoint_count, calls_count, &outcome).failure, FAILURE_NONE);
        cr_assert_eq(outcome.failure, FAILURE_NONE);
    }
    return NULL;
}

Test(sequencer, functions_run_between_the_groups_of_many_writers) {
    begin();
    pthread_t threads[4];
    uint64_t calls_count = 0; /* the sequencer's alone */
    cr_assert_eq(pthread_create(&threads[0], NULL, append_in_turn, (void *)(uintptr_t) "a"), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, append_in_turn, (void *)(uintptr_t) "b"), 0);
    cr_assert_eq(pthread_create(&threads[2], NULL, run_in_turn, &calls_count), 0);
    cr_assert_eq(pthread_create(&threads[3], NULL, run_in_turn, &calls_count), 0);
    for (uint32_t index = 0; index < 4; index++) pthread_join(threads[index], NULL);
    sequencer = sequencer_close(sequencer);
    cr_assert_eq(calls_count, 2 * APPENDS_PER_WRITER);
    cr_assert_eq(store_position_last(rooms.store), 2 * APPENDS_PER_WRITER);
}

static result fail_as(void *context) {
    return *(result *)context;
}

Test(sequencer, a_function_that_fails_concerns_its_caller_alone) {
    begin();
    result wanted = failure_result(FAILURE_CORRUPT);
    result outcome = RESULT_OK;
    cr_assert_eq(sequencer_run(sequencer, fail_as, &wanted, &outcome).failure, FAILURE_NONE);
    cr_assert_eq(outcome.failure, FAILURE_CORRUPT);
    struct append *append = append_of("s");
    submit(append);
    cr_assert_eq(append_wait(append), APPEND_COMMITTED);
    append_free(append);
    cr_assert_eq(atomic_load(&failed_count), 0);
    sequencer = sequencer_close(sequencer);
}

Test(sequencer, a_function_may_say_that_the_disk_has_failed) {
    begin();
    result wanted = failure_result(FAILURE_STORAGE);
    result outcome = RESULT_OK;
    cr_assert_eq(sequencer_run(sequencer, fail_as, &wanted, &outcome).failure, FAILURE_NONE);
    cr_assert_eq(outcome.failure, FAILURE_STORAGE);
    cr_assert_eq(atomic_load(&failed_count), 1);
    struct append *append = append_of("s");
    cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_STOPPED);
    cr_assert_eq(sequencer_run(sequencer, fail_as, &wanted, &outcome).failure, FAILURE_STOPPED);
    append_free(append);
    sequencer = sequencer_close(sequencer);
}

Test(sequencer, nothing_is_acknowledged_after_the_disk_has_failed) {
    system_fault(SYS_fdatasync, EIO);
    begin();
    struct append *first = append_of("s");
    submit(first);
    cr_assert_eq(append_wait(first), APPEND_OUTCOME_UNKNOWN);
    struct append *second = append_of("s");
    const enum failure refusal = sequencer_submit(sequencer, append_request_of(second)).failure;
    cr_assert_eq(refusal, FAILURE_STOPPED);
    cr_assert_not(append_is_done(second));
    cr_assert_eq(atomic_load(&failed_count), 1);
    sequencer = sequencer_close(sequencer);
    append_free(first);
    append_free(second);
}
