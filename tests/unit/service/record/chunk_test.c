#include "service/record/chunk.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "service/base/varint.h"
#include "tests/support/events.h"
#include "tests/support/random.h"

#define RECORDS_COUNT 3000
#define THREADS_COUNT 4
#define REFERENCES    20000

static struct record record_at(uint64_t position, struct bytes event) {
    return (struct record){
        .position = position,
        .stream = bytes_of_text("order-42"),
        .revision = position,
        .recorded_ns = 1700000000000000000 + (int64_t)position,
        .event = event,
    };
}

static struct chunk *chunk_of(uint32_t records_count) {
    struct chunk *chunk = NULL;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < records_count; index++) {
        const struct record record = record_at(10 + index, bytes_of_text("\x12\x04Sold"));
        cr_assert_eq(chunk_append(chunk, &record, NULL).failure, FAILURE_NONE);
    }
    return chunk;
}

Test(chunk, an_empty_one_has_no_bytes) {
    struct chunk *chunk = chunk_of(0);
    cr_assert_eq(chunk_records_count(chunk), 0);
    cr_assert_eq(chunk_framed(chunk, 0, 0).size, 0);
    cr_assert_gt(chunk_memory_bytes(chunk), 0);
    cr_assert_null(chunk_unref(chunk));
    cr_assert_null(chunk_unref(NULL));
}

Test(chunk, frames_are_a_repeated_field) {
    struct chunk *chunk = chunk_of(3);
    struct bytes framed = chunk_framed(chunk, 0, 3);
    for (uint32_t index = 0; index < 3; index++) {
        uint64_t size = 0;
        cr_assert_eq(framed.data[0], 0x0a);
        const uint8_t *record = varint_read(framed.data + 1, framed.data + framed.size, &size);
        cr_assert(bytes_equal(bytes_of(record, size), chunk_record(chunk, index)));
        cr_assert_eq(chunk_frame_size(size), (size_t)(record - framed.data) + size);
        framed = bytes_of(record + size, framed.size - chunk_frame_size(size));
    }
    cr_assert_eq(framed.size, 0);
    chunk_unref(chunk);
}

/* Against a plain list: records with every size of length prefix, appended in both ways, truncations between. */
Test(chunk, random_chunks_equal_a_list) {
    struct random random = random_start("chunk");
    static const size_t sizes[] = {0, 1, 80, 127, 128, 129, 5000, 16500, 70000};
    uint8_t *event = malloc(70000);
    uint8_t *encoded = malloc(80000);
    struct bytes *list = calloc(RECORDS_COUNT, sizeof *list);
    uint64_t *positions = calloc(RECORDS_COUNT, sizeof *positions);
    random_fill(&random, event, 70000);
    struct chunk *chunk = NULL;
    cr_assert_eq(chunk_new(100, 1, &chunk).failure, FAILURE_NONE);

    uint32_t count = 0;
    for (uint32_t round = 0; round < RECORDS_COUNT; round++) {
        if (count > 0 && random_below(&random, 20) == 0) {
            const uint32_t kept = count - (uint32_t)random_below(&random, count < 5 ? count : 5);
            for (uint32_t index = kept; index < count; index++) free((void *)(uintptr_t)list[index].data);
            chunk_truncate(chunk, kept);
            count = kept;
        }
        const size_t size = sizes[random_below(&random, sizeof sizes / sizeof sizes[0])];
        positions[count] = (count == 0 ? 0 : positions[count - 1]) + 1 + random_below(&random, 300);
        const struct record record = record_at(positions[count], bytes_of(event, size));
        const struct bytes expected = event_record_encode(&record, encoded, 80000);
        uint8_t *copy = malloc(expected.size);
        memcpy(copy, expected.data, expected.size);
        list[count] = bytes_of(copy, expected.size);
        if (random_below(&random, 2) == 0) {
            struct bytes written;
            cr_assert_eq(chunk_append(chunk, &record, &written).failure, FAILURE_NONE);
            cr_assert(bytes_equal(written, expected));
        } else {
            cr_assert_eq(chunk_append_encoded(chunk, record.position, expected).failure, FAILURE_NONE);
        }
        count++;
    }
    cr_assert_eq(chunk_records_count(chunk), count);
    cr_assert_eq(chunk_position_first(chunk), positions[0]);
    cr_assert_eq(chunk_position_last(chunk), positions[count - 1]);
    size_t offset = 0;
    const struct bytes whole = chunk_framed(chunk, 0, count);
    for (uint32_t index = 0; index < count; index++) {
        cr_assert_eq(chunk_position(chunk, index), positions[index]);
        cr_assert(bytes_equal(chunk_record(chunk, index), list[index]), "record %u", index);
        const struct bytes framed = chunk_framed(chunk, index, count - index);
        cr_assert(framed.data == whole.data + offset && framed.size == whole.size - offset);
        offset += chunk_frame_size(list[index].size);
        free((void *)(uintptr_t)list[index].data);
    }
    cr_assert_eq(offset, whole.size);
    cr_assert_geq(chunk_memory_bytes(chunk), whole.size);
    chunk_unref(chunk);
    free(positions);
    free(list);
    free(encoded);
    free(event);
}

static void *references_take_and_drop(void *argument) {
    struct chunk *chunk = argument;
    for (uint32_t index = 0; index < REFERENCES; index++) {
        struct chunk *reference = chunk_ref(chunk);
        if (chunk_record(reference, index % 3).size == 0) abort();
        chunk_unref(reference);
    }
    chunk_unref(chunk);
    return NULL;
}

/* The last of them frees: a sanitizer sees what goes wrong. */
Test(chunk, is_shared_by_threads) {
    struct chunk *chunk = chunk_of(3);
    pthread_t threads[THREADS_COUNT];
    for (uint32_t index = 0; index < THREADS_COUNT; index++) {
        cr_assert_eq(pthread_create(&threads[index], NULL, references_take_and_drop, chunk_ref(chunk)), 0);
    }
    chunk_unref(chunk);
    for (uint32_t index = 0; index < THREADS_COUNT; index++) cr_assert_eq(pthread_join(threads[index], NULL), 0);
}

Test(chunk, a_shared_one_is_immutable, .signal = SIGABRT) {
    struct chunk *chunk = chunk_of(1);
    chunk_ref(chunk);
    (void)failed(chunk_append_encoded(chunk, 11, bytes_of_text("x")));
}

Test(chunk, an_index_after_the_end_is_a_programmer_error, .signal = SIGABRT) {
    (void)chunk_record(chunk_of(1), 1);
}
