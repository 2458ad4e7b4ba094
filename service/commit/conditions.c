#include "service/commit/conditions.h"

#include <assert.h>
#include <stdlib.h>

#include "service/commit/pending.h"
#include "service/record/record.h"
#include "service/store/postings.h"
#include "service/store/store.h"
#include "service/store/terms.h"
#include "service/store/visibility.h"

/* A group may hold hundreds of conditions and thousands of events, and each condition is asked of each event before it.
 * So every event of the group has a signature, a bit for each of its terms: one without the bits of a clause cannot match
 * it, and needs no closer look. */
struct conditions {
    struct store *store;
    struct index *index;
    int64_t now_ns; /* of the condition that is being decided */
    struct store_reader *reader;
    uint32_t signatures_count; /* of the group's first events; the others follow when they are asked for */
    uint64_t signatures[PENDING_COUNT_MAX];
};

result conditions_new(struct store *store, struct index *index, struct conditions **ret_conditions) {
    struct conditions *conditions = calloc(1, sizeof *conditions);
    if (conditions == NULL) return failure_result(FAILURE_MEMORY);
    conditions->store = store;
    conditions->index = index;
    const result outcome = store_reader_open(store, &conditions->reader);
    if (failed(outcome)) {
        conditions_free(conditions);
        return outcome;
    }
    *ret_conditions = conditions;
    return RESULT_OK;
}

struct conditions *conditions_free(struct conditions *conditions) {
    if (conditions == NULL) return NULL;
    store_reader_close(conditions->reader);
    free(conditions);
    return NULL;
}

static uint64_t bit_of(struct term term) {
    return (uint64_t)1 << (term.bytes[0] & 63);
}

static result signature_of(struct bytes encoded, uint64_t *ret_signature) {
    struct record record;
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count;
    TRY(record_read(encoded, &record));
    TRY(terms_of_record(&record, entries, &count));
    *ret_signature = 0;
    for (uint32_t index = 0; index < count; index++) *ret_signature |= bit_of(entries[index].term);
    return RESULT_OK;
}

static result signatures_complete(struct conditions *conditions, const struct chunk *chunk) {
    for (uint32_t *count = &conditions->signatures_count; *count < chunk_records_count(chunk); (*count)++) {
        assert(*count < PENDING_COUNT_MAX);
        TRY(signature_of(chunk_record(chunk, *count), &conditions->signatures[*count]));
    }
    return RESULT_OK;
}

static uint64_t bits_of(enum term_kind kind, struct filter_names names) {
    uint64_t bits = 0;
    for (uint32_t index = 0; index < names.count; index++) bits |= bit_of(term_of(kind, names.names[index]));
    return bits;
}

/* What a signature must have for its event to match: all of the tags, and one of the types and of the streams. */
struct mask {
    uint64_t tags;
    uint64_t types; /* 0: any */
    uint64_t streams;
};

static struct mask mask_of(const struct filter_clause *clause) {
    return (struct mask){.tags = bits_of(TERM_TAG, clause->tags),
                         .types = bits_of(TERM_TYPE, clause->types),
                         .streams = bits_of(TERM_STREAM, clause->streams)};
}

static bool mask_admits(const struct mask *mask, uint64_t signature) {
    return (signature & mask->tags) == mask->tags && (mask->types == 0 || (signature & mask->types) != 0) &&
           (mask->streams == 0 || (signature & mask->streams) != 0);
}

/* The group's first event after `after` that matches a clause, among those before `*position`. */
static result clause_violation(const struct conditions *conditions, const struct append_condition *condition,
                               const struct filter_clause *clause, const struct chunk *chunk, uint64_t *position) {
    const struct mask mask = mask_of(clause);
    for (uint32_t index = 0; index < conditions->signatures_count; index++) {
        const uint64_t at = chunk_position(chunk, index);
        if (*position != 0 && at >= *position) return RESULT_OK;
        if (at <= condition->after || !mask_admits(&mask, conditions->signatures[index])) continue;
        bool matches;
        TRY(filter_match(condition->filter, chunk_record(chunk, index), &matches));
        if (matches) TRY(store_shows(conditions->store, chunk_record(chunk, index), conditions->now_ns, &matches));
        if (matches) *position = at;
    }
    return RESULT_OK;
}

static result pending_violation(struct conditions *conditions, const struct append_condition *condition,
                                const struct chunk *chunk, uint64_t *ret_position) {
    *ret_position = 0;
    TRY(signatures_complete(conditions, chunk));
    for (uint32_t index = 0; index < filter_clauses_count(condition->filter); index++) {
        const struct filter_clause clause = filter_clause_at(condition->filter, index);
        TRY(clause_violation(conditions, condition, &clause, chunk, ret_position));
    }
    return RESULT_OK;
}

static result committed_matches(struct conditions *conditions, const struct filter *filter, uint64_t position,
                                bool *ret_matches) {
    struct bytes encoded;
    const result found = store_reader_get(conditions->reader, position, &encoded);
    /* The index only holds what is committed: a hit without its record is damage. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    bool matches;
    TRY(filter_match(filter, encoded, &matches));
    /* By the rows of the transaction: an earlier request of the group may have deleted the stream. */
    if (matches) TRY(store_shows(conditions->store, encoded, conditions->now_ns, &matches));
    *ret_matches = matches;
    return RESULT_OK;
}

static result postings_violation(struct conditions *conditions, struct postings *postings,
                                 const struct append_condition *condition, uint64_t *ret_position) {
    bool matches = false;
    uint64_t candidate = condition->after;
    while (!matches && candidate < UINT64_MAX) {
        TRY(postings_seek(postings, candidate + 1, &candidate));
        if (candidate == 0) break;
        TRY(committed_matches(conditions, condition->filter, candidate, &matches));
    }
    *ret_position = matches ? candidate : 0;
    return RESULT_OK;
}

static result committed_violation(struct conditions *conditions, const struct append_condition *condition,
                                  uint64_t *ret_position) {
    uint64_t position_last;
    struct postings *postings;
    *ret_position = 0;
    TRY(store_reader_begin(conditions->reader, &position_last));
    result outcome = RESULT_OK;
    if (condition->after < position_last) {
        outcome = postings_new(conditions->index, condition->filter, INDEX_FORWARD, &postings);
        if (!failed(outcome)) {
            outcome = postings_violation(conditions, postings, condition, ret_position);
            postings_free(postings);
        }
    }
    store_reader_end(conditions->reader);
    return outcome;
}

/* Everything matches: the first event after the position does, if there is one. */
static result any_violation(struct conditions *conditions, const struct append_condition *condition,
                            const struct chunk *chunk, uint64_t *ret_position) {
    uint64_t position_last;
    TRY(store_reader_begin(conditions->reader, &position_last));
    store_reader_end(conditions->reader);
    if (chunk_records_count(chunk) > 0) position_last = chunk_position_last(chunk);
    *ret_position = condition->after < position_last ? condition->after + 1 : 0;
    return RESULT_OK;
}

result conditions_violation(struct conditions *conditions, const struct append_condition *condition,
                            const struct chunk *chunk, int64_t now_ns, uint64_t *ret_position) {
    conditions->now_ns = now_ns;
    if (condition->filter == NULL) return any_violation(conditions, condition, chunk, ret_position);
    TRY(committed_violation(conditions, condition, ret_position));
    if (*ret_position != 0) return RESULT_OK;
    return pending_violation(conditions, condition, chunk, ret_position);
}

void conditions_clear(struct conditions *conditions) {
    conditions->signatures_count = 0;
}
