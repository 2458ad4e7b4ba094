/* Full and failing disks: what is refused leaves nothing behind, what is unknown is never called full. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/store/environment.h"
#include "service/store/store.h"
#include "tests/support/small_disk.h"
#include "tests/support/stores.h"
#include "tests/support/system_faults.h"
#include "tests/support/temporary_directory.h"

#define DISK_BYTES    MIB(192)
#define GROUP_COUNT   1000
#define PAYLOAD_BYTES 1000

static struct temporary_directory directory;
static struct temporary_path data;
static struct temporary_path filler;

static bool setup_disk(void) {
    directory = temporary_directory_make();
    if (!small_disk_mount(directory.path, DISK_BYTES)) {
        temporary_directory_remove(&directory);
        return false;
    }
    data = temporary_path(&directory, "data");
    filler = temporary_path(&directory, "filler");
    return true;
}

/* Appends groups until one fails; returns how. */
static enum failure append_until_failure(struct store *store) {
    result outcome = RESULT_OK;
    while (!failed(outcome)) {
        const uint64_t first = store_position_last(store) + 1;
        outcome = stores_append(store, first, first + GROUP_COUNT - 1, PAYLOAD_BYTES);
    }
    return outcome.failure;
}

static void expect_all(struct store *store) {
    struct store_reader *reader = NULL;
    uint64_t position_last = 0;
    struct bytes found;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, store_position_last(store));
    for (uint64_t position = 1; position <= position_last; position++) {
        const struct bytes expected = stores_record(position, PAYLOAD_BYTES);
        cr_assert_eq(store_reader_get(reader, position, &found).failure, FAILURE_NONE);
        cr_assert(bytes_equal(found, expected));
        stores_record_free(expected);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

static void expect_full_then_resumed(struct store *store) {
    cr_assert_eq(append_until_failure(store), FAILURE_STORAGE_FULL);
    const uint64_t position_last = store_position_last(store);
    cr_assert_gt(position_last, 0);
    cr_assert_eq(position_last % GROUP_COUNT, 0, "groups are whole");
    expect_all(store);
    cr_assert_eq(append_until_failure(store), FAILURE_STORAGE_FULL, "it stays full, and the store stays open");
    cr_assert_eq(unlink(filler.text), 0);
    cr_assert_eq(stores_append(store, position_last + 1, position_last + GROUP_COUNT, PAYLOAD_BYTES).failure,
                 FAILURE_NONE);
    expect_all(store);
}

Test(store_full, a_full_disk_refuses_appends_until_there_is_space) {
    if (!setup_disk()) cr_skip_test("needs root");
    struct store *store = stores_open(data.text);
    small_disk_fill(filler.text, ENVIRONMENT_RESERVE_BYTES + ENVIRONMENT_GROWTH_BYTES + MIB(4));
    expect_full_then_resumed(store);
    store_close(store);
    store = stores_open(data.text);
    expect_all(store);
    store_close(store);
}

/* The reserve is there when appends are refused. */
Test(store_full, the_reserve_stays_free) {
    if (!setup_disk()) cr_skip_test("needs root");
    struct store *store = stores_open(data.text);
    cr_assert_eq(append_until_failure(store), FAILURE_STORAGE_FULL);
    small_disk_fill(filler.text, ENVIRONMENT_RESERVE_BYTES - MIB(1));
    store_close(store);
}

/* Somebody else took every byte after the file was lengthened without blocks: LMDB itself runs into the end. */
Test(store_full, a_disk_without_fallocate_that_runs_full_is_told_from_a_broken_one) {
    if (!setup_disk()) cr_skip_test("needs root");
    system_fault(SYS_fallocate, EOPNOTSUPP);
    struct store *store = stores_open(data.text);
    small_disk_fill(filler.text, MIB(3) / 2);
    expect_full_then_resumed(store);
    store_close(store);
}

Test(store_full, a_full_disk_can_be_opened_and_read) {
    if (!setup_disk()) cr_skip_test("needs root");
    struct store *store = stores_open(data.text);
    cr_assert_eq(stores_append(store, 1, GROUP_COUNT, PAYLOAD_BYTES).failure, FAILURE_NONE);
    store_close(store);
    small_disk_fill(filler.text, 0);
    store = stores_open(data.text);
    expect_all(store);
    store_close(store);
}

Test(store_full, a_store_is_not_begun_on_a_full_disk) {
    if (!setup_disk()) cr_skip_test("needs root");
    small_disk_fill(filler.text, ENVIRONMENT_RESERVE_BYTES);
    struct store *store = NULL;
    struct problem problem = {0};
    const struct store_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
    cr_assert_eq(store_open(&options, &store, &problem).failure, FAILURE_STORAGE_FULL);
    cr_assert_not_null(strstr(problem.text, "no space"), "%s", problem.text);
    cr_assert_eq(unlink(filler.text), 0);
    store = stores_open(data.text);
    store_close(store);
}

Test(store_full, a_full_map_refuses_appends) {
    directory = temporary_directory_make();
    struct store *store = NULL;
    struct problem problem = {0};
    const struct store_options options = {.directory = directory.path, .map_bytes = MIB(8)};
    cr_assert_eq(store_open(&options, &store, &problem).failure, FAILURE_NONE);
    cr_assert_eq(append_until_failure(store), FAILURE_STORAGE_FULL);
    cr_assert_gt(store_position_last(store), 0);
    expect_all(store);
    store_close(store);
    store = stores_open(directory.path);
    const uint64_t position_last = store_position_last(store);
    cr_assert_eq(stores_append(store, position_last + 1, position_last + 1, PAYLOAD_BYTES).failure, FAILURE_NONE);
    expect_all(store);
    store_close(store);
    temporary_directory_remove(&directory);
}

Test(store_full, a_failed_sync_is_a_broken_disk) {
    directory = temporary_directory_make();
    struct store *store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, 10, PAYLOAD_BYTES).failure, FAILURE_NONE);
    system_fault(SYS_fdatasync, EIO);
    cr_assert_eq(stores_append(store, 11, 20, PAYLOAD_BYTES).failure, FAILURE_STORAGE);
    store_close(store);
    temporary_directory_remove(&directory);
}

/* The meta page is written through a descriptor of its own; after that LMDB refuses everything. */
Test(store_full, a_failed_write_of_the_meta_page_is_a_broken_disk_even_when_it_is_full) {
    if (!setup_disk()) cr_skip_test("needs root");
    struct store *store = stores_open(data.text);
    cr_assert_eq(stores_append(store, 1, 10, PAYLOAD_BYTES).failure, FAILURE_NONE);
    small_disk_fill(filler.text, 0);
    /* One group of few pages, written by one call of pwritev or pwrite64 to LMDB's first descriptor. */
    int first_descriptor = -1;
    char path[64];
    char target[256];
    for (int descriptor = 3; descriptor < 64 && first_descriptor < 0; descriptor++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        const ssize_t size = readlink(path, target, sizeof target - 1);
        if (size < 0) continue;
        target[size] = '\0';
        if (strstr(target, "/log/data.mdb") != NULL) first_descriptor = descriptor;
    }
    cr_assert_geq(first_descriptor, 0);
    system_fault_except(SYS_pwrite64, EIO, first_descriptor);
    cr_assert_eq(stores_append(store, 11, 20, PAYLOAD_BYTES).failure, FAILURE_STORAGE);
    cr_assert_eq(store_begin(store).failure, FAILURE_STORAGE, "nothing is written after that");
    store_close(store);
}
