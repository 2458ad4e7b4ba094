#include "service/commit/compactor.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "service/base/clock.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/commit/sequencer.h"
#include "service/store/index_rebuild.h"

#define NANOSECONDS_PER_MICROSECOND 1000

struct compactor {
    struct store *store;
    struct index *index;
    struct sequencer *sequencer;
    pthread_mutex_t thread_mutex; /* guards the two that follow; not held by the thread itself */
    pthread_t thread;
    bool thread_exists; /* to be joined, at work or not */

    pthread_mutex_t mutex; /* guards what follows */
    bool is_at_work;       /* or being started */
    bool is_cancelled;
    bool is_stopped;
    compactor_ended *ended; /* of the one at work, as the next */
    void *context;
    struct compaction_progress progress;
};

/* What goes to the sequencer's thread and back. */
struct switching {
    struct compaction *compaction;
    result outcome;
    bool is_switched;
    int64_t pause_ns;
};

static result switch_run(void *context) {
    struct switching *switching = context;
    const int64_t begun_ns = clock_monotonic_ns();
    switching->outcome = compaction_switch(switching->compaction, &switching->is_switched);
    switching->pause_ns = clock_monotonic_ns() - begun_ns;
    /* Only this is the log's failure. */
    return compaction_log_is_known(switching->compaction) ? RESULT_OK : failure_result(FAILURE_STORAGE);
}

static result switch_try(struct compactor *compactor, struct compaction *compaction, bool *ret_is_switched) {
    struct switching switching = {.compaction = compaction};
    result fatal;
    TRY(sequencer_run(compactor->sequencer, switch_run, &switching, &fatal));
    TRY(fatal);
    TRY(switching.outcome);
    *ret_is_switched = switching.is_switched;
    if (!switching.is_switched) return RESULT_OK;
    const struct compaction_progress progress = compaction_progress(compaction);
    log_info("the log is compacted", "events_count", log_number(progress.events_count), "reclaimed_bytes",
             log_number(progress.reclaimed_bytes), "pause_us",
             log_number((uint64_t)switching.pause_ns / NANOSECONDS_PER_MICROSECOND));
    return RESULT_OK;
}

static bool is_wanted(struct compactor *compactor) {
    pthread_mutex_lock(&compactor->mutex);
    const bool wanted = !compactor->is_cancelled && !compactor->is_stopped;
    pthread_mutex_unlock(&compactor->mutex);
    return wanted;
}

/* Between two steps: tells how far it is, and hears whether it is wanted. */
static bool go_on(struct compactor *compactor, const struct compaction *compaction) {
    pthread_mutex_lock(&compactor->mutex);
    compactor->progress = compaction_progress(compaction);
    pthread_mutex_unlock(&compactor->mutex);
    return is_wanted(compactor);
}

static result copy_and_switch(struct compactor *compactor, struct compaction *compaction) {
    bool is_switched = false;
    while (!is_switched) {
        bool is_ready = false;
        TRY(compaction_step(compaction, &is_ready));
        if (!go_on(compactor, compaction)) return failure_result(FAILURE_STOPPED);
        if (is_ready) TRY(switch_try(compactor, compaction, &is_switched));
    }
    (void)go_on(compactor, compaction);
    return RESULT_OK;
}

/* The log is compacted, whatever becomes of this: an index that stays has entries of what is gone, which lead to nothing, and
 * texts of tags. */
static void index_renew(struct compactor *compactor) {
    struct index_rebuild *rebuild;
    struct problem problem = {.text = ""};
    bool is_switched = false;
    result outcome = index_rebuild_begin(compactor->index, compactor->store, &rebuild, &problem);
    if (!failed(outcome)) {
        while (!failed(outcome) && !is_switched && is_wanted(compactor)) {
            outcome = index_rebuild_step(rebuild, &is_switched);
        }
        index_rebuild_end(rebuild);
    }
    if (is_switched) return;
    log_warn("the log is compacted, but the index stays as it was; reindex", "failure", failure_name(outcome.failure),
             "problem", problem.text);
}

static result compact(struct compactor *compactor, struct problem *ret_problem) {
    struct compaction *compaction;
    TRY(compaction_begin(compactor->store, &compaction, ret_problem));
    const result outcome = copy_and_switch(compactor, compaction);
    compaction_end(compaction);
    TRY(outcome);
    if (compactor->index != NULL) index_renew(compactor);
    return RESULT_OK;
}

static void *work(void *context) {
    struct compactor *compactor = context;
    struct compactor_end end = {0};
    end.failure = compact(compactor, &end.problem).failure;
    if (end.failure != FAILURE_NONE) log_info("the log is not compacted", "failure", failure_name(end.failure));
    pthread_mutex_lock(&compactor->mutex);
    compactor_ended *ended = compactor->ended;
    void *ended_context = compactor->context;
    end.progress = compactor->progress;
    compactor->context = NULL;
    compactor->is_at_work = false;
    pthread_mutex_unlock(&compactor->mutex);
    ended(ended_context, &end);
    return NULL;
}

result compactor_open(struct store *store, struct index *index, struct sequencer *sequencer,
                      struct compactor **ret_compactor) {
    struct compactor *compactor = calloc(1, sizeof *compactor);
    if (compactor == NULL) return failure_result(FAILURE_MEMORY);
    compactor->store = store;
    compactor->index = index;
    compactor->sequencer = sequencer;
    pthread_mutex_init(&compactor->mutex, NULL);
    pthread_mutex_init(&compactor->thread_mutex, NULL);
    *ret_compactor = compactor;
    return RESULT_OK;
}

struct compactor *compactor_close(struct compactor *compactor) {
    if (compactor == NULL) return NULL;
    compactor_stop(compactor);
    if (compactor->thread_exists) pthread_join(compactor->thread, NULL);
    pthread_mutex_destroy(&compactor->thread_mutex);
    pthread_mutex_destroy(&compactor->mutex);
    free(compactor);
    return NULL;
}

static result start_claim(struct compactor *compactor, compactor_ended *ended, void *context) {
    result outcome = RESULT_OK;
    pthread_mutex_lock(&compactor->mutex);
    if (compactor->is_stopped) outcome = failure_result(FAILURE_STOPPED);
    if (compactor->is_at_work) outcome = failure_result(FAILURE_BUSY);
    if (!failed(outcome)) {
        compactor->is_at_work = true;
        compactor->is_cancelled = false;
        compactor->ended = ended;
        compactor->context = context;
        compactor->progress = (struct compaction_progress){0};
    }
    pthread_mutex_unlock(&compactor->mutex);
    return outcome;
}

result compactor_start(struct compactor *compactor, compactor_ended *ended, void *context) {
    assert(context != NULL);
    TRY(start_claim(compactor, ended, context));
    pthread_mutex_lock(&compactor->thread_mutex);
    /* The thread of the last one has nothing left to do but to tell of its end. */
    if (compactor->thread_exists) pthread_join(compactor->thread, NULL);
    const result started = thread_start("compactor", work, compactor, &compactor->thread);
    compactor->thread_exists = !failed(started);
    pthread_mutex_unlock(&compactor->thread_mutex);
    if (!failed(started)) return RESULT_OK;
    pthread_mutex_lock(&compactor->mutex);
    compactor->context = NULL;
    compactor->is_at_work = false;
    pthread_mutex_unlock(&compactor->mutex);
    return started;
}

void compactor_cancel(struct compactor *compactor, const void *context) {
    pthread_mutex_lock(&compactor->mutex);
    if (compactor->is_at_work && compactor->context == context) compactor->is_cancelled = true;
    pthread_mutex_unlock(&compactor->mutex);
}

void compactor_stop(struct compactor *compactor) {
    pthread_mutex_lock(&compactor->mutex);
    compactor->is_stopped = true;
    pthread_mutex_unlock(&compactor->mutex);
}

struct compaction_progress compactor_progress(struct compactor *compactor) {
    pthread_mutex_lock(&compactor->mutex);
    const struct compaction_progress progress = compactor->progress;
    pthread_mutex_unlock(&compactor->mutex);
    return progress;
}
