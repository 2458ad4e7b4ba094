/* An append that is made again, through the committer, the log and the index. */
#include <criterion/criterion.h>

#include "service/commit/committer.h"
#include "tests/unit/service/commit/appends.h"

#define NOW_NS 1700000000000000000

static struct rooms rooms;
static struct committer committer;

static void begin(void) {
    cr_assert_eq(committer_init(&committer, rooms.store, rooms.index, &appends_listener).failure, FAILURE_NONE);
}

static void setup(void) {
    rooms = rooms_open();
    begin();
}

static void teardown(void) {
    committer_deinit(&committer);
    rooms_close(&rooms);
}

TestSuite(replays, .init = setup, .fini = teardown);

/* Commits requests as one group. */
static void commit(struct append *const *appends, uint32_t count) {
    struct log_group group = {.requests = {.requests_count = count}, .now_ns = NOW_NS};
    struct append_request *next = NULL;
    for (uint32_t index = count; index > 0; index--) {
        struct append_request *request = append_request_of(appends[index - 1]);
        request->next = next;
        group.requests.events_count += request->events_count;
        group.requests.size_bytes += request->size_bytes;
        next = request;
    }
    group.requests.first = next;
    uint32_t events_count;
    cr_assert_eq(committer_commit(&committer, &group, &events_count).failure, FAILURE_NONE);
}

static const struct append_request *commit_one(struct append *append) {
    commit(&append, 1);
    return append_request_of(append);
}

static void expect_replayed(const struct append_request *request, const struct append_result *original) {
    cr_assert_eq(request->outcome, APPEND_COMMITTED);
    cr_assert(request->replayed);
    for (uint32_t index = 0; index < request->writes_count; index++) {
        cr_assert_eq(request->results[index].first_revision, original[index].first_revision);
        cr_assert_eq(request->results[index].last_revision, original[index].last_revision);
        cr_assert_eq(request->results[index].first_position, original[index].first_position);
        cr_assert_eq(request->results[index].last_position, original[index].last_position);
    }
}

/* A request of three writes to two streams, which expects the first one to be new. */
static struct append *order_new(void) {
    struct append *append = append_new();
    append_write_add(append, "order", 2, EXPECT_REVISION, 0);
    append_write_add(append, "stock", 1, EXPECT_ANY, 0);
    append_write_add(append, "order", 2, EXPECT_ANY, 0);
    return append;
}

Test(replays, a_request_made_again_has_its_original_result_whatever_it_expects) {
    struct append *append = order_new();
    cr_assert_not(commit_one(append)->replayed);
    struct append_result original[3];
    memcpy(original, append_request_of(append)->results, sizeof original);
    struct append *other = append_of("order");
    (void)commit_one(other);
    for (uint32_t times = 0; times < 2; times++) {
        memset(append_request_of(append)->results, 0, sizeof original);
        expect_replayed(commit_one(append), original);
    }
    cr_assert_eq(store_position_last(rooms.store), 6, "nothing was written");
    append_free(other);
    append_free(append);
}

Test(replays, a_restart_forgets_nothing) {
    struct append *append = order_new();
    (void)commit_one(append);
    struct append_result original[3];
    memcpy(original, append_request_of(append)->results, sizeof original);
    committer_deinit(&committer);
    rooms_reopen(&rooms);
    begin();
    expect_replayed(commit_one(append), original);
    append_free(append);
}

/* The first attempt is still on its way when the second arrives. */
Test(replays, a_group_may_hold_both_attempts) {
    struct append *first = order_new();
    struct append *again = append_copy(first);
    struct append *appends[] = {append_of("other"), first, again};
    commit(appends, 3);
    cr_assert_not(append_request_of(first)->replayed);
    expect_replayed(append_request_of(again), append_request_of(first)->results);
    cr_assert_eq(store_position_last(rooms.store), 6);
    for (uint32_t index = 0; index < 3; index++) append_free(appends[index]);
}

static void expect_conflict(const struct append_request *request, uint32_t index, uint32_t write, uint32_t event,
                            uint64_t position) {
    cr_assert_eq(request->outcome, APPEND_ID_CONFLICT);
    cr_assert_lt(index, request->conflicts_count);
    cr_assert_eq(request->conflicts[index].kind, CONFLICT_ID);
    cr_assert_eq(request->conflicts[index].index, write);
    cr_assert_eq(request->conflicts[index].event, event);
    cr_assert_eq(request->conflicts[index].actual, position);
}

Test(replays, some_known_and_some_new_is_refused) {
    struct append *append = order_new();
    (void)commit_one(append);
    struct append *longer = append_copy(append);
    append_write_add(longer, "stock", 1, EXPECT_ANY, 0);
    const struct append_request *request = commit_one(longer);
    cr_assert_eq(request->conflicts_count, 5);
    expect_conflict(request, 2, 1, 0, 3);
    expect_conflict(request, 4, 2, 1, 5);
    cr_assert_eq(store_position_last(rooms.store), 5);
    append_free(longer);
    append_free(append);
}

Test(replays, a_known_id_in_another_stream_is_refused) {
    struct append *append = append_of("order");
    (void)commit_one(append);
    struct append *moved = append_copy(append);
    append_stream_set(moved, 0, "cart");
    expect_conflict(commit_one(moved), 0, 0, 0, 1);
    append_free(moved);
    append_free(append);
}

Test(replays, a_known_id_with_other_content_is_refused) {
    struct append *append = append_of("order");
    (void)commit_one(append);
    struct append *changed = append_copy(append);
    append_event_change(changed, 0, 0);
    expect_conflict(commit_one(changed), 0, 0, 0, 1);
    append_free(changed);
    append_free(append);
}

/* Both appends are known, but not as one write: there is no result without gaps. */
Test(replays, known_ids_that_were_not_together_are_refused) {
    struct append *first = append_of("order");
    struct append *between = append_of("stock");
    struct append *second = append_of("order");
    struct append *appends[] = {first, between, second};
    commit(appends, 3);
    struct append *both = append_new();
    append_write_join(both, first, second);
    const struct append_request *request = commit_one(both);
    cr_assert_eq(request->conflicts_count, 2);
    expect_conflict(request, 1, 0, 1, 3);
    append_free(both);
    for (uint32_t index = 0; index < 3; index++) append_free(appends[index]);
}

Test(replays, an_event_whose_id_the_daemon_made_is_always_new) {
    struct append *append = append_of("order");
    struct append *same = append_copy(append);
    append_ids_are_new(append);
    append_ids_are_new(same);
    (void)commit_one(append);
    cr_assert_not(commit_one(same)->replayed);
    cr_assert_eq(store_position_last(rooms.store), 2);
    append_free(same);
    append_free(append);
}

/* Only given ids are looked up: one that is not given must not take the place of one that is. */
Test(replays, an_id_of_the_daemon_between_given_ones) {
    struct append *known = append_of("order");
    (void)commit_one(known);
    struct append *appends[] = {append_of("stock"), append_copy(known), append_of("order")};
    append_ids_are_new(appends[0]);
    commit(appends, 3);
    cr_assert_not(append_request_of(appends[0])->replayed);
    expect_replayed(append_request_of(appends[1]), append_request_of(known)->results);
    cr_assert_not(append_request_of(appends[2])->replayed);
    cr_assert_eq(store_position_last(rooms.store), 3);
    for (uint32_t index = 0; index < 3; index++) append_free(appends[index]);
    append_free(known);
}

/* --- With a window of ids. ------------------------------------------------------------------------------------------- */

#define WINDOW 20

static void window_set(uint64_t ids_window) {
    committer_deinit(&committer);
    rooms_reopen_windowed(&rooms, ids_window, 4);
    begin();
}

/* Appends one event after the other, each a group of its own. */
static void others_commit(uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        struct append *other = append_of("other");
        (void)commit_one(other);
        append_free(other);
    }
}

/* The id counts as long as there are less than WINDOW events after it, and not a moment longer, whatever the index has. */
Test(replays, an_id_counts_inside_of_the_window_and_is_new_outside_of_it) {
    window_set(WINDOW);
    struct append *append = append_of("order");
    (void)commit_one(append);
    const struct append_result original = append_request_of(append)->results[0];
    for (uint32_t after = 0; after < WINDOW; after++) {
        expect_replayed(commit_one(append), &original);
        others_commit(1);
    }
    const struct append_request *again = commit_one(append);
    cr_assert_eq(again->outcome, APPEND_COMMITTED);
    cr_assert_not(again->replayed);
    cr_assert_eq(again->results[0].first_revision, 2);
    const struct append_result second = again->results[0];
    expect_replayed(commit_one(append), &second); /* the newest counts */
    append_free(append);
}

Test(replays, a_window_survives_a_restart) {
    window_set(WINDOW);
    others_commit(200); /* runs are merged, and their ids dropped */
    struct append *append = append_of("order");
    (void)commit_one(append);
    const struct append_result original = append_request_of(append)->results[0];
    others_commit(WINDOW - 1);
    window_set(WINDOW);
    expect_replayed(commit_one(append), &original);
    others_commit(1);
    window_set(WINDOW);
    cr_assert_not(commit_one(append)->replayed);
    append_free(append);
}

/* What was dropped is taken from the log again when all ids are asked for. */
Test(replays, permanent_after_a_window_knows_all_ids_again) {
    window_set(WINDOW);
    struct append *append = append_of("order");
    (void)commit_one(append);
    const struct append_result original = append_request_of(append)->results[0];
    others_commit(300);
    window_set(0);
    expect_replayed(commit_one(append), &original);
    append_free(append);
}

/* The earlier requests of a group count as what was committed before it does. */
Test(replays, a_window_is_counted_within_a_group_too) {
    window_set(2);
    struct append *first = append_of("order");
    struct append *appends[] = {first, append_of("other"), append_copy(first), append_of("other"), append_copy(first)};
    commit(appends, 5);
    cr_assert(append_request_of(appends[2])->replayed);
    cr_assert_not(append_request_of(appends[4])->replayed);
    cr_assert_eq(store_position_last(rooms.store), 4);
    for (uint32_t index = 0; index < 5; index++) append_free(appends[index]);
}
