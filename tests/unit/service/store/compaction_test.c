/* A compaction: the same log in less space, whatever happens to the log meanwhile. */
#include "service/store/compaction.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/environment.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/compactions.h"

static struct temporary_directory directory;
static struct store *store;
static struct history history;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
}

static void teardown(void) {
    store_close(store);
    history_free(&history);
    temporary_directory_remove(&directory);
}

TestSuite(compaction, .init = setup, .fini = teardown, .timeout = 600);

static bool is_there(const char *name) {
    const struct temporary_path path = temporary_path(&directory, name);
    return access(path.text, F_OK) == 0;
}

static uint64_t log_disk_bytes(void) {
    const struct temporary_path path = temporary_path(&directory, "log/data.mdb");
    struct stat status;
    cr_assert_eq(stat(path.text, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void expect_all(uint64_t offset) {
    history_expect(&history, store, offset);
    store_close(store);
    store = stores_open(directory.path);
    history_expect(&history, store, offset);
    cr_assert_not(is_there("log.new"));
    cr_assert_not(is_there("log.old"));
}

Test(compaction, the_copy_equals_the_log) {
    char id[UUID_TEXT_BYTES + 1];
    memcpy(id, store_id(store), sizeof id);
    history_append(&history, store, 5000, 300);
    history_append(&history, store, 3, 3 << 20);
    history_append(&history, store, 5000, 20);
    history_rows(&history, store, 500, 7);
    const struct compaction_progress progress = compactions_run(store);
    cr_assert_eq(progress.events_copied_count, 10003);
    cr_assert_eq(progress.events_count, 10003);
    expect_all(7);
    cr_assert_str_eq(store_id(store), id);
    history_append(&history, store, 10, 100);
    expect_all(7);
}

Test(compaction, an_empty_log_is_compacted) {
    const struct compaction_progress progress = compactions_run(store);
    cr_assert_eq(progress.events_count, 0);
    history_append(&history, store, 10, 100);
    expect_all(0);
}

/* Nine of ten records shrink to a stub: their pages are nearly empty, and LMDB does not give them back. */
Test(compaction, removed_bytes_are_given_back) {
    for (int group = 0; group < 40; group++) history_append(&history, store, 1000, 1000);
    for (uint64_t first = 1; first < 10; first++) history_rewrite(&history, store, first, 40000, 10, 0);
    const uint64_t before_bytes = log_disk_bytes();
    const uint64_t used_bytes = store_used_bytes(store);
    const struct compaction_progress progress = compactions_run(store);
    cr_assert_lt(store_used_bytes(store), used_bytes / 3);
    cr_assert_lt(log_disk_bytes(), before_bytes);
    cr_assert_eq(progress.reclaimed_bytes, before_bytes - log_disk_bytes());
    expect_all(0);
}

Test(compaction, one_at_a_time) {
    struct compaction *first = compactions_begin(store);
    struct compaction *second = NULL;
    struct problem problem;
    cr_assert_eq(compaction_begin(store, &second, &problem).failure, FAILURE_BUSY);
    cr_assert_not_null(strstr(problem.text, "already"));
    cr_assert_null(second);
    cr_assert(is_there("log.new"));
    compaction_end(first);
    cr_assert_not(is_there("log.new"));
    compactions_run(store);
    compactions_run(store);
    cr_assert_null(compaction_end(NULL));
}

Test(compaction, one_that_is_given_up_leaves_everything) {
    history_append(&history, store, 40000, 100);
    struct compaction *compaction = compactions_begin(store);
    bool is_ready = true;
    cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
    cr_assert_not(is_ready);
    cr_assert_eq(compaction_progress(compaction).events_copied_count, COMPACTION_STEP_EVENTS_COUNT_MAX);
    cr_assert_eq(compaction_progress(compaction).events_count, 40000);
    compaction_end(compaction);
    history_append(&history, store, 10, 100);
    history_rewrite(&history, store, 1, 100, 3, 5);
    expect_all(0);
}

/* What the appends wait for is bounded, and it is more at every further attempt. */
Test(compaction, a_switch_with_too_much_left_is_put_off) {
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = true;
    compactions_step_until_ready(compaction);
    history_append(&history, store, COMPACTION_SWITCH_EVENTS_COUNT_MAX + 1, 10);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert_not(is_switched);
    history_append(&history, store, 2 * COMPACTION_SWITCH_EVENTS_COUNT_MAX - 1, 10);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    cr_assert_eq(compaction_switch_count(compaction).events_copied, 2 * COMPACTION_SWITCH_EVENTS_COUNT_MAX);
    compaction_end(compaction);
    expect_all(0);
}

Test(compaction, a_switch_with_too_many_bytes_left_is_put_off) {
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = true;
    compactions_step_until_ready(compaction);
    history_append(&history, store, 5, COMPACTION_SWITCH_BYTES_MAX / 3);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert_not(is_switched);
    compactions_step_until_ready(compaction);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    compaction_end(compaction);
    expect_all(0);
}

/* Appends wait for the switch: however many checkpoints there are, it writes those that have changed since they were copied. */
Test(compaction, a_switch_copies_little) {
    enum { NAMES_COUNT = 100000 };
    history_append(&history, store, 10000, 100);
    for (uint64_t count = 2000; count <= NAMES_COUNT; count += 2000) history_rows(&history, store, count, 1);
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = false;
    compactions_step_until_ready(compaction);
    history_append(&history, store, 100, 100);
    const struct checkpoint checkpoint = {.consumer = bytes_of("consumer-77", 11), .position = 78, .recorded_ns = 2};
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    const struct compaction_switch_counts counts = compaction_switch_count(compaction);
    cr_assert_eq(counts.events_copied, 100);
    cr_assert_eq(counts.rows_copied, 1);
    cr_assert_eq(counts.rows_compared, 2 * NAMES_COUNT + 2, "checkpoints, streams, and the two of meta");
    compaction_end(compaction);
    expect_all(1);
}

Test(compaction, rewrites_of_copied_records_are_copied_again) {
    history_append(&history, store, 3 * COMPACTION_STEP_EVENTS_COUNT_MAX, 60);
    struct compaction *compaction = compactions_begin(store);
    bool is_ready;
    bool is_switched = false;
    cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
    history_rewrite(&history, store, 1, history.position_last, 1000, 7); /* copied and not copied */
    compactions_step_until_ready(compaction);
    history_rewrite(&history, store, 2, history.position_last, 1000, 90); /* at the switch */
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    history_rewrite(&history, store, 3, history.position_last, 1000, 8); /* the new log itself */
    compaction_end(compaction);
    expect_all(0);
}

/* An aborted rewrite has not happened, and one that is open when a compaction begins is heard of at its commit. */
Test(compaction, rewrites_are_heard_of_when_they_are_committed) {
    history_append(&history, store, 100, 60);
    const struct bytes record = stores_record(50, 0);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_rewrite(store, 50, record).failure, FAILURE_NONE);
    struct compaction *compaction = compactions_begin(store);
    compactions_step_until_ready(compaction);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
    history.payloads[50] = 0;
    const struct bytes other = stores_record(51, 0);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_rewrite(store, 51, other).failure, FAILURE_NONE);
    store_abort(store);
    bool is_switched = false;
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    cr_assert_eq(compaction_switch_count(compaction).events_copied, 1);
    compaction_end(compaction);
    stores_record_free(record);
    stores_record_free(other);
    expect_all(0);
}

/* What the log goes through between two steps, at random; at the end it must be what was done to it. */
static void happen(struct random *random, uint64_t *offset) {
    const uint64_t first = 1 + random_below(random, history.position_last);
    switch (random_below(random, 6)) {
    case 0:
        history_rewrite(&history, store, first, history.position_last, 1 + random_below(random, 3000),
                        random_below(random, 5000));
        return;
    case 1:
        *offset += 1 + random_below(random, 5);
        history_rows(&history, store, history.rows_count + random_below(random, 3), *offset);
        return;
    default:
        history_append(&history, store, 1 + random_below(random, 3000), random_below(random, 600));
        return;
    }
}

Test(compaction, random_histories_survive_compactions) {
    struct random random = random_start("compaction");
    uint64_t offset = 1;
    history_append(&history, store, 20000, 200);
    history_rows(&history, store, 300, offset);
    for (int round = 0; round < 6; round++) {
        struct compaction *compaction = compactions_begin(store);
        const bool is_given_up = random_below(&random, 4) == 0;
        uint64_t steps_left = random_below(&random, 12);
        bool is_switched = false;
        while (!is_switched && !(is_given_up && steps_left == 0)) {
            bool is_ready = false;
            cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
            if (steps_left > 0) {
                happen(&random, &offset);
                steps_left--;
            }
            if (is_ready) cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
        }
        compaction_end(compaction);
        happen(&random, &offset);
        expect_all(offset);
    }
}
