/* Queries of several threads while events are appended, become runs and are merged, and while the catalogue is begun anew. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/service/store/names_model.h"

#define THREADS_COUNT    3
#define EVENTS_COUNT     4000
#define RUN_EVENTS_COUNT 64

struct scene {
    struct names_model *model;
    _Atomic uint64_t position_begun; /* no event after it is in the log */
    _Atomic uint64_t position;       /* everything up to it is */
    _Atomic uint64_t answers_count;
};

static bool add(void *context, struct bytes name, const struct name_figures *figures) {
    (void)name;
    *(uint64_t *)context += figures->events_count;
    return true;
}

/* Every event has one stream: the sum of their counts is the number of events at one moment. */
static void *ask(void *argument) {
    struct scene *scene = argument;
    struct index *index = scene->model->index;
    uint64_t position_least = 0;
    while (position_least < EVENTS_COUNT) {
        position_least = atomic_load_explicit(&scene->position, memory_order_acquire);
        uint64_t sum = 0;
        const result outcome = index_names_list(index, TERM_STREAM, bytes_of(NULL, 0), bytes_of(NULL, 0), add, &sum);
        const uint64_t position_most = atomic_load_explicit(&scene->position_begun, memory_order_acquire);
        if (outcome.failure == FAILURE_NOT_READY) continue;
        cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", failure_name(outcome.failure));
        cr_assert(sum >= position_least && sum <= position_most, "%" PRIu64 " events at %" PRIu64 " to %" PRIu64, sum,
                  position_least, position_most);
        atomic_fetch_add_explicit(&scene->answers_count, 1, memory_order_relaxed);
    }
    return NULL;
}

Test(names_threads, lists_are_right_at_every_moment, .timeout = 240) {
    struct scene scene = {.model = names_model_open("names threads", RUN_EVENTS_COUNT)};
    pthread_t threads[THREADS_COUNT];
    for (size_t number = 0; number < THREADS_COUNT; number++) {
        cr_assert_eq(pthread_create(&threads[number], NULL, ask, &scene), 0);
    }
    for (uint64_t position = 0; position < EVENTS_COUNT; position += 20) {
        atomic_store_explicit(&scene.position_begun, position + 20, memory_order_release);
        names_model_append(scene.model, 20);
        atomic_store_explicit(&scene.position, position + 20, memory_order_release);
        if (position % 1000 == 500) index_names_begin_anew(scene.model->index);
    }
    for (size_t number = 0; number < THREADS_COUNT; number++) pthread_join(threads[number], NULL);
    cr_assert_gt(atomic_load(&scene.answers_count), 0);
    names_model_wait(scene.model);
    names_model_ask_all(scene.model);
    names_model_close(scene.model);
}
