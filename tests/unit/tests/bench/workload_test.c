#include "tests/bench/workload.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct workload realistic = {
    .streams_count = 200000,
    .customers_count = 300000,
    .payload_bytes = 128,
    .types_count = WORKLOAD_TYPES_COUNT,
};

/* The number at the end of a name. */
static uint32_t number_of(const char *name) {
    return (uint32_t)strtoul(name + strlen(name) - 6, NULL, 10);
}

Test(workload, an_event_is_the_same_each_time, .init = workload_prepare) {
    struct workload_event one;
    struct workload_event other;
    workload_event(&realistic, 77, &one);
    workload_event(&realistic, 78, &other);
    cr_assert_str_neq(one.id, other.id);
    workload_event(&realistic, 77, &other);
    cr_assert_str_eq(one.id, other.id);
    cr_assert_str_eq(one.stream, other.stream);
    cr_assert_str_eq(one.tags[0], other.tags[0]);
    cr_assert_eq(one.type, other.type);
    cr_assert_eq(one.payload, other.payload);
    cr_assert_eq(one.payload_bytes, 128);
}

Test(workload, streams_customers_and_types_are_spread, .init = workload_prepare) {
    enum { EVENTS_COUNT = 20000, CELLS_COUNT = 10 };
    uint32_t streams[CELLS_COUNT] = {0};
    uint32_t customers[CELLS_COUNT] = {0};
    uint32_t types[WORKLOAD_TYPES_COUNT] = {0};
    for (uint32_t i = 0; i < EVENTS_COUNT; i++) {
        struct workload_event event;
        workload_event(&realistic, i, &event);
        cr_assert_eq(strncmp(event.stream, "order-", 6), 0);
        cr_assert_eq(strncmp(event.tags[0], "customer:", 9), 0);
        cr_assert_eq(event.tags_count, 1);
        streams[number_of(event.stream) / 20000]++;
        customers[number_of(event.tags[0]) / 30000]++;
        for (uint32_t type = 0; type < WORKLOAD_TYPES_COUNT; type++)
            types[type] += strcmp(event.type, workload_type(type)) == 0;
    }
    for (uint32_t i = 0; i < CELLS_COUNT; i++) {
        cr_assert(streams[i] > 1600 && streams[i] < 2400, "streams %u: %u", i, streams[i]);
        cr_assert(customers[i] > 1600 && customers[i] < 2400, "customers %u: %u", i, customers[i]);
        cr_assert(types[i] > 1600 && types[i] < 2400, "types %u: %u", i, types[i]);
    }
}

Test(workload, only_the_types_asked_for, .init = workload_prepare) {
    struct workload workload = realistic;
    workload.types_count = 5;
    for (uint32_t i = 0; i < 1000; i++) {
        struct workload_event event;
        workload_event(&workload, i, &event);
        for (uint32_t type = 5; type < WORKLOAD_TYPES_COUNT; type++) cr_assert_str_neq(event.type, workload_type(type));
    }
}

Test(workload, customers_that_take_turns_come_equally_often, .init = workload_prepare) {
    enum { CUSTOMERS_COUNT = 1000, ROUNDS_COUNT = 10 };
    struct workload workload = realistic;
    workload.customers_even = true;
    workload.customers_count = CUSTOMERS_COUNT;
    static uint32_t seen[CUSTOMERS_COUNT];
    for (uint32_t i = 0; i < CUSTOMERS_COUNT * ROUNDS_COUNT; i++) {
        struct workload_event event;
        workload_event(&workload, i, &event);
        seen[number_of(event.tags[0])]++;
    }
    for (uint32_t i = 0; i < CUSTOMERS_COUNT; i++) cr_assert_eq(seen[i], ROUNDS_COUNT, "customer %u: %u", i, seen[i]);
}

Test(workload, each_needle_is_on_as_many_events_and_they_are_of_the_first_type, .init = workload_prepare) {
    enum { EVENTS_COUNT = 10000, NEEDLES_COUNT = 5 };
    struct workload workload = realistic;
    workload.needles_count = NEEDLES_COUNT;
    workload.needles_every = EVENTS_COUNT / 100 / NEEDLES_COUNT;
    uint32_t seen[NEEDLES_COUNT] = {0};
    for (uint32_t i = 0; i < EVENTS_COUNT; i++) {
        struct workload_event event;
        workload_event(&workload, i, &event);
        if (event.tags_count == 1) continue;
        cr_assert_eq(strncmp(event.tags[1], "needle:", 7), 0);
        cr_assert_str_eq(event.type, workload_type(0));
        seen[number_of(event.tags[1])]++;
    }
    for (uint32_t i = 0; i < NEEDLES_COUNT; i++) cr_assert_eq(seen[i], 100, "needle %u: %u", i, seen[i]);
}

Test(workload, names_are_those_that_events_carry) {
    char tag[WORKLOAD_NAME_BYTES];
    workload_customer(42, tag);
    cr_assert_str_eq(tag, "customer:000042");
    workload_needle(999999, tag);
    cr_assert_str_eq(tag, "needle:999999");
}
