/* The state machine: what is accepted, what is refused, and that the same input gives the same bytes. */
#include <criterion/criterion.h>

#include "service/commit/apply.h"
#include "service/commit/conditions.h"
#include "service/commit/replays.h"
#include "service/commit/revisions.h"
#include "service/record/record.h"
#include "tests/unit/service/commit/appends.h"

#define NOW_NS 1700000000000000000

/* One replica. */
struct machine {
    struct rooms rooms;
    struct revisions *revisions;
    struct replays *replays;
    struct conditions *conditions;
    struct apply apply;
};

static void machine_open(struct machine *machine) {
    machine->rooms = rooms_open();
    cr_assert_eq(revisions_new(machine->rooms.store, machine->rooms.index, &machine->revisions).failure, FAILURE_NONE);
    cr_assert_eq(replays_new(machine->rooms.store, machine->rooms.index, &machine->replays).failure, FAILURE_NONE);
    cr_assert_eq(conditions_new(machine->rooms.store, machine->rooms.index, &machine->conditions).failure,
                 FAILURE_NONE);
    cr_assert_eq(
        apply_init(&machine->apply, machine->rooms.store, machine->revisions, machine->replays, machine->conditions)
            .failure,
        FAILURE_NONE);
}

static void machine_close(struct machine *machine) {
    conditions_free(machine->conditions);
    replays_free(machine->replays);
    revisions_free(machine->revisions);
    rooms_close(&machine->rooms);
}

static struct machine machine;

static void setup(void) {
    machine_open(&machine);
}

static void teardown(void) {
    machine_close(&machine);
}

TestSuite(apply, .init = setup, .fini = teardown);

static struct append_request *chain(struct append *const *appends, uint32_t count) {
    for (uint32_t index = 0; index + 1 < count; index++) {
        append_request_of(appends[index])->next = append_request_of(appends[index + 1]);
    }
    append_request_of(appends[count - 1])->next = NULL;
    return append_request_of(appends[0]);
}

/* Applies and commits a group; returns the chunk, which the caller gives back. */
static struct chunk *commit_on(struct machine *on, struct append *const *appends, uint32_t count, int64_t now_ns) {
    struct chunk *chunk;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    cr_assert_eq(store_begin(on->rooms.store).failure, FAILURE_NONE);
    cr_assert_eq(apply_group(&on->apply, chain(appends, count), now_ns, chunk).failure, FAILURE_NONE);
    if (chunk_records_count(chunk) > 0) {
        cr_assert_eq(store_commit(on->rooms.store).failure, FAILURE_NONE);
    } else {
        store_abort(on->rooms.store);
    }
    apply_commit(&on->apply, chunk);
    return chunk;
}

static void commit(struct append *const *appends, uint32_t count) {
    chunk_unref(commit_on(&machine, appends, count, NOW_NS));
}

static enum append_outcome commit_one(struct append *append) {
    commit(&append, 1);
    return append_request_of(append)->outcome;
}

static enum append_outcome commit_and_free(struct append *append) {
    const enum append_outcome outcome = commit_one(append);
    append_free(append);
    return outcome;
}

Test(apply, positions_and_revisions_begin_at_1_and_have_no_gap) {
    struct append *append = append_new();
    append_write_add(append, "a", 3, EXPECT_ANY, 0);
    append_write_add(append, "b", 2, EXPECT_ANY, 0);
    append_write_add(append, "a", 1, EXPECT_ANY, 0);
    cr_assert_eq(commit_one(append), APPEND_COMMITTED);
    const struct append_result *results = append_request_of(append)->results;
    cr_assert_eq(results[0].first_position, 1);
    cr_assert_eq(results[0].last_revision, 3);
    cr_assert_eq(results[1].first_position, 4);
    cr_assert_eq(results[1].first_revision, 1);
    cr_assert_eq(results[2].first_position, 6);
    cr_assert_eq(results[2].first_revision, 4, "the second write to a stream goes on where the first ended");
    append_expect_stored(append, machine.rooms.store);
    append_free(append);
}

Test(apply, an_expected_revision_holds_or_conflicts) {
    cr_assert_eq(commit_and_free(append_expecting("s", 1)), APPEND_REVISION_CONFLICT);
    cr_assert_eq(commit_and_free(append_expecting("s", 0)), APPEND_COMMITTED);
    cr_assert_eq(commit_and_free(append_expecting("s", 0)), APPEND_REVISION_CONFLICT);
    cr_assert_eq(commit_and_free(append_expecting("s", 2)), APPEND_REVISION_CONFLICT);
    cr_assert_eq(commit_and_free(append_expecting("s", 1)), APPEND_COMMITTED);
    cr_assert_eq(commit_and_free(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(store_position_last(machine.rooms.store), 3);
}

Test(apply, a_stream_that_must_exist) {
    struct append *early = append_new();
    append_write_add(early, "s", 1, EXPECT_EXISTS, 0);
    cr_assert_eq(commit_and_free(early), APPEND_REVISION_CONFLICT);
    cr_assert_eq(commit_and_free(append_of("s")), APPEND_COMMITTED);
    struct append *late = append_new();
    append_write_add(late, "s", 1, EXPECT_EXISTS, 0);
    cr_assert_eq(commit_and_free(late), APPEND_COMMITTED);
}

Test(apply, a_check_concerns_a_stream_that_is_not_written) {
    cr_assert_eq(commit_and_free(append_of("account")), APPEND_COMMITTED);
    struct append *good = append_of("order");
    append_check_add(good, "account", EXPECT_REVISION, 1);
    append_check_add(good, "nobody", EXPECT_REVISION, 0);
    cr_assert_eq(commit_and_free(good), APPEND_COMMITTED);
    struct append *bad = append_of("order");
    append_check_add(bad, "account", EXPECT_REVISION, 2);
    cr_assert_eq(commit_and_free(bad), APPEND_REVISION_CONFLICT);
}

Test(apply, all_conflicts_are_told_and_nothing_is_written) {
    cr_assert_eq(commit_and_free(append_of("a")), APPEND_COMMITTED);
    struct append *append = append_new();
    append_write_add(append, "a", 1, EXPECT_REVISION, 0);
    append_write_add(append, "b", 1, EXPECT_ANY, 0);
    append_write_add(append, "c", 1, EXPECT_EXISTS, 0);
    append_check_add(append, "a", EXPECT_REVISION, 1);
    append_check_add(append, "d", EXPECT_REVISION, 5);
    cr_assert_eq(commit_one(append), APPEND_REVISION_CONFLICT);
    const struct append_request *request = append_request_of(append);
    cr_assert_eq(request->conflicts_count, 3);
    cr_assert(request->conflicts[0].kind == CONFLICT_WRITE && request->conflicts[0].index == 0);
    cr_assert_eq(request->conflicts[0].actual, 1);
    cr_assert(request->conflicts[1].kind == CONFLICT_WRITE && request->conflicts[1].index == 2);
    cr_assert(request->conflicts[2].kind == CONFLICT_CHECK && request->conflicts[2].index == 1);
    cr_assert_eq(request->conflicts[2].actual, 0);
    append_free(append);
    cr_assert_eq(store_position_last(machine.rooms.store), 1);
    cr_assert_eq(commit_and_free(append_expecting("b", 0)), APPEND_COMMITTED, "b is still new");
}

Test(apply, a_refused_request_does_not_disturb_its_group) {
    struct append *appends[] = {append_expecting("s", 0), append_expecting("s", 0), append_expecting("s", 1),
                                append_expecting("t", 7), append_of("t")};
    commit(appends, 5);
    static const enum append_outcome outcomes[] = {APPEND_COMMITTED, APPEND_REVISION_CONFLICT, APPEND_COMMITTED,
                                                   APPEND_REVISION_CONFLICT, APPEND_COMMITTED};
    for (uint32_t index = 0; index < 5; index++) {
        cr_assert_eq(append_request_of(appends[index])->outcome, outcomes[index]);
        if (outcomes[index] == APPEND_COMMITTED) append_expect_stored(appends[index], machine.rooms.store);
        append_free(appends[index]);
    }
    cr_assert_eq(store_position_last(machine.rooms.store), 3);
}

/* The times of the records of a chunk. */
static int64_t recorded_ns(const struct chunk *chunk, uint32_t index) {
    struct record record;
    cr_assert_eq(record_read(chunk_record(chunk, index), &record).failure, FAILURE_NONE);
    return record.recorded_ns;
}

Test(apply, an_append_has_one_time_and_the_next_a_later_one) {
    struct append *first = append_new();
    append_write_add(first, "a", 2, EXPECT_ANY, 0);
    struct append *appends[] = {first, append_of("b")};
    struct chunk *chunk = commit_on(&machine, appends, 2, NOW_NS);
    cr_assert_eq(recorded_ns(chunk, 0), NOW_NS);
    cr_assert_eq(recorded_ns(chunk, 1), NOW_NS);
    cr_assert_eq(recorded_ns(chunk, 2), NOW_NS + 1);
    chunk_unref(chunk);
    for (uint32_t index = 0; index < 2; index++) append_free(appends[index]);
}

Test(apply, time_goes_on_when_the_clock_goes_back) {
    struct append *before = append_of("s");
    chunk_unref(commit_on(&machine, &before, 1, NOW_NS));
    append_free(before);
    struct append *after = append_of("s");
    struct chunk *chunk = commit_on(&machine, &after, 1, NOW_NS - 1000000);
    cr_assert_eq(recorded_ns(chunk, 0), NOW_NS + 1);
    chunk_unref(chunk);
    append_free(after);

    struct apply again;
    cr_assert_eq(
        apply_init(&again, machine.rooms.store, machine.revisions, machine.replays, machine.conditions).failure,
        FAILURE_NONE);
    cr_assert_eq(again.recorded_last_ns, NOW_NS + 1, "and after a restart");
    cr_assert_eq(again.position_last, 2);
}

Test(apply, what_writes_no_event_does_not_move_the_time) {
    struct append *first = append_of("s");
    chunk_unref(commit_on(&machine, &first, 1, NOW_NS));
    struct append_stream_change change = {.kind = STREAM_CHANGE_SETTINGS,
                                          .stream = bytes_of_text("s"),
                                          .term = term_of(TERM_STREAM, bytes_of_text("s")),
                                          .max_count = 3};
    struct append *settings = append_new();
    append_request_of(settings)->change = &change;
    chunk_unref(commit_on(&machine, &settings, 1, NOW_NS + 1000));
    cr_assert_eq(append_request_of(settings)->outcome, APPEND_COMMITTED);
    cr_assert_eq(machine.apply.recorded_last_ns, NOW_NS, "a machine that starts again would not know another time");
    append_free(first);
    append_free(settings);
}

Test(apply, an_aborted_group_never_happened) {
    cr_assert_eq(commit_and_free(append_of("s")), APPEND_COMMITTED);
    struct append *lost = append_expecting("s", 1);
    struct chunk *chunk;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    cr_assert_eq(store_begin(machine.rooms.store).failure, FAILURE_NONE);
    cr_assert_eq(apply_group(&machine.apply, append_request_of(lost), NOW_NS * 2, chunk).failure, FAILURE_NONE);
    store_abort(machine.rooms.store);
    apply_abort(&machine.apply);
    chunk_unref(chunk);
    append_free(lost);

    struct append *next = append_expecting("s", 1);
    chunk = commit_on(&machine, &next, 1, NOW_NS + 10);
    cr_assert_eq(append_request_of(next)->outcome, APPEND_COMMITTED);
    cr_assert_eq(append_request_of(next)->results[0].first_position, 2);
    cr_assert_eq(recorded_ns(chunk, 0), NOW_NS + 10, "its time is forgotten, too");
    chunk_unref(chunk);
    append_free(next);
}

Test(apply, the_same_groups_give_the_same_bytes) {
    struct machine other;
    machine_open(&other);
    for (int64_t round = 0; round < 20; round++) {
        struct append *appends[] = {append_of("a"), append_expecting("b", (uint64_t)round / 2), append_of("c")};
        struct chunk *one = commit_on(&machine, appends, 3, NOW_NS + round * 1000);
        struct chunk *two = commit_on(&other, appends, 3, NOW_NS + round * 1000);
        const uint32_t count = chunk_records_count(one);
        cr_assert_eq(count, chunk_records_count(two));
        cr_assert(bytes_equal(chunk_framed(one, 0, count), chunk_framed(two, 0, count)));
        chunk_unref(one);
        chunk_unref(two);
        for (uint32_t index = 0; index < 3; index++) append_free(appends[index]);
    }
    machine_close(&other);
}
