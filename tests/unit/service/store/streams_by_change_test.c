/* The walk in the order of last change, against a look at every event. */
#include "service/store/streams_by_change.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/record/record.h"
#include "tests/unit/service/store/names_model.h"

#define EVENTS_COUNT     1500
#define RUN_EVENTS_COUNT 64

static char streams[2 * EVENTS_COUNT + 1][256]; /* by position, terminated */

static void streams_read(const struct names_model *model) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(model->store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = 1; position <= model->position; position++) {
        struct bytes encoded;
        struct record record;
        cr_assert_eq(store_reader_get(reader, position, &encoded).failure, FAILURE_NONE);
        cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
        memcpy(streams[position], record.stream.data, record.stream.size);
        streams[position][record.stream.size] = '\0';
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

/* Whether the stream of a position has no later event up to the head. */
static bool is_newest(uint64_t position, uint64_t head) {
    for (uint64_t later = position + 1; later <= head; later++) {
        if (strcmp(streams[later], streams[position]) == 0) return false;
    }
    return true;
}

/* Walks in parts and compares with what the events say, of one head. */
static void expect_walk(struct names_model *model, struct bytes prefix, uint64_t head) {
    struct store_reader *reader;
    struct bytes found[50];
    uint32_t found_count = 0;
    uint64_t expected = head;
    uint64_t position = head;
    cr_assert_eq(store_reader_open(model->store, &reader).failure, FAILURE_NONE);
    while (position > 0) {
        cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
        const struct streams_by_change_options options = {
            .index = model->index,
            .reader = reader,
            .prefix = prefix,
            .head = head,
            .position = position,
            .events_count_max = 1 + (uint32_t)random_below(&model->random, 700),
            .streams_count_max = 1 + (uint32_t)random_below(&model->random, 50)};
        uint64_t next = UINT64_MAX;
        cr_assert_eq(streams_by_change_walk(&options, found, &found_count, &next).failure, FAILURE_NONE);
        cr_assert_lt(next, position);
        cr_assert_leq(position - next, options.events_count_max);
        cr_assert_leq(found_count, options.streams_count_max);
        for (uint32_t at = 0; at < found_count; at++, expected--) {
            while (expected > 0 &&
                   (!bytes_begin_with(bytes_of_text(streams[expected]), prefix) || !is_newest(expected, head)))
                expected--;
            cr_assert_gt(expected, 0);
            cr_assert(bytes_equal(found[at], bytes_of_text(streams[expected])));
        }
        position = next;
        store_reader_end(reader);
    }
    for (; expected > 0; expected--) {
        cr_assert(!bytes_begin_with(bytes_of_text(streams[expected]), prefix) || !is_newest(expected, head));
    }
    store_reader_close(reader);
}

Test(streams_by_change, each_stream_is_once_where_its_newest_event_is) {
    struct names_model *model = names_model_open("changes", RUN_EVENTS_COUNT);
    names_model_append(model, EVENTS_COUNT);
    streams_read(model);
    for (int round = 0; round < 20; round++) expect_walk(model, bytes_of(NULL, 0), model->position);
    expect_walk(model, bytes_of_text("order-"), model->position);
    expect_walk(model, bytes_of_text("nnnnnnnnnn"), model->position);
    expect_walk(model, bytes_of_text("nobody"), model->position);
    names_model_close(model);
}

Test(streams_by_change, what_is_appended_after_the_head_changes_nothing) {
    struct names_model *model = names_model_open("changes head", RUN_EVENTS_COUNT);
    names_model_append(model, EVENTS_COUNT);
    const uint64_t head = model->position;
    names_model_append(model, EVENTS_COUNT / 2);
    streams_read(model);
    for (int round = 0; round < 20; round++) expect_walk(model, bytes_of(NULL, 0), head);
    for (int round = 0; round < 20; round++) {
        expect_walk(model, bytes_of_text("order-"), 1 + random_below(&model->random, model->position));
    }
    names_model_close(model);
}
