#include "service/api/filters.h"

#include "service/api/validate.h"
#include "service/base/limits.h"

static void validate_names(struct validation *validation, const struct field *parent, const char *name,
                           const upb_StringView *names, size_t count) {
    if (count > CLAUSE_NAMES_COUNT_MAX) {
        const struct field field = field_of(parent, name);
        violation_add(validation, REASON_TOO_MANY_CLAUSES, &field, "has %zu entries; at most %d are allowed", count,
                      CLAUSE_NAMES_COUNT_MAX);
        return;
    }
    for (size_t index = 0; index < count; index++) {
        const struct field field = field_at(parent, name, index);
        validate_name(validation, &field, names[index]);
    }
}

/* The five lists of a clause under their names. */
enum { CLAUSE_LISTS = 5 };

struct list {
    const char *name;
    const upb_StringView *names;
    size_t count;
};

static void lists_of(const daybook_v1_Clause *clause, struct list ret_lists[CLAUSE_LISTS]) {
    ret_lists[0].name = "types";
    ret_lists[0].names = daybook_v1_Clause_types(clause, &ret_lists[0].count);
    ret_lists[1].name = "tags";
    ret_lists[1].names = daybook_v1_Clause_tags(clause, &ret_lists[1].count);
    ret_lists[2].name = "streams";
    ret_lists[2].names = daybook_v1_Clause_streams(clause, &ret_lists[2].count);
    ret_lists[3].name = "stream_prefixes";
    ret_lists[3].names = daybook_v1_Clause_stream_prefixes(clause, &ret_lists[3].count);
    ret_lists[4].name = "type_prefixes";
    ret_lists[4].names = daybook_v1_Clause_type_prefixes(clause, &ret_lists[4].count);
}

void validate_filter(struct validation *validation, const struct field *field, const daybook_v1_Filter *filter) {
    size_t count;
    const daybook_v1_Clause *const *clauses = daybook_v1_Filter_any_of(filter, &count);
    if (count > FILTER_CLAUSES_COUNT_MAX) {
        const struct field any_of = field_of(field, "any_of");
        violation_add(validation, REASON_TOO_MANY_CLAUSES, &any_of, "has %zu clauses; at most %d are allowed", count,
                      FILTER_CLAUSES_COUNT_MAX);
        return;
    }
    for (size_t index = 0; index < count; index++) {
        const struct field place = field_at(field, "any_of", index);
        struct list lists[CLAUSE_LISTS];
        lists_of(clauses[index], lists);
        size_t names_total = 0;
        for (size_t list = 0; list < CLAUSE_LISTS; list++) {
            validate_names(validation, &place, lists[list].name, lists[list].names, lists[list].count);
            names_total += lists[list].count;
        }
        if (names_total == 0) {
            violation_add(validation, REASON_INVALID_FIELD, &place,
                          "has no field set and would match everything; leave the filter out for that");
        }
    }
}

static bool names_convert(const struct list *list, upb_Arena *arena, struct filter_names *ret_names) {
    *ret_names = (struct filter_names){.names = NULL, .count = 0};
    if (list->count == 0) return true;
    struct bytes *names = upb_Arena_Malloc(arena, list->count * sizeof *names);
    if (names == NULL) return false;
    for (size_t index = 0; index < list->count; index++) {
        names[index] = bytes_of(list->names[index].data, list->names[index].size);
    }
    *ret_names = (struct filter_names){.names = names, .count = (uint32_t)list->count};
    return true;
}

static bool clause_convert(const daybook_v1_Clause *clause, upb_Arena *arena, struct filter_clause *ret_clause) {
    struct list lists[CLAUSE_LISTS];
    lists_of(clause, lists);
    return names_convert(&lists[0], arena, &ret_clause->types) && names_convert(&lists[1], arena, &ret_clause->tags) &&
           names_convert(&lists[2], arena, &ret_clause->streams) &&
           names_convert(&lists[3], arena, &ret_clause->stream_prefixes) &&
           names_convert(&lists[4], arena, &ret_clause->type_prefixes);
}

result filter_compile(const daybook_v1_Filter *message, upb_Arena *arena, struct filter **ret_filter) {
    size_t count = 0;
    const daybook_v1_Clause *const *messages = message == NULL ? NULL : daybook_v1_Filter_any_of(message, &count);
    if (count == 0) {
        *ret_filter = NULL;
        return RESULT_OK;
    }
    struct filter_clause *clauses = upb_Arena_Malloc(arena, count * sizeof *clauses);
    if (clauses == NULL) return failure_result(FAILURE_MEMORY);
    for (size_t index = 0; index < count; index++) {
        if (!clause_convert(messages[index], arena, &clauses[index])) return failure_result(FAILURE_MEMORY);
    }
    return filter_new(clauses, (uint32_t)count, ret_filter);
}
