/* The last revisions of streams that were used last: right or absent, never another stream's. */
#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/commit/revision_cache.h"

static struct revision_cache *cache;

static void setup(void) {
    cr_assert_eq(revision_cache_new(&cache).failure, FAILURE_NONE);
}

static void teardown(void) {
    cache = revision_cache_free(cache);
}

TestSuite(revision_cache, .init = setup, .fini = teardown);

/* Terms that begin alike fall into one set. */
static struct term term_numbered(uint8_t set, uint8_t number) {
    struct term term = {.bytes = {set}};
    term.bytes[15] = number;
    return term;
}

static void expect(struct term term, const char *stream, uint64_t revision) {
    uint64_t found = 0;
    cr_assert_eq(revision_cache_get(cache, term, bytes_of_text(stream), &found).failure, FAILURE_NONE);
    cr_assert_eq(found, revision);
}

static void expect_absent(struct term term, const char *stream) {
    uint64_t found = 77;
    cr_assert_eq(revision_cache_get(cache, term, bytes_of_text(stream), &found).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(found, 77, "untouched on failure");
}

Test(revision_cache, remembers_the_latest) {
    const struct term term = term_numbered(1, 1);
    expect_absent(term, "order-1");
    revision_cache_put(cache, term, bytes_of_text("order-1"), 5);
    expect(term, "order-1", 5);
    revision_cache_put(cache, term, bytes_of_text("order-1"), 6);
    expect(term, "order-1", 6);
    revision_cache_put(cache, term, bytes_of_text("order-1"), 0);
    expect(term, "order-1", 0);
}

Test(revision_cache, keeps_its_own_copy_of_the_name) {
    char name[] = "order-1";
    revision_cache_put(cache, term_numbered(1, 1), bytes_of(name, 7), 5);
    name[6] = '2';
    expect(term_numbered(1, 1), "order-1", 5);
}

/* Short ones are in the entry, long ones beside it. */
Test(revision_cache, names_of_every_size_are_remembered) {
    char name[NAME_BYTES_MAX + 1];
    for (size_t size = 1; size <= NAME_BYTES_MAX; size++) {
        memset(name, 'n', size);
        name[size] = '\0';
        const struct term term = term_numbered((uint8_t)(size / 3), (uint8_t)size);
        revision_cache_put(cache, term, bytes_of_text(name), size);
        expect(term, name, size);
        name[size - 1] = 'm';
        expect_absent(term, name);
    }
}

Test(revision_cache, two_names_with_one_term_are_two_streams) {
    const struct term term = term_numbered(1, 1);
    revision_cache_put(cache, term, bytes_of_text("one"), 1);
    expect_absent(term, "other");
    revision_cache_put(cache, term, bytes_of_text("other"), 2);
    expect(term, "one", 1);
    expect(term, "other", 2);
}

Test(revision_cache, a_full_set_gives_up_a_place_and_others_keep_theirs) {
    revision_cache_put(cache, term_numbered(2, 0), bytes_of_text("elsewhere"), 9);
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (uint8_t number = 0; number < 5; number++) {
        revision_cache_put(cache, term_numbered(1, number), bytes_of_text(names[number]), number);
    }
    uint32_t found_count = 0;
    for (uint8_t number = 0; number < 5; number++) {
        uint64_t revision;
        if (failed(revision_cache_get(cache, term_numbered(1, number), bytes_of_text(names[number]), &revision)))
            continue;
        cr_assert_eq(revision, number);
        found_count++;
    }
    cr_assert_eq(found_count, 4);
    expect(term_numbered(1, 4), "e", 4);
    expect(term_numbered(2, 0), "elsewhere", 9);
}
