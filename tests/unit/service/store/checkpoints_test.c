/* Checkpoints on disk. */
#include <criterion/criterion.h>
#include <lmdb.h>

#include "service/store/store.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

static struct temporary_directory directory;
static struct store *store;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
}

static void teardown(void) {
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(checkpoints, .init = setup, .fini = teardown);

static void put(const char *consumer, uint64_t position) {
    const struct checkpoint checkpoint = {
        .consumer = bytes_of_text(consumer), .position = position, .recorded_ns = 1000 + (int64_t)position};
    cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
}

static void store_one(const char *consumer, uint64_t position) {
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    put(consumer, position);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

/* What the open transaction sees. */
static uint64_t pending(const char *consumer) {
    uint64_t position = UINT64_MAX;
    cr_assert_eq(store_checkpoint_get(store, bytes_of_text(consumer), &position).failure, FAILURE_NONE);
    return position;
}

static void expect_stored(const char *consumer, uint64_t position) {
    struct store_reader *reader;
    struct checkpoint checkpoint;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    const result found = store_reader_checkpoint(reader, bytes_of_text(consumer), &checkpoint);
    cr_assert_eq(found.failure, position == 0 ? FAILURE_NOT_FOUND : FAILURE_NONE);
    if (position != 0) {
        cr_assert(bytes_equal(checkpoint.consumer, bytes_of_text(consumer)));
        cr_assert_eq(checkpoint.position, position);
        cr_assert_eq(checkpoint.recorded_ns, 1000 + (int64_t)position);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

Test(checkpoints, the_last_one_of_a_consumer_is_kept_through_a_restart) {
    expect_stored("inventory", 0);
    store_one("inventory", 3);
    store_one("mail", 9);
    store_one("inventory", 4);
    for (uint32_t times = 0; times < 2; times++) {
        expect_stored("inventory", 4);
        expect_stored("mail", 9);
        expect_stored("inv", 0);
        store_close(store);
        store = stores_open(directory.path);
    }
}

Test(checkpoints, a_transaction_sees_its_own_and_an_aborted_one_leaves_none) {
    store_one("inventory", 3);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(pending("inventory"), 3);
    cr_assert_eq(pending("mail"), 0);
    put("inventory", 7);
    cr_assert_eq(pending("inventory"), 7);
    expect_stored("inventory", 3);
    store_abort(store);
    expect_stored("inventory", 3);
}

Test(checkpoints, they_are_listed_in_the_order_of_names) {
    static const char *const names[] = {"a", "a-1", "b", "\xc3\xa4"};
    store_one(names[2], 1);
    store_one(names[0], 2);
    store_one(names[3], 3);
    store_one(names[1], 4);
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    struct checkpoint checkpoint = {.consumer = {0}};
    for (uint32_t index = 0; index < 4; index++) {
        cr_assert_eq(store_reader_checkpoint_after(reader, checkpoint.consumer, &checkpoint).failure, FAILURE_NONE);
        cr_assert(bytes_equal(checkpoint.consumer, bytes_of_text(names[index])), "%s", names[index]);
    }
    cr_assert_eq(store_reader_checkpoint_after(reader, checkpoint.consumer, &checkpoint).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(store_reader_checkpoint_after(reader, bytes_of_text("aa"), &checkpoint).failure, FAILURE_NONE);
    cr_assert(bytes_equal(checkpoint.consumer, bytes_of_text("b")), "after a name that is not there");
    store_reader_end(reader);
    store_reader_close(reader);
}

/* Flips a bit of the stored value behind the store's back. */
static void damage(const char *consumer) {
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    const struct temporary_path path = temporary_path(&directory, "log");
    cr_assert_eq(mdb_env_create(&environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(environment, 8), 0);
    cr_assert_eq(mdb_env_set_mapsize(environment, STORES_MAP_BYTES), 0);
    cr_assert_eq(mdb_env_open(environment, path.text, 0, 0600), 0);
    cr_assert_eq(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "checkpoints", 0, &table), 0);
    MDB_val key = {.mv_size = strlen(consumer), .mv_data = (void *)(uintptr_t)consumer};
    MDB_val value;
    cr_assert_eq(mdb_get(transaction, table, &key, &value), 0);
    uint8_t copy[64];
    cr_assert_leq(value.mv_size, sizeof copy);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[1] ^= 4;
    value.mv_data = copy;
    cr_assert_eq(mdb_put(transaction, table, &key, &value, 0), 0);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
}

Test(checkpoints, a_damaged_one_is_never_handed_out) {
    store_one("inventory", 3);
    store_close(store);
    damage("inventory");
    store = stores_open(directory.path);
    struct store_reader *reader;
    struct checkpoint checkpoint;
    uint64_t position = 77;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_checkpoint(reader, bytes_of_text("inventory"), &checkpoint).failure, FAILURE_CORRUPT);
    cr_assert_eq(store_reader_checkpoint_after(reader, bytes_of(NULL, 0), &checkpoint).failure, FAILURE_CORRUPT);
    store_reader_end(reader);
    store_reader_close(reader);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_checkpoint_get(store, bytes_of_text("inventory"), &position).failure, FAILURE_CORRUPT);
    cr_assert_eq(position, 77, "untouched on failure");
    store_abort(store);
}
