/* names_query.c: lists and look-ups: the runs as one snapshot of the index has them, and the tail.
 *
 * The tail is what the log has after the last run of the snapshot, in tables that begin and end where the runs to come will: so
 * a table is dropped when its run is listed, and the others stay. Queries come one after the other; each adds what was appended
 * since the last one, so a page costs what it shows, not what there is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/clock.h"
#include "service/store/names_state.h"

/* A query, under the mutex. */
struct query {
    struct names *names;
    uint32_t runs_count;
    struct names_run runs[NAMES_TABLES_COUNT];
};

static void kept_publish(struct names *names) {
    uint64_t count = 0;
    for (uint32_t index = 0; index < names->tail_count; index++) count += names_table_count(names->tail[index]);
    atomic_store_explicit(&names->kept_count, count, memory_order_relaxed);
}

/* Those that are in runs, and all if the records were others when they were made. */
static void tables_free(struct names *names, uint64_t position) {
    uint32_t done = 0;
    while (done < names->tail_count && names_table_position_last(names->tail[done]) <= position) done++;
    for (uint32_t index = 0; index < done; index++) names_table_free(names->tail[index]);
    names->tail_count -= done;
    memmove(&names->tail[0], &names->tail[done], names->tail_count * sizeof names->tail[0]);
    const bool is_off = names->tail_count > 0 && names_table_position_first(names->tail[0]) != position + 1;
    if (!is_off) return;
    for (uint32_t index = 0; index < names->tail_count; index++) names_table_free(names->tail[index]);
    names->tail_count = 0;
}

void names_tail_trim(struct names *names, uint64_t position) {
    tables_free(names, position);
    kept_publish(names);
}

void names_rest(struct names *names, int64_t now_ns) {
    if (pthread_mutex_trylock(&names->mutex) != 0) return; /* somebody asks */
    if (now_ns - names->queried_ns > NAMES_TAIL_KEPT_SECONDS * INT64_C(1000000000)) names_tail_trim(names, UINT64_MAX);
    pthread_mutex_unlock(&names->mutex);
}

void names_begin_anew_locked(struct names *names) {
    names_tail_trim(names, UINT64_MAX);
    atomic_store_explicit(&names->is_to_begin_anew, true, memory_order_release);
}

void names_begin_anew(struct names *names) {
    pthread_mutex_lock(&names->mutex);
    names_begin_anew_locked(names);
    pthread_mutex_unlock(&names->mutex);
    names->wake(names->context);
}

/* The index thread goes on with the runs before it merges its own. */
static void want(struct names *names) {
    if (!atomic_exchange_explicit(&names->is_wanted, true, memory_order_relaxed)) names->wake(names->context);
}

/* The runs lag too far behind. */
static result behind(struct names *names) {
    if (atomic_load_explicit(&names->is_log_damaged, memory_order_relaxed)) return failure_result(FAILURE_CORRUPT);
    want(names);
    return failure_result(FAILURE_NOT_READY);
}

/* The table that takes the next event of the tail. */
static result tail_table(struct names *names, uint64_t position, struct names_table **ret_table) {
    if (names->tail_count > 0 && !names_table_is_full(names->tail[names->tail_count - 1])) {
        *ret_table = names->tail[names->tail_count - 1];
        return RESULT_OK;
    }
    if (names->tail_count == NAMES_TAIL_TABLES_COUNT_MAX) return behind(names);
    TRY(names_table_new(position, names->events_count_max, &names->tail[names->tail_count]));
    *ret_table = names->tail[names->tail_count++];
    return RESULT_OK;
}

static result log_end(struct names *names, uint64_t *ret_position) {
    TRY(store_reader_begin(names->query_log, ret_position));
    store_reader_end(names->query_log);
    return RESULT_OK;
}

/* Adds to the tail what the log has by this moment. `position`: up to where there are runs. */
static result tail_extend(struct names *names, uint64_t position) {
    uint64_t end;
    TRY(log_end(names, &end));
    const uint64_t lag_max = (uint64_t)NAMES_TAIL_TABLES_COUNT_MAX * names->events_count_max;
    if (end > position + lag_max) return behind(names);
    if (end > position + lag_max / 2) want(names); /* so that it does not come to that */
    if (names->tail_count > 0) position = names_table_position_last(names->tail[names->tail_count - 1]);
    while (position < end) {
        struct names_table *table;
        TRY(tail_table(names, position + 1, &table));
        const result outcome = names_table_fill(table, names->query_log, end);
        if (failed(outcome)) {
            /* It may have half of an event. */
            names_table_free(table);
            names->tail_count--;
            return outcome;
        }
        if (names_table_position_last(table) == position) break; /* what `end` has beyond it is not committed yet */
        position = names_table_position_last(table);
    }
    return RESULT_OK;
}

static result query_read(struct query *query) {
    struct names *names = query->names;
    if (atomic_load_explicit(&names->is_to_begin_anew, memory_order_acquire)) {
        return failure_result(FAILURE_NOT_READY);
    }
    TRY(names_catalog_list(&names->catalog, names->query_reader, query->runs, &query->runs_count));
    return RESULT_OK;
}

static result query_extend(struct query *query) {
    const uint64_t position = query->runs_count > 0 ? query->runs[query->runs_count - 1].position_last : 0;
    names_tail_trim(query->names, position);
    return tail_extend(query->names, position);
}

/* What a damaged run means: damage of the log has been told apart before. */
static result runs_outcome(struct names *names, result outcome) {
    if (outcome.failure != FAILURE_CORRUPT) return outcome;
    names_begin_anew_locked(names);
    names->wake(names->context);
    return failure_result(FAILURE_NOT_READY);
}

/* Takes the mutex and a snapshot, and brings the tail up to the end of the log. */
static result query_begin(struct names *names, struct query *ret_query) {
    ret_query->names = names;
    pthread_mutex_lock(&names->mutex);
    names->queried_ns = clock_monotonic_ns();
    result outcome = environment_result(mdb_txn_renew(names->query_reader), "read the names");
    if (failed(outcome)) {
        pthread_mutex_unlock(&names->mutex);
        return outcome;
    }
    outcome = runs_outcome(names, query_read(ret_query));
    if (!failed(outcome)) outcome = query_extend(ret_query);
    if (failed(outcome)) {
        mdb_txn_reset(names->query_reader);
        pthread_mutex_unlock(&names->mutex);
    }
    return outcome;
}

static void query_end(const struct query *query) {
    kept_publish(query->names);
    mdb_txn_reset(query->names->query_reader);
    pthread_mutex_unlock(&query->names->mutex);
}

static struct bytes key_of(enum term_kind kind, struct bytes name, uint8_t buffer[NAMES_KEY_BYTES_MAX]) {
    assert(name.size <= NAME_BYTES_MAX && kind >= TERM_STREAM && kind <= TERM_TAG);
    buffer[0] = (uint8_t)kind;
    if (name.size > 0) memcpy(buffer + 1, name.data, name.size);
    return bytes_of(buffer, 1 + name.size);
}

/* Adds what has been found of a name in one place. */
static void found_add(struct name_figures *figures, const struct name_figures *found) {
    if (figures->events_count == 0) {
        *figures = *found;
    } else {
        name_figures_add(figures, found);
    }
}

static result run_find(const struct query *query, const struct names_run *run, struct bytes key,
                       struct name_figures *figures) {
    struct names_cursor cursor;
    TRY(names_cursor_open(run, query->names->query_reader, &cursor));
    const result outcome = names_cursor_seek(&cursor, key);
    const bool is_found = !failed(outcome) && !cursor.is_ended && bytes_equal(cursor.entry.key, key);
    if (is_found) found_add(figures, &cursor.entry.figures);
    names_cursor_close(&cursor);
    return outcome;
}

static result find(const struct query *query, enum term_kind kind, struct bytes name, struct name_figures *figures) {
    uint8_t buffer[NAMES_KEY_BYTES_MAX];
    const struct bytes key = key_of(kind, name, buffer);
    for (uint32_t index = 0; index < query->runs_count; index++) {
        TRY(run_find(query, &query->runs[index], key, figures));
    }
    for (uint32_t index = 0; index < query->names->tail_count; index++) {
        struct name_figures found;
        if (names_table_find(query->names->tail[index], kind, name, &found)) found_add(figures, &found);
    }
    return RESULT_OK;
}

result names_find_all(struct names *names, enum term_kind kind, const struct bytes *asked, uint32_t count,
                      struct name_figures *ret_figures) {
    struct query query;
    TRY(query_begin(names, &query));
    result outcome = RESULT_OK;
    for (uint32_t index = 0; index < count && !failed(outcome); index++) {
        assert(asked[index].size > 0);
        ret_figures[index] = (struct name_figures){0};
        outcome = runs_outcome(names, find(&query, kind, asked[index], &ret_figures[index]));
    }
    query_end(&query);
    return outcome;
}

result names_find(struct names *names, enum term_kind kind, struct bytes name, struct name_figures *ret_figures) {
    struct name_figures figures;
    TRY(names_find_all(names, kind, &name, 1, &figures));
    if (figures.events_count == 0) return failure_result(FAILURE_NOT_FOUND);
    *ret_figures = figures;
    return RESULT_OK;
}

/* Where a list is in a run or in a table of the tail. */
struct source {
    struct names_cursor cursor;      /* of a run, */
    const struct names_table *table; /* or a table */
    uint32_t place;
    bool is_ended;
    struct names_entry entry;
};

struct sources {
    uint32_t count;
    struct source all[NAMES_TABLES_COUNT + NAMES_TAIL_TABLES_COUNT_MAX];
};

static void source_enter(struct source *source) {
    if (source->table == NULL) {
        source->is_ended = source->cursor.is_ended;
        source->entry = source->cursor.entry;
        return;
    }
    source->is_ended = source->place >= names_table_count(source->table);
    if (!source->is_ended) source->entry = names_table_at(source->table, source->place);
}

static result source_next(struct source *source) {
    if (source->table == NULL) {
        TRY(names_cursor_next(&source->cursor));
    } else {
        source->place++;
    }
    source_enter(source);
    return RESULT_OK;
}

static void sources_close(struct sources *sources) {
    for (uint32_t index = 0; index < sources->count; index++) names_cursor_close(&sources->all[index].cursor);
}

/* The first name of each source that is not before `key`. */
static result sources_open(const struct query *query, struct bytes key, struct sources *sources) {
    for (uint32_t index = 0; index < query->runs_count; index++) {
        struct source *source = &sources->all[sources->count++];
        *source = (struct source){0};
        TRY(names_cursor_open(&query->runs[index], query->names->query_reader, &source->cursor));
        TRY(names_cursor_seek(&source->cursor, key));
        source_enter(source);
    }
    for (uint32_t index = 0; index < query->names->tail_count; index++) {
        struct names_table *table = query->names->tail[index];
        struct source *source = &sources->all[sources->count++];
        *source = (struct source){.table = table};
        TRY(names_table_sort(table));
        source->place = names_table_seek(table, key);
        source_enter(source);
    }
    return RESULT_OK;
}

/* The least name of all sources, with its figures in all of them; false: there are no more. */
static result sources_take(struct sources *sources, struct names_entry *ret_entry, bool *ret_found) {
    const struct source *least = NULL;
    for (uint32_t index = 0; index < sources->count; index++) {
        const struct source *source = &sources->all[index];
        if (source->is_ended) continue;
        if (least == NULL || names_key_compare(source->entry.key, least->entry.key) < 0) least = source;
    }
    *ret_found = least != NULL;
    if (least == NULL) return RESULT_OK;
    struct names_entry entry = {.key = least->entry.key};
    for (uint32_t index = 0; index < sources->count; index++) {
        struct source *source = &sources->all[index];
        if (source->is_ended || !bytes_equal(source->entry.key, entry.key)) continue;
        found_add(&entry.figures, &source->entry.figures);
        TRY(source_next(source));
    }
    *ret_entry = entry;
    return RESULT_OK;
}

struct listing {
    struct bytes prefix; /* with the kind */
    struct bytes after;  /* with the kind; the kind alone: from the first name on */
    names_visit *visit;
    void *context;
};

static result list(const struct query *query, const struct listing *listing, struct sources *sources) {
    const bool is_behind_prefix = names_key_compare(listing->after, listing->prefix) > 0;
    TRY(sources_open(query, is_behind_prefix ? listing->after : listing->prefix, sources));
    for (;;) {
        struct names_entry entry;
        bool is_found;
        TRY(sources_take(sources, &entry, &is_found));
        if (!is_found || !bytes_begin_with(entry.key, listing->prefix)) return RESULT_OK;
        if (bytes_equal(entry.key, listing->after)) continue;
        if (!listing->visit(listing->context, bytes_of(entry.key.data + 1, entry.key.size - 1), &entry.figures)) {
            return RESULT_OK;
        }
    }
}

result names_list(struct names *names, enum term_kind kind, struct bytes prefix, struct bytes after, names_visit *visit,
                  void *context) {
    uint8_t prefix_buffer[NAMES_KEY_BYTES_MAX];
    uint8_t after_buffer[NAMES_KEY_BYTES_MAX];
    const struct listing listing = {.prefix = key_of(kind, prefix, prefix_buffer),
                                    .after = key_of(kind, after, after_buffer),
                                    .visit = visit,
                                    .context = context};
    struct sources *sources = malloc(sizeof *sources);
    if (sources == NULL) return failure_result(FAILURE_MEMORY);
    sources->count = 0;
    struct query query;
    result outcome = query_begin(names, &query);
    if (!failed(outcome)) {
        outcome = runs_outcome(names, list(&query, &listing, sources));
        sources_close(sources);
        query_end(&query);
    }
    free(sources);
    return outcome;
}
