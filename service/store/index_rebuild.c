#include "service/store/index_rebuild.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/base/logging.h"
#include "service/store/index_state.h"
#include "service/store/store.h"
#include "service/store/terms.h"

/* The switch adds at most about this many events while appends wait: some 20 ms. */
#define SWITCH_EVENTS_COUNT_MAX 8192
/* So much nearer it comes with every step, once appends go at its pace. */
#define LAG_STEP_EVENTS_COUNT (TERMS_SNAPSHOT_EVENTS_COUNT_MAX / 4)
/* Names that a list aggregates by itself: far less than NAMES_TAIL_TABLES_COUNT_MAX tables. */
#define NAMES_LAG_RUNS_COUNT_MAX 2
#define FREE_BYTES_MIN           (2 * ENVIRONMENT_RESERVE_BYTES)

struct index_rebuild {
    struct index *index;
    struct store_reader *reader;
    struct index_part *part;      /* that is built */
    char *directory;              /* of it */
    char *aside;                  /* where the old one is for a moment, when the directories cannot be exchanged */
    uint64_t position_first_pass; /* where the index was at the begin */
    bool is_switched;
    _Atomic uint64_t position;
    _Atomic uint64_t head;
};

static result path_with(const char *directory, const char *suffix, char **ret_path) {
    char *path = NULL;
    if (asprintf(&path, "%s%s", directory, suffix) < 0) return failure_result(FAILURE_MEMORY);
    *ret_path = path;
    return RESULT_OK;
}

static void parent_sync(const char *directory) {
    char *copy = strdup(directory);
    if (copy == NULL) return;
    index_directory_sync(dirname(copy));
    free(copy);
}

static result remains_remove(const char *directory, const char *fresh, const char *aside, struct problem *ret_problem) {
    if (access(directory, F_OK) != 0 && access(aside, F_OK) == 0 && rename(aside, directory) != 0) {
        problem_set(ret_problem, "cannot rename %s to %s: %s", aside, directory, strerror(errno));
        return failure_result(FAILURE_STORAGE);
    }
    TRY(index_part_remove(fresh, ret_problem));
    return index_part_remove(aside, ret_problem);
}

result index_rebuild_remains(const char *directory, struct problem *ret_problem) {
    char *fresh = NULL;
    char *aside = NULL;
    result outcome = path_with(directory, ".new", &fresh);
    if (!failed(outcome)) outcome = path_with(directory, ".old", &aside);
    if (!failed(outcome)) outcome = remains_remove(directory, fresh, aside, ret_problem);
    free(fresh);
    free(aside);
    return outcome;
}

/* One at a time. */
static bool turn_take(struct index *index) {
    pthread_mutex_lock(&index->mutex);
    const bool is_free = !index->is_rebuilding;
    index->is_rebuilding = true;
    pthread_mutex_unlock(&index->mutex);
    return is_free;
}

static void turn_give(struct index *index) {
    pthread_mutex_lock(&index->mutex);
    index->is_rebuilding = false;
    pthread_mutex_unlock(&index->mutex);
}

static result part_open(struct index_rebuild *rebuild, struct problem *ret_problem) {
    struct index *index = rebuild->index;
    TRY(index_rebuild_remains(index->options.directory, ret_problem));
    TRY(index_part_open(index, rebuild->directory, &rebuild->part, ret_problem));
    rebuild->part->gives_up = true;
    return index_thread_start(rebuild->part);
}

static result rebuild_open(struct index_rebuild *rebuild, struct store *store, struct problem *ret_problem) {
    struct index *index = rebuild->index;
    TRY(path_with(index->options.directory, ".new", &rebuild->directory));
    TRY(path_with(index->options.directory, ".old", &rebuild->aside));
    TRY(store_reader_open(store, &rebuild->reader));
    TRY(part_open(rebuild, ret_problem));
    pthread_mutex_lock(&index->adding);
    rebuild->position_first_pass = index->current->position_last;
    pthread_mutex_unlock(&index->adding);
    atomic_store_explicit(&rebuild->head, rebuild->position_first_pass, memory_order_relaxed);
    log_info("the index is being rebuilt", "directory", rebuild->directory, "head",
             log_number(rebuild->position_first_pass));
    return RESULT_OK;
}

result index_rebuild_begin(struct index *index, struct store *store, struct index_rebuild **ret_rebuild,
                           struct problem *ret_problem) {
    problem_set(ret_problem, "out of memory");
    struct index_rebuild *rebuild = calloc(1, sizeof *rebuild);
    if (rebuild == NULL) return failure_result(FAILURE_MEMORY);
    if (!turn_take(index)) {
        free(rebuild);
        problem_set(ret_problem, "the index is being rebuilt already");
        return failure_result(FAILURE_BUSY);
    }
    rebuild->index = index;
    const result outcome = rebuild_open(rebuild, store, ret_problem);
    if (failed(outcome)) {
        index_rebuild_end(rebuild);
        return outcome;
    }
    *ret_rebuild = rebuild;
    return RESULT_OK;
}

/* Adds what the log has from the one after the last up to `end`, which is committed. */
static result events_add(struct index_rebuild *rebuild, uint64_t end) {
    struct index_part *part = rebuild->part;
    struct index_entry entries[TERMS_COUNT_MAX];
    result outcome = RESULT_OK;
    TRY(store_reader_begin(rebuild->reader, NULL));
    while (part->position_last < end && !failed(outcome)) {
        uint32_t count;
        const uint64_t position = part->position_last + 1;
        outcome = terms_read(rebuild->reader, position, entries, &count);
        if (!failed(outcome)) outcome = index_part_add(part, position, entries, count);
    }
    store_reader_end(rebuild->reader);
    const int failure = atomic_load_explicit(&part->failure, memory_order_relaxed);
    if (failure != FAILURE_NONE) return failure_result((enum failure)failure); /* why adding has failed */
    atomic_store_explicit(&rebuild->position, part->position_last, memory_order_relaxed);
    return outcome;
}

static uint64_t lag_bounded(uint64_t lag) {
    return lag > SWITCH_EVENTS_COUNT_MAX ? lag : SWITCH_EVENTS_COUNT_MAX;
}

/* The names follow the runs (names.h), and lists would have to wait for them after a switch that did not. */
static bool names_are_near(const struct index_part *part) {
    if (part->names == NULL) return true;
    const uint64_t position = atomic_load_explicit(&part->position, memory_order_acquire);
    return position - names_count(part->names).position <= NAMES_LAG_RUNS_COUNT_MAX * (uint64_t)part->run_events_count;
}

/* Tells the thread that adds how far the rebuild has come; `is_closing_in`: only its last events are missing. Returns how far
 * it is behind. */
static uint64_t lag_take(struct index_rebuild *rebuild, bool is_closing_in) {
    struct index *index = rebuild->index;
    pthread_mutex_lock(&index->adding);
    const uint64_t head = index->current->position_last;
    const uint64_t lag = head - rebuild->part->position_last;
    index->rebuilt_position = rebuild->part->position_last;
    if (index->lag_max != UINT64_MAX) {
        index->lag_max = lag_bounded(index->lag_max - LAG_STEP_EVENTS_COUNT);
    } else if (is_closing_in && rebuild->part->position_last >= rebuild->position_first_pass) {
        index->lag_max = lag_bounded(lag);
    }
    pthread_cond_broadcast(&index->caught_up);
    pthread_mutex_unlock(&index->adding);
    atomic_store_explicit(&rebuild->head, head, memory_order_relaxed);
    return lag;
}

static void adding_free(struct index *index) {
    pthread_mutex_lock(&index->adding);
    index->lag_max = UINT64_MAX;
    pthread_cond_broadcast(&index->caught_up);
    pthread_mutex_unlock(&index->adding);
}

/* The old index and the new one change names. Before and after it DIR/index is a whole index. */
static result directories_exchange(const struct index_rebuild *rebuild) {
    const char *current = rebuild->index->options.directory;
    if (renameat2(AT_FDCWD, rebuild->directory, AT_FDCWD, current, RENAME_EXCHANGE) == 0) return RESULT_OK;
    if (rename(current, rebuild->aside) == 0) {
        if (rename(rebuild->directory, current) == 0) {
            /* So that the old one is where it is after an exchange. */
            if (rename(rebuild->aside, rebuild->directory) == 0) return RESULT_OK;
            log_warn("the old index stays", "directory", rebuild->aside, "error", strerror(errno));
            return RESULT_OK;
        }
        const int error = errno;
        if (rename(rebuild->aside, current) != 0) {
            log_error("cannot rename the index back; the next start does", "directory", rebuild->aside, "error",
                      strerror(errno));
        }
        errno = error;
    }
    log_error("cannot put the new index in its place", "directory", rebuild->directory, "error", strerror(errno));
    return failure_result(FAILURE_STORAGE);
}

/* With `adding` held: both parts have the same events. */
static result parts_exchange(struct index_rebuild *rebuild, struct index_part **ret_before) {
    struct index *index = rebuild->index;
    pthread_mutex_lock(&index->mutex);
    index->is_switching = true; /* damage of the old index must not be noted in the new one */
    pthread_mutex_unlock(&index->mutex);
    const result outcome = directories_exchange(rebuild);
    pthread_mutex_lock(&rebuild->part->mutex);
    rebuild->part->gives_up = failed(outcome);
    pthread_mutex_unlock(&rebuild->part->mutex);
    pthread_mutex_lock(&index->mutex);
    index->is_switching = false;
    if (!failed(outcome)) {
        *ret_before = index->current;
        index->current = rebuild->part;
    }
    pthread_mutex_unlock(&index->mutex);
    return outcome;
}

/* The old part, once the last query of it has ended. Its files are in DIR/index.new now. */
static void before_remove(struct index_rebuild *rebuild, struct index_part *before) {
    struct index *index = rebuild->index;
    index_release(index, before);
    pthread_mutex_lock(&index->mutex);
    while (atomic_load_explicit(&before->references, memory_order_acquire) > 0) {
        pthread_cond_wait(&index->released, &index->mutex);
    }
    pthread_mutex_unlock(&index->mutex);
    pthread_mutex_lock(&before->mutex);
    const uint64_t waits_count = before->waits_count;
    pthread_mutex_unlock(&before->mutex);
    pthread_mutex_lock(&index->mutex);
    index->waits_count_before += waits_count;
    pthread_mutex_unlock(&index->mutex);
    index_part_close(before);
    parent_sync(index->options.directory);
    struct problem problem = {.text = ""};
    if (failed(index_rebuild_remains(index->options.directory, &problem))) {
        log_warn("the old index is removed at the next start", "reason", problem.text);
    }
}

/* Appends wait from the first line to the last. `ret_before` NULL: too much is left, they go on. */
static result switch_locked(struct index_rebuild *rebuild, struct index_part **ret_before) {
    struct index *index = rebuild->index;
    const uint64_t head = index->current->position_last;
    *ret_before = NULL;
    if (head - rebuild->part->position_last > 2 * SWITCH_EVENTS_COUNT_MAX) return RESULT_OK;
    TRY(events_add(rebuild, head));
    return parts_exchange(rebuild, ret_before);
}

static result part_switch(struct index_rebuild *rebuild, bool *ret_is_switched) {
    struct index *index = rebuild->index;
    struct index_part *before = NULL;
    index_part_settle(rebuild->part); /* the rest must find room at once */
    index_directory_sync(rebuild->directory);
    pthread_mutex_lock(&index->adding);
    const result outcome = switch_locked(rebuild, &before);
    pthread_mutex_unlock(&index->adding);
    TRY(outcome);
    *ret_is_switched = before != NULL;
    if (before == NULL) return RESULT_OK;
    rebuild->is_switched = true;
    adding_free(index);
    before_remove(rebuild, before);
    log_info("the index is rebuilt", "directory", index->options.directory, "position",
             log_number(index_rebuild_progress(rebuild).position));
    return RESULT_OK;
}

static result space_check(const struct index_rebuild *rebuild) {
    const uint64_t free_bytes = environment_free_bytes(rebuild->part->environment.descriptor);
    if (free_bytes >= FREE_BYTES_MIN) return RESULT_OK;
    log_warn("no space for a second index, the rebuild gives up", "directory", rebuild->directory, "free_bytes",
             log_number(free_bytes));
    return failure_result(FAILURE_STORAGE_FULL);
}

result index_rebuild_step(struct index_rebuild *rebuild, bool *ret_is_switched) {
    assert(!rebuild->is_switched);
    TRY(space_check(rebuild));
    const bool has_names = names_are_near(rebuild->part);
    const uint64_t lag = lag_take(rebuild, has_names);
    if (lag <= SWITCH_EVENTS_COUNT_MAX && has_names) return part_switch(rebuild, ret_is_switched);
    const uint64_t count = lag < TERMS_SNAPSHOT_EVENTS_COUNT_MAX ? lag : TERMS_SNAPSHOT_EVENTS_COUNT_MAX;
    if (count == 0) index_part_await(rebuild->part);
    TRY(events_add(rebuild, rebuild->part->position_last + count));
    *ret_is_switched = false;
    return RESULT_OK;
}

struct index_rebuild *index_rebuild_end(struct index_rebuild *rebuild) {
    if (rebuild == NULL) return NULL;
    struct index *index = rebuild->index;
    adding_free(index);
    if (!rebuild->is_switched && rebuild->part != NULL) {
        index_part_close(rebuild->part);
        struct problem problem = {.text = ""};
        if (failed(index_part_remove(rebuild->directory, &problem))) {
            log_warn("a part of an index is removed at the next start", "reason", problem.text);
        }
        log_info("the rebuild of the index is given up", "position",
                 log_number(index_rebuild_progress(rebuild).position));
    }
    store_reader_close(rebuild->reader);
    free(rebuild->directory);
    free(rebuild->aside);
    free(rebuild);
    turn_give(index);
    return NULL;
}

struct index_rebuild_progress index_rebuild_progress(const struct index_rebuild *rebuild) {
    const uint64_t position = atomic_load_explicit(&rebuild->position, memory_order_relaxed);
    const uint64_t head = atomic_load_explicit(&rebuild->head, memory_order_relaxed);
    /* The last step takes the head that it finds, which is newer than the one that was noted. */
    return (struct index_rebuild_progress){.position = position, .head = head > position ? head : position};
}

result index_rebuild(struct index *index, struct store *store, struct problem *ret_problem) {
    struct index_rebuild *rebuild;
    TRY(index_rebuild_begin(index, store, &rebuild, ret_problem));
    bool is_switched = false;
    result outcome = RESULT_OK;
    while (!failed(outcome) && !is_switched) outcome = index_rebuild_step(rebuild, &is_switched);
    if (failed(outcome)) problem_set(ret_problem, "the index cannot be rebuilt (%s)", failure_name(outcome.failure));
    index_rebuild_end(rebuild);
    return outcome;
}
