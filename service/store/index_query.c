/* index_query.c: finding entries in a view: runs and segments, oldest to newest or newest to oldest. */
#include <stdlib.h>

#include "service/store/index_state.h"

/* Lookups that wait for memory at the same time. */
#define NEWEST_PREFETCH_COUNT 8

/* A query: the part of the index and the view it looks at, and a read transaction as soon as it has to look into a run. The
 * transaction begins after the view was current, so that all runs of the view are in its snapshot; and they stay, because
 * a run is emptied only once no view shows it. */
struct query {
    struct index *owner;
    struct index_part *index;
    struct index_view *view;
    struct index_reader *reader;
    bool is_reading;
};

static struct query query_begin(struct index *owner) {
    struct index_part *index = index_hold(owner);
    struct query query = {.owner = owner, .index = index};
    pthread_mutex_lock(&index->mutex);
    query.view = index_view_ref(index->view);
    query.reader = index->readers;
    if (query.reader != NULL) index->readers = query.reader->next;
    pthread_mutex_unlock(&index->mutex);
    return query;
}

static result query_end(struct query *query, result outcome) {
    struct index_part *index = query->index;
    if (query->is_reading) mdb_txn_reset(query->reader->transaction);
    if (query->reader != NULL) {
        pthread_mutex_lock(&index->mutex);
        query->reader->next = index->readers;
        index->readers = query->reader;
        pthread_mutex_unlock(&index->mutex);
    }
    index_view_release(index, query->view);
    if (outcome.failure == FAILURE_CORRUPT) index_mark_damaged(index);
    index_release(query->owner, index);
    return outcome;
}

static result reader_new(struct index_part *index, struct index_reader **ret_reader) {
    struct index_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return failure_result(FAILURE_MEMORY);
    const int code = mdb_txn_begin(index->environment.handle, NULL, MDB_RDONLY, &reader->transaction);
    if (code != MDB_SUCCESS) {
        free(reader);
        return environment_result(code, "read the index");
    }
    *ret_reader = reader;
    return RESULT_OK;
}

static result query_read(struct query *query) {
    if (query->is_reading) return RESULT_OK;
    if (query->reader == NULL) {
        TRY(reader_new(query->index, &query->reader));
    } else {
        TRY(environment_result(mdb_txn_renew(query->reader->transaction), "read the index"));
    }
    query->is_reading = true;
    return RESULT_OK;
}

void index_readers_close(struct index_part *index) {
    while (index->readers != NULL) {
        struct index_reader *reader = index->readers;
        index->readers = reader->next;
        mdb_txn_abort(reader->transaction);
        free(reader);
    }
}

/* What is asked for, and how much of it has been found. */
struct range {
    struct term term;
    uint64_t number;
    enum index_direction direction;
    uint32_t count_max;
    uint32_t count;
    struct index_entry *entries;
};

static result run_look(struct query *query, const struct index_run *run, struct range *range) {
    /* A number is not greater than its position, so a run that ends before the number has none. */
    if (range->direction == INDEX_FORWARD && run->position_last < range->number) return RESULT_OK;
    bool may_have;
    TRY(index_filter_look(&run->filter, range->term, &may_have));
    if (!may_have) return RESULT_OK;
    TRY(query_read(query));
    uint32_t count;
    TRY(index_run_range(run, query->reader->transaction, range->term, range->number, range->direction,
                        range->count_max - range->count, range->entries + range->count, &count));
    range->count += count;
    return RESULT_OK;
}

static void segment_look(const struct index_segment *segment, struct range *range) {
    range->count += index_segment_range(segment, range->term, range->number, range->direction,
                                        range->count_max - range->count, range->entries + range->count);
}

static result look_forward(struct query *query, struct range *range) {
    const struct index_view *view = query->view;
    for (uint32_t index = 0; index < view->runs_count && range->count < range->count_max; index++) {
        /* What the next run's filter says is on its way from memory while this run is looked at. */
        if (index + 1 < view->runs_count) index_filter_prefetch(&view->runs[index + 1]->filter, range->term);
        TRY(run_look(query, view->runs[index], range));
    }
    for (uint32_t index = 0; index < view->segments_count && range->count < range->count_max; index++) {
        segment_look(view->segments[index], range);
    }
    return RESULT_OK;
}

static result look_backward(struct query *query, struct range *range) {
    const struct index_view *view = query->view;
    for (uint32_t index = view->segments_count; index > 0 && range->count < range->count_max; index--) {
        segment_look(view->segments[index - 1], range);
    }
    for (uint32_t index = view->runs_count; index > 0 && range->count < range->count_max; index--) {
        if (index > 1) index_filter_prefetch(&view->runs[index - 2]->filter, range->term);
        TRY(run_look(query, view->runs[index - 1], range));
    }
    return RESULT_OK;
}

result index_range(struct index *index, struct term term, uint64_t number, enum index_direction direction,
                   uint32_t count_max, struct index_entry *ret_entries, uint32_t *ret_count) {
    if (count_max == 0) {
        *ret_count = 0;
        return RESULT_OK;
    }
    struct range range = {
        .term = term,
        .number = number,
        .direction = direction,
        .count_max = count_max,
        .entries = ret_entries,
    };
    struct query query = query_begin(index);
    const result outcome = direction == INDEX_FORWARD ? look_forward(&query, &range) : look_backward(&query, &range);
    TRY(query_end(&query, outcome));
    *ret_count = range.count;
    return RESULT_OK;
}

result index_number_at(struct index *index, struct term term, uint64_t position, enum index_direction direction,
                       uint64_t *ret_number) {
    const bool forward = direction == INDEX_FORWARD;
    struct index_entry entry;
    *ret_number = 0;
    const result last = index_last(index, term, &entry);
    if (last.failure == FAILURE_NOT_FOUND) return RESULT_OK;
    TRY(last);
    uint64_t low = 1;
    uint64_t high = entry.number;
    while (low <= high) {
        const uint64_t middle = low + (high - low) / 2;
        uint32_t count;
        TRY(index_range(index, term, middle, INDEX_FORWARD, 1, &entry, &count));
        const bool is_behind = count == 0 || entry.position > position || (forward && entry.position == position);
        if (is_behind) {
            if (forward && count > 0) *ret_number = entry.number;
            high = middle - 1;
        } else {
            if (!forward) *ret_number = entry.number;
            low = entry.number + 1;
        }
    }
    return RESULT_OK;
}

/* Segments are asked for all terms before the next one is: what a term leads to in the table is on its way from memory
 * while the terms before it are looked up. */
static void segment_newest(const struct index_segment *segment, const struct term *terms, uint32_t count,
                           struct index_entry *entries) {
    for (uint32_t index = 0; index < count; index++) {
        if (index + NEWEST_PREFETCH_COUNT < count)
            index_segment_prefetch(segment, terms[index + NEWEST_PREFETCH_COUNT]);
        if (entries[index].position != 0) continue;
        (void)index_segment_range(segment, terms[index], UINT64_MAX, INDEX_BACKWARD, 1, &entries[index]);
    }
}

static result run_newest(struct query *query, const struct index_run *run, const struct term *terms, uint32_t count,
                         struct index_entry *entries) {
    for (uint32_t index = 0; index < count; index++) {
        if (index + NEWEST_PREFETCH_COUNT < count)
            index_filter_prefetch(&run->filter, terms[index + NEWEST_PREFETCH_COUNT]);
        if (entries[index].position != 0) continue;
        struct range range = {.term = terms[index],
                              .number = UINT64_MAX,
                              .direction = INDEX_BACKWARD,
                              .count_max = 1,
                              .entries = &entries[index]};
        TRY(run_look(query, run, &range));
    }
    return RESULT_OK;
}

static result look_newest(struct query *query, const struct term *terms, uint32_t count, struct index_entry *entries) {
    const struct index_view *view = query->view;
    for (uint32_t index = view->segments_count; index > 0; index--) {
        segment_newest(view->segments[index - 1], terms, count, entries);
    }
    for (uint32_t index = view->runs_count; index > 0; index--) {
        TRY(run_newest(query, view->runs[index - 1], terms, count, entries));
    }
    return RESULT_OK;
}

result index_newest(struct index *index, const struct term *terms, uint32_t count, struct index_entry *ret_entries) {
    for (uint32_t at = 0; at < count; at++) ret_entries[at].position = 0;
    struct query query = query_begin(index);
    const result outcome = look_newest(&query, terms, count, ret_entries);
    return query_end(&query, outcome);
}

result index_last(struct index *index, struct term term, struct index_entry *ret_entry) {
    struct index_entry entry;
    uint32_t count;
    TRY(index_range(index, term, UINT64_MAX, INDEX_BACKWARD, 1, &entry, &count));
    if (count == 0) return failure_result(FAILURE_NOT_FOUND);
    *ret_entry = entry;
    return RESULT_OK;
}
