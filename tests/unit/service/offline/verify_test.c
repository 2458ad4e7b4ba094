/* --verify: what it says of a directory, and that it survives whatever is in it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/offline/offline.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define EVENTS_COUNT     300u
#define PAYLOAD_BYTES    200u
#define RUN_EVENTS_COUNT 64u
#define PAGE_BYTES       4096u
#define ROUNDS_COUNT     40u
#define USED_PAGES_COUNT 40u /* of the log, about */

static struct temporary_directory directory;
static struct temporary_path data;
static struct temporary_path output;
static struct problem problem;

static void setup(void) {
    directory = temporary_directory_make();
    data = temporary_path(&directory, "data");
    output = temporary_path(&directory, "output");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(verify, .init = setup, .fini = teardown, .timeout = 120);

/* Runs it with its standard output in a file. */
static enum failure verify(void) {
    const struct offline_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
    (void)fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    const int file = open(output.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(kept >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    problem = (struct problem){.text = ""};
    const result outcome = offline_verify(&options, &problem);
    (void)fflush(stdout);
    cr_assert_geq(dup2(kept, STDOUT_FILENO), 0);
    close(kept);
    close(file);
    return outcome.failure;
}

static void expect_said(const char *text) {
    size_t size = 0;
    uint8_t *bytes = temporary_file_read(output.text, &size);
    cr_assert_not_null(memmem(bytes, size, text, strlen(text)), "\"%s\" in \"%.*s\"", text, (int)size, (char *)bytes);
    free(bytes);
}

static void make_store(void) {
    struct store *store = stores_open(data.text);
    for (uint64_t last = 30; last <= EVENTS_COUNT; last += 30) {
        cr_assert_eq(stores_append(store, last - 29, last, PAYLOAD_BYTES).failure, FAILURE_NONE);
    }
    store_close(store);
}

/* Its index, without the id of one event; 0: with all. */
static void make_index(uint64_t position_without_id) {
    struct store *store = stores_open(data.text);
    const struct temporary_path path = temporary_path(&directory, "data/index");
    const struct index_options options = {.directory = path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .store_id = store_id(store)};
    struct index *index = NULL;
    struct store_reader *reader = NULL;
    cr_assert_eq(index_open(&options, &index, &problem).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) {
        struct index_entry entries[TERMS_COUNT_MAX];
        uint32_t count = 0;
        cr_assert_eq(terms_read(reader, position, entries, &count).failure, FAILURE_NONE);
        if (position == position_without_id) entries[2] = entries[--count];
        cr_assert_eq(index_add(index, position, entries, count).failure, FAILURE_NONE);
    }
    store_reader_end(reader);
    store_reader_close(reader);
    while (index_position(index) < EVENTS_COUNT / RUN_EVENTS_COUNT * RUN_EVENTS_COUNT) (void)index_count(index);
    index_close(index);
    store_close(store);
}

Test(verify, a_sound_store_is_sound) {
    make_store();
    cr_assert_eq(verify(), FAILURE_NONE, "%s", problem.text);
    expect_said("300 events checked, nothing is wrong");
    make_index(0);
    cr_assert_eq(verify(), FAILURE_NONE, "%s", problem.text);
    expect_said("300 events checked, nothing is wrong");
}

Test(verify, nothing_is_made_where_nothing_is) {
    cr_assert_eq(verify(), FAILURE_NOT_FOUND);
    cr_assert_neq(access(data.text, F_OK), 0);
}

Test(verify, a_store_in_use_is_left_alone) {
    make_store();
    struct store *store = stores_open(data.text);
    cr_assert_eq(verify(), FAILURE_BUSY, "%s", problem.text);
    store_close(store);
}

Test(verify, a_damaged_event_is_named) {
    make_store();
    const struct temporary_path file = temporary_path(&directory, "data/log/data.mdb");
    struct bytes record = stores_record(123, PAYLOAD_BYTES);
    size_t size = 0;
    uint8_t *whole = temporary_file_read(file.text, &size);
    uint8_t *end = whole + size;
    /* Pages of earlier commits have it, too. */
    for (uint8_t *at = memmem(whole, size, record.data, record.size); at != NULL;
         at = memmem(at, (size_t)(end - at), record.data, record.size)) {
        at[record.size / 2] ^= 1;
    }
    temporary_file_write(file.text, whole, size);
    stores_record_free(record);
    free(whole);
    cr_assert_eq(verify(), FAILURE_CORRUPT);
    expect_said("the event at position 123 is damaged");
    cr_assert_not_null(strstr(problem.text, "(problems: 1); restore it from a backup"), "%s", problem.text);
}

Test(verify, a_lost_commit_is_named) {
    make_store();
    const struct temporary_path file = temporary_path(&directory, "data/log/data.mdb");
    size_t size = 0;
    uint8_t *older = temporary_file_read(file.text, &size);
    struct store *store = stores_open(data.text);
    cr_assert_eq(stores_append(store, EVENTS_COUNT + 1, EVENTS_COUNT + 2, PAYLOAD_BYTES).failure, FAILURE_NONE);
    store_close(store);
    temporary_file_write(file.text, older, size);
    free(older);
    cr_assert_eq(verify(), FAILURE_CORRUPT);
    cr_assert_not_null(strstr(problem.text, "it ends at position 300, 301 to 302 are missing"), "%s", problem.text);
}

Test(verify, what_the_index_has_not_is_named) {
    make_store();
    make_index(77);
    cr_assert_eq(verify(), FAILURE_CORRUPT);
    expect_said("the event at position 77 is not found in the index by its id");
    cr_assert_not_null(strstr(problem.text, "only the index is"), "%s", problem.text);
}

/* Pages of noise: LMDB may end the child in any way. */
static void expect_survived(const char *name, bool is_log) {
    struct random random = random_start(name);
    const struct temporary_path file = temporary_path(&directory, name);
    size_t size = 0;
    uint8_t *whole = temporary_file_read(file.text, &size);
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        uint8_t page[PAGE_BYTES];
        const size_t at = (2 + random_below(&random, USED_PAGES_COUNT - 2)) * PAGE_BYTES;
        memcpy(page, whole + at, sizeof page);
        const size_t noise = random_below(&random, 2) == 0 ? sizeof page : 64; /* all of it, or its header */
        random_fill(&random, whole + at, noise);
        temporary_file_write(file.text, whole, size);
        const enum failure failure = verify();
        cr_assert(failure == FAILURE_NONE || failure == FAILURE_CORRUPT || failure == FAILURE_STORAGE, "%s: %s",
                  failure_name(failure), problem.text);
        if (!is_log && failure == FAILURE_CORRUPT) {
            cr_assert_not_null(strstr(problem.text, "only the index is"), "%s", problem.text);
        }
        memcpy(whole + at, page, sizeof page);
    }
    temporary_file_write(file.text, whole, size);
    free(whole);
    cr_assert_eq(verify(), FAILURE_NONE, "%s", problem.text);
}

Test(verify, damaged_pages_of_the_log_are_survived) {
    make_store();
    expect_survived("data/log/data.mdb", true);
}

Test(verify, damaged_pages_of_the_index_are_survived) {
    make_store();
    make_index(0);
    expect_survived("data/index/data.mdb", false);
}
