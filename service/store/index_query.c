/* index_query.c: finding entries in a view: runs and segments, oldest to newest or newest to oldest. */
#include <stdlib.h>

#include "service/store/index_state.h"

/* A query: the view it looks at, and a read transaction as soon as it has to look at a run. The transaction begins after
 * the view was current, so that all runs of the view are in its snapshot; and they stay, because a run is emptied only
 * once no view shows it. */
struct query {
    struct index *index;
    struct index_view *view;
    struct index_reader *reader;
    bool is_reading;
};

static struct query query_begin(struct index *index) {
    struct query query = {.index = index};
    pthread_mutex_lock(&index->mutex);
    query.view = index_view_ref(index->view);
    query.reader = index->readers;
    if (query.reader != NULL) index->readers = query.reader->next;
    pthread_mutex_unlock(&index->mutex);
    return query;
}

static void query_end(struct query *query) {
    struct index *index = query->index;
    if (query->is_reading) mdb_txn_reset(query->reader->transaction);
    if (query->reader != NULL) {
        pthread_mutex_lock(&index->mutex);
        query->reader->next = index->readers;
        index->readers = query->reader;
        pthread_mutex_unlock(&index->mutex);
    }
    index_view_release(index, query->view);
}

static result reader_new(struct index *index, struct index_reader **ret_reader) {
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

void index_readers_close(struct index *index) {
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
    TRY(query_read(query));
    bool may_have;
    TRY(index_filter_look(&run->filter, query->reader->transaction, range->term, &may_have));
    if (!may_have) return RESULT_OK;
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
    query_end(&query);
    if (outcome.failure == FAILURE_CORRUPT) index_mark_damaged(index);
    TRY(outcome);
    *ret_count = range.count;
    return RESULT_OK;
}

result index_last(struct index *index, struct term term, struct index_entry *ret_entry) {
    struct index_entry entry;
    uint32_t count;
    TRY(index_range(index, term, UINT64_MAX, INDEX_BACKWARD, 1, &entry, &count));
    if (count == 0) return failure_result(FAILURE_NOT_FOUND);
    *ret_entry = entry;
    return RESULT_OK;
}
