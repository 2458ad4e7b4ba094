/* workload.h: the realistic load: events of many streams and many customers, as a shop's services record them.
 *
 * Event `number` of a workload is the same in every run and for every peer: a random stream, a random customer as its tag,
 * one of ten types, a payload that does not compress, and a random id as a client would set it.
 * Ownership: plain data; an event's type and payload are constants. Threads: any, once workload_prepare has returned.
 * Errors: none. */
#ifndef DAYBOOK_TESTS_BENCH_WORKLOAD_H
#define DAYBOOK_TESTS_BENCH_WORKLOAD_H

#include "tests/bench/random.h"

#include <stdbool.h>
#include <stdint.h>

#define WORKLOAD_TYPES_COUNT       10u
#define WORKLOAD_TAGS_COUNT_MAX    2u
#define WORKLOAD_NAME_BYTES        32u
#define WORKLOAD_PAYLOAD_BYTES_MAX 16384u
#define WORKLOAD_NAMES_COUNT_MAX   1000000u

struct workload {
    uint32_t streams_count;
    uint32_t customers_count;
    uint32_t payload_bytes;
    /* Events have only the first so many types; conditions ask for the others, so that none ever conflicts. */
    uint32_t types_count;
    /* Customers take turns in a shuffled order: after n * customers_count events each has exactly n. */
    bool customers_even;
    /* Event 0 and every so many after it have a needle as well, in turn, and the first type; 0: none has. */
    uint64_t needles_every;
    uint32_t needles_count;
};

struct workload_event {
    char id[RANDOM_ID_BYTES];
    char stream[WORKLOAD_NAME_BYTES];
    char tags[WORKLOAD_TAGS_COUNT_MAX][WORKLOAD_NAME_BYTES];
    uint32_t tags_count;
    const char *type;
    const uint8_t *payload;
    uint32_t payload_bytes;
};

/* Makes what all events share. Once, before the first event, by one thread. */
void workload_prepare(void);

/* The event with this number, from 0. */
void workload_event(const struct workload *workload, uint64_t number, struct workload_event *ret_event);

/* The name of a type, below WORKLOAD_TYPES_COUNT. */
const char *workload_type(uint32_t index);

/* The tag of a customer, below customers_count. */
void workload_customer(uint32_t customer, char ret_tag[WORKLOAD_NAME_BYTES]);

/* The tag of a needle, below needles_count. */
void workload_needle(uint32_t needle, char ret_tag[WORKLOAD_NAME_BYTES]);

#endif
