/* What a group has decided about names. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/commit/pending.h"

static struct pending *pending;

static void setup(void) {
    pending = calloc(1, sizeof *pending);
    cr_assert_not_null(pending);
}

static void teardown(void) {
    free(pending);
}

TestSuite(pending, .init = setup, .fini = teardown);

static void set(const char *name, uint64_t number) {
    pending_set(pending, term_of(TERM_STREAM, bytes_of_text(name)), bytes_of_text(name), number);
}

static void expect(const char *name, uint64_t number) {
    uint64_t found = 0;
    cr_assert(pending_get(pending, term_of(TERM_STREAM, bytes_of_text(name)), bytes_of_text(name), &found), "%s", name);
    cr_assert_eq(found, number);
}

static void expect_none(const char *name) {
    uint64_t found = 77;
    cr_assert_not(pending_get(pending, term_of(TERM_STREAM, bytes_of_text(name)), bytes_of_text(name), &found));
    cr_assert_eq(found, 77, "untouched when there is none");
}

Test(pending, a_name_has_the_last_number_it_was_given) {
    expect_none("order-1");
    set("order-1", 3);
    set("order-2", 9);
    set("order-1", 4);
    expect("order-1", 4);
    expect("order-2", 9);
    cr_assert_eq(pending->count, 2);
}

Test(pending, two_names_with_one_term_are_two) {
    const struct term term = term_of(TERM_STREAM, bytes_of_text("shared"));
    uint64_t found = 0;
    pending_set(pending, term, bytes_of_text("one"), 1);
    pending_set(pending, term, bytes_of_text("other"), 2);
    cr_assert(pending_get(pending, term, bytes_of_text("one"), &found));
    cr_assert_eq(found, 1);
    cr_assert(pending_get(pending, term, bytes_of_text("other"), &found));
    cr_assert_eq(found, 2);
    cr_assert_not(pending_get(pending, term, bytes_of_text("third"), &found));
}

Test(pending, what_is_cleared_is_gone) {
    set("order-1", 3);
    set("order-2", 9);
    pending_clear(pending);
    expect_none("order-1");
    expect_none("order-2");
    cr_assert_eq(pending->count, 0);
}

Test(pending, a_full_table_finds_all_and_clears_all) {
    char(*names)[16] = calloc(PENDING_COUNT_MAX, sizeof *names);
    cr_assert_not_null(names);
    for (uint32_t index = 0; index < PENDING_COUNT_MAX; index++) {
        (void)snprintf(names[index], sizeof names[index], "s-%u", index);
        set(names[index], index);
    }
    for (uint32_t index = 0; index < PENDING_COUNT_MAX; index++) expect(names[index], index);
    pending_clear(pending);
    for (uint32_t slot = 0; slot < PENDING_SLOTS_COUNT; slot++) cr_assert_eq(pending->slots[slot], 0);
    free(names);
}
