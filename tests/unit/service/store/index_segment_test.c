#include "service/store/index_segment.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/random.h"
#include "tests/unit/service/store/index_model.h"

#define EVENTS_COUNT 20000

static struct index_segment *segment_made(uint64_t position_first, uint32_t events_count_max) {
    struct index_segment *segment = NULL;
    cr_assert_eq(index_segment_new(position_first, events_count_max, 0, &segment).failure, FAILURE_NONE);
    return segment;
}

static void segment_fill(struct index_segment *segment, const struct model *model, uint64_t from, uint64_t to) {
    for (uint64_t position = from; position <= to; position++) {
        uint32_t count;
        const struct index_entry *entries = model_event(model, position, &count);
        cr_assert_eq(index_segment_add(segment, entries, count).failure, FAILURE_NONE);
    }
}

static void segment_ask(const struct index_segment *segment, const struct model *model, struct random *random,
                        uint64_t position_least, uint64_t position_most) {
    struct index_entry entries[MODEL_COUNT_MAX];
    const struct model_query query = model_query_random(model, random, position_least);
    const uint32_t count =
        index_segment_range(segment, query.term, query.number, query.direction, query.count_max, entries);
    model_check(model, &query, entries, count, position_least, position_most);
}

Test(index_segment, model) {
    struct random random = random_start("index segment");
    struct model *model = model_new(random_next(&random), EVENTS_COUNT);
    struct index_segment *segment = segment_made(1, EVENTS_COUNT);
    for (uint64_t position = 0; position < EVENTS_COUNT; position += EVENTS_COUNT / 20) {
        segment_fill(segment, model, position + 1, position + EVENTS_COUNT / 20);
        for (uint32_t question = 0; question < 500; question++) {
            segment_ask(segment, model, &random, position + EVENTS_COUNT / 20, position + EVENTS_COUNT / 20);
        }
    }
    cr_assert(index_segment_is_full(segment));
    cr_assert_eq(index_segment_events_count(segment), EVENTS_COUNT);
    cr_assert_null(index_segment_unref(segment));
    cr_assert_null(index_segment_unref(NULL));
    model_free(model);
}

static bool comes_after(const struct index_entry *entry, const struct index_entry *previous) {
    const int terms = memcmp(entry->term.bytes, previous->term.bytes, sizeof entry->term.bytes);
    if (terms != 0) return terms > 0;
    return entry->number != previous->number ? entry->number > previous->number : entry->position > previous->position;
}

Test(index_segment, order_is_by_term_number_and_position_and_has_every_entry_once) {
    struct random random = random_start("index segment order");
    static const uint32_t counts[] = {1, 2, 100, EVENTS_COUNT};
    for (size_t round = 0; round < sizeof counts / sizeof counts[0]; round++) {
        struct model *model = model_new(random_next(&random), counts[round]);
        struct index_segment *segment = segment_made(1, counts[round]);
        segment_fill(segment, model, 1, counts[round]);
        uint32_t *order;
        cr_assert_eq(index_segment_order(segment, &order).failure, FAILURE_NONE);
        const uint32_t count = index_segment_entries_count(segment);
        uint32_t terms_count = count > 0 ? 1 : 0;
        for (uint32_t index = 1; index < count; index++) {
            const struct index_entry previous = index_segment_entry(segment, order[index - 1]);
            const struct index_entry entry = index_segment_entry(segment, order[index]);
            cr_assert(comes_after(&entry, &previous)); /* strictly: so none is there twice */
            if (!term_equal(entry.term, previous.term)) terms_count++;
        }
        cr_assert_eq(index_segment_terms_count(segment), terms_count);
        index_segment_order_free(segment, order);
        index_segment_unref(segment);
        model_free(model);
    }
}

Test(index_segment, an_entry_that_is_there_twice_is_added_once) {
    struct index_segment *segment = segment_made(7, 10);
    const struct term term = term_of(TERM_TAG, bytes_of_text("customer:7"));
    const struct index_entry twice[] = {{term, 7, 7}, {term, 7, 7}};
    cr_assert_eq(index_segment_add(segment, twice, 2).failure, FAILURE_NONE);
    struct index_entry found[4];
    cr_assert_eq(index_segment_range(segment, term, 0, INDEX_FORWARD, 4, found), 1);
    cr_assert_eq(found[0].position, 7);
    cr_assert_eq(index_segment_entries_count(segment), 1);
    index_segment_unref(segment);
}

Test(index_segment, many_entries_fill_it_before_many_events_do) {
    struct index_segment *segment = segment_made(1, UINT32_MAX);
    uint64_t position = 0;
    while (!index_segment_is_full(segment)) {
        position++;
        struct index_entry entries[INDEX_EVENT_ENTRIES_COUNT_MAX];
        for (uint64_t number = 0; number < INDEX_EVENT_ENTRIES_COUNT_MAX; number++) {
            const uint64_t name = position * INDEX_EVENT_ENTRIES_COUNT_MAX + number;
            entries[number] = (struct index_entry){term_of(TERM_TAG, bytes_of(&name, sizeof name)), position, position};
        }
        cr_assert_eq(index_segment_add(segment, entries, INDEX_EVENT_ENTRIES_COUNT_MAX).failure, FAILURE_NONE);
    }
    const uint32_t count = index_segment_entries_count(segment);
    cr_assert_leq(count, INDEX_SEGMENT_ENTRIES_COUNT_MAX);
    cr_assert_gt(count, INDEX_SEGMENT_ENTRIES_COUNT_MAX - 2 * INDEX_EVENT_ENTRIES_COUNT_MAX);
    for (uint64_t name = INDEX_EVENT_ENTRIES_COUNT_MAX; name < INDEX_EVENT_ENTRIES_COUNT_MAX + count; name += 97) {
        struct index_entry found;
        const struct term term = term_of(TERM_TAG, bytes_of(&name, sizeof name));
        cr_assert_eq(index_segment_range(segment, term, 0, INDEX_FORWARD, 1, &found), 1);
        cr_assert_eq(found.position, name / INDEX_EVENT_ENTRIES_COUNT_MAX);
    }
    index_segment_unref(segment);
}

/* Names that share a term: numbers in any order, some twice; the answer is that of a sorted run. */
Test(index_segment, numbers_in_any_order_are_found_in_order) {
    struct random random = random_start("index segment mixed");
    enum { COUNT = 300, ASKED = 40 };
    const struct term term = term_of(TERM_STREAM, bytes_of_text("shared"));
    struct index_segment *segment = segment_made(1, COUNT);
    uint64_t numbers[COUNT + 1];
    for (uint64_t position = 1; position <= COUNT; position++) {
        numbers[position] = random_below(&random, position < 100 ? position + 1 : 100);
        const struct index_entry entry = {term, numbers[position], position};
        cr_assert_eq(index_segment_add(segment, &entry, 1).failure, FAILURE_NONE);
    }
    for (uint32_t question = 0; question < 500; question++) {
        const uint64_t number = random_below(&random, 101);
        const enum index_direction direction = question % 2 == 0 ? INDEX_FORWARD : INDEX_BACKWARD;
        const uint32_t count_max = 1 + (uint32_t)random_below(&random, ASKED);
        struct index_entry found[ASKED];
        const uint32_t count = index_segment_range(segment, term, number, direction, count_max, found);
        uint32_t there = 0;
        for (uint64_t position = 1; position <= COUNT; position++) {
            if (direction == INDEX_FORWARD ? numbers[position] >= number : numbers[position] <= number) there++;
        }
        cr_assert_eq(count, there < count_max ? there : count_max);
        for (uint32_t index = 0; index < count; index++) {
            cr_assert_eq(numbers[found[index].position], found[index].number);
            if (index == 0) continue;
            cr_assert(direction == INDEX_FORWARD ? comes_after(&found[index], &found[index - 1])
                                                 : comes_after(&found[index - 1], &found[index]));
        }
        /* Nothing better was left out. */
        for (uint64_t position = 1; position <= COUNT && count == count_max; position++) {
            const struct index_entry entry = {term, numbers[position], position};
            const struct index_entry *last = &found[count - 1];
            bool is_found = false;
            for (uint32_t index = 0; index < count; index++) is_found |= found[index].position == position;
            if (is_found) continue;
            if (direction == INDEX_FORWARD ? entry.number < number : entry.number > number) continue;
            cr_assert(direction == INDEX_FORWARD ? comes_after(&entry, last) : comes_after(last, &entry));
        }
    }
    index_segment_unref(segment);
}

struct reading {
    struct index_segment *segment;
    struct model *model;
    _Atomic uint64_t position_begun;
    _Atomic uint64_t position;
};

static void *read_on(void *argument) {
    struct reading *reading = argument;
    struct random random = {.state = 99};
    uint64_t position_least = 0;
    while (position_least < EVENTS_COUNT) {
        position_least = atomic_load_explicit(&reading->position, memory_order_acquire);
        struct index_entry entries[MODEL_COUNT_MAX];
        const struct model_query query = model_query_random(reading->model, &random, position_least);
        const uint32_t count =
            index_segment_range(reading->segment, query.term, query.number, query.direction, query.count_max, entries);
        const uint64_t position_most = atomic_load_explicit(&reading->position_begun, memory_order_acquire);
        model_check(reading->model, &query, entries, count, position_least, position_most);
    }
    return NULL;
}

Test(index_segment, ranges_are_right_while_entries_are_added) {
    struct random random = random_start("index segment threads");
    struct reading reading = {
        .segment = segment_made(1, EVENTS_COUNT),
        .model = model_new(random_next(&random), EVENTS_COUNT),
    };
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, read_on, &reading), 0);
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) {
        atomic_store_explicit(&reading.position_begun, position, memory_order_release);
        segment_fill(reading.segment, reading.model, position, position);
        atomic_store_explicit(&reading.position, position, memory_order_release);
    }
    pthread_join(thread, NULL);
    index_segment_unref(reading.segment);
    model_free(reading.model);
}
