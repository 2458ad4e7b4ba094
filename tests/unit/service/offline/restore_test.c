/* --restore: from a file, whole or not at all. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/offline/offline.h"
#include "service/store/backup.h"
#include "service/store/store.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define EVENTS_COUNT 200u
#define ROUNDS_COUNT 30u

static struct temporary_directory directory;
static struct temporary_path data;
static struct temporary_path file;
static struct problem problem;

/* A backup in a file. */
static void setup(void) {
    directory = temporary_directory_make();
    data = temporary_path(&directory, "data");
    file = temporary_path(&directory, "backup");
    struct store *store = stores_open(temporary_path(&directory, "source").text);
    struct backup *backup = NULL;
    struct bytes part = {.size = 1};
    cr_assert_eq(stores_append(store, 1, EVENTS_COUNT, 100).failure, FAILURE_NONE);
    cr_assert_eq(backup_begin(store, &backup).failure, FAILURE_NONE);
    const int descriptor = open(file.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(descriptor, 0);
    while (part.size > 0) {
        cr_assert_eq(backup_next(backup, &part).failure, FAILURE_NONE);
        cr_assert_eq(write(descriptor, part.data, part.size), (ssize_t)part.size);
    }
    close(descriptor);
    backup_end(backup);
    store_close(store);
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(restore, .init = setup, .fini = teardown, .timeout = 120);

static enum failure restore_from(const char *name) {
    const struct offline_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
    problem = (struct problem){.text = ""};
    return offline_restore(&options, name, &problem).failure;
}

Test(restore, a_whole_backup_is_a_store) {
    cr_assert_eq(restore_from(file.text), FAILURE_NONE, "%s", problem.text);
    struct store *store = stores_open(data.text);
    cr_assert_eq(store_position_last(store), EVENTS_COUNT);
    store_close(store);
    cr_assert_eq(restore_from(file.text), FAILURE_INPUT, "there is a store now");
    cr_assert_not_null(strstr(problem.text, "has a store already"), "%s", problem.text);
}

Test(restore, a_backup_that_cannot_be_read_makes_nothing) {
    cr_assert_eq(restore_from(temporary_path(&directory, "nowhere").text), FAILURE_INPUT);
    cr_assert_neq(access(data.text, F_OK), 0);
}

Test(restore, a_damaged_backup_makes_nothing) {
    struct random random = random_start("restore");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(file.text, &size);
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        const size_t at = random_below(&random, size);
        const bool is_cut = random_below(&random, 2) == 0;
        const uint8_t bit = (uint8_t)(1u << random_below(&random, 8));
        whole[at] ^= is_cut ? 0 : bit;
        temporary_file_write(file.text, whole, is_cut ? at : size);
        const enum failure failure = restore_from(file.text);
        cr_assert(failure == FAILURE_CORRUPT || failure == FAILURE_FORMAT || failure == FAILURE_INPUT,
                  "%s, byte %zu: %s", is_cut ? "cut" : "flipped", at, failure_name(failure));
        cr_assert_neq(access(temporary_path(&directory, "data/FORMAT").text, F_OK), 0);
        whole[at] ^= is_cut ? 0 : bit;
    }
    temporary_file_write(file.text, whole, size);
    free(whole);
    cr_assert_eq(restore_from(file.text), FAILURE_NONE, "%s", problem.text);
}
