/* Clauses as text: every key, escapes, what is refused, and that any names come back through their text. */
#include "sdk/cli/clause_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static upb_Arena *arena;
static daybook_v1_Clause *clause;

static void setup(void) {
    arena = upb_Arena_New();
    clause = daybook_v1_Clause_new(arena);
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(clause_text, .init = setup, .fini = teardown);

static void parse(const char *text) {
    clause = daybook_v1_Clause_new(arena);
    const char *problem = clause_parse(text, clause, arena);
    cr_assert_null(problem, "%s: %s", text, problem);
}

static void expect_names(const upb_StringView *names, size_t count, const char *const *expected) {
    for (size_t index = 0; index < count; index++) {
        cr_assert_not_null(expected[index]);
        cr_assert(upb_StringView_IsEqual(names[index], upb_StringView_FromString(expected[index])), "%.*s for %s",
                  (int)names[index].size, names[index].data, expected[index]);
    }
    cr_assert_null(expected[count]);
}
#define EXPECT(list, ...)                                                                                              \
    do {                                                                                                               \
        size_t count_;                                                                                                 \
        const upb_StringView *names_ = daybook_v1_Clause_##list(clause, &count_);                                      \
        expect_names(names_, count_, (const char *const[]){__VA_ARGS__, NULL});                                        \
    } while (0)
#define EXPECT_NO(list)                                                                                                \
    do {                                                                                                               \
        size_t count_;                                                                                                 \
        (void)daybook_v1_Clause_##list(clause, &count_);                                                               \
        cr_assert_eq(count_, 0);                                                                                       \
    } while (0)

Test(clause_text, every_key_has_its_list) {
    parse("type=A,tag=b:1,stream=c-1,type-prefix=D,stream-prefix=e-");
    EXPECT(types, "A");
    EXPECT(tags, "b:1");
    EXPECT(streams, "c-1");
    EXPECT(type_prefixes, "D");
    EXPECT(stream_prefixes, "e-");
}

Test(clause_text, keys_may_be_repeated) {
    parse("type=A,tag=x,type=B,tag=y");
    EXPECT(types, "A", "B");
    EXPECT(tags, "x", "y");
    EXPECT_NO(streams);
    EXPECT_NO(type_prefixes);
    EXPECT_NO(stream_prefixes);
}

Test(clause_text, a_backslash_takes_the_next_character_as_it_is) {
    parse("tag=a\\,b\\\\c=d\\=e,type= spaces are text ");
    EXPECT(tags, "a,b\\c=d=e");
    EXPECT(types, " spaces are text ");
}

Test(clause_text, what_is_no_clause_is_refused) {
    static const char *const wrong[] = {"",   "type",    "typ=A",   "type=",    "type=,tag=b", "type=A,", ",type=A",
                                        "=A", "tag=a\\", "types=A", "type=A,B", "ty\\pe=A",    "Type=A"};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        cr_assert_not_null(clause_parse(wrong[index], daybook_v1_Clause_new(arena), arena), "%s", wrong[index]);
    }
}

/* Any tags, written with escapes, are read as they were. */
Test(clause_text, random_names_come_back) {
    enum { ROUNDS = 2000, NAMES_MAX = 5, NAME_BYTES_MAX = 12 };
    const char *given = getenv("DAYBOOK_TEST_SEED");
    const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    (void)fprintf(stderr, "DAYBOOK_TEST_SEED=%u\n", seed);
    unsigned random = seed;
    for (int round = 0; round < ROUNDS; round++) {
        static const char letters[] = ",=\\ab:";
        char names[NAMES_MAX][NAME_BYTES_MAX + 1] = {{0}};
        const char *expected[NAMES_MAX + 1] = {NULL};
        char text[NAMES_MAX * (2 * NAME_BYTES_MAX + 5) + 1] = "";
        size_t used = 0;
        const size_t count = 1 + (size_t)rand_r(&random) % NAMES_MAX;
        for (size_t name = 0; name < count; name++) {
            const size_t size = 1 + (size_t)rand_r(&random) % NAME_BYTES_MAX;
            used += (size_t)snprintf(text + used, sizeof text - used, "%stag=", name > 0 ? "," : "");
            for (size_t index = 0; index < size; index++) {
                const char letter = letters[(size_t)rand_r(&random) % (sizeof letters - 1)];
                names[name][index] = letter;
                if (letter == ',' || letter == '\\') text[used++] = '\\';
                text[used++] = letter;
            }
            expected[name] = names[name];
        }
        text[used] = '\0';
        parse(text);
        size_t found;
        const upb_StringView *tags = daybook_v1_Clause_tags(clause, &found);
        cr_assert_eq(found, count, "%s", text);
        expect_names(tags, found, expected);
    }
}
