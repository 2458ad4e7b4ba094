#include "service/retention/retention.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/commit/sequencer.h"
#include "service/retention/stream_scan.h"
#include "service/store/store.h"

#define NANOSECONDS_PER_MILLISECOND INT64_C(1000000)
#define NANOSECONDS_PER_SECOND      INT64_C(1000000000)

struct retention {
    struct store *store;
    struct index *index;
    struct sequencer *sequencer;
    struct store_reader *reader;
    int64_t interval_ns;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by mutex. */
    bool is_woken;
    bool is_stopping;
    bool step_is_done;
    uint32_t pauses_count;

    atomic_uint_fast64_t events_removed_count;
    atomic_uint_fast64_t bytes_removed;
    atomic_uint_fast64_t passes_count;
};

static void step_done(struct append_request *request) {
    struct retention *retention = request->context;
    pthread_mutex_lock(&retention->mutex);
    retention->step_is_done = true;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->mutex);
}

static bool is_stopping(struct retention *retention) {
    pthread_mutex_lock(&retention->mutex);
    const bool stopping = retention->is_stopping;
    pthread_mutex_unlock(&retention->mutex);
    return stopping;
}

/* Waits as long as the removal of bytes is held up. */
static void pause_wait(struct retention *retention) {
    pthread_mutex_lock(&retention->mutex);
    while (retention->pauses_count > 0 && !retention->is_stopping) {
        pthread_cond_wait(&retention->changed, &retention->mutex);
    }
    pthread_mutex_unlock(&retention->mutex);
}

/* Hands a step to the sequencer and waits for it: it answers everything that it has taken. */
static result step_take(struct retention *retention, const struct stream_scan *scan) {
    struct append_rewrite rewrite = {.kind = REWRITE_REMOVE,
                                     .positions = scan->positions,
                                     .positions_count = scan->positions_count,
                                     .stream = bytes_of(scan->stream, scan->stream_size),
                                     .removed_before = scan->next_revision};
    struct append_conflict conflicts[2];
    struct append_request request = {.rewrite = &rewrite,
                                     .size_bytes = scan->positions_count * REWRITE_BYTES_TYPICAL,
                                     .conflicts = conflicts,
                                     .done = step_done,
                                     .context = retention};
    retention->step_is_done = false;
    TRY(sequencer_submit(retention->sequencer, &request));
    pthread_mutex_lock(&retention->mutex);
    while (!retention->step_is_done) pthread_cond_wait(&retention->changed, &retention->mutex);
    pthread_mutex_unlock(&retention->mutex);
    switch (request.outcome) {
    case APPEND_COMMITTED:
        break;
    case APPEND_STORAGE_CORRUPT:
        return failure_result(FAILURE_CORRUPT);
    case APPEND_STORAGE_FULL:
        return failure_result(FAILURE_STORAGE_FULL);
    case APPEND_OUT_OF_MEMORY:
        return failure_result(FAILURE_MEMORY);
    default:
        return failure_result(FAILURE_STOPPED);
    }
    atomic_fetch_add_explicit(&retention->events_removed_count, rewrite.rewritten_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&retention->bytes_removed, rewrite.rewritten_bytes, memory_order_relaxed);
    return RESULT_OK;
}

/* Removes what has disappeared of one stream, step by step. */
static result stream_clear(struct retention *retention, struct stream_scan *scan) {
    bool is_at_end = false;
    for (;;) {
        pause_wait(retention);
        if (is_at_end || is_stopping(retention)) break;
        const uint64_t revision_before = scan->next_revision;
        TRY(store_reader_begin(retention->reader, NULL));
        const result found = stream_scan_step(scan, retention->reader, retention->index, clock_wall_ns(), &is_at_end);
        store_reader_end(retention->reader);
        TRY(found);
        if (scan->next_revision > revision_before) TRY(step_take(retention, scan));
    }
    return RESULT_OK;
}

/* The next stream with a row, after the one of the scan. FAILURE_NOT_FOUND: there is none. */
static result stream_next(struct retention *retention, struct stream_scan *scan, bool *ret_is_due) {
    struct bytes stream;
    struct stream_row row;
    TRY(store_reader_begin(retention->reader, NULL));
    const result found =
        store_reader_stream_after(retention->reader, bytes_of(scan->stream, scan->stream_size), &stream, &row);
    if (!failed(found)) {
        stream_scan_init(scan, stream, &row);
        *ret_is_due = row.max_age_seconds > 0 || row.first_revision > scan->next_revision;
    }
    store_reader_end(retention->reader);
    return found;
}

/* Goes once through all rows. Damage in one stream does not keep the others from being cleared. */
static result pass(struct retention *retention, struct stream_scan *scan) {
    scan->stream_size = 0;
    while (!is_stopping(retention)) {
        bool is_due;
        const result found = stream_next(retention, scan, &is_due);
        if (found.failure == FAILURE_NOT_FOUND) break;
        TRY(found);
        if (!is_due) continue;
        const result cleared = stream_clear(retention, scan);
        if (cleared.failure == FAILURE_CORRUPT) {
            log_error("events that have disappeared cannot be removed: the stream is damaged");
            continue;
        }
        TRY(cleared);
    }
    return RESULT_OK;
}

static struct timespec deadline_after(int64_t interval_ns) {
    const int64_t at_ns = clock_monotonic_ns() + interval_ns;
    return (struct timespec){.tv_sec = at_ns / NANOSECONDS_PER_SECOND, .tv_nsec = at_ns % NANOSECONDS_PER_SECOND};
}

/* Waits for the next pass. False: it is over. */
static bool wait_for_work(struct retention *retention) {
    const struct timespec deadline = deadline_after(retention->interval_ns);
    pthread_mutex_lock(&retention->mutex);
    int code = 0;
    while (!retention->is_woken && !retention->is_stopping && code == 0) {
        code = pthread_cond_timedwait(&retention->changed, &retention->mutex, &deadline);
    }
    retention->is_woken = false;
    const bool goes_on = !retention->is_stopping;
    pthread_mutex_unlock(&retention->mutex);
    return goes_on;
}

static void *retain(void *context) {
    struct retention *retention = context;
    struct stream_scan scan = {0};
    do {
        const uint64_t removed_before = retention_count(retention).events_removed_count;
        const result outcome = pass(retention, &scan);
        const uint64_t removed_count = retention_count(retention).events_removed_count - removed_before;
        atomic_fetch_add_explicit(&retention->passes_count, 1, memory_order_relaxed);
        if (removed_count > 0) log_info("events removed that had disappeared", "count", log_number(removed_count));
        /* A full queue or disk: the next pass finds again what is left. */
        if (failed(outcome) && outcome.failure != FAILURE_STOPPED) {
            log_warn("events that have disappeared are removed later", "failure", failure_name(outcome.failure));
        }
    } while (wait_for_work(retention));
    return NULL;
}

static void locks_init(struct retention *retention) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&retention->mutex, NULL);
    pthread_cond_init(&retention->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void retention_free(struct retention *retention) {
    store_reader_close(retention->reader);
    pthread_cond_destroy(&retention->changed);
    pthread_mutex_destroy(&retention->mutex);
    free(retention);
}

result retention_open(const struct retention_options *options, struct retention **ret_retention) {
    struct retention *retention = calloc(1, sizeof *retention);
    if (retention == NULL) return failure_result(FAILURE_MEMORY);
    const uint64_t interval_ms = options->interval_ms != 0 ? options->interval_ms : RETENTION_INTERVAL_MS_DEFAULT;
    retention->store = options->store;
    retention->index = options->index;
    retention->sequencer = options->sequencer;
    retention->interval_ns = (int64_t)interval_ms * NANOSECONDS_PER_MILLISECOND;
    locks_init(retention);
    result outcome = store_reader_open(options->store, &retention->reader);
    if (!failed(outcome)) outcome = thread_start("retention", retain, retention, &retention->thread);
    if (failed(outcome)) {
        retention_free(retention);
        return outcome;
    }
    *ret_retention = retention;
    return RESULT_OK;
}

struct retention *retention_close(struct retention *retention) {
    if (retention == NULL) return NULL;
    pthread_mutex_lock(&retention->mutex);
    retention->is_stopping = true;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->mutex);
    pthread_join(retention->thread, NULL);
    retention_free(retention);
    return NULL;
}

void retention_wake(struct retention *retention) {
    if (retention == NULL) return;
    pthread_mutex_lock(&retention->mutex);
    retention->is_woken = true;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->mutex);
}

void retention_pause(struct retention *retention) {
    if (retention == NULL) return;
    pthread_mutex_lock(&retention->mutex);
    retention->pauses_count++;
    pthread_mutex_unlock(&retention->mutex);
}

void retention_resume(struct retention *retention) {
    if (retention == NULL) return;
    pthread_mutex_lock(&retention->mutex);
    assert(retention->pauses_count > 0);
    retention->pauses_count--;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->mutex);
}

struct retention_counts retention_count(struct retention *retention) {
    return (struct retention_counts){
        .events_removed_count = atomic_load_explicit(&retention->events_removed_count, memory_order_relaxed),
        .bytes_removed = atomic_load_explicit(&retention->bytes_removed, memory_order_relaxed),
        .passes_count = atomic_load_explicit(&retention->passes_count, memory_order_relaxed)};
}
