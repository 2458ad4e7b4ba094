/* The sequencer while memory runs out at every point, in all threads: every request is answered, and truthfully. */
#include <criterion/criterion.h>

#include "service/commit/sequencer.h"
#include "service/record/filter.h"
#include "tests/support/allocation_faults.h"
#include "tests/unit/service/commit/appends.h"

#define APPENDS_COUNT 6
#define EVENTS_COUNT  3

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    (void)failure;
}

static const struct commit_listener listener = {
    .committed = appends_ignore, .rewritten = appends_ignore_rewritten, .storage_failed = on_storage_failed};

/* What is decided in all ways: alone, by a revision, by a condition, with a checkpoint, again. */
static void appends_make(struct append *appends[APPENDS_COUNT], const struct append_condition *condition,
                         const struct append_checkpoint *checkpoint) {
    for (uint32_t index = 0; index + 1 < APPENDS_COUNT; index++) {
        appends[index] = append_new();
        append_write_add(appends[index], index == 2 ? "another-stream-with-a-long-name" : "s", EVENTS_COUNT,
                         index == 1 ? EXPECT_EXISTS : EXPECT_ANY, 0);
    }
    append_condition_set(appends[3], condition);
    append_request_of(appends[4])->checkpoint = checkpoint;
    appends[APPENDS_COUNT - 1] = append_copy(appends[0]);
}

/* Returns how many of the requests were taken. */
static uint32_t appends_run(struct rooms *rooms, struct append *appends[APPENDS_COUNT]) {
    const struct sequencer_options options = {.store = rooms->store, .index = rooms->index, .listener = &listener};
    struct sequencer *sequencer;
    const result opened = sequencer_open(&options, &sequencer);
    if (failed(opened)) {
        cr_assert_eq(opened.failure, FAILURE_MEMORY);
        return 0;
    }
    uint32_t count = 0;
    while (count < APPENDS_COUNT) {
        const result submitted = sequencer_submit(sequencer, append_request_of(appends[count]));
        if (failed(submitted)) {
            cr_assert_eq(submitted.failure, FAILURE_STOPPED, "the index has failed");
            break;
        }
        (void)append_wait(appends[count++]);
    }
    sequencer_close(sequencer);
    return count;
}

/* What is acknowledged is there; what was refused is not; what is unknown is there wholly or not at all. */
static void appends_check(struct rooms *rooms, struct append *appends[APPENDS_COUNT], uint32_t count) {
    uint64_t committed_count = 0;
    uint64_t unknown_count = 0;
    rooms_reopen(rooms);
    for (uint32_t index = 0; index < count; index++) {
        const struct append_request *request = append_request_of(appends[index]);
        switch (request->outcome) {
        case APPEND_COMMITTED:
            append_expect_stored(appends[index], rooms->store);
            if (!request->replayed) committed_count += EVENTS_COUNT;
            break;
        case APPEND_OUTCOME_UNKNOWN:
            unknown_count += EVENTS_COUNT;
            break;
        case APPEND_REVISION_CONFLICT: /* the first one has failed, so there is no stream yet */
            cr_assert_eq(index, 1);
            break;
        default:
            cr_assert_eq(request->outcome, APPEND_OUT_OF_MEMORY);
        }
    }
    const uint64_t stored_count = store_position_last(rooms->store);
    cr_assert(stored_count == committed_count || stored_count == committed_count + unknown_count,
              "%lu are stored, %lu acknowledged, %lu unknown", stored_count, committed_count, unknown_count);
}

/* Whether allocation `number` was made at all. */
static bool fail(uint32_t number, bool and_all_after) {
    const int64_t before_count = allocation_faults_live_count();
    const struct bytes type = bytes_of_text("NobodyHasThis");
    const struct filter_clause clause = {.types = {.names = &type, .count = 1}};
    struct filter *filter;
    cr_assert_eq(filter_new(&clause, 1, &filter).failure, FAILURE_NONE);
    const struct append_condition condition = {.filter = filter};
    const struct append_checkpoint checkpoint = {.consumer = bytes_of_text("consumer"), .position = 1};
    struct append *appends[APPENDS_COUNT];
    struct rooms rooms = rooms_open();
    appends_make(appends, &condition, &checkpoint);
    allocation_faults_begin(number, and_all_after);
    const uint32_t count = appends_run(&rooms, appends);
    const bool has_failed = allocation_faults_end() > 0;
    appends_check(&rooms, appends, count);
    rooms_close(&rooms);
    for (uint32_t index = 0; index < APPENDS_COUNT; index++) append_free(appends[index]);
    filter_free(filter);
    const int64_t forgotten_count = allocation_faults_live_count() - before_count;
    cr_assert_eq(forgotten_count, 0, "%ld blocks were forgotten after number %u", (long)forgotten_count, number);
    return has_failed;
}

static void fail_every(bool and_all_after) {
    cr_assert_gt(allocation_faults_each(fail, and_all_after), 10,
                 "a sequencer, its tables, chunks and entries of the index are allocated");
}

TestSuite(sequencer_allocation, .timeout = 300);

Test(sequencer_allocation, one_that_fails) {
    fail_every(false);
}

Test(sequencer_allocation, all_that_fail_from_one_on) {
    fail_every(true);
}
