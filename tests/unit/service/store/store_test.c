#include "service/store/store.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "service/record/record.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define ROUNDS_COUNT 400
#define RECORDS_MAX  4000
#define PAYLOADS_MAX 9000

static struct temporary_directory directory;

static void setup(void) {
    directory = temporary_directory_make();
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(store, .init = setup, .fini = teardown);

static void expect_record(struct store_reader *reader, uint64_t position, size_t payload_bytes) {
    struct bytes found;
    const struct bytes expected = stores_record(position, payload_bytes);
    cr_assert_eq(store_reader_get(reader, position, &found).failure, FAILURE_NONE);
    cr_assert(bytes_equal(found, expected), "position %lu", (unsigned long)position);
    stores_record_free(expected);
}

Test(store, a_new_one_is_empty) {
    struct store *store = stores_open(directory.path);
    struct store_reader *reader = NULL;
    struct bytes record;
    uint64_t position_last = 99;
    cr_assert_eq(strlen(store_id(store)), UUID_TEXT_BYTES);
    cr_assert_str_eq(store_directory(store), directory.path);
    cr_assert_eq(store_position_last(store), 0);
    cr_assert_gt(store_used_bytes(store), 0);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, 0);
    cr_assert_eq(store_reader_get(reader, 1, &record).failure, FAILURE_NOT_FOUND);
    store_reader_end(reader);
    cr_assert_null(store_reader_close(reader));
    cr_assert_null(store_reader_close(NULL));
    cr_assert_null(store_close(store));
    cr_assert_null(store_close(NULL));
}

Test(store, what_is_committed_is_there_after_reopening) {
    struct store *store = stores_open(directory.path);
    char id[UUID_TEXT_BYTES + 1];
    memcpy(id, store_id(store), sizeof id);
    cr_assert_eq(stores_append(store, 1, 1000, 200).failure, FAILURE_NONE);
    cr_assert_eq(store_position_last(store), 1000);
    store_close(store);

    store = stores_open(directory.path);
    struct store_reader *reader = NULL;
    cr_assert_str_eq(store_id(store), id);
    cr_assert_eq(store_position_last(store), 1000);
    cr_assert_eq(stores_append(store, 1001, 1001, 200).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = 1; position <= 1001; position++) expect_record(reader, position, 200);
    store_reader_end(reader);
    store_reader_close(reader);
    store_close(store);
}

Test(store, an_aborted_transaction_leaves_nothing) {
    struct store *store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, 3, 10).failure, FAILURE_NONE);
    const struct bytes record = stores_record(4, 10);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_append(store, 4, record).failure, FAILURE_NONE);
    cr_assert_eq(store_position_last(store), 4);
    store_abort(store);
    stores_record_free(record);
    cr_assert_eq(store_position_last(store), 3);
    store_close(store);
    store = stores_open(directory.path);
    cr_assert_eq(store_position_last(store), 3);
    cr_assert_eq(stores_append(store, 4, 5, 10).failure, FAILURE_NONE);
    store_close(store);
}

Test(store, a_snapshot_stays_as_it_was) {
    struct store *store = stores_open(directory.path);
    struct store_reader *reader = NULL;
    struct bytes record;
    uint64_t position_last = 0;
    cr_assert_eq(stores_append(store, 1, 10, 100).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(stores_append(store, 11, 20, 100).failure, FAILURE_NONE);
    cr_assert_eq(position_last, 10);
    expect_record(reader, 10, 100);
    cr_assert_eq(store_reader_get(reader, 11, &record).failure, FAILURE_NOT_FOUND);
    store_reader_end(reader);
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, 20);
    expect_record(reader, 11, 100);
    store_reader_end(reader);
    store_reader_close(reader);
    store_close(store);
}

/* Positions in any order, with steps up and down, jumps and misses, each of which moves the cursor in its own way. */
static void walk(struct store *store, struct random *random, const size_t *payloads, uint64_t position_last) {
    struct store_reader *reader = NULL;
    uint64_t found_last = 0;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, random_below(random, 2) == 0 ? NULL : &found_last).failure, FAILURE_NONE);
    uint64_t position = 1 + random_below(random, position_last);
    for (uint32_t step = 0; step < 200; step++) {
        expect_record(reader, position, payloads[position]);
        switch (random_below(random, 8)) {
        case 0:
            position = 1 + random_below(random, position_last);
            break;
        case 1: {
            struct bytes record;
            const uint64_t missing = position_last + 1 + random_below(random, 2);
            cr_assert_eq(store_reader_get(reader, missing, &record).failure, FAILURE_NOT_FOUND);
            break;
        }
        case 2:
        case 3:
            position = position > 1 ? position - 1 : position;
            break;
        case 4:
            break;
        default:
            position = position < position_last ? position + 1 : position;
            break;
        }
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

Test(store, random_histories_equal_a_list) {
    struct random random = random_start("store");
    size_t *payloads = calloc(RECORDS_MAX + 1, sizeof *payloads);
    struct store *store = stores_open(directory.path);
    uint64_t position_last = 0;
    for (uint32_t round = 0; round < ROUNDS_COUNT && position_last + 20 < RECORDS_MAX; round++) {
        const uint64_t count = 1 + random_below(&random, 20);
        const bool kept = random_below(&random, 4) > 0;
        cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
        for (uint64_t position = position_last + 1; position <= position_last + count; position++) {
            payloads[position] = (size_t)random_below(&random, random_below(&random, 4) == 0 ? PAYLOADS_MAX : 300);
            const struct bytes record = stores_record(position, payloads[position]);
            cr_assert_eq(store_append(store, position, record).failure, FAILURE_NONE);
            stores_record_free(record);
        }
        if (kept) {
            cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
            position_last += count;
        } else {
            store_abort(store);
        }
        cr_assert_eq(store_position_last(store), position_last);
        if (random_below(&random, 50) == 0) {
            store_close(store);
            store = stores_open(directory.path);
            cr_assert_eq(store_position_last(store), position_last);
        }
        if (position_last > 0 && random_below(&random, 10) == 0) walk(store, &random, payloads, position_last);
    }
    walk(store, &random, payloads, position_last);
    store_close(store);
    free(payloads);
}

Test(store, the_largest_event_fits) {
    struct store *store = stores_open(directory.path);
    struct store_reader *reader = NULL;
    const size_t payload_bytes = EVENT_BYTES_MAX_CEILING - 128;
    cr_assert_eq(stores_append(store, 1, 3, payload_bytes).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = 3; position >= 1; position--) expect_record(reader, position, payload_bytes);
    store_reader_end(reader);
    store_reader_close(reader);
    store_close(store);
}

Test(store, readers_have_a_limit_and_give_their_slots_back) {
    struct store *store = stores_open(directory.path);
    static struct store_reader *readers[STORE_READERS_COUNT_MAX + 1];
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t count = 0;
        result outcome = RESULT_OK;
        while (count < STORE_READERS_COUNT_MAX + 1 && !failed(outcome)) {
            outcome = store_reader_open(store, &readers[count]);
            if (!failed(outcome)) count++;
        }
        cr_assert_eq(outcome.failure, FAILURE_LIMIT);
        cr_assert_eq(count, STORE_READERS_COUNT_MAX);
        while (count > 0) store_reader_close(readers[--count]);
    }
    store_close(store);
}

Test(store, a_gap_is_a_programmer_error, .signal = SIGABRT) {
    struct store *store = stores_open(directory.path);
    const struct bytes record = stores_record(2, 10);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    (void)failed(store_append(store, 2, record));
}

Test(store, a_position_that_is_not_the_records_own_is_a_programmer_error, .signal = SIGABRT) {
    struct store *store = stores_open(directory.path);
    const struct bytes record = stores_record(2, 10);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    (void)failed(store_append(store, 1, record));
}

Test(store, writing_outside_of_a_transaction_is_a_programmer_error, .signal = SIGABRT) {
    struct store *store = stores_open(directory.path);
    (void)failed(store_commit(store));
}
