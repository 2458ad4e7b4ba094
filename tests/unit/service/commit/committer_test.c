/* One group to the disk, the index and the readers, and what its requests are told when that fails. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/syscall.h>

#include "service/commit/committer.h"
#include "tests/support/system_faults.h"
#include "tests/unit/service/commit/appends.h"

static struct rooms rooms;
static struct committer committer;

/* What the listener has heard. */
static uint32_t committed_count;
static uint64_t committed_last;
static uint32_t failed_count;

static void on_committed(void *context, struct chunk *chunk) {
    cr_assert_eq(context, &rooms);
    committed_count++;
    committed_last = chunk_position_last(chunk);
    cr_assert_eq(store_position_last(rooms.store), committed_last, "on disk before anybody hears of it");
    struct index_entry entry;
    const struct term term = term_of(TERM_STREAM, bytes_of_text("s"));
    cr_assert_eq(index_last(rooms.index, term, &entry).failure, FAILURE_NONE, "and in the index");
}

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_eq(failure, FAILURE_STORAGE);
    failed_count++;
}

static const struct commit_listener listener = {.committed = on_committed,
                                                .rewritten = appends_ignore_rewritten,
                                                .storage_failed = on_storage_failed,
                                                .context = &rooms};

static void setup(void) {
    rooms = rooms_open();
    cr_assert_eq(committer_init(&committer, rooms.store, rooms.index, &listener).failure, FAILURE_NONE);
}

static void teardown(void) {
    committer_deinit(&committer);
    rooms_close(&rooms);
}

TestSuite(committer, .init = setup, .fini = teardown);

static enum failure commit(struct append *const *appends, uint32_t count, uint32_t *ret_events_count) {
    struct log_group group = {.requests = {.first = append_request_of(appends[0]), .requests_count = count},
                              .now_ns = 1700000000000000000};
    for (uint32_t index = 0; index < count; index++) {
        append_request_of(appends[index])->next = index + 1 < count ? append_request_of(appends[index + 1]) : NULL;
        group.requests.events_count += append_request_of(appends[index])->events_count;
        group.requests.size_bytes += append_request_of(appends[index])->size_bytes;
    }
    return committer_commit(&committer, &group, ret_events_count).failure;
}

Test(committer, a_group_is_on_disk_and_indexed_before_the_listener_hears) {
    struct append *appends[] = {append_of("s"), append_of("s")};
    uint32_t events_count = 0;
    cr_assert_eq(commit(appends, 2, &events_count), FAILURE_NONE);
    cr_assert_eq(events_count, 2);
    cr_assert_eq(committed_count, 1, "once a group");
    cr_assert_eq(committed_last, 2);
    for (uint32_t index = 0; index < 2; index++) {
        append_expect_stored(appends[index], rooms.store);
        cr_assert_not(append_is_done(appends[index]), "the answers are the sequencer's business");
        append_free(appends[index]);
    }
}

Test(committer, a_group_of_refused_requests_commits_nothing) {
    struct append *append = append_expecting("s", 9);
    uint32_t events_count = 77;
    cr_assert_eq(commit(&append, 1, &events_count), FAILURE_NONE);
    cr_assert_eq(events_count, 0);
    cr_assert_eq(committed_count, 0);
    cr_assert_eq(append_request_of(append)->outcome, APPEND_REVISION_CONFLICT);
    append_free(append);
}

/* The second conflict was decided by an event that may be lost. */
Test(committer, a_disk_that_fails_leaves_the_outcome_unknown_and_a_conflict_before_it_a_conflict) {
    struct append *appends[] = {append_expecting("s", 9), append_of("s"), append_expecting("s", 0)};
    system_fault(SYS_fdatasync, EIO);
    uint32_t events_count = 77;
    cr_assert_eq(commit(appends, 3, &events_count), FAILURE_STORAGE);
    cr_assert_eq(events_count, 0);
    cr_assert_eq(failed_count, 1);
    cr_assert_eq(committed_count, 0);
    cr_assert_eq(append_request_of(appends[0])->outcome, APPEND_REVISION_CONFLICT);
    cr_assert_eq(append_request_of(appends[1])->outcome, APPEND_OUTCOME_UNKNOWN);
    cr_assert_eq(append_request_of(appends[2])->outcome, APPEND_OUTCOME_UNKNOWN);
    for (uint32_t index = 0; index < 3; index++) append_free(appends[index]);
}
