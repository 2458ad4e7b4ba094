/* Runs and their cursors: what was written is read; what was not, is not. */
#include "service/store/names_run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/service/store/names_runs.h"

#define NAMES_COUNT 2000

static const char *names[NAMES_COUNT];
static char texts[NAMES_COUNT][256];

/* Ascending, every fifth with 255 bytes. */
static void names_make(void) {
    for (uint32_t index = 0; index < NAMES_COUNT; index++) {
        memset(texts[index], 'x', 255);
        (void)snprintf(texts[index], 32, "needle-%05u", 2 * index);
        if (index % 5 == 0) texts[index][strlen(texts[index])] = 'x';
        names[index] = texts[index];
    }
}

struct key {
    size_t size;
    uint8_t bytes[NAMES_KEY_BYTES_MAX + 1];
};

static struct key key_of(const char *name) {
    struct key key = {.size = 1 + strlen(name), .bytes = {TERM_STREAM}};
    memcpy(key.bytes + 1, name, strlen(name));
    return key;
}

static result seek(const struct names_runs *runs, const struct names_run *run, const char *name, int *ret_place) {
    MDB_txn *transaction = names_runs_read(runs);
    struct names_cursor cursor;
    cr_assert_eq(names_cursor_open(run, transaction, &cursor).failure, FAILURE_NONE);
    const struct key key = key_of(name);
    const result outcome = names_cursor_seek(&cursor, bytes_of(key.bytes, key.size));
    if (!failed(outcome)) {
        *ret_place = cursor.is_ended ? NAMES_COUNT : (int)cursor.entry.figures.events_count - 1;
        if (!cursor.is_ended) {
            const struct key found = key_of(names[*ret_place]);
            cr_assert(bytes_equal(cursor.entry.key, bytes_of(found.bytes, found.size)));
        }
    }
    names_cursor_close(&cursor);
    names_runs_read_end(transaction);
    return outcome;
}

Test(names_run, what_was_written_is_found_in_its_order) {
    names_make();
    struct names_runs *runs = names_runs_open();
    struct names_run *run = names_runs_write(runs, 5, 9, names, NAMES_COUNT);
    cr_assert_eq(run->entries_count, NAMES_COUNT);
    MDB_txn *transaction = names_runs_read(runs);
    struct names_cursor cursor;
    cr_assert_eq(names_cursor_open(run, transaction, &cursor).failure, FAILURE_NONE);
    const uint8_t first[] = {0};
    cr_assert_eq(names_cursor_seek(&cursor, bytes_of(first, 1)).failure, FAILURE_NONE);
    for (uint32_t place = 0; place < NAMES_COUNT; place++) {
        const struct key key = key_of(names[place]);
        cr_assert_not(cursor.is_ended);
        cr_assert(bytes_equal(cursor.entry.key, bytes_of(key.bytes, key.size)));
        cr_assert_eq(cursor.entry.figures.events_count, 1 + place);
        cr_assert_eq(cursor.entry.figures.bytes_count, 5000 + place);
        cr_assert_eq(cursor.entry.figures.position_first, 5);
        cr_assert_eq(cursor.entry.figures.position_last, 9);
        cr_assert_eq(names_cursor_next(&cursor).failure, FAILURE_NONE);
    }
    cr_assert(cursor.is_ended);
    names_cursor_close(&cursor);
    names_runs_read_end(transaction);
    names_runs_close(runs);
}

Test(names_run, seek_finds_the_first_that_is_not_before) {
    names_make();
    struct names_runs *runs = names_runs_open();
    struct names_run *run = names_runs_write(runs, 1, 9, names, NAMES_COUNT);
    for (int place = 0; place < NAMES_COUNT; place++) {
        int found = -1;
        cr_assert_eq(seek(runs, run, names[place], &found).failure, FAILURE_NONE);
        cr_assert_eq(found, place);
        char between[32];
        (void)snprintf(between, sizeof between, "needle-%05d", 2 * place + 1);
        cr_assert_eq(seek(runs, run, between, &found).failure, FAILURE_NONE);
        cr_assert_eq(found, place + 1);
    }
    int found = -1;
    cr_assert_eq(seek(runs, run, "a", &found).failure, FAILURE_NONE);
    cr_assert_eq(found, 0);
    names_runs_close(runs);
}

Test(names_run, an_empty_run_has_nothing) {
    struct names_runs *runs = names_runs_open();
    struct names_run *run = names_runs_write(runs, 1, 9, NULL, 0);
    int found = -1;
    cr_assert_eq(seek(runs, run, "a", &found).failure, FAILURE_NONE);
    cr_assert_eq(found, NAMES_COUNT);
    names_runs_close(runs);
}

/* Changes every byte of `count` that follow the first place where the name is in the file, one at a time, and asks. */
static void expect_damage_is_seen(struct names_runs *runs, const struct names_run *run, const char *name,
                                  size_t count) {
    size_t size;
    uint8_t *content = temporary_file_read(runs->environment.file, &size);
    uint8_t *place = memmem(content, size, name, strlen(name));
    cr_assert_not_null(place);
    cr_assert_null(memmem(place + 1, size - (size_t)(place + 1 - content), name, strlen(name)), "there are two");
    const int descriptor = open(runs->environment.file, O_RDWR | O_CLOEXEC);
    cr_assert_geq(descriptor, 0);
    for (size_t at = 0; at < count; at++) {
        const off_t offset = (off_t)(place + at - content);
        for (int bit = 1; bit < 256; bit <<= 3) {
            const uint8_t wrong = (uint8_t)(place[at] ^ bit);
            cr_assert_eq(pwrite(descriptor, &wrong, 1, offset), 1);
            int found = -1;
            cr_assert_eq(seek(runs, run, name, &found).failure, FAILURE_CORRUPT, "byte %zu, bit %d", at, bit);
            cr_assert_eq(pwrite(descriptor, &place[at], 1, offset), 1);
        }
    }
    int found = -1;
    cr_assert_eq(seek(runs, run, name, &found).failure, FAILURE_NONE);
    close(descriptor);
    free(content);
}

Test(names_run, a_wrong_byte_of_name_or_figures_is_seen) {
    names_make();
    struct names_runs *runs = names_runs_open();
    struct names_run *run = names_runs_write(runs, 1, 9, names, NAMES_COUNT);
    /* A name that stands in a leaf alone: those that begin a page are in a branch, too. */
    expect_damage_is_seen(runs, run, names[1003], strlen(names[1003]) + NAMES_VALUE_BYTES);
    names_runs_close(runs);
}

Test(names_run, an_entry_of_other_positions_is_damage) {
    names_make();
    struct names_runs *runs = names_runs_open();
    struct names_run *run = names_runs_write(runs, 5, 9, names, 10);
    int found = -1;
    cr_assert_eq(seek(runs, run, names[3], &found).failure, FAILURE_NONE);
    run->position_first = 6;
    cr_assert_eq(seek(runs, run, names[3], &found).failure, FAILURE_CORRUPT);
    run->position_first = 5;
    run->position_last = 8;
    cr_assert_eq(seek(runs, run, names[3], &found).failure, FAILURE_CORRUPT);
    names_runs_close(runs);
}
