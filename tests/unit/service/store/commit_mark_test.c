/* What becomes of a log whose meta pages, or whose mark, are not what the last commit left. */
#include "service/store/commit_mark.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define PAGE_BYTES      4096u
#define COMMITS_COUNT   6u
#define COMMIT_EVENTS   5u
#define POSITION_LAST   (COMMITS_COUNT * COMMIT_EVENTS)
#define SLOT_BYTES      512u
#define FILE_BYTES_KEPT (64 * PAGE_BYTES) /* more than the log has in use */

static struct temporary_directory directory;
static struct temporary_path data;
static struct temporary_path log_file;
static struct temporary_path mark_file;

static void events_add(struct store *store, uint64_t commits_count) {
    for (uint64_t commit = 0; commit < commits_count; commit++) {
        const uint64_t last = store_position_last(store);
        cr_assert_eq(stores_append(store, last + 1, last + COMMIT_EVENTS, 100).failure, FAILURE_NONE);
    }
}

static void setup(void) {
    directory = temporary_directory_make();
    data = temporary_path(&directory, "data");
    log_file = temporary_path(&directory, "data/log/data.mdb");
    mark_file = temporary_path(&directory, "data/log/" COMMIT_MARK_FILE);
    struct store *store = stores_open(data.text);
    events_add(store, COMMITS_COUNT);
    store_close(store);
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(commit_mark, .init = setup, .fini = teardown, .timeout = 120);

static result try_open(struct store_options options, struct store **ret_store, struct problem *ret_problem) {
    options.directory = data.text;
    options.map_bytes = STORES_MAP_BYTES;
    return store_open(&options, ret_store, ret_problem);
}

/* The last position of a store that opens. */
static uint64_t position_of(struct store_options options) {
    struct store *store = NULL;
    struct problem problem = {0};
    cr_assert_eq(try_open(options, &store, &problem).failure, FAILURE_NONE, "%s", problem.text);
    const uint64_t last = store_position_last(store);
    store_close(store);
    return last;
}

static void expect_refused(struct store_options options, const char *text) {
    struct store *store = NULL;
    struct problem problem = {0};
    cr_assert_eq(try_open(options, &store, &problem).failure, FAILURE_CORRUPT, "%s", problem.text);
    cr_assert_not_null(strstr(problem.text, text), "%s", problem.text);
    cr_assert_null(strchr(problem.text, '\n'));
}

static void bytes_read(const char *path, uint8_t *bytes, size_t size, off_t offset) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(pread(file, bytes, size, offset), (ssize_t)size);
    close(file);
}

static void bytes_write(const char *path, const uint8_t *bytes, size_t size, off_t offset) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(file, bytes, size, offset), (ssize_t)size);
    close(file);
}

static void bit_flip(const char *path, off_t offset, uint32_t bit) {
    uint8_t byte;
    bytes_read(path, &byte, 1, offset);
    byte ^= (uint8_t)(1u << bit);
    bytes_write(path, &byte, 1, offset);
}

Test(commit_mark, every_bit_of_both_meta_pages_is_repaired) {
    uint8_t before[2 * PAGE_BYTES];
    uint8_t after[2 * PAGE_BYTES];
    bytes_read(log_file.text, before, sizeof before, 0);
    for (uint32_t bit = 0; bit < 2 * META_PAGE_BYTES * 8; bit++) {
        const off_t offset = bit / 8 % META_PAGE_BYTES + bit / 8 / META_PAGE_BYTES * PAGE_BYTES;
        bit_flip(log_file.text, offset, bit % 8);
        cr_assert_eq(position_of((struct store_options){0}), POSITION_LAST, "bit %u of byte %ld", bit % 8,
                     (long)offset);
        bytes_read(log_file.text, after, sizeof after, 0);
        /* The older page counts only as far as LMDB compares it with the newer one. */
        const struct meta_page first = meta_page_parse(after);
        const struct meta_page second = meta_page_parse(after + PAGE_BYTES);
        cr_assert(meta_pages_agree(&first, &second));
        bytes_write(log_file.text, before, sizeof before, 0);
    }
}

Test(commit_mark, what_is_inspected_stays_as_it_is) {
    uint8_t before[2 * PAGE_BYTES];
    uint8_t after[2 * PAGE_BYTES];
    const struct store_options inspected = {.is_inspected = true};
    cr_assert_eq(position_of(inspected), POSITION_LAST);
    bit_flip(log_file.text, 145, 3); /* the commit's number */
    bytes_read(log_file.text, before, sizeof before, 0);
    expect_refused(inspected, "the next start of daybookd repairs it");
    bytes_read(log_file.text, after, sizeof after, 0);
    cr_assert_arr_eq(before, after, sizeof before);
    cr_assert_eq(position_of((struct store_options){0}), POSITION_LAST);
    cr_assert_eq(position_of(inspected), POSITION_LAST);

    cr_assert_eq(unlink(mark_file.text), 0);
    cr_assert_eq(position_of(inspected), POSITION_LAST);
    cr_assert_neq(access(mark_file.text, F_OK), 0, "nothing is made");
}

/* An older state of the file, as a disk that lies about its syncs leaves it. */
static void log_roll_back(uint64_t commits_count) {
    static uint8_t older[FILE_BYTES_KEPT];
    bytes_read(log_file.text, older, sizeof older, 0);
    struct store *store = stores_open(data.text);
    events_add(store, commits_count);
    store_close(store);
    bytes_write(log_file.text, older, sizeof older, 0);
}

Test(commit_mark, a_log_behind_its_mark_is_refused_with_the_positions) {
    char expected[128];
    for (uint64_t commits_count = 1; commits_count <= 3; commits_count++) {
        log_roll_back(commits_count);
        (void)snprintf(expected, sizeof expected, "ends at position %u, %u to %u are missing", POSITION_LAST,
                       POSITION_LAST + 1, (uint32_t)(POSITION_LAST + commits_count * COMMIT_EVENTS));
        expect_refused((struct store_options){0}, expected);
        expect_refused((struct store_options){0}, "--accept-loss");
        expect_refused((struct store_options){.is_inspected = true}, expected);
        cr_assert_eq(position_of((struct store_options){.loss_accepted = true}), POSITION_LAST);
        cr_assert_eq(position_of((struct store_options){0}), POSITION_LAST, "accepted once");
    }
}

Test(commit_mark, a_lost_commit_without_events_is_noticed) {
    static uint8_t older[FILE_BYTES_KEPT];
    bytes_read(log_file.text, older, sizeof older, 0);
    struct store *store = stores_open(data.text);
    const struct checkpoint checkpoint = {.consumer = bytes_of_text("mail"), .position = 3, .recorded_ns = 1};
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
    store_close(store);
    bytes_write(log_file.text, older, sizeof older, 0);
    expect_refused((struct store_options){0}, "checkpoints, settings or erasures of its newest commit are missing");
}

Test(commit_mark, an_older_mark_finds_less_and_refuses_nothing) {
    uint8_t older[2 * SLOT_BYTES] = {0};
    size_t size = 0;
    uint8_t *read = temporary_file_read(mark_file.text, &size);
    cr_assert(size > SLOT_BYTES && size <= sizeof older);
    memcpy(older, read, size);
    free(read);
    for (uint64_t commits_count = 1; commits_count <= 3; commits_count++) {
        struct store *store = stores_open(data.text);
        events_add(store, commits_count);
        const uint64_t last = store_position_last(store);
        store_close(store);
        bytes_write(mark_file.text, older, size, 0);
        cr_assert_eq(position_of((struct store_options){0}), last);
    }
}

Test(commit_mark, a_damaged_mark_refuses_nothing) {
    struct random random = random_start("commit_mark");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(mark_file.text, &size);
    for (uint32_t round = 0; round < 200; round++) {
        const size_t cut = random_below(&random, 4) == 0 ? random_below(&random, size) : size;
        temporary_file_write(mark_file.text, whole, cut);
        for (uint64_t flips = random_below(&random, 4); flips > 0 && cut > 0; flips--) {
            bit_flip(mark_file.text, (off_t)random_below(&random, cut), (uint32_t)random_below(&random, 8));
        }
        cr_assert_eq(position_of((struct store_options){0}), POSITION_LAST);
    }
    free(whole);
    cr_assert_eq(unlink(mark_file.text), 0);
    cr_assert_eq(position_of((struct store_options){0}), POSITION_LAST);
    cr_assert_eq(access(mark_file.text, F_OK), 0, "made anew");
}

Test(commit_mark, damage_of_the_first_pages_is_noticed_while_the_store_is_open) {
    struct store *store = stores_open(data.text);
    events_add(store, 1);
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE,
                 "a transaction without writes leaves no commit and no mark");
    events_add(store, 1);
    uint8_t metas[2 * PAGE_BYTES];
    bytes_read(log_file.text, metas, sizeof metas, 0);
    const struct meta_page pages[2] = {meta_page_parse(metas), meta_page_parse(metas + PAGE_BYTES)};
    const uint32_t newer = pages[0].transaction < pages[1].transaction ? 1 : 0;
    for (uint32_t bit = 0; bit < META_PAGE_BYTES * 8; bit += 5) {
        const off_t offset = newer * PAGE_BYTES + bit / 8;
        bit_flip(log_file.text, offset, bit % 8);
        cr_assert_eq(store_check(store).failure, FAILURE_STORAGE, "bit %u of byte %ld", bit % 8, (long)offset);
        cr_assert_eq(store_begin(store).failure, FAILURE_STORAGE, "bit %u of byte %ld", bit % 8, (long)offset);
        bit_flip(log_file.text, offset, bit % 8);
    }
    const off_t tables = (off_t)(pages[newer].tables_page * PAGE_BYTES);
    for (uint32_t byte = 0; byte < PAGE_BYTES; byte += 97) {
        bit_flip(log_file.text, tables + byte, byte % 8);
        cr_assert_eq(store_check(store).failure, FAILURE_STORAGE, "byte %u of the page that names the tables", byte);
        bit_flip(log_file.text, tables + byte, byte % 8);
    }
    cr_assert_eq(store_check(store).failure, FAILURE_NONE);
    events_add(store, 1);
    store_close(store);
}
