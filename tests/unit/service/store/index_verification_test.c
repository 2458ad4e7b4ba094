/* Whatever the index has too little or too much of is found and named; nothing else is. */
#include "service/store/index_verification.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "service/store/index.h"
#include "service/store/terms.h"
#include "service/store/verification.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define EVENTS_COUNT     400u
#define RUN_EVENTS_COUNT 64u
#define FOUND_MAX        64u

static struct temporary_directory directory;
static struct temporary_path index_path;
static struct store *store;
static uint32_t found_count;
static uint64_t found_positions[FOUND_MAX];
static char found_text[PROBLEM_BYTES]; /* the last */

static void setup(void) {
    directory = temporary_directory_make();
    index_path = temporary_path(&directory, "index");
    store = stores_open(temporary_path(&directory, "data").text);
    cr_assert_eq(stores_append(store, 1, EVENTS_COUNT, 60).failure, FAILURE_NONE);
}

static void teardown(void) {
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(index_verification, .init = setup, .fini = teardown);

static struct index *open_index(bool is_inspected) {
    const struct index_options options = {.directory = index_path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .store_id = store_id(store),
                                          .is_inspected = is_inspected};
    struct index *index = NULL;
    struct problem problem = {0};
    cr_assert_eq(index_open(&options, &index, &problem).failure, FAILURE_NONE, "%s", problem.text);
    return index;
}

static void take(void *context, uint64_t position, const char *text) {
    cr_assert_null(context);
    cr_assert_lt(found_count, FOUND_MAX, "%s", text);
    found_positions[found_count++] = position;
    (void)snprintf(found_text, sizeof found_text, "%s", text);
}

static void verify(struct index *index) {
    struct index_verification *verification;
    bool is_done = false;
    const struct index_verification_options options = {.store = store, .index = index, .found = take};
    found_count = 0;
    cr_assert_eq(index_verification_begin(&options, &verification).failure, FAILURE_NONE);
    while (!is_done) cr_assert_eq(index_verification_step(verification, &is_done).failure, FAILURE_NONE);
    index_verification_end(verification);
}

/* An entry that is left out of an event, or put into it. */
struct change {
    uint64_t position;
    uint32_t entry; /* of those that the event has; one beyond them: an entry of its own */
};

/* Adds all events to the index, but for the change. */
static void fill(struct index *index, struct change change) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = index_position(index) + 1; position <= EVENTS_COUNT; position++) {
        struct index_entry entries[TERMS_COUNT_MAX];
        uint32_t count = 0;
        cr_assert_eq(terms_read(reader, position, entries, &count).failure, FAILURE_NONE);
        if (position == change.position && change.entry < count) entries[change.entry] = entries[--count];
        if (position == change.position && change.entry > count) {
            entries[count++] = (struct index_entry){
                .term = term_of(TERM_TAG, bytes_of_text("nobody's")), .number = position, .position = position};
        }
        cr_assert_eq(index_add(index, position, entries, count).failure, FAILURE_NONE);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

/* Everything that makes a whole run is on disk, after an open or two. */
static struct index *index_of_runs(struct change change) {
    struct index *index = open_index(false);
    fill(index, change);
    while (index_position(index) < EVENTS_COUNT - EVENTS_COUNT % RUN_EVENTS_COUNT) {
        cr_assert_eq(index_count(index).position % RUN_EVENTS_COUNT, 0);
    }
    return index;
}

Test(index_verification, a_sound_index_is_sound) {
    struct index *index = index_of_runs((struct change){0});
    cr_assert_gt(index_count(index).runs_count, 0);
    verify(index);
    cr_assert_eq(found_count, 0, "%s", found_text);
    index_close(index);
}

Test(index_verification, what_is_missing_is_named) {
    uint32_t made_count = 0;
    static const char *const kinds[] = {"its stream", "its type or a tag", "its id"};
    for (uint32_t entry = 0; entry < 3; entry++) {
        /* In a run, and in memory. */
        for (uint64_t position = 100; position <= EVENTS_COUNT; position += 299) {
            struct index *index = index_of_runs((struct change){.position = position, .entry = entry});
            verify(index);
            cr_assert_eq(found_count, 1, "%u", found_count);
            cr_assert_eq(found_positions[0], position);
            cr_assert_not_null(strstr(found_text, kinds[entry]), "%s", found_text);
            index_close(index);
            char name[16];
            (void)snprintf(name, sizeof name, "index %u", ++made_count);
            index_path = temporary_path(&directory, name);
        }
    }
}

Test(index_verification, what_is_too_much_is_named) {
    struct index *index = index_of_runs((struct change){.position = 100, .entry = TERMS_COUNT_MAX});
    verify(index);
    cr_assert_eq(found_count, 1);
    cr_assert_eq(found_positions[0], 100);
    cr_assert_not_null(strstr(found_text, "by a name that it does not have"), "%s", found_text);
    index_close(index);
}

Test(index_verification, what_is_inspected_is_compared_as_far_as_it_is_on_disk) {
    index_close(index_of_runs((struct change){.position = 70, .entry = 2}));
    struct index *index = open_index(true);
    verify(index);
    cr_assert_eq(found_count, 1);
    cr_assert_eq(found_positions[0], 70);
    index_close(index);
}

Test(index_verification, an_inspected_index_that_is_not_there_is_not_made) {
    const struct index_options options = {
        .directory = index_path.text, .map_bytes = STORES_MAP_BYTES, .store_id = store_id(store), .is_inspected = true};
    struct index *index = NULL;
    struct problem problem = {0};
    cr_assert_eq(index_open(&options, &index, &problem).failure, FAILURE_NOT_FOUND);
    cr_assert_not_null(strstr(problem.text, "is not there"));
}
