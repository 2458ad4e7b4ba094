/* index_thread.c: the index thread: full segments become runs, runs become larger runs, what is merged is emptied.
 *
 * One step at a time, in this order: write the oldest full segment (appends may be waiting for it); empty a table that no
 * view shows any more; go on with the merge of the lowest level (small merges keep the number of runs, and so the cost of
 * a query, low); do what names have to do (names_work.c), seldom while appends are many (NAMES_SHARE_OF_ONE). When somebody
 * asks for names that are far behind, they come before merges, but not before those that make room for a segment. Every step
 * is a short write transaction. A level takes no more runs than INDEX_LEVEL_RUNS_COUNT_MAX: when merging is slower than what
 * arrives, the levels fill from above, then segments wait, then appends do.
 *
 * No space, or no memory: the step is given up and tried again every second; queries go on, and appends until the tail is
 * full. Any other failure ends the thread; adds fail from then on, and the daemon stops. A part that is being rebuilt gives
 * up at once: nobody needs it. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "service/base/clock.h"
#include "service/base/failpoint.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/store/index_state.h"

/* Entries in their order lie anywhere in memory: they are asked for so many before they are needed. */
#define ENTRIES_AHEAD_COUNT    16
#define RETRY_SECONDS          1
#define NANOSECONDS_PER_SECOND 1000000000

/* So many more runs must fit into level 0 when names come before merges. */
#define ROOM_FOR_NAMES_RUNS_COUNT INDEX_SEGMENTS_WAITING_COUNT_MAX

/* WORK_LATER: names have work, but it is not their turn yet. */
enum work_kind { WORK_NONE, WORK_FLUSH, WORK_EMPTY, WORK_MERGE, WORK_NAMES, WORK_LATER };

struct work {
    enum work_kind kind;
    struct index_segment *segment; /* to flush; the view holds it until it is a run */
    struct index_run *run;         /* to empty */
    uint32_t level;                /* to merge */
};

static bool level_has_room(const struct index_part *index, uint32_t level) {
    return index_catalog_level_count(&index->catalog, level) < INDEX_LEVEL_RUNS_COUNT_MAX;
}

static uint32_t level_listed_count(const struct index_view *view, uint32_t level) {
    uint32_t count = 0;
    for (uint32_t index = 0; index < view->runs_count; index++) {
        if (view->runs[index]->level == level) count++;
    }
    return count;
}

static bool merge_is_due(const struct index_part *index, uint32_t level) {
    if (index->merges[level] != NULL) return true;
    return level_listed_count(index->view, level) >= INDEX_RUNS_MERGED_COUNT && level_has_room(index, level + 1);
}

static uint64_t part_position(const struct index_part *index) {
    return atomic_load_explicit(&index->position, memory_order_relaxed);
}

/* Names are taken of events that are in runs of the index: they are in the log, and those after a crash, too. */
static bool names_have_work(const struct index_part *index) {
    return index->names != NULL && names_has_work(index->names, part_position(index));
}

static bool names_come_first(const struct index_part *index) {
    return index->names != NULL && names_is_wanted(index->names, part_position(index)) &&
           index_catalog_level_count(&index->catalog, 0) + ROOM_FOR_NAMES_RUNS_COUNT <= INDEX_LEVEL_RUNS_COUNT_MAX;
}

/* Under the mutex. */
static struct work work_choose(struct index_part *index) {
    if (index->segments_waiting_count > 0 && level_has_room(index, 0)) {
        return (struct work){.kind = WORK_FLUSH, .segment = index->view->segments[0]};
    }
    for (uint32_t number = 0; number < INDEX_TABLES_COUNT; number++) {
        struct index_run *run = &index->catalog.tables[number];
        if (run->state != INDEX_RUN_RETIRED) continue;
        if (atomic_load_explicit(&run->views_count, memory_order_acquire) != 0) continue;
        return (struct work){.kind = WORK_EMPTY, .run = run};
    }
    if (names_come_first(index)) return (struct work){.kind = WORK_NAMES};
    for (uint32_t level = 0; level + 1 < INDEX_LEVELS_COUNT; level++) {
        if (merge_is_due(index, level)) return (struct work){.kind = WORK_MERGE, .level = level};
    }
    if (!names_have_work(index)) return (struct work){.kind = WORK_NONE};
    return (struct work){.kind = clock_monotonic_ns() < index->names_next_ns ? WORK_LATER : WORK_NAMES};
}

/* Writes the entries of a segment in their order; every piece but the last is committed. */
static result entries_write(struct index_run_writer *writer, const struct index_segment *segment,
                            const uint32_t *order) {
    const uint32_t count = index_segment_entries_count(segment);
    for (uint32_t index = 0; index < count; index++) {
        if (index > 0 && index % INDEX_STEP_ENTRIES_COUNT_MAX == 0) {
            TRY(index_run_writer_commit(writer));
            TRY(index_run_writer_begin(writer));
        }
        if (index + ENTRIES_AHEAD_COUNT < count) {
            index_segment_entry_prefetch(segment, order[index + ENTRIES_AHEAD_COUNT]);
        }
        const struct index_entry entry = index_segment_entry(segment, order[index]);
        const struct index_key key = index_key_of(entry.term, entry.number, entry.position);
        TRY(index_run_writer_add(writer, key.bytes));
    }
    return index_run_writer_end(writer);
}

/* Writes a segment as the run and lists it, in the transaction that completes it. */
static result run_write(struct index_part *index, const struct index_segment *segment, const uint32_t *order,
                        struct index_run *run) {
    struct index_run_writer writer;
    index_run_writer_init(&writer, &index->environment, run);
    TRY(index_run_writer_begin(&writer));
    result outcome = entries_write(&writer, segment, order);
    if (!failed(outcome)) outcome = index_catalog_put(&index->catalog, writer.transaction, run);
    DAYBOOK_FAILPOINT(RUN_BEFORE);
    if (!failed(outcome)) outcome = index_run_writer_commit(&writer);
    DAYBOOK_FAILPOINT(RUN_COMMITTED);
    index_run_writer_abort(&writer);
    return outcome;
}

/* What queries see changes here. */
static void flush_publish(struct index_part *index, struct index_run *run, struct index_view *view) {
    pthread_mutex_lock(&index->mutex);
    struct index_view *previous = index->view;
    index_view_copy(view, previous);
    index_view_flush(view, run);
    index->view = view;
    index->segments_waiting_count--;
    pthread_cond_broadcast(&index->room);
    pthread_mutex_unlock(&index->mutex);
    atomic_store_explicit(&index->position, run->position_last, memory_order_release);
    index_view_release(index, previous);
    DAYBOOK_FAILPOINT(RUN_PUBLISHED);
}

/* Once a run is listed. What fails here ends the thread: the disk has failed or is damaged. */
static result filter_map(struct index_part *index, struct index_run *run) {
    TRY(environment_result(mdb_txn_renew(index->reader), "read the index"));
    const result outcome = index_filter_map(&run->filter, index->reader);
    mdb_txn_reset(index->reader);
    return outcome;
}

static result flush(struct index_part *index, struct index_segment *segment) {
    uint32_t *order;
    TRY(index_segment_order(segment, &order));
    /* Made before the commit: once the run is listed, nothing may fail before it is visible. */
    struct index_view *view = index_view_new();
    if (view == NULL) {
        index_segment_order_free(segment, order);
        return failure_result(FAILURE_MEMORY);
    }
    struct index_run *run;
    result outcome = index_catalog_take(&index->catalog, 0, index_segment_terms_count(segment), &run);
    if (failed(outcome)) {
        index_segment_order_free(segment, order);
        index_view_unref(view);
        return outcome;
    }
    run->position_first = index_segment_position_first(segment);
    run->position_last = run->position_first + index_segment_events_count(segment) - 1;
    outcome = run_write(index, segment, order, run);
    index_segment_order_free(segment, order);
    if (failed(outcome)) {
        run->state = INDEX_RUN_RETIRED; /* what was written of it is emptied, then it is tried again */
        index_view_unref(view);
        return outcome;
    }
    run->state = INDEX_RUN_LISTED;
    outcome = filter_map(index, run);
    if (failed(outcome)) {
        index_view_unref(view);
        return outcome;
    }
    flush_publish(index, run, view);
    log_debug("a run of the index is written", "position_last", log_number(run->position_last), "entries",
              log_number(run->entries_count));
    return RESULT_OK;
}

/* Of the events from here on the ids are kept: those of the window, and all that are not in runs. */
static uint64_t ids_position_first(const struct index_part *index) {
    const uint64_t window = index->owner->options.ids_window;
    const uint64_t position = atomic_load_explicit(&index->position, memory_order_relaxed);
    return window == 0 || position < window ? 1 : position - window + 1;
}

/* About how many terms of a run come into the next: nearly each id is a term of its own. */
static uint64_t terms_count_kept(const struct index_run *run, uint64_t ids_from) {
    if (run->position_last >= ids_from || run->ids_count > run->terms_count) return run->terms_count;
    return run->terms_count - run->ids_count;
}

static result merge_begin(struct index_part *index, uint32_t level) {
    struct index_run *runs[INDEX_TABLES_COUNT];
    struct index_run *sources[INDEX_RUNS_MERGED_COUNT];
    const uint32_t runs_count = index_catalog_runs(&index->catalog, runs);
    uint32_t count = 0;
    uint64_t terms_count_max = 0;
    const uint64_t ids_from = ids_position_first(index);
    for (uint32_t number = 0; number < runs_count && count < INDEX_RUNS_MERGED_COUNT; number++) {
        if (runs[number]->level != level) continue;
        terms_count_max += terms_count_kept(runs[number], ids_from);
        sources[count++] = runs[number];
    }
    assert(count == INDEX_RUNS_MERGED_COUNT);
    struct index_run *output;
    TRY(index_catalog_take(&index->catalog, level + 1, terms_count_max, &output));
    const result outcome =
        index_merge_new(&index->environment, &index->catalog, sources, output, ids_from, &index->merges[level]);
    if (failed(outcome)) index_catalog_give(output);
    return outcome;
}

static void merge_publish(struct index_part *index, const struct index_merge *merge, struct index_view *view) {
    struct index_run *output = index_merge_output(merge);
    struct index_run *const *sources = index_merge_sources(merge);
    output->state = INDEX_RUN_LISTED;
    for (uint32_t number = 0; number < INDEX_RUNS_MERGED_COUNT; number++) sources[number]->state = INDEX_RUN_RETIRED;
    pthread_mutex_lock(&index->mutex);
    struct index_view *previous = index->view;
    index_view_copy(view, previous);
    index_view_merge(view, sources, INDEX_RUNS_MERGED_COUNT, output);
    index->view = view;
    pthread_mutex_unlock(&index->mutex);
    index_view_release(index, previous);
    log_debug("runs of the index are merged", "level", log_number(output->level), "position_first",
              log_number(output->position_first), "position_last", log_number(output->position_last), "entries",
              log_number(output->entries_count));
}

static result merge_step(struct index_part *index, struct index_merge *merge, bool *ret_is_complete) {
    TRY(environment_result(mdb_txn_renew(index->reader), "read the index"));
    const result outcome = index_merge_step(merge, index->reader, ret_is_complete);
    mdb_txn_reset(index->reader);
    return outcome;
}

static result merge(struct index_part *index, uint32_t level) {
    if (index->merges[level] == NULL) TRY(merge_begin(index, level));
    struct index_view *view = index_view_new();
    if (view == NULL) return failure_result(FAILURE_MEMORY);
    bool is_complete = false;
    result outcome = merge_step(index, index->merges[level], &is_complete);
    if (failed(outcome)) index_merge_output(index->merges[level])->state = INDEX_RUN_RETIRED;
    if (!failed(outcome) && is_complete) outcome = filter_map(index, index_merge_output(index->merges[level]));
    if (!failed(outcome) && is_complete) {
        merge_publish(index, index->merges[level], view);
    } else {
        index_view_unref(view);
    }
    if (failed(outcome) || is_complete) index->merges[level] = index_merge_free(index->merges[level]);
    return outcome;
}

static result names_work(struct index_part *index) {
    const int64_t begin_ns = clock_monotonic_ns();
    const result outcome = names_step(index->names, part_position(index));
    const int64_t end_ns = clock_monotonic_ns();
    const bool is_calm = end_ns - index->flushed_ns > NAMES_CALM_MS * INT64_C(1000000);
    index->names_next_ns = is_calm ? end_ns : end_ns + (NAMES_SHARE_OF_ONE - 1) * (end_ns - begin_ns);
    return outcome;
}

static result work_do(struct index_part *index, const struct work *work) {
    switch (work->kind) {
    case WORK_FLUSH:
        index->flushed_ns = clock_monotonic_ns();
        return flush(index, work->segment);
    case WORK_EMPTY:
        return index_catalog_empty(&index->environment, work->run);
    case WORK_MERGE:
        return merge(index, work->level);
    case WORK_NAMES:
        return names_work(index);
    default:
        return RESULT_OK;
    }
}

/* Under the mutex: waits for a second, or until the index closes. */
static void retry_wait(struct index_part *index) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SECONDS;
    int code = 0;
    while (!index->is_closing && code != ETIMEDOUT) code = pthread_cond_timedwait(&index->work, &index->mutex, &until);
}

/* Under the mutex: waits until names may go on, or until there is something to look at. */
static void names_wait(struct index_part *index) {
    const struct timespec until = {.tv_sec = index->names_next_ns / NANOSECONDS_PER_SECOND,
                                   .tv_nsec = index->names_next_ns % NANOSECONDS_PER_SECOND};
    (void)pthread_cond_timedwait(&index->work, &index->mutex, &until);
}

/* Under the mutex. */
static void thread_fail(struct index_part *index, enum failure failure) {
    log_error("the index thread ends", "failure", failure_name(failure), "directory", index->directory);
    atomic_store_explicit(&index->failure, (int)failure, memory_order_relaxed);
    pthread_cond_broadcast(&index->room);
    if (failure == FAILURE_CORRUPT) index_mark_damaged(index);
}

static void *thread_run(void *argument) {
    struct index_part *index = argument;
    pthread_mutex_lock(&index->mutex);
    while (!index->is_closing) {
        const struct work work = work_choose(index);
        if (work.kind == WORK_NONE) {
            pthread_cond_wait(&index->work, &index->mutex);
            continue;
        }
        if (work.kind == WORK_LATER) {
            names_wait(index);
            continue;
        }
        pthread_mutex_unlock(&index->mutex);
        const result outcome = work_do(index, &work);
        pthread_mutex_lock(&index->mutex);
        if (work.kind == WORK_NAMES) pthread_cond_broadcast(&index->room); /* a rebuild may be waiting for them */
        const bool is_passing = outcome.failure == FAILURE_STORAGE_FULL || outcome.failure == FAILURE_MEMORY;
        if (is_passing && !index->gives_up) {
            retry_wait(index);
        } else if (failed(outcome)) {
            thread_fail(index, outcome.failure);
            break;
        }
    }
    pthread_mutex_unlock(&index->mutex);
    return NULL;
}

void index_thread_wake(void *context) {
    struct index_part *index = context;
    pthread_mutex_lock(&index->mutex);
    pthread_cond_signal(&index->work);
    pthread_mutex_unlock(&index->mutex);
}

result index_thread_start(struct index_part *index) {
    TRY(environment_result(mdb_txn_begin(index->environment.handle, NULL, MDB_RDONLY, &index->reader),
                           "read the index"));
    mdb_txn_reset(index->reader);
    const result started = thread_start("index", thread_run, index, &index->thread);
    if (failed(started)) {
        mdb_txn_abort(index->reader);
        index->reader = NULL;
    }
    return started;
}

void index_thread_stop(struct index_part *index) {
    if (index->reader == NULL) return; /* it did not start */
    pthread_mutex_lock(&index->mutex);
    index->is_closing = true;
    pthread_cond_signal(&index->work);
    pthread_mutex_unlock(&index->mutex);
    pthread_join(index->thread, NULL);
    for (uint32_t level = 0; level < INDEX_LEVELS_COUNT; level++) index_merge_free(index->merges[level]);
    mdb_txn_abort(index->reader);
    index->reader = NULL;
}
