/* index_current.c: the index as everybody has it: which part is current, and the thread that adds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/store/index_rebuild.h"
#include "service/store/index_state.h"

/* The options with texts of the index's own. */
static result options_copy(const struct index_options *options, struct index_options *ret_options) {
    char *directory = strdup(options->directory);
    char *store_id = strdup(options->store_id);
    if (directory == NULL || store_id == NULL) {
        free(directory);
        free(store_id);
        return failure_result(FAILURE_MEMORY);
    }
    *ret_options = *options;
    ret_options->directory = directory;
    ret_options->store_id = store_id;
    return RESULT_OK;
}

static void text_free(const char *text) {
    free((void *)(uintptr_t)text);
}

result index_open(const struct index_options *options, struct index **ret_index, struct problem *ret_problem) {
    struct index *index = calloc(1, sizeof *index);
    if (index == NULL) return failure_result(FAILURE_MEMORY);
    pthread_mutex_init(&index->adding, NULL);
    pthread_mutex_init(&index->mutex, NULL);
    pthread_cond_init(&index->caught_up, NULL);
    pthread_cond_init(&index->released, NULL);
    index->lag_max = UINT64_MAX;
    result outcome = options_copy(options, &index->options);
    if (!failed(outcome) && !options->is_inspected) {
        outcome = index_rebuild_remains(index->options.directory, ret_problem);
    }
    if (!failed(outcome)) outcome = index_part_open(index, index->options.directory, &index->current, ret_problem);
    if (!failed(outcome) && !options->is_inspected) outcome = index_thread_start(index->current);
    if (failed(outcome)) {
        index_close(index);
        return outcome;
    }
    index->options.log_position_end = 0; /* it was asked of what was there */
    *ret_index = index;
    return RESULT_OK;
}

struct index *index_close(struct index *index) {
    if (index == NULL) return NULL;
    assert(!index->is_rebuilding);
    index_part_close(index->current);
    pthread_cond_destroy(&index->released);
    pthread_cond_destroy(&index->caught_up);
    pthread_mutex_destroy(&index->mutex);
    pthread_mutex_destroy(&index->adding);
    text_free(index->options.directory);
    text_free(index->options.store_id);
    free(index);
    return NULL;
}

struct index_part *index_hold(struct index *index) {
    pthread_mutex_lock(&index->mutex);
    struct index_part *part = index->current;
    atomic_fetch_add_explicit(&part->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&index->mutex);
    return part;
}

/* Whoever lets go last does not touch the part any more: the rebuild that replaced it closes it. */
void index_release(struct index *index, struct index_part *part) {
    const unsigned references = atomic_fetch_sub_explicit(&part->references, 1, memory_order_acq_rel);
    assert(references > 0);
    if (references > 1) return;
    pthread_mutex_lock(&index->mutex);
    pthread_cond_broadcast(&index->released);
    pthread_mutex_unlock(&index->mutex);
}

/* A rebuild that has come near is never left behind again: adds go at its pace until it is the index. */
result index_add(struct index *index, uint64_t position, const struct index_entry *entries, uint32_t count) {
    pthread_mutex_lock(&index->adding);
    while (index->lag_max != UINT64_MAX && position > index->rebuilt_position + index->lag_max) {
        pthread_cond_wait(&index->caught_up, &index->adding);
    }
    const result outcome = index_part_add(index->current, position, entries, count);
    pthread_mutex_unlock(&index->adding);
    return outcome;
}

uint64_t index_ids_window(const struct index *index) {
    return index->options.ids_window;
}

uint64_t index_position(struct index *index) {
    struct index_part *part = index_hold(index);
    const uint64_t position = atomic_load_explicit(&part->position, memory_order_acquire);
    index_release(index, part);
    return position;
}

struct index_counts index_count(struct index *index) {
    struct index_counts counts = {0};
    struct index_part *part = index_hold(index);
    pthread_mutex_lock(&part->mutex);
    counts.runs_count = part->view->runs_count;
    for (uint32_t number = 0; number < part->view->segments_count; number++) {
        counts.tail_events_count += index_segment_events_count(part->view->segments[number]);
    }
    counts.waits_count = part->waits_count;
    pthread_mutex_unlock(&part->mutex);
    counts.position = atomic_load_explicit(&part->position, memory_order_acquire);
    counts.used_bytes = environment_used_bytes(&part->environment);
    index_release(index, part);
    pthread_mutex_lock(&index->mutex);
    counts.waits_count += index->waits_count_before;
    pthread_mutex_unlock(&index->mutex);
    return counts;
}
