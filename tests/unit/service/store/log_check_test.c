/* What a log may hold, record by record. */
#include "service/store/log_check.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "service/record/remains.h"
#include "tests/support/events.h"

#define TIME_NS INT64_C(1700000000000000000)

static struct log_check *check;

static void setup(void) {
    cr_assert_eq(log_check_new(&check).failure, FAILURE_NONE);
}

static void teardown(void) {
    check = log_check_free(check);
}

TestSuite(log_check, .init = setup, .fini = teardown);

static const struct event_parts sound = {.id = EVENTS_ID, .type = "Tested"};

/* `at` is where the record is, `says` what it says. */
static const char *put_parts(uint64_t at, uint64_t says, const char *stream, uint64_t revision, int64_t later_ns,
                             const struct event_parts *parts) {
    uint8_t event[256];
    uint8_t encoded[1024];
    const struct record record = {.position = says,
                                  .stream = bytes_of_text(stream),
                                  .revision = revision,
                                  .recorded_ns = TIME_NS + later_ns,
                                  .event = event_encode(parts, event, sizeof event)};
    return log_check_record(check, at, event_record_encode(&record, encoded, sizeof encoded));
}

static const char *put(uint64_t at, const char *stream, uint64_t revision) {
    return put_parts(at, at, stream, revision, (int64_t)at, &sound);
}

Test(log_check, what_follows_is_right) {
    cr_assert_null(put(1, "a", 1));
    cr_assert_null(put(2, "b", 1));
    cr_assert_null(put(3, "a", 2));
    cr_assert_null(put_parts(4, 4, "a", 3, 3, &sound), "one append has one time");
    cr_assert_null(put(5, "b", 2));
}

Test(log_check, revisions_of_a_stream_have_no_gap) {
    cr_assert_null(put(1, "a", 1));
    cr_assert_str_eq(put(2, "a", 3), "is not the next revision of its stream");
    cr_assert_null(put(3, "a", 4), "told once");
    cr_assert_str_eq(put(4, "a", 4), "is not the next revision of its stream");
    cr_assert_str_eq(put(5, "b", 2), "is not the next revision of its stream", "the first is 1");
}

Test(log_check, time_does_not_run_back) {
    cr_assert_null(put_parts(1, 1, "a", 1, 10, &sound));
    cr_assert_str_eq(put_parts(2, 2, "a", 2, 9, &sound), "was recorded before the one in front of it");
}

Test(log_check, a_record_is_where_it_says) {
    cr_assert_str_eq(put_parts(1, 2, "a", 1, 0, &sound), "says that it is at another position");
}

Test(log_check, what_is_no_record_or_no_event) {
    cr_assert_str_eq(log_check_record(check, 1, bytes_of_text("nothing")), "is no record");
    const struct event_parts no_id = {.type = "Tested"};
    const struct event_parts no_type = {.id = EVENTS_ID, .data = bytes_of_text("data")};
    cr_assert_str_eq(put_parts(2, 2, "a", 1, 0, &no_id), "has an event without an id");
    cr_assert_str_eq(put_parts(3, 3, "a", 2, 0, &no_type), "has an event without a type");
}

Test(log_check, what_is_left_of_an_event_is_right) {
    uint8_t event[256];
    struct remains removed;
    struct remains erased;
    struct record record = {.position = 1,
                            .stream = bytes_of_text("a"),
                            .revision = 1,
                            .recorded_ns = TIME_NS,
                            .event = event_encode(&sound, event, sizeof event)};
    cr_assert_eq(remains_of_removed(&record, &removed).failure, FAILURE_NONE);
    cr_assert_null(log_check_record(check, 1, bytes_of(removed.bytes, removed.size)));
    record.position = 2;
    record.revision = 2;
    cr_assert_eq(remains_of_erased(&record, TIME_NS + 5, &erased).failure, FAILURE_NONE);
    cr_assert_null(log_check_record(check, 2, bytes_of(erased.bytes, erased.size)));
}

Test(log_check, behind_damage_streams_are_taken_as_they_come_once) {
    cr_assert_null(put(1, "a", 1));
    log_check_skip(check);
    cr_assert_null(put(3, "a", 3));
    cr_assert_null(put(4, "b", 7));
    cr_assert_str_eq(put(5, "a", 5), "is not the next revision of its stream");
    cr_assert_null(put(6, "b", 8));
}

/* More streams than places: nothing that is right is ever called wrong. */
Test(log_check, more_streams_than_places) {
    const uint64_t streams_count = LOG_CHECK_STREAMS_COUNT + LOG_CHECK_STREAMS_COUNT / 2;
    uint64_t position = 1;
    for (uint64_t revision = 1; revision <= 2; revision++) {
        for (uint64_t stream = 0; stream < streams_count; stream++) {
            char name[32];
            (void)snprintf(name, sizeof name, "stream-%lu", stream);
            cr_assert_null(put(position, name, revision), "%s@%lu", name, revision);
            position++;
        }
    }
}
