/* daybook.v1.Filter: what is refused, and that the compiled filter means what the message says. */
#include "service/api/filters.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "service/base/limits.h"
#include "tests/support/events.h"
#include "tests/unit/service/api/validations.h"

TestSuite(filters, .init = validations_open, .fini = validations_close);

typedef bool name_add(daybook_v1_Clause *clause, upb_StringView name, upb_Arena *arena);

/* The five lists of a clause. */
static const struct {
    const char *name;
    name_add *add;
} lists[] = {
    {"types", daybook_v1_Clause_add_types},
    {"tags", daybook_v1_Clause_add_tags},
    {"streams", daybook_v1_Clause_add_streams},
    {"stream_prefixes", daybook_v1_Clause_add_stream_prefixes},
    {"type_prefixes", daybook_v1_Clause_add_type_prefixes},
};
enum { TYPES, TAGS, STREAMS, STREAM_PREFIXES, TYPE_PREFIXES, LISTS_COUNT };

static daybook_v1_Filter *filter_message(void) {
    daybook_v1_Filter *filter = daybook_v1_Filter_new(validations_arena);
    cr_assert_not_null(filter);
    return filter;
}

static daybook_v1_Clause *clause_add(daybook_v1_Filter *filter) {
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, validations_arena);
    cr_assert_not_null(clause);
    return clause;
}

static void list_add(daybook_v1_Clause *clause, size_t list, upb_StringView name) {
    cr_assert(lists[list].add(clause, name, validations_arena));
}

static struct validation validation_of(const daybook_v1_Filter *filter) {
    struct validation validation;
    const struct field field = field_of(NULL, "filter");
    validation_init(&validation);
    validate_filter(&validation, &field, filter);
    return validation;
}

Test(filters, one_without_clauses_is_good) {
    const struct validation validation = validation_of(filter_message());
    expect_good(&validation);
}

Test(filters, a_clause_with_no_field_set_is_refused) {
    daybook_v1_Filter *filter = filter_message();
    list_add(clause_add(filter), TYPES, text("T"));
    clause_add(filter);
    const struct validation validation = validation_of(filter);
    expect_only(&validation, REASON_INVALID_FIELD, "filter.any_of[1]", "would match everything");
}

Test(filters, 64_clauses_are_good_and_65_too_many) {
    cr_assert_eq(FILTER_CLAUSES_COUNT_MAX, 64);
    daybook_v1_Filter *filter = filter_message();
    for (int count = 1; count <= 64; count++) list_add(clause_add(filter), TYPES, text("T"));
    struct validation validation = validation_of(filter);
    expect_good(&validation);
    list_add(clause_add(filter), TYPES, text("T"));
    validation = validation_of(filter);
    expect_only(&validation, REASON_TOO_MANY_CLAUSES, "filter.any_of", "65 clauses; at most 64");
}

Test(filters, every_list_of_a_clause_has_up_to_64_names) {
    cr_assert_eq(CLAUSE_NAMES_COUNT_MAX, 64);
    for (size_t list = 0; list < LISTS_COUNT; list++) {
        daybook_v1_Filter *filter = filter_message();
        daybook_v1_Clause *clause = clause_add(filter);
        for (int count = 1; count <= 64; count++) list_add(clause, list, text("n"));
        struct validation validation = validation_of(filter);
        expect_good(&validation);
        list_add(clause, list, text("n"));
        validation = validation_of(filter);
        char field[64];
        snprintf(field, sizeof field, "filter.any_of[0].%s", lists[list].name);
        expect_only(&validation, REASON_TOO_MANY_CLAUSES, field, "65 entries; at most 64");
    }
}

Test(filters, every_entry_of_every_list_is_a_name) {
    for (size_t list = 0; list < LISTS_COUNT; list++) {
        daybook_v1_Filter *filter = filter_message();
        daybook_v1_Clause *clause = clause_add(filter);
        list_add(clause, list, text_of('n', 255));
        struct validation validation = validation_of(filter);
        expect_good(&validation);
        list_add(clause, list, text_of('n', 256));
        list_add(clause, list, text(""));
        list_add(clause, list, text("\t"));
        validation = validation_of(filter);
        static const char *const words[] = {"256 bytes", "missing", "control character"};
        for (size_t index = 0; index < 3; index++) {
            char field[64];
            snprintf(field, sizeof field, "filter.any_of[0].%s[%zu]", lists[list].name, index + 1);
            expect_violation(&validation, field, words[index]);
        }
        cr_assert_eq(validation.error.violations_count, 3);
    }
}

/* --- Compiled. -------------------------------------------------------------------------------------------------------- */

static struct filter *compiled(const daybook_v1_Filter *message) {
    struct filter *filter = NULL;
    /* An arena of its own, freed at once: the filter must not need it. */
    upb_Arena *arena = upb_Arena_New();
    cr_assert_not_null(arena);
    cr_assert_not(failed(filter_compile(message, arena, &filter)));
    upb_Arena_Free(arena);
    return filter;
}

/* Whether an event of this stream, type and (at most one) tag matches. */
static bool matches(const struct filter *filter, const char *stream, const char *type, const char *tag) {
    uint8_t event_bytes[512];
    uint8_t record_bytes[1024];
    const struct event_parts parts = {.id = EVENTS_ID, .type = type, .tags = &tag, .tags_count = tag == NULL ? 0 : 1};
    const struct record record = {.position = 1,
                                  .stream = bytes_of(stream, strlen(stream)),
                                  .revision = 1,
                                  .recorded_ns = 1,
                                  .event = event_encode(&parts, event_bytes, sizeof event_bytes)};
    bool found;
    cr_assert_not(
        failed(filter_match(filter, event_record_encode(&record, record_bytes, sizeof record_bytes), &found)));
    return found;
}

Test(filters, none_and_one_without_clauses_compile_to_nothing) {
    struct filter *filter = (struct filter *)1;
    cr_assert_not(failed(filter_compile(NULL, validations_arena, &filter)));
    cr_assert_null(filter);
    filter = (struct filter *)1;
    cr_assert_not(failed(filter_compile(filter_message(), validations_arena, &filter)));
    cr_assert_null(filter);
}

Test(filters, every_list_is_compiled_into_its_own_meaning) {
    static const struct {
        const char *stream;
        const char *type;
        const char *tag;
    } events[LISTS_COUNT] = {
        [TYPES] = {"s", "name", NULL},          [TAGS] = {"s", "T", "name"},
        [STREAMS] = {"name", "T", NULL},        [STREAM_PREFIXES] = {"name-7", "T", NULL},
        [TYPE_PREFIXES] = {"s", "names", NULL},
    };
    for (size_t list = 0; list < LISTS_COUNT; list++) {
        daybook_v1_Filter *message = filter_message();
        list_add(clause_add(message), list, text("name"));
        struct filter *filter = compiled(message);
        for (size_t event = 0; event < LISTS_COUNT; event++) {
            const bool found = matches(filter, events[event].stream, events[event].type, events[event].tag);
            /* An exact name begins with itself, too. */
            const bool expected = event == list || (list == STREAM_PREFIXES && event == STREAMS) ||
                                  (list == TYPE_PREFIXES && event == TYPES);
            cr_assert_eq(found, expected, "%s, event %zu", lists[list].name, event);
        }
        filter_free(filter);
    }
}

Test(filters, clauses_are_alternatives_and_their_fields_are_not) {
    daybook_v1_Filter *message = filter_message();
    daybook_v1_Clause *first = clause_add(message);
    list_add(first, TYPES, text("Sold"));
    list_add(first, STREAM_PREFIXES, text("order-"));
    list_add(clause_add(message), TAGS, text("vip"));
    struct filter *filter = compiled(message);
    cr_assert(matches(filter, "order-1", "Sold", NULL));
    cr_assert_not(matches(filter, "order-1", "Returned", NULL));
    cr_assert_not(matches(filter, "invoice-1", "Sold", NULL));
    cr_assert(matches(filter, "invoice-1", "Returned", "vip"));
    filter_free(filter);
}
