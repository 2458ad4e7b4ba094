#include "service/record/filter.h"

#include <assert.h>
#include <stdlib.h>

#include "service/base/limits.h"

/* What a name is compared with, and how. */
enum field { FIELD_STREAMS, FIELD_STREAM_PREFIXES, FIELD_TYPES, FIELD_TYPE_PREFIXES, FIELD_TAGS, FIELDS_COUNT };

/* Names [first, first + count) of the filter. */
struct range {
    uint32_t first;
    uint32_t count;
};

struct clause {
    struct range fields[FIELDS_COUNT];
};

/* One allocation: the filter, its clauses, the views of its names, their text. */
struct filter {
    size_t size_bytes;
    uint32_t clauses_count;
    struct clause *clauses;
    struct bytes *names;
};

/* The fields of a clause in the order of enum field. */
static void clause_fields(const struct filter_clause *clause, const struct filter_names *ret_fields[FIELDS_COUNT]) {
    ret_fields[FIELD_STREAMS] = &clause->streams;
    ret_fields[FIELD_STREAM_PREFIXES] = &clause->stream_prefixes;
    ret_fields[FIELD_TYPES] = &clause->types;
    ret_fields[FIELD_TYPE_PREFIXES] = &clause->type_prefixes;
    ret_fields[FIELD_TAGS] = &clause->tags;
}

struct sizes {
    uint32_t names_count;
    size_t text_bytes;
};

static struct sizes sizes_of(const struct filter_clause *clauses, uint32_t count) {
    struct sizes sizes = {0};
    for (uint32_t index = 0; index < count; index++) {
        const struct filter_names *fields[FIELDS_COUNT];
        clause_fields(&clauses[index], fields);
        const uint32_t names_count_before = sizes.names_count;
        for (uint32_t field = 0; field < FIELDS_COUNT; field++) {
            assert(fields[field]->count <= CLAUSE_NAMES_COUNT_MAX);
            for (uint32_t name = 0; name < fields[field]->count; name++) {
                assert(fields[field]->names[name].size <= NAME_BYTES_MAX);
                sizes.text_bytes += fields[field]->names[name].size;
            }
            sizes.names_count += fields[field]->count;
        }
        assert(sizes.names_count > names_count_before); /* a clause without fields would match everything */
    }
    return sizes;
}

result filter_new(const struct filter_clause *clauses, uint32_t count, struct filter **ret_filter) {
    assert(count <= FILTER_CLAUSES_COUNT_MAX);
    const struct sizes sizes = sizes_of(clauses, count);
    const size_t clauses_bytes = count * sizeof(struct clause);
    const size_t names_bytes = sizes.names_count * sizeof(struct bytes);
    const size_t size_bytes = sizeof(struct filter) + clauses_bytes + names_bytes + sizes.text_bytes;
    struct filter *filter = malloc(size_bytes);
    if (filter == NULL) return failure_result(FAILURE_MEMORY);
    /* From the strictest alignment to the loosest: views, numbers, text. */
    filter->size_bytes = size_bytes;
    filter->clauses_count = count;
    filter->names = (struct bytes *)(filter + 1);
    filter->clauses = (struct clause *)(filter->names + sizes.names_count);
    uint8_t *text = (uint8_t *)(filter->clauses + count);

    uint32_t names_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        const struct filter_names *fields[FIELDS_COUNT];
        clause_fields(&clauses[index], fields);
        for (uint32_t field = 0; field < FIELDS_COUNT; field++) {
            filter->clauses[index].fields[field] = (struct range){.first = names_count, .count = fields[field]->count};
            for (uint32_t name = 0; name < fields[field]->count; name++) {
                const struct bytes from = fields[field]->names[name];
                if (from.size > 0) memcpy(text, from.data, from.size);
                filter->names[names_count++] = bytes_of(text, from.size);
                text += from.size;
            }
        }
    }
    *ret_filter = filter;
    return RESULT_OK;
}

struct filter *filter_free(struct filter *filter) {
    free(filter);
    return NULL;
}

size_t filter_size_bytes(const struct filter *filter) {
    return filter == NULL ? 0 : filter->size_bytes;
}

uint32_t filter_clauses_count(const struct filter *filter) {
    return filter->clauses_count;
}

static struct filter_names names_of(const struct filter *filter, struct range range) {
    return (struct filter_names){.names = filter->names + range.first, .count = range.count};
}

struct filter_clause filter_clause_at(const struct filter *filter, uint32_t index) {
    assert(index < filter->clauses_count);
    const struct range *fields = filter->clauses[index].fields;
    return (struct filter_clause){.types = names_of(filter, fields[FIELD_TYPES]),
                                  .tags = names_of(filter, fields[FIELD_TAGS]),
                                  .streams = names_of(filter, fields[FIELD_STREAMS]),
                                  .stream_prefixes = names_of(filter, fields[FIELD_STREAM_PREFIXES]),
                                  .type_prefixes = names_of(filter, fields[FIELD_TYPE_PREFIXES])};
}

/* Whether the field is not set or one of its names equals (begins) the text. */
static bool any_equals(const struct filter *filter, struct range range, struct bytes text) {
    if (range.count == 0) return true;
    for (uint32_t index = 0; index < range.count; index++) {
        if (bytes_equal(filter->names[range.first + index], text)) return true;
    }
    return false;
}

static bool any_begins(const struct filter *filter, struct range range, struct bytes text) {
    if (range.count == 0) return true;
    for (uint32_t index = 0; index < range.count; index++) {
        if (bytes_begin_with(text, filter->names[range.first + index])) return true;
    }
    return false;
}

static bool has_tag(const struct event_fields *fields, struct bytes tag) {
    for (uint32_t index = 0; index < fields->tags_count; index++) {
        if (bytes_equal(fields->tags[index], tag)) return true;
    }
    return false;
}

static bool has_all_tags(const struct filter *filter, struct range range, const struct event_fields *fields) {
    for (uint32_t index = 0; index < range.count; index++) {
        if (!has_tag(fields, filter->names[range.first + index])) return false;
    }
    return true;
}

static bool matches_stream(const struct filter *filter, const struct clause *clause, struct bytes stream) {
    return any_equals(filter, clause->fields[FIELD_STREAMS], stream) &&
           any_begins(filter, clause->fields[FIELD_STREAM_PREFIXES], stream);
}

static bool needs_event(const struct clause *clause) {
    return clause->fields[FIELD_TYPES].count > 0 || clause->fields[FIELD_TYPE_PREFIXES].count > 0 ||
           clause->fields[FIELD_TAGS].count > 0;
}

static bool matches_event(const struct filter *filter, const struct clause *clause, const struct event_fields *fields) {
    return any_equals(filter, clause->fields[FIELD_TYPES], fields->type) &&
           any_begins(filter, clause->fields[FIELD_TYPE_PREFIXES], fields->type) &&
           has_all_tags(filter, clause->fields[FIELD_TAGS], fields);
}

result filter_match(const struct filter *filter, struct bytes record, bool *ret_matches) {
    struct record parts;
    TRY(record_read(record, &parts));
    /* Set by the first clause that needs it; not cleared for every record, it is a kilobyte. */
    struct event_fields fields __attribute__((uninitialized));
    bool fields_are_read = false;
    bool matches = filter->clauses_count == 0;
    for (uint32_t index = 0; index < filter->clauses_count && !matches; index++) {
        const struct clause *clause = &filter->clauses[index];
        if (!matches_stream(filter, clause, parts.stream)) continue;
        if (needs_event(clause) && !fields_are_read) {
            TRY(record_event_fields(parts.event, &fields));
            fields_are_read = true;
        }
        matches = !needs_event(clause) || matches_event(filter, clause, &fields);
    }
    *ret_matches = matches;
    return RESULT_OK;
}
