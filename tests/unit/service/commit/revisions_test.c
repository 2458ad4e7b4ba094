/* The last revision of a stream, from what the group has written, the cache, or the index and the records behind it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/commit/revisions.h"
#include "service/record/record.h"
#include "tests/support/events.h"
#include "tests/unit/service/commit/appends.h"

static struct rooms rooms;
static struct revisions *revisions;

static void begin(void) {
    cr_assert_eq(revisions_new(rooms.store, rooms.index, &revisions).failure, FAILURE_NONE);
}

static void setup(void) {
    rooms = rooms_open();
    begin();
}

static void teardown(void) {
    revisions = revisions_free(revisions);
    rooms_close(&rooms);
}

TestSuite(revisions, .init = setup, .fini = teardown);

static struct term term_of_name(const char *stream) {
    return term_of(TERM_STREAM, bytes_of_text(stream));
}

static void expect(struct term term, const char *stream, uint64_t revision) {
    uint64_t found = UINT64_MAX;
    cr_assert_eq(revisions_get(revisions, term, bytes_of_text(stream), &found).failure, FAILURE_NONE);
    cr_assert_eq(found, revision);
}

/* Puts a record into the store, and an entry of it into the index under any term. */
static void commit(struct term term, const char *stream, uint64_t revision) {
    uint8_t buffer[256];
    const uint64_t position = store_position_last(rooms.store) + 1;
    const struct record record = {.position = position,
                                  .stream = bytes_of_text(stream),
                                  .revision = revision,
                                  .recorded_ns = 1,
                                  .event = bytes_of_text("\x12\x01T")};
    cr_assert_eq(store_begin(rooms.store).failure, FAILURE_NONE);
    const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
    cr_assert_eq(store_append(rooms.store, position, encoded).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(rooms.store).failure, FAILURE_NONE);
    const struct index_entry entry = {.term = term, .number = revision, .position = position};
    cr_assert_eq(index_add(rooms.index, position, &entry, 1).failure, FAILURE_NONE);
}

Test(revisions, a_stream_without_events_is_at_0) {
    expect(term_of_name("new"), "new", 0);
}

Test(revisions, a_group_sees_what_it_has_set) {
    const struct term term = term_of_name("order-1");
    revisions_set(revisions, term, bytes_of_text("order-1"), 3);
    expect(term, "order-1", 3);
    revisions_set(revisions, term, bytes_of_text("order-1"), 4);
    expect(term, "order-1", 4);
    expect(term_of_name("order-2"), "order-2", 0);
}

Test(revisions, an_aborted_group_never_happened) {
    const struct term term = term_of_name("order-1");
    revisions_set(revisions, term, bytes_of_text("order-1"), 3);
    revisions_commit(revisions);
    revisions_set(revisions, term, bytes_of_text("order-1"), 9);
    revisions_set(revisions, term_of_name("order-2"), bytes_of_text("order-2"), 9);
    revisions_abort(revisions);
    expect(term, "order-1", 3);
    expect(term_of_name("order-2"), "order-2", 0);
}

Test(revisions, what_is_in_neither_group_nor_cache_comes_from_the_index) {
    commit(term_of_name("order-1"), "order-1", 1);
    commit(term_of_name("order-2"), "order-2", 1);
    commit(term_of_name("order-1"), "order-1", 2);
    expect(term_of_name("order-1"), "order-1", 2);
    expect(term_of_name("order-2"), "order-2", 1);
    expect(term_of_name("order-3"), "order-3", 0);
}

/* XXH3 collides for nobody here, so the index is told the same term for two names. */
Test(revisions, two_names_with_one_term_are_told_apart_by_their_records) {
    const struct term term = term_of_name("shared");
    commit(term, "one", 1);
    for (uint64_t revision = 2; revision <= 40; revision++) commit(term, "other", revision);
    expect(term, "one", 1);
    expect(term, "other", 40);
    expect(term, "nobody", 0);
}

Test(revisions, a_hit_without_its_record_is_damage) {
    const struct term term = term_of_name("order-1");
    const struct index_entry entry = {.term = term, .number = 1, .position = 1};
    cr_assert_eq(index_add(rooms.index, 1, &entry, 1).failure, FAILURE_NONE);
    uint64_t revision = 77;
    cr_assert_eq(revisions_get(revisions, term, bytes_of_text("order-1"), &revision).failure, FAILURE_CORRUPT);
    cr_assert_eq(revision, 77, "untouched on failure");
}

Test(revisions, as_many_streams_as_a_group_may_write) {
    const uint32_t count = GROUP_EVENTS_COUNT_MAX + REQUEST_EVENTS_COUNT_MAX;
    char(*names)[16] = calloc(count, sizeof *names);
    cr_assert_not_null(names);
    for (uint32_t round = 1; round <= 2; round++) {
        for (uint32_t index = 0; index < count; index++) {
            (void)snprintf(names[index], sizeof names[index], "s-%u", index);
            revisions_set(revisions, term_of_name(names[index]), bytes_of_text(names[index]), round);
        }
        for (uint32_t index = 0; index < count; index++) expect(term_of_name(names[index]), names[index], round);
        revisions_commit(revisions);
    }
    free(names);
}
