/* The newest chunks in memory: a window that moves, bounded by bytes and by number. */
#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/feed/tail.h"

#define RECORD_BYTES 100

/* Publishes a chunk of these positions; the tail alone refers to it afterwards. */
static void publish(struct tail *tail, uint64_t first, uint32_t count) {
    uint8_t record[RECORD_BYTES] = {0};
    struct chunk *chunk;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < count; index++) {
        const result added = chunk_append_encoded(chunk, first + index, bytes_of(record, sizeof record));
        cr_assert_eq(added.failure, FAILURE_NONE);
    }
    tail_publish(tail, chunk);
    chunk_unref(chunk);
}

static void expect_found(struct tail *tail, uint64_t position, uint64_t first, uint64_t last) {
    struct chunk *chunk = tail_find(tail, position);
    cr_assert_not_null(chunk, "position %lu", (unsigned long)position);
    cr_assert_eq(chunk_position_first(chunk), first);
    cr_assert_eq(chunk_position_last(chunk), last);
    chunk_unref(chunk);
}

Test(tail, an_empty_one_has_nothing) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, MIB(1), 4).failure, FAILURE_NONE);
    cr_assert_null(tail_find(&tail, 1));
    cr_assert_eq(tail_memory_bytes(&tail), 0);
    tail_deinit(&tail);
}

Test(tail, finds_the_chunk_of_every_position_in_its_window) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, MIB(1), 8).failure, FAILURE_NONE);
    uint64_t first = 11;
    for (uint32_t count = 1; count <= 5; count++) {
        publish(&tail, first, count);
        first += count;
    }
    cr_assert_null(tail_find(&tail, 10));
    cr_assert_null(tail_find(&tail, 26));
    uint64_t begin = 11;
    for (uint32_t count = 1; count <= 5; count++) {
        for (uint32_t index = 0; index < count; index++) expect_found(&tail, begin + index, begin, begin + count - 1);
        begin += count;
    }
    tail_deinit(&tail);
}

Test(tail, the_oldest_goes_when_there_are_too_many) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, MIB(1), 3).failure, FAILURE_NONE);
    for (uint64_t position = 1; position <= 20; position++) publish(&tail, position, 1);
    cr_assert_null(tail_find(&tail, 17));
    for (uint64_t position = 18; position <= 20; position++) expect_found(&tail, position, position, position);
    tail_deinit(&tail);
}

Test(tail, the_oldest_goes_when_there_are_too_many_bytes) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, 6000, 100).failure, FAILURE_NONE);
    for (uint64_t position = 1; position <= 20; position++) {
        publish(&tail, position, 1);
        cr_assert_leq(tail_memory_bytes(&tail), 6000);
    }
    cr_assert_null(tail_find(&tail, 1));
    expect_found(&tail, 20, 20, 20);
    tail_deinit(&tail);
}

Test(tail, the_newest_has_a_place_whatever_its_size) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, 2000, 100).failure, FAILURE_NONE);
    publish(&tail, 1, 1);
    publish(&tail, 2, 50);
    cr_assert_null(tail_find(&tail, 1));
    expect_found(&tail, 30, 2, 51);
    tail_deinit(&tail);
}

Test(tail, a_chunk_that_is_held_outlives_its_place) {
    struct tail tail;
    cr_assert_eq(tail_init(&tail, MIB(1), 1).failure, FAILURE_NONE);
    publish(&tail, 1, 2);
    struct chunk *held = tail_find(&tail, 2);
    publish(&tail, 3, 1);
    tail_deinit(&tail);
    cr_assert_eq(chunk_position_last(held), 2);
    cr_assert_eq(chunk_record(held, 1).size, RECORD_BYTES);
    chunk_unref(held);
}
