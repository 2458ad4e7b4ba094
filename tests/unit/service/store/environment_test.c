#include "service/store/environment.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define MAP_BYTES MIB(256)

static struct temporary_directory directory;

static void setup(void) {
    directory = temporary_directory_make();
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(environment, .init = setup, .fini = teardown);

static struct environment open_environment(uint64_t map_bytes) {
    const struct environment_options options = {
        .directory = directory.path, .map_bytes = map_bytes, .tables_count_max = 4};
    struct environment environment;
    struct problem problem = {0};
    cr_assert_eq(environment_open(&options, &environment, &problem).failure, FAILURE_NONE, "%s", problem.text);
    return environment;
}

static uint64_t file_bytes(void) {
    struct stat status;
    cr_assert_eq(stat(temporary_path(&directory, "data.mdb").text, &status), 0);
    return (uint64_t)status.st_size;
}

Test(environment, opens_and_opens_again) {
    struct environment environment = open_environment(MAP_BYTES);
    cr_assert_eq(environment.map_bytes, MAP_BYTES);
    cr_assert_eq(environment.file_bytes, file_bytes());
    cr_assert_geq(environment.file_bytes, environment_used_bytes(&environment) + ENVIRONMENT_SLACK_BYTES);
    environment_close(&environment);
    environment = open_environment(MAP_BYTES / 2);
    environment_close(&environment);
    environment_close(&environment);
}

Test(environment, one_that_must_exist_is_not_made) {
    const struct environment_options options = {
        .directory = directory.path, .map_bytes = MAP_BYTES, .tables_count_max = 4, .must_exist = true};
    struct environment environment;
    struct problem problem = {0};
    cr_assert_eq(environment_open(&options, &environment, &problem).failure, FAILURE_CORRUPT);
    cr_assert_not_null(strstr(problem.text, "missing or empty"));
    cr_assert_neq(access(temporary_path(&directory, "data.mdb").text, F_OK), 0);
}

Test(environment, its_files_are_closed_on_exec) {
    struct environment environment = open_environment(MAP_BYTES);
    uint32_t found_count = 0;
    DIR *descriptors = opendir("/proc/self/fd");
    cr_assert_not_null(descriptors);
    for (const struct dirent *entry = readdir(descriptors); entry != NULL; entry = readdir(descriptors)) {
        char path[64];
        char target[1024];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%.16s", entry->d_name);
        const ssize_t size = readlink(path, target, sizeof target - 1);
        if (size < 0) continue;
        target[size] = '\0';
        if (strstr(target, ".mdb") == NULL) continue;
        found_count++;
        cr_assert(fcntl((int)strtol(entry->d_name, NULL, 10), F_GETFD) & FD_CLOEXEC, "%s", target);
    }
    closedir(descriptors);
    cr_assert_geq(found_count, 3, "data.mdb twice and lock.mdb");
    environment_close(&environment);
}

static result put_many(struct environment *environment, struct random *random, uint64_t *next_key, bool sequential) {
    MDB_txn *transaction = NULL;
    MDB_dbi table;
    uint8_t bytes[6000];
    uint64_t bytes_written = 0;
    random_fill(random, bytes, sizeof bytes);
    cr_assert_eq(mdb_txn_begin(environment->handle, NULL, 0, &transaction), MDB_SUCCESS);
    cr_assert_eq(mdb_dbi_open(transaction, "table", MDB_CREATE | MDB_INTEGERKEY, &table), MDB_SUCCESS);
    const uint64_t count = 1 + random_below(random, 400);
    /* Sizes just over half a page waste the most. */
    const size_t size = random_below(random, 3) == 0 ? 2040 : 1 + random_below(random, sizeof bytes - 1);
    for (uint64_t index = 0; index < count; index++) {
        uint64_t number = sequential ? (*next_key)++ : random_next(random) % 100000;
        MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
        MDB_val value = {.mv_size = size, .mv_data = bytes};
        cr_assert_eq(mdb_put(transaction, table, &key, &value, 0), MDB_SUCCESS);
        bytes_written += size + 24;
    }
    return environment_commit(environment, transaction, bytes_written);
}

/* The promise of environment_reserve: whatever a commit writes, the file was long enough for it before. */
static void expect_file_ahead(bool sequential) {
    struct random random = random_start("environment");
    struct environment environment = open_environment(MAP_BYTES);
    uint64_t next_key = 0;
    while (environment_used_bytes(&environment) < MAP_BYTES / 2) {
        cr_assert_eq(put_many(&environment, &random, &next_key, sequential).failure, FAILURE_NONE);
        cr_assert_leq(environment_used_bytes(&environment), environment.file_bytes);
        cr_assert_eq(environment.file_bytes, file_bytes(), "LMDB did not have to lengthen it");
    }
    environment_close(&environment);
}

Test(environment, the_file_is_ahead_of_sequential_writes) {
    expect_file_ahead(true);
}

Test(environment, the_file_grows_by_steps) {
    struct random random = random_start("environment");
    struct environment environment = open_environment(MAP_BYTES);
    uint64_t next_key = 0;
    uint64_t growths_count = 0;
    while (environment_used_bytes(&environment) < MIB(64)) {
        const uint64_t before = environment.file_bytes;
        cr_assert_eq(put_many(&environment, &random, &next_key, true).failure, FAILURE_NONE);
        growths_count += environment.file_bytes == before ? 0 : 1;
    }
    cr_assert_leq(growths_count, MIB(64) / ENVIRONMENT_GROWTH_BYTES + 1);
    environment_close(&environment);
}

/* No machine has this much address space, and few file systems such long files. */
Test(environment, a_map_that_is_too_large_shrinks_when_it_may) {
    struct environment_options options = {
        .directory = directory.path, .map_bytes = GIB(1024) * 256, .tables_count_max = 4, .map_may_shrink = true};
    struct environment environment;
    struct problem problem = {0};
    cr_assert_eq(environment_open(&options, &environment, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert(environment.map_bytes < options.map_bytes && environment.map_bytes >= ENVIRONMENT_MAP_BYTES_MIN);
    environment_close(&environment);
    options.map_may_shrink = false;
    cr_assert_eq(environment_open(&options, &environment, &problem).failure, FAILURE_MEMORY);
    cr_assert_not_null(strstr(problem.text, "ulimit -v"));
}

Test(environment, codes_are_failures) {
    cr_assert_eq(environment_result(MDB_SUCCESS, "test").failure, FAILURE_NONE);
    cr_assert_eq(environment_result(MDB_NOTFOUND, "test").failure, FAILURE_NOT_FOUND);
    cr_assert_eq(environment_result(MDB_MAP_FULL, "test").failure, FAILURE_STORAGE_FULL);
    cr_assert_eq(environment_result(MDB_READERS_FULL, "test").failure, FAILURE_LIMIT);
    cr_assert_eq(environment_result(MDB_CORRUPTED, "test").failure, FAILURE_CORRUPT);
    cr_assert_eq(environment_result(MDB_PANIC, "test").failure, FAILURE_STORAGE);
    cr_assert_eq(environment_result(5, "test").failure, FAILURE_STORAGE);
}
