#include "service/store/postings.h"

#include <assert.h>
#include <stdlib.h>

#define HITS_COUNT_MAX 16

/* The entries of one term, some at a time. */
struct list {
    struct term term;
    bool is_stream; /* its numbers are revisions, not positions */
    bool is_ended;  /* there are no entries beyond the hits */
    uint32_t first;
    uint32_t count;
    struct index_entry hits[HITS_COUNT_MAX];
};

/* Any of some lists. */
struct set {
    uint32_t first;
    uint32_t count;
};

/* All of some sets: the types, the streams, and each tag. */
struct clause {
    uint32_t first;
    uint32_t count;
};

struct postings {
    struct index *index;
    enum index_direction direction;
    uint32_t clauses_count;
    struct clause *clauses;
    struct set *sets;
    struct list *lists;
};

static uint32_t sides_count(const struct filter_clause *clause) {
    return (clause->types.count > 0 ? 1u : 0u) + (clause->streams.count > 0 ? 1u : 0u) + clause->tags.count;
}

bool postings_serve(const struct filter *filter) {
    if (filter == NULL || filter_clauses_count(filter) == 0) return false;
    for (uint32_t index = 0; index < filter_clauses_count(filter); index++) {
        const struct filter_clause clause = filter_clause_at(filter, index);
        if (sides_count(&clause) == 0) return false;
    }
    return true;
}

/* Where the filling of postings has come to. */
struct filling {
    struct postings *postings;
    uint32_t sets_count;
    uint32_t lists_count;
};

static void set_add(struct filling *filling, enum term_kind kind, const struct bytes *names, uint32_t count) {
    if (count == 0) return;
    struct postings *postings = filling->postings;
    postings->sets[filling->sets_count++] = (struct set){.first = filling->lists_count, .count = count};
    for (uint32_t index = 0; index < count; index++) {
        struct list *list = &postings->lists[filling->lists_count++];
        list->term = term_of(kind, names[index]);
        list->is_stream = kind == TERM_STREAM;
    }
}

static void fill(struct postings *postings, const struct filter *filter) {
    struct filling filling = {.postings = postings};
    for (uint32_t index = 0; index < postings->clauses_count; index++) {
        const struct filter_clause clause = filter_clause_at(filter, index);
        postings->clauses[index] = (struct clause){.first = filling.sets_count, .count = sides_count(&clause)};
        for (uint32_t tag = 0; tag < clause.tags.count; tag++) set_add(&filling, TERM_TAG, &clause.tags.names[tag], 1);
        set_add(&filling, TERM_STREAM, clause.streams.names, clause.streams.count);
        set_add(&filling, TERM_TYPE, clause.types.names, clause.types.count);
    }
}

result postings_new(struct index *index, const struct filter *filter, enum index_direction direction,
                    struct postings **ret_postings) {
    assert(postings_serve(filter));
    const uint32_t clauses_count = filter_clauses_count(filter);
    uint32_t sets_count = 0;
    uint32_t lists_count = 0;
    for (uint32_t clause_index = 0; clause_index < clauses_count; clause_index++) {
        const struct filter_clause clause = filter_clause_at(filter, clause_index);
        sets_count += sides_count(&clause);
        lists_count += clause.types.count + clause.streams.count + clause.tags.count;
    }
    /* One allocation: the lists with their strictest alignment first. */
    struct postings *postings = calloc(1, sizeof *postings + lists_count * sizeof(struct list) +
                                              clauses_count * sizeof(struct clause) + sets_count * sizeof(struct set));
    if (postings == NULL) return failure_result(FAILURE_MEMORY);
    postings->index = index;
    postings->direction = direction;
    postings->clauses_count = clauses_count;
    postings->lists = (struct list *)(postings + 1);
    postings->clauses = (struct clause *)(postings->lists + lists_count);
    postings->sets = (struct set *)(postings->clauses + clauses_count);
    fill(postings, filter);
    *ret_postings = postings;
    return RESULT_OK;
}

struct postings *postings_free(struct postings *postings) {
    free(postings);
    return NULL;
}

/* Whether the position comes before the other in the direction. */
static bool is_before(const struct postings *postings, uint64_t position, uint64_t other) {
    return postings->direction == INDEX_FORWARD ? position < other : position > other;
}

/* The nearer of two candidates; 0 is none. */
static uint64_t nearer(const struct postings *postings, uint64_t one, uint64_t other) {
    if (one == 0 || other == 0) return one + other;
    return is_before(postings, one, other) ? one : other;
}

/* Fetches entries from a number on. */
static result list_fetch(struct postings *postings, struct list *list, uint64_t number) {
    list->first = 0;
    TRY(index_range(postings->index, list->term, number, postings->direction, HITS_COUNT_MAX, list->hits,
                    &list->count));
    list->is_ended = list->count < HITS_COUNT_MAX;
    return RESULT_OK;
}

/* The list's first entry at the position or beyond it; 0: there is none. */
static result list_seek(struct postings *postings, struct list *list, uint64_t position, uint64_t *ret_position) {
    for (;;) {
        while (list->first < list->count && is_before(postings, list->hits[list->first].position, position)) {
            list->first++;
        }
        if (list->first < list->count) {
            *ret_position = list->hits[list->first].position;
            return RESULT_OK;
        }
        *ret_position = 0;
        if (list->is_ended) return RESULT_OK;
        uint64_t number = position;
        if (list->is_stream) {
            TRY(index_number_at(postings->index, list->term, position, postings->direction, &number));
        }
        list->is_ended = number == 0;
        if (!list->is_ended) TRY(list_fetch(postings, list, number));
    }
}

static result set_seek(struct postings *postings, const struct set *set, uint64_t position, uint64_t *ret_position) {
    uint64_t nearest = 0;
    for (uint32_t index = 0; index < set->count; index++) {
        uint64_t candidate;
        TRY(list_seek(postings, &postings->lists[set->first + index], position, &candidate));
        nearest = nearer(postings, nearest, candidate);
    }
    *ret_position = nearest;
    return RESULT_OK;
}

/* Each set in turn leaps to where the one before it is, until all are at the same place. */
static result clause_seek(struct postings *postings, const struct clause *clause, uint64_t position,
                          uint64_t *ret_position) {
    uint32_t agreed = 0;
    for (uint32_t index = 0; agreed < clause->count; index = (index + 1) % clause->count) {
        uint64_t candidate;
        TRY(set_seek(postings, &postings->sets[clause->first + index], position, &candidate));
        if (candidate == 0) {
            *ret_position = 0;
            return RESULT_OK;
        }
        agreed = candidate == position ? agreed + 1 : 1;
        position = candidate;
    }
    *ret_position = position;
    return RESULT_OK;
}

result postings_seek(struct postings *postings, uint64_t position, uint64_t *ret_position) {
    assert(position > 0);
    uint64_t nearest = 0;
    for (uint32_t index = 0; index < postings->clauses_count; index++) {
        uint64_t candidate;
        TRY(clause_seek(postings, &postings->clauses[index], position, &candidate));
        nearest = nearer(postings, nearest, candidate);
    }
    *ret_position = nearest;
    return RESULT_OK;
}
