/* What has disappeared loses its bytes, and nothing else does. */
#include "service/retention/retention.h"

#include <criterion/criterion.h>
#include <sched.h>

#include "service/commit/sequencer.h"
#include "service/record/remains.h"
#include "service/retention/stream_scan.h"
#include "tests/unit/service/commit/appends.h"

#define EVENTS_COUNT 1000

static struct rooms rooms;
static struct sequencer *sequencer;
static struct retention *retention;

static void setup(void) {
    rooms = rooms_open();
    const struct sequencer_options options = {
        .store = rooms.store, .index = rooms.index, .listener = &appends_listener};
    cr_assert_eq(sequencer_open(&options, &sequencer).failure, FAILURE_NONE);
}

static void teardown(void) {
    retention = retention_close(retention);
    sequencer = sequencer_close(sequencer);
    rooms_close(&rooms);
}

TestSuite(retention, .init = setup, .fini = teardown);

static void begin(void) {
    /* So long that only a wake is a reason to look. */
    const struct retention_options options = {
        .store = rooms.store, .index = rooms.index, .sequencer = sequencer, .interval_ms = 86400000};
    cr_assert_eq(retention_open(&options, &retention).failure, FAILURE_NONE);
}

static void submit(struct append *append) {
    cr_assert_eq(sequencer_submit(sequencer, append_request_of(append)).failure, FAILURE_NONE);
    cr_assert_eq(append_wait(append), APPEND_COMMITTED);
    append_free(append);
}

static void append_many(const char *stream, uint32_t events_count) {
    struct append *append = append_new();
    append_write_add(append, stream, events_count, EXPECT_ANY, 0);
    append_ids_are_new(append);
    submit(append);
}

static void truncate_before(const char *stream, uint64_t revision) {
    struct append_stream_change change = {.kind = STREAM_CHANGE_SETTINGS,
                                          .stream = bytes_of_text(stream),
                                          .term = term_of(TERM_STREAM, bytes_of_text(stream)),
                                          .truncate_before = revision};
    struct append *append = append_new();
    append_request_of(append)->change = &change;
    submit(append);
}

/* A pass that began after this call has ended. */
static void pass_wait(void) {
    const uint64_t passes_count = retention_count(retention).passes_count;
    retention_wake(retention);
    while (retention_count(retention).passes_count < passes_count + 1) sched_yield();
    const uint64_t seen = retention_count(retention).passes_count;
    retention_wake(retention);
    while (retention_count(retention).passes_count < seen + 1) sched_yield();
}

static bool is_removed(struct store_reader *reader, uint64_t position) {
    struct bytes encoded;
    cr_assert_eq(store_reader_get(reader, position, &encoded).failure, FAILURE_NONE);
    return remains_is_removed(encoded);
}

static struct stream_row row_of(const char *stream) {
    struct store_reader *reader;
    struct stream_row row;
    cr_assert_eq(store_reader_open(rooms.store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_stream(reader, bytes_of_text(stream), &row).failure, FAILURE_NONE);
    row.metadata = bytes_of(NULL, 0);
    store_reader_end(reader);
    store_reader_close(reader);
    return row;
}

/* Events [1, EVENTS_COUNT] are of "a", the next of "b". */
static void expect_removed(uint64_t a_before, uint64_t b_before) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(rooms.store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t revision = 1; revision <= EVENTS_COUNT; revision++) {
        cr_assert_eq(is_removed(reader, revision), revision < a_before, "a@%lu", revision);
        cr_assert_eq(is_removed(reader, EVENTS_COUNT + revision), revision < b_before, "b@%lu", revision);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

Test(retention, removes_what_has_disappeared_step_by_step) {
    append_many("a", EVENTS_COUNT);
    append_many("b", EVENTS_COUNT);
    begin();
    truncate_before("a", 700); /* more than two steps */
    truncate_before("b", 2);
    pass_wait();
    expect_removed(700, 2);
    cr_assert_eq(retention_count(retention).events_removed_count, 700);
    cr_assert_eq(row_of("a").removed_before, 700);
    cr_assert_eq(row_of("b").removed_before, 2);
    pass_wait();
    cr_assert_eq(retention_count(retention).events_removed_count, 700, "each once");
    truncate_before("a", EVENTS_COUNT + 1);
    pass_wait();
    expect_removed(EVENTS_COUNT + 1, 2);
}

/* What a stopped one has left is found by the next. */
Test(retention, goes_on_where_another_one_has_stopped) {
    append_many("a", EVENTS_COUNT);
    append_many("b", EVENTS_COUNT);
    begin();
    truncate_before("a", EVENTS_COUNT);
    retention_wake(retention);
    retention = retention_close(retention);
    begin();
    pass_wait();
    expect_removed(EVENTS_COUNT, 0);
    cr_assert_eq(row_of("a").removed_before, EVENTS_COUNT);
}

Test(retention, a_scan_ends_at_the_first_event_that_may_be_shown) {
    append_many("a", 10);
    truncate_before("a", 4);
    struct store_reader *reader;
    struct stream_scan scan;
    const struct stream_row row = row_of("a");
    bool is_at_end = false;
    stream_scan_init(&scan, bytes_of_text("a"), &row);
    cr_assert_eq(store_reader_open(rooms.store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    cr_assert_eq(stream_scan_step(&scan, reader, rooms.index, 0, &is_at_end).failure, FAILURE_NONE);
    store_reader_end(reader);
    store_reader_close(reader);
    cr_assert(is_at_end);
    cr_assert_eq(scan.positions_count, 3);
    cr_assert_eq(scan.next_revision, 4);
    for (uint64_t index = 0; index < 3; index++) cr_assert_eq(scan.positions[index], index + 1);
}

/* Passes do not end while they are held up, so what is waited for is the resume. */
Test(retention, nothing_is_removed_while_it_is_paused) {
    append_many("a", EVENTS_COUNT);
    append_many("b", EVENTS_COUNT);
    begin();
    pass_wait();
    retention_pause(retention);
    retention_pause(retention);
    truncate_before("a", EVENTS_COUNT + 1);
    retention_wake(retention);
    append_many("c", EVENTS_COUNT); /* time enough for a step */
    retention_resume(retention);
    append_many("d", EVENTS_COUNT);
    cr_assert_eq(retention_count(retention).events_removed_count, 0);
    expect_removed(0, 0);
    retention_resume(retention);
    pass_wait();
    expect_removed(EVENTS_COUNT + 1, 0);
    retention_pause(NULL);
    retention_resume(NULL);
}

Test(retention, one_that_is_paused_can_be_closed) {
    append_many("a", EVENTS_COUNT);
    begin();
    retention_pause(retention);
    truncate_before("a", 5);
    retention_wake(retention);
    retention = retention_close(retention);
}
