/* Everything that is wrong with a log is found and named; nothing else is. */
#include "service/store/verification.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/record/record.h"
#include "service/store/store.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define RECORDS_COUNT 40
#define FLIPPED_COUNT 12 /* of them, every byte: with sanitizers each look takes milliseconds */
#define PAYLOAD_BYTES 100
#define FOUND_MAX     64

static struct temporary_directory directory;
static struct store *store;
static uint32_t found_count;
static uint64_t found_positions[FOUND_MAX];
static char found_text[PROBLEM_BYTES]; /* the last */

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
}

static void teardown(void) {
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(verification, .init = setup, .fini = teardown);

static void take(void *context, uint64_t position, const char *text) {
    cr_assert_null(context);
    cr_assert_lt(found_count, FOUND_MAX);
    found_positions[found_count++] = position;
    (void)snprintf(found_text, sizeof found_text, "%s", text);
}

/* Returns how many events were looked at. */
static uint64_t verify(void) {
    struct verification *verification;
    bool is_done = false;
    const struct verification_options options = {.store = store, .found = take};
    found_count = 0;
    cr_assert_eq(verification_begin(&options, &verification).failure, FAILURE_NONE);
    while (!is_done) cr_assert_eq(verification_step(verification, &is_done).failure, FAILURE_NONE);
    const struct verification_progress progress = verification_progress(verification);
    verification_end(verification);
    cr_assert_eq(progress.found_count, found_count);
    cr_assert_eq(progress.events_checked_count, progress.events_count);
    return progress.events_count;
}

static void fill(uint64_t last) {
    cr_assert_eq(stores_append(store, 1, last, PAYLOAD_BYTES).failure, FAILURE_NONE);
}

static void rows_put(void) {
    const struct stream_row row = {.state = STREAM_ACTIVE, .max_count = 3, .metadata = bytes_of_text("owner")};
    const struct checkpoint checkpoint = {.consumer = bytes_of_text("projector"), .position = 7, .recorded_ns = 5};
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_put(store, bytes_of_text("stream-1"), &row).failure, FAILURE_NONE);
    cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

Test(verification, an_empty_store_is_sound) {
    cr_assert_eq(verify(), 0);
    cr_assert_eq(found_count, 0);
}

Test(verification, a_sound_store_is_sound_over_many_steps) {
    fill(40000); /* more than two steps */
    rows_put();
    cr_assert_eq(verify(), 40000);
    cr_assert_eq(found_count, 0, "%s", found_text);
}

Test(verification, one_at_a_time) {
    struct verification *first;
    struct verification *second;
    const struct verification_options options = {.store = store, .found = take};
    cr_assert_eq(verification_begin(&options, &first).failure, FAILURE_NONE);
    cr_assert_eq(verification_begin(&options, &second).failure, FAILURE_BUSY);
    verification_end(first);
    cr_assert_eq(verification_begin(&options, &first).failure, FAILURE_NONE);
    verification_end(first);
    cr_assert_null(verification_end(NULL));
}

Test(verification, appends_go_on_meanwhile) {
    fill(20000);
    struct verification *verification;
    bool is_done = false;
    uint64_t last = 20000;
    const struct verification_options options = {.store = store, .found = take};
    cr_assert_eq(verification_begin(&options, &verification).failure, FAILURE_NONE);
    while (!is_done) {
        cr_assert_eq(verification_step(verification, &is_done).failure, FAILURE_NONE);
        cr_assert_eq(stores_append(store, last + 1, last + 100, PAYLOAD_BYTES).failure, FAILURE_NONE);
        last += 100;
    }
    cr_assert_eq(verification_progress(verification).events_checked_count, 20000);
    cr_assert_eq(found_count, 0);
    verification_end(verification);
}

/* --- Damage, done to the file under the store, whose map shows it at once. ------------------------------------------------- */

static uint8_t *whole;
static size_t whole_size;
static int file;

static void file_open(void) {
    const struct temporary_path path = temporary_path(&directory, "log/data.mdb");
    whole = temporary_file_read(path.text, &whole_size);
    file = open(path.text, O_RDWR | O_CLOEXEC);
    cr_assert_geq(file, 0);
}

static void file_close(void) {
    close(file);
    free(whole);
}

static size_t offset_of(struct bytes bytes) {
    const uint8_t *found = memmem(whole, whole_size, bytes.data, bytes.size);
    cr_assert_not_null(found);
    return (size_t)(found - whole);
}

static void flip(size_t offset, uint32_t bit) {
    const uint8_t damaged = (uint8_t)(whole[offset] ^ (1u << bit));
    cr_assert_eq(pwrite(file, &damaged, 1, (off_t)offset), 1);
}

static void heal(size_t offset) {
    cr_assert_eq(pwrite(file, &whole[offset], 1, (off_t)offset), 1);
}

/* Every byte of many records and their checksums, a bit of each at random. */
Test(verification, names_the_position_of_every_flipped_bit, .timeout = 300) {
    struct random random = random_start("verification_test");
    fill(RECORDS_COUNT);
    file_open();
    for (uint64_t position = 1; position <= FLIPPED_COUNT; position++) {
        const struct bytes record = stores_record(position, PAYLOAD_BYTES);
        const size_t offset = offset_of(record);
        for (size_t index = 0; index < record.size + RECORD_CHECKSUM_BYTES; index++) {
            flip(offset + index, (uint32_t)random_below(&random, 8));
            cr_assert_eq(verify(), RECORDS_COUNT);
            cr_assert_eq(found_count, 1, "position %lu, byte %zu", position, index);
            cr_assert_eq(found_positions[0], position);
            heal(offset + index);
        }
        stores_record_free(record);
    }
    cr_assert_eq(verify(), RECORDS_COUNT);
    cr_assert_eq(found_count, 0);
    file_close();
}

Test(verification, finds_more_than_one) {
    fill(RECORDS_COUNT);
    file_open();
    for (uint64_t position = 3; position <= 30; position += 9) {
        const struct bytes record = stores_record(position, PAYLOAD_BYTES);
        flip(offset_of(record) + record.size / 2, 3);
        stores_record_free(record);
    }
    cr_assert_eq(verify(), RECORDS_COUNT);
    cr_assert_eq(found_count, 4);
    for (uint32_t index = 0; index < 4; index++) cr_assert_eq(found_positions[index], 3 + 9 * index);
    file_close();
}

Test(verification, a_key_that_is_another_is_a_missing_event) {
    fill(RECORDS_COUNT);
    file_open();
    const struct bytes record = stores_record(20, PAYLOAD_BYTES);
    const size_t key = offset_of(record) - sizeof(uint64_t);
    flip(key + 7, 0); /* 20 becomes 2^56 + 20, between 19 and 21 */
    (void)verify();
    cr_assert_geq(found_count, 1);
    bool is_named = false;
    for (uint32_t index = 0; index < found_count; index++) is_named = is_named || found_positions[index] == 20;
    cr_assert(is_named);
    stores_record_free(record);
    file_close();
}

Test(verification, rows_that_are_damaged) {
    fill(10);
    rows_put();
    file_open();
    const size_t owner = offset_of(bytes_of_text("owner"));
    flip(owner, 1);
    cr_assert_eq(verify(), 10);
    cr_assert_eq(found_count, 1);
    cr_assert_eq(found_positions[0], 0);
    cr_assert_str_eq(found_text, "the row of stream \"stream-1\" is damaged");
    heal(owner);
    const size_t consumer = offset_of(bytes_of_text("projector"));
    flip(consumer + 9, 2); /* its position */
    cr_assert_eq(verify(), 10);
    cr_assert_eq(found_count, 1);
    cr_assert_str_eq(found_text, "the checkpoint of consumer \"projector\" is damaged");
    file_close();
}

/* --- What has right checksums and is wrong. --------------------------------------------------------------------------------- */

Test(verification, a_checkpoint_beyond_the_head) {
    fill(6);
    rows_put(); /* 7 */
    cr_assert_eq(verify(), 6);
    cr_assert_eq(found_count, 1);
    cr_assert_str_eq(found_text, "the checkpoint of consumer \"projector\" is position 7, beyond the head 6");
}

static void events_delete(uint64_t first, uint64_t last) {
    const struct temporary_path path = temporary_path(&directory, "log");
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    store_close(store);
    cr_assert_eq(mdb_env_create(&environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(environment, 4), 0);
    cr_assert_eq(mdb_env_set_mapsize(environment, STORES_MAP_BYTES), 0);
    cr_assert_eq(mdb_env_open(environment, path.text, 0, 0640), 0);
    cr_assert_eq(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "events", MDB_INTEGERKEY, &table), 0);
    for (uint64_t position = first; position <= last; position++) {
        MDB_val key = {.mv_size = sizeof position, .mv_data = &position};
        cr_assert_eq(mdb_del(transaction, table, &key, NULL), 0);
    }
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    store = stores_open(directory.path);
}

Test(verification, events_that_are_missing) {
    fill(300);
    events_delete(17, 18);
    cr_assert_eq(verify(), 300);
    cr_assert_eq(found_count, 3, "two events, and their number");
    cr_assert_eq(found_positions[0], 0);
    cr_assert_eq(found_positions[1], 17);
    cr_assert_eq(found_positions[2], 18);
    cr_assert_str_eq(found_text, "the event at position 18 is missing");
}

Test(verification, many_events_that_are_missing_are_one_line) {
    fill(300);
    events_delete(100, 250);
    cr_assert_eq(verify(), 300);
    cr_assert_eq(found_count, 2);
    cr_assert_eq(found_positions[1], 100);
    cr_assert_str_eq(found_text, "the events at positions 100 to 250 are missing");
}
