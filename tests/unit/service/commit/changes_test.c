/* Settings, deletion and the taking away of bytes, decided among appends in their order, also within one group. */
#include "service/commit/changes.h"

#include <criterion/criterion.h>

#include "service/commit/committer.h"
#include "service/record/remains.h"
#include "tests/unit/service/commit/appends.h"

#define NOW_NS    1700000000000000000
#define SECOND_NS INT64_C(1000000000)

static struct rooms rooms;
static struct committer committer;
static uint32_t rewritten_count;
static int64_t now_ns;

static void on_rewritten(void *context) {
    (void)context;
    rewritten_count++;
}

static const struct commit_listener listener = {
    .committed = appends_ignore, .rewritten = on_rewritten, .storage_failed = appends_storage_failed};

static void setup(void) {
    rooms = rooms_open();
    now_ns = NOW_NS;
    cr_assert_eq(committer_init(&committer, rooms.store, rooms.index, &listener).failure, FAILURE_NONE);
}

static void teardown(void) {
    committer_deinit(&committer);
    rooms_close(&rooms);
}

TestSuite(changes, .init = setup, .fini = teardown);

static void commit_group(struct append *const *appends, uint32_t count) {
    struct log_group group = {.requests = {.first = append_request_of(appends[0]), .requests_count = count},
                              .now_ns = now_ns};
    for (uint32_t index = 0; index < count; index++) {
        append_request_of(appends[index])->next = index + 1 < count ? append_request_of(appends[index + 1]) : NULL;
        group.requests.events_count += append_request_of(appends[index])->events_count;
    }
    uint32_t events_count;
    cr_assert_eq(committer_commit(&committer, &group, &events_count).failure, FAILURE_NONE);
}

/* Commits one request in a group of its own and frees it; returns its outcome. */
static enum append_outcome commit(struct append *append) {
    commit_group(&append, 1);
    const enum append_outcome outcome = append_request_of(append)->outcome;
    append_free(append);
    return outcome;
}

static struct append_stream_change change_of(enum stream_change_kind kind, const char *stream) {
    return (struct append_stream_change){
        .kind = kind, .stream = bytes_of_text(stream), .term = term_of(TERM_STREAM, bytes_of_text(stream))};
}

/* A deletion with the event that tells of it; the change outlives the request. */
static struct append *deletion(struct append_stream_change *change, enum stream_change_kind kind, const char *stream) {
    struct append *append = append_new();
    *change = change_of(kind, stream);
    append_event_add(append, stream, kind == STREAM_CHANGE_DELETE ? "$StreamDeleted" : "$StreamTombstoned", NULL, 0);
    append_ids_are_new(append);
    append_request_of(append)->change = change;
    return append;
}

static enum append_outcome stream_delete(const char *stream) {
    struct append_stream_change change;
    return commit(deletion(&change, STREAM_CHANGE_DELETE, stream));
}

static enum append_outcome settings_set(struct append_stream_change *change) {
    struct append *append = append_new();
    append_request_of(append)->change = change;
    return commit(append);
}

static struct stream_row row_of(const char *stream) {
    struct stream_row row = {0};
    cr_assert_eq(store_begin(rooms.store).failure, FAILURE_NONE);
    const result found = store_stream_get(rooms.store, bytes_of_text(stream), &row);
    cr_assert(found.failure == FAILURE_NONE || found.failure == FAILURE_NOT_FOUND);
    store_abort(rooms.store);
    return row;
}

static bool is_removed(uint64_t position) {
    struct bytes encoded;
    cr_assert_eq(store_begin(rooms.store).failure, FAILURE_NONE);
    cr_assert_eq(store_get(rooms.store, position, &encoded).failure, FAILURE_NONE);
    const bool removed = remains_is_removed(encoded);
    store_abort(rooms.store);
    return removed;
}

Test(changes, a_deleted_stream_is_new_and_has_its_revision) {
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(stream_delete("s"), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").state, STREAM_DELETED);
    cr_assert_eq(row_of("s").first_revision, 3);
    cr_assert_eq(commit(append_expecting("s", 1)), APPEND_REVISION_CONFLICT);
    struct append *exists = append_new();
    append_write_add(exists, "s", 1, EXPECT_EXISTS, 0);
    commit_group(&exists, 1);
    cr_assert_eq(append_request_of(exists)->outcome, APPEND_REVISION_CONFLICT);
    cr_assert_eq(append_request_of(exists)->conflicts[0].actual, 0, "it does not exist");
    append_free(exists);
    struct append *append = append_expecting("s", 0);
    commit_group(&append, 1);
    cr_assert_eq(append_request_of(append)->outcome, APPEND_COMMITTED);
    cr_assert_eq(append_request_of(append)->results[0].first_revision, 3);
    append_free(append);
    cr_assert_eq(row_of("s").state, STREAM_ACTIVE);
    cr_assert_eq(commit(append_expecting("s", 0)), APPEND_REVISION_CONFLICT);
    cr_assert_eq(commit(append_expecting("s", 3)), APPEND_COMMITTED);
}

Test(changes, the_revision_that_a_deletion_told_may_be_expected) {
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(stream_delete("s"), APPEND_COMMITTED);
    cr_assert_eq(commit(append_expecting("s", 2)), APPEND_COMMITTED);
}

Test(changes, a_group_sees_its_own_deletions) {
    struct append_stream_change changes[3];
    struct append *appends[] = {append_of("s"),
                                deletion(&changes[0], STREAM_CHANGE_DELETE, "s"),
                                deletion(&changes[1], STREAM_CHANGE_DELETE, "s"),
                                append_expecting("s", 0),
                                deletion(&changes[2], STREAM_CHANGE_TOMBSTONE, "s"),
                                append_of("s")};
    static const enum append_outcome expected[] = {APPEND_COMMITTED, APPEND_COMMITTED, APPEND_STREAM_NOT_FOUND,
                                                   APPEND_COMMITTED, APPEND_COMMITTED, APPEND_STREAM_TOMBSTONED};
    commit_group(appends, 6);
    for (uint32_t index = 0; index < 6; index++) {
        cr_assert_eq(append_request_of(appends[index])->outcome, expected[index], "request %u", index);
        append_free(appends[index]);
    }
    cr_assert_eq(store_position_last(rooms.store), 4);
    cr_assert_eq(row_of("s").state, STREAM_TOMBSTONED);
}

Test(changes, every_tombstoned_stream_of_a_request_is_named) {
    struct append_stream_change change;
    cr_assert_eq(commit(append_of("a")), APPEND_COMMITTED);
    cr_assert_eq(commit(append_of("b")), APPEND_COMMITTED);
    cr_assert_eq(commit(deletion(&change, STREAM_CHANGE_TOMBSTONE, "a")), APPEND_COMMITTED);
    cr_assert_eq(commit(deletion(&change, STREAM_CHANGE_TOMBSTONE, "b")), APPEND_COMMITTED);
    struct append *append = append_new();
    append_write_add(append, "a", 1, EXPECT_REVISION, 77);
    append_write_add(append, "c", 1, EXPECT_ANY, 0);
    append_write_add(append, "b", 1, EXPECT_ANY, 0);
    commit_group(&append, 1);
    const struct append_request *request = append_request_of(append);
    cr_assert_eq(request->outcome, APPEND_STREAM_TOMBSTONED);
    cr_assert_eq(request->conflicts_count, 2);
    cr_assert_eq(request->conflicts[0].index, 0);
    cr_assert_eq(request->conflicts[1].index, 2);
    append_free(append);
    cr_assert_eq(store_position_last(rooms.store), 4);
}

Test(changes, max_count_moves_the_first_revision_with_every_append) {
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    change.max_count = 2;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    for (uint64_t revision = 1; revision <= 5; revision++) {
        cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
        cr_assert_eq(row_of("s").first_revision, revision > 2 ? revision - 1 : 0);
    }
    /* It never goes back. */
    change.max_count = 0;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 4);
}

Test(changes, truncation_ends_at_the_next_revision) {
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    change.truncate_before = 50;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(change.truncate_before, 2);
    cr_assert_eq(row_of("s").first_revision, 2);
}

Test(changes, settings_are_refused_at_another_revision) {
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    struct append *append = append_new();
    append_request_of(append)->change = &change;
    append_check_add(append, "s", EXPECT_REVISION, 1);
    cr_assert_eq(commit(append), APPEND_REVISION_CONFLICT);
    cr_assert_eq(row_of("s").state, 0, "no row");
}

static struct append_rewrite removal_of(const char *stream, const uint64_t *positions, uint32_t count,
                                        uint64_t before) {
    return (struct append_rewrite){.kind = REWRITE_REMOVE,
                                   .positions = positions,
                                   .positions_count = count,
                                   .stream = bytes_of_text(stream),
                                   .removed_before = before};
}

static enum append_outcome rewrite(struct append_rewrite *rewrite) {
    struct append *append = append_new();
    append_request_of(append)->rewrite = rewrite;
    return commit(append);
}

Test(changes, only_what_has_disappeared_is_removed) {
    static const uint64_t positions[] = {1, 2, 3, 4};
    for (int event = 0; event < 3; event++) cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(commit(append_of("other")), APPEND_COMMITTED);
    struct append_rewrite removal = removal_of("s", positions, 4, 4);
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 0, "all may be shown");
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    change.truncate_before = 3;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 2);
    cr_assert_gt(removal.rewritten_bytes, 0);
    cr_assert(is_removed(1) && is_removed(2) && !is_removed(3) && !is_removed(4));
    cr_assert_eq(row_of("s").removed_before, 0, "the third is still there");
    removal = removal_of("s", positions, 2, 3);
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 0, "once");
    cr_assert_eq(row_of("s").removed_before, 3);
    cr_assert_eq(rewritten_count, 0, "nobody could see them any more");
}

/* The deletion's own event stays, and the revision is found by it. */
Test(changes, what_tells_of_a_deletion_is_not_removed) {
    static const uint64_t positions[] = {1, 2};
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(stream_delete("s"), APPEND_COMMITTED);
    struct append_rewrite removal = removal_of("s", positions, 2, 3);
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 1);
    cr_assert(!is_removed(2));
}

Test(changes, what_is_too_old_by_the_time_of_the_group_is_removed_and_stays_gone) {
    static const uint64_t positions[] = {1};
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    change.max_age_seconds = 60;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    struct append_rewrite removal = removal_of("s", positions, 1, 2);
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 0);
    now_ns += 61 * SECOND_NS;
    cr_assert_eq(rewrite(&removal), APPEND_COMMITTED);
    cr_assert_eq(removal.rewritten_count, 1);
    cr_assert_eq(row_of("s").first_revision, 2);
    /* The stream's revision is still known, also to one who has not seen it before. */
    committer_deinit(&committer);
    cr_assert_eq(committer_init(&committer, rooms.store, rooms.index, &listener).failure, FAILURE_NONE);
    cr_assert_eq(commit(append_expecting("s", 1)), APPEND_COMMITTED);
}

Test(changes, what_was_too_old_does_not_come_back_when_the_limit_goes) {
    for (int round = 0; round < 5; round++) {
        cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
        cr_assert_eq(commit(append_of("other")), APPEND_COMMITTED);
        now_ns += 10 * SECOND_NS;
    }
    struct append_stream_change change = change_of(STREAM_CHANGE_SETTINGS, "s");
    change.max_age_seconds = 25; /* of the events 50, 40, 30, 20 and 10 seconds ago */
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 0, "nobody was hidden by settings before these");
    change.max_age_seconds = 60;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 4);
    now_ns += 45 * SECOND_NS; /* now they are 65 and 55 seconds old */
    change.max_age_seconds = 0;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 5);
    change.max_age_seconds = 1;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    change.max_age_seconds = 0;
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 6, "all were too old for a while");
    cr_assert_eq(commit(append_expecting("s", 5)), APPEND_COMMITTED);
    cr_assert_eq(settings_set(&change), APPEND_COMMITTED);
    cr_assert_eq(row_of("s").first_revision, 6);
}

Test(changes, an_erasure_is_told_once) {
    static const uint64_t positions[] = {1, 2};
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    struct append_rewrite erasure = {.kind = REWRITE_ERASE, .positions = positions, .positions_count = 2};
    for (uint32_t round = 0; round < 2; round++) {
        struct append *append = append_new();
        append_event_add(append, "$erasures", "$EventsErased", NULL, 0);
        append_ids_are_new(append);
        append_request_of(append)->rewrite = &erasure;
        cr_assert_eq(commit(append), APPEND_COMMITTED);
        cr_assert_eq(erasure.rewritten_count, round == 0 ? 2 : 0);
        cr_assert_eq(store_position_last(rooms.store), 3);
        cr_assert_eq(rewritten_count, 1);
    }
}

Test(changes, damage_is_found_before_anything_is_written) {
    static const uint64_t positions[] = {1, 9};
    cr_assert_eq(commit(append_of("s")), APPEND_COMMITTED);
    struct append_rewrite erasure = {.kind = REWRITE_ERASE, .positions = positions, .positions_count = 2};
    struct append *append = append_new();
    append_event_add(append, "$erasures", "$EventsErased", NULL, 0);
    append_ids_are_new(append);
    append_request_of(append)->rewrite = &erasure;
    cr_assert_eq(commit(append), APPEND_STORAGE_CORRUPT);
    cr_assert_eq(store_position_last(rooms.store), 1);
    struct bytes encoded;
    struct record record;
    cr_assert_eq(store_begin(rooms.store).failure, FAILURE_NONE);
    cr_assert_eq(store_get(rooms.store, 1, &encoded).failure, FAILURE_NONE);
    cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
    cr_assert_eq(record.erasure.size, 0);
    store_abort(rooms.store);
}
