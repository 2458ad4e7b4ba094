/* Queries of several threads while entries are added, become runs and are merged. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "service/base/limits.h"
#include "service/store/index.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define STORE_ID      "01890a5d-ac96-774b-bcce-b302099a8057"
#define THREADS_COUNT 3
#define EVENTS_COUNT  6000

struct scene {
    struct model *model;
    struct index *index;
    _Atomic uint64_t position_begun; /* no position after it has been added to */
    _Atomic uint64_t position;       /* everything up to it has been added */
    _Atomic uint64_t questions_count;
};

struct asker {
    struct scene *scene;
    pthread_t thread;
    uint64_t seed;
};

static void *ask(void *argument) {
    const struct asker *asker = argument;
    struct scene *scene = asker->scene;
    struct random random = {.state = asker->seed};
    struct index_entry entries[MODEL_COUNT_MAX];
    uint64_t position_least = 0;
    while (position_least < EVENTS_COUNT) {
        position_least = atomic_load_explicit(&scene->position, memory_order_acquire);
        const struct model_query query = model_query_random(scene->model, &random, position_least);
        uint32_t count = 0;
        const result outcome =
            index_range(scene->index, query.term, query.number, query.direction, query.count_max, entries, &count);
        cr_assert_eq(outcome.failure, FAILURE_NONE);
        const uint64_t position_most = atomic_load_explicit(&scene->position_begun, memory_order_acquire);
        model_check(scene->model, &query, entries, count, position_least, position_most);
        atomic_fetch_add_explicit(&scene->questions_count, 1, memory_order_relaxed);
    }
    return NULL;
}

static void add_among_questions(struct scene *scene) {
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) {
        atomic_store_explicit(&scene->position_begun, position, memory_order_release);
        model_add(scene->model, scene->index, position, position);
        atomic_store_explicit(&scene->position, position, memory_order_release);
    }
}

Test(index_threads, queries_are_right_at_every_moment, .timeout = 240) {
    struct random random = random_start("index threads");
    static const uint32_t run_events_counts[] = {3, 16, 150};
    for (size_t round = 0; round < sizeof run_events_counts / sizeof run_events_counts[0]; round++) {
        const struct temporary_directory directory = temporary_directory_make();
        const struct temporary_path path = temporary_path(&directory, "index");
        const struct index_options options = {
            .directory = path.text,
            .map_bytes = GIB(1),
            .run_events_count = run_events_counts[round],
            .store_id = STORE_ID,
        };
        struct scene scene = {.model = model_new(random_next(&random), EVENTS_COUNT)};
        struct problem problem;
        cr_assert_eq(index_open(&options, &scene.index, &problem).failure, FAILURE_NONE);
        struct asker askers[THREADS_COUNT];
        for (size_t number = 0; number < THREADS_COUNT; number++) {
            askers[number] = (struct asker){.scene = &scene, .seed = random_next(&random)};
            cr_assert_eq(pthread_create(&askers[number].thread, NULL, ask, &askers[number]), 0);
        }
        add_among_questions(&scene);
        for (size_t number = 0; number < THREADS_COUNT; number++) pthread_join(askers[number].thread, NULL);
        cr_assert_geq(atomic_load(&scene.questions_count), THREADS_COUNT);
        cr_assert_gt(index_position(scene.index), 0);
        cr_log_info("%llu questions", (unsigned long long)atomic_load(&scene.questions_count));
        index_close(scene.index);
        model_free(scene.model);
        temporary_directory_remove(&directory);
    }
}
