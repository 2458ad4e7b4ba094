#include "service/record/record.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "tests/support/events.h"
#include "tests/support/random.h"

#define RANDOM_ROUNDS 20000

static struct record example(void) {
    return (struct record){
        .position = 300,
        .stream = bytes_of_text("order-42"),
        .revision = 7,
        .recorded_ns = 1700000000123456789,
        .event = bytes_of_text("\x12\x04Sold"),
    };
}

static void assert_equal(const struct record *left, const struct record *right) {
    cr_assert_eq(left->position, right->position);
    cr_assert_eq(left->revision, right->revision);
    cr_assert_eq(left->recorded_ns, right->recorded_ns);
    cr_assert(bytes_equal(left->stream, right->stream));
    cr_assert(bytes_equal(left->event, right->event));
}

/* The format on disk: this may only change with the store's format number. */
Test(record, has_the_documented_bytes) {
    static const uint8_t expected[] = {
        0x08, 0xac, 0x02,                                                             /* position 300 */
        0x12, 0x08, 'o',  'r',  'd',  'e',  'r',  '-',  '4',  '2',                    /* stream */
        0x18, 0x07,                                                                   /* revision */
        0x22, 0x0b, 0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x10, 0x95, 0x9a, 0xef, 0x3a, /* recorded_at */
        0x2a, 0x06, 0x12, 0x04, 'S',  'o',  'l',  'd',                                /* event */
    };
    uint8_t buffer[128];
    const struct record record = example();
    const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
    cr_assert(bytes_equal(encoded, bytes_of(expected, sizeof expected)));
}

Test(record, round_trips_at_the_edges) {
    static const uint64_t numbers[] = {1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    static const int64_t times[] = {0, 1, 999999999, 1000000000, 1000000001, INT64_MAX - 1000000000};
    char stream[NAME_BYTES_MAX];
    memset(stream, 's', sizeof stream);
    uint8_t buffer[1024];
    for (size_t number = 0; number < sizeof numbers / sizeof numbers[0]; number++) {
        for (size_t time = 0; time < sizeof times / sizeof times[0]; time++) {
            const struct record record = {
                .position = numbers[number],
                .stream = bytes_of(stream, number % 2 == 0 ? 1 : sizeof stream),
                .revision = numbers[number],
                .recorded_ns = times[time],
                .event = bytes_of(stream, time * 50),
            };
            struct record read;
            const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
            cr_assert_eq(record_read(encoded, &read).failure, FAILURE_NONE);
            assert_equal(&record, &read);
            cr_assert_eq(record_position(encoded), record.position);
        }
    }
}

Test(record, position_of_what_is_no_record_is_zero) {
    cr_assert_eq(record_position(bytes_of(NULL, 0)), 0);
    cr_assert_eq(record_position(bytes_of("\x08", 1)), 0);
    cr_assert_eq(record_position(bytes_of("\x08\xff", 2)), 0);
    cr_assert_eq(record_position(bytes_of("\x10\x01", 2)), 0);
}

Test(record, overhead_stays_in_its_limit) {
    char stream[NAME_BYTES_MAX];
    memset(stream, 's', sizeof stream);
    const struct record record = {
        .position = UINT64_MAX,
        .stream = bytes_of(stream, sizeof stream),
        .revision = UINT64_MAX,
        .recorded_ns = INT64_MAX - 1000000000 - (INT64_MAX - 1000000000) % 1000000000 + 999999999,
        .event = bytes_of(NULL, EVENT_BYTES_MAX_CEILING),
    };
    cr_assert_leq(record_size(&record) - record.event.size, RECORD_OVERHEAD_BYTES_MAX);
}

Test(record, every_truncation_is_corrupt) {
    uint8_t buffer[128];
    const struct record record = example();
    const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
    for (size_t size = 0; size < encoded.size; size++) {
        /* On its own allocation, so that AddressSanitizer sees a read past the end. */
        uint8_t *copy = malloc(size == 0 ? 1 : size);
        memcpy(copy, encoded.data, size);
        struct record read = {.position = 99};
        cr_assert_eq(record_read(bytes_of(copy, size), &read).failure, FAILURE_CORRUPT);
        cr_assert_eq(read.position, 99, "untouched on failure");
        free(copy);
    }
    cr_assert_eq(record_read(bytes_of(NULL, 0), &(struct record){0}).failure, FAILURE_CORRUPT);
}

Test(record, what_is_no_record_is_corrupt) {
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"trailing byte", "\x08\x01\x12\x01s\x18\x01\x22\x00\x2a\x00\x00", 12},
        {"position 0", "\x08\x00\x12\x01s\x18\x01\x22\x00\x2a\x00", 11},
        {"revision 0", "\x08\x01\x12\x01s\x18\x00\x22\x00\x2a\x00", 11},
        {"empty stream", "\x08\x01\x12\x00\x18\x01\x22\x00\x2a\x00", 10},
        {"fields out of order", "\x12\x01s\x08\x01\x18\x01\x22\x00\x2a\x00", 11},
        {"no event", "\x08\x01\x12\x01s\x18\x01\x22\x00", 9},
        {"nanoseconds 10^9", "\x08\x01\x12\x01s\x18\x01\x22\x06\x10\x80\x94\xeb\xdc\x03\x2a\x00", 17},
        {"negative seconds", "\x08\x01\x12\x01s\x18\x01\x22\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x00",
         22},
        {"junk in the time", "\x08\x01\x12\x01s\x18\x01\x22\x02\x18\x01\x2a\x00", 13},
        {"varint without end", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12},
    };
    struct record read;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        const result outcome = record_read(bytes_of(cases[index].bytes, cases[index].size), &read);
        cr_assert_eq(outcome.failure, FAILURE_CORRUPT, "%s", cases[index].what);
    }
    const char sound[] = "\x08\x01\x12\x01s\x18\x01\x22\x00\x2a\x00";
    cr_assert_eq(record_read(bytes_of(sound, sizeof sound - 1), &read).failure, FAILURE_NONE);
}

Test(record, random_records_round_trip_and_random_bytes_do_no_harm) {
    struct random random = random_start("record");
    uint8_t stream[NAME_BYTES_MAX];
    uint8_t event[512];
    uint8_t buffer[1024];
    for (uint32_t round = 0; round < RANDOM_ROUNDS; round++) {
        random_fill(&random, stream, sizeof stream);
        random_fill(&random, event, sizeof event);
        const struct record record = {
            .position = 1 + (random_next(&random) >> random_below(&random, 64)) / 2,
            .stream = bytes_of(stream, 1 + random_below(&random, sizeof stream)),
            .revision = 1 + (random_next(&random) >> random_below(&random, 64)) / 2,
            .recorded_ns = (int64_t)(random_next(&random) >> (2 + random_below(&random, 62))),
            .event = bytes_of(event, random_below(&random, sizeof event)),
        };
        struct record read;
        const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
        cr_assert_eq(record_read(encoded, &read).failure, FAILURE_NONE);
        assert_equal(&record, &read);

        uint8_t *damaged = malloc(encoded.size);
        memcpy(damaged, encoded.data, encoded.size);
        for (uint32_t flip = 0; flip < 4; flip++) {
            damaged[random_below(&random, encoded.size)] = (uint8_t)random_next(&random);
        }
        const result outcome = record_read(bytes_of(damaged, encoded.size), &read);
        if (!failed(outcome)) {
            /* What passes as a record lies inside of its bytes. */
            cr_assert(read.stream.data >= damaged && read.event.data + read.event.size == damaged + encoded.size);
        }
        free(damaged);
    }
}

Test(record, position_zero_is_a_programmer_error, .signal = SIGABRT) {
    struct record record = example();
    record.position = 0;
    uint8_t buffer[128];
    record_write(&record, buffer);
}

Test(record, a_time_before_1970_is_a_programmer_error, .signal = SIGABRT) {
    struct record record = example();
    record.recorded_ns = -1;
    (void)record_size(&record);
}
