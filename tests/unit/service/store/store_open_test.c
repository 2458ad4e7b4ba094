/* What a data directory may look like when the daemon starts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/store/store.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define PAGE_BYTES       4096u
#define LAST_PAGE_OFFSET 136u /* in LMDB's meta pages, the first two of the file */

static struct temporary_directory directory;
static struct temporary_path data;

static void setup(void) {
    directory = temporary_directory_make();
    data = temporary_path(&directory, "data");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(store_open, .init = setup, .fini = teardown);

static struct temporary_path in_data(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "data/%s", name);
    return temporary_path(&directory, path);
}

/* Opens the store, which must fail so, with a problem that contains the text. */
static void expect_failure(enum failure failure, const char *text) {
    const struct store_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
    struct store *store = NULL;
    struct problem problem = {0};
    cr_assert_eq(store_open(&options, &store, &problem).failure, failure, "%s", problem.text);
    cr_assert_not_null(strstr(problem.text, text), "%s", problem.text);
    cr_assert_null(strchr(problem.text, '\n'), "one line");
    cr_assert_null(store);
}

static void make_store(uint64_t events_count) {
    struct store *store = stores_open(data.text);
    if (events_count > 0) cr_assert_eq(stores_append(store, 1, events_count, 200).failure, FAILURE_NONE);
    store_close(store);
}

Test(store_open, a_second_open_is_busy) {
    struct store *store = stores_open(data.text);
    char process[32];
    (void)snprintf(process, sizeof process, "process %ld;", (long)getpid());
    expect_failure(FAILURE_BUSY, process);
    store_close(store);
    make_store(0);
}

Test(store_open, every_truncation_of_the_file_is_corrupt) {
    struct random random = random_start("store_open");
    make_store(500);
    const struct temporary_path file = in_data("log/data.mdb");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(file.text, &size);
    uint64_t last_pages[2];
    memcpy(&last_pages[0], whole + LAST_PAGE_OFFSET, sizeof last_pages[0]);
    memcpy(&last_pages[1], whole + PAGE_BYTES + LAST_PAGE_OFFSET, sizeof last_pages[1]);
    const size_t needed = ((last_pages[0] > last_pages[1] ? last_pages[0] : last_pages[1]) + 1) * PAGE_BYTES;
    cr_assert(needed > 20 * PAGE_BYTES && needed < size);
    for (uint32_t round = 0; round < 200; round++) {
        const size_t cut = round == 0 ? needed - 1 : random_below(&random, needed);
        cr_assert_eq(truncate(file.text, (off_t)cut), 0);
        expect_failure(FAILURE_CORRUPT, "restore it from a backup");
        temporary_file_write(file.text, whole, needed);
    }
    struct store *store = stores_open(data.text);
    cr_assert_eq(store_position_last(store), 500, "all that is needed is enough");
    store_close(store);
    free(whole);
}

Test(store_open, a_missing_or_foreign_log_is_corrupt) {
    make_store(1);
    const struct temporary_path file = in_data("log/data.mdb");
    cr_assert_eq(unlink(file.text), 0);
    expect_failure(FAILURE_CORRUPT, "missing or empty");
    temporary_file_write(file.text, "", 0);
    expect_failure(FAILURE_CORRUPT, "missing or empty");
    static uint8_t junk[3 * PAGE_BYTES];
    temporary_file_write(file.text, junk, sizeof junk);
    expect_failure(FAILURE_CORRUPT, "no LMDB file");
    memset(junk, 0x5a, sizeof junk);
    temporary_file_write(file.text, junk, sizeof junk);
    expect_failure(FAILURE_CORRUPT, "no LMDB file");
}

Test(store_open, the_log_of_another_store_is_refused) {
    make_store(1);
    const struct temporary_path log = in_data("log");
    const struct temporary_path kept = temporary_path(&directory, "kept");
    cr_assert_eq(rename(log.text, kept.text), 0);
    const struct temporary_path first = temporary_path(&directory, "first");
    cr_assert_eq(rename(data.text, first.text), 0);
    make_store(1);
    const struct temporary_path second_log = temporary_path(&directory, "second-log");
    cr_assert_eq(rename(log.text, second_log.text), 0);
    cr_assert_eq(rename(kept.text, log.text), 0);
    expect_failure(FAILURE_FORMAT, "another store");
}

Test(store_open, what_an_interrupted_first_start_left_is_taken) {
    const struct temporary_path fresh = in_data("log.new");
    const struct temporary_path junk = in_data("log.new/data.mdb");
    cr_assert_eq(mkdir(data.text, 0750), 0);
    cr_assert_eq(mkdir(fresh.text, 0750), 0);
    temporary_file_write(junk.text, "half a page", 11);
    temporary_file_write(in_data("FORMAT.new").text, "daybook", 7);
    make_store(0);
    cr_assert_neq(access(fresh.text, F_OK), 0);

    /* The log was complete, FORMAT was not yet written. */
    struct store *store = stores_open(data.text);
    char id[UUID_TEXT_BYTES + 1];
    memcpy(id, store_id(store), sizeof id);
    store_close(store);
    cr_assert_eq(unlink(in_data("FORMAT").text), 0);
    store = stores_open(data.text);
    cr_assert_str_eq(store_id(store), id);
    store_close(store);
}

Test(store_open, a_log_with_events_is_never_begun_anew) {
    make_store(3);
    cr_assert_eq(unlink(in_data("FORMAT").text), 0);
    expect_failure(FAILURE_FORMAT, "FORMAT is missing");
    cr_assert_neq(access(in_data("FORMAT").text, F_OK), 0, "nothing is written");
}

/* Without the mark from which they could be repaired (commit_mark_test.c). */
Test(store_open, damaged_meta_pages_are_found) {
    make_store(100);
    cr_assert_eq(unlink(in_data("log/COMMIT").text), 0);
    const struct temporary_path file = in_data("log/data.mdb");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(file.text, &size);
    static const struct {
        const char *what;
        size_t offset;
        enum failure failure;
    } fields[] = {
        {"page flags", 10, FAILURE_CORRUPT},
        {"magic number", 16, FAILURE_CORRUPT},
        {"version", 20, FAILURE_FORMAT},
        {"page size", 40, FAILURE_CORRUPT},
        {"last page", LAST_PAGE_OFFSET + 4, FAILURE_CORRUPT},
    };
    for (size_t index = 0; index < sizeof fields / sizeof fields[0]; index++) {
        uint8_t *damaged = malloc(size);
        memcpy(damaged, whole, size);
        for (size_t page = 0; page < 2; page++) {
            damaged[page * PAGE_BYTES + fields[index].offset] ^= 0x48;
        }
        temporary_file_write(file.text, damaged, size);
        const struct store_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
        struct store *store = NULL;
        struct problem problem = {0};
        const result outcome = store_open(&options, &store, &problem);
        /* Another version of LMDB cannot be told from a damaged number. */
        cr_assert_eq(outcome.failure, fields[index].failure, "%s: %s", fields[index].what, problem.text);
        free(damaged);
    }
    free(whole);
}
