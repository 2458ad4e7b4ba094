/* A rebuild while everything goes on, a rebuild that ends half way, and what a crash leaves of either. */
#include "service/store/index_rebuild.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/index_names.h"
#include "service/store/index_state.h"
#include "service/store/terms.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define RUN_EVENTS_COUNT 500
#define THREADS_COUNT    3
#define QUESTIONS_COUNT  300
/* More than a switch takes at once, so that a rebuild has steps before it. */
#define EVENTS_COUNT 20000

/* ThreadSanitizer makes this some twenty times as slow; what it looks for shows in the first rebuilds. */
#ifdef __SANITIZE_THREAD__
#define BUSY_EVENTS_COUNT 20000
#define BUSY_REBUILDS     2
#else
#define BUSY_EVENTS_COUNT 40000
#define BUSY_REBUILDS     3
#endif

struct scene {
    struct temporary_directory directory;
    struct temporary_path data;
    struct model *model;
    struct store *store;
    struct index *index;
    struct random random;
    uint64_t position; /* added */
};

static struct temporary_path path_of(const struct scene *scene, const char *name) {
    char relative[64];
    (void)snprintf(relative, sizeof relative, "data/%s", name);
    return temporary_path(&scene->directory, relative);
}

static bool is_there(const struct scene *scene, const char *name) {
    struct stat status;
    return stat(path_of(scene, name).text, &status) == 0;
}

static void rooms_open(struct scene *scene) {
    const struct temporary_path path = path_of(scene, "index");
    scene->store = stores_open(scene->data.text);
    const struct index_options options = {
        .directory = path.text,
        .map_bytes = STORES_MAP_BYTES,
        .run_events_count = RUN_EVENTS_COUNT,
        .store_id = store_id(scene->store),
        .log_position_end = store_position_last(scene->store) + 1,
        .store = scene->store,
    };
    struct problem problem = {.text = ""};
    cr_assert_eq(index_open(&options, &scene->index, &problem).failure, FAILURE_NONE, "%s", problem.text);
}

static void rooms_close(struct scene *scene) {
    scene->index = index_close(scene->index);
    scene->store = store_close(scene->store);
}

static struct scene scene_make(const char *name, uint32_t events_count) {
    struct scene scene = {.directory = temporary_directory_make(), .random = random_start(name)};
    scene.data = temporary_path(&scene.directory, "data");
    scene.model = model_new(random_next(&scene.random), events_count);
    rooms_open(&scene);
    return scene;
}

static void scene_remove(struct scene *scene) {
    rooms_close(scene);
    model_free(scene->model);
    temporary_directory_remove(&scene->directory);
}

/* As a commit does: the log, then the index. */
static void events_append(struct scene *scene, uint64_t count) {
    model_log(scene->model, scene->store, scene->position + 1, scene->position + count);
    model_add(scene->model, scene->index, scene->position + 1, scene->position + count);
    scene->position += count;
}

static void expect_right(struct scene *scene) {
    for (uint32_t question = 0; question < QUESTIONS_COUNT; question++) {
        model_ask(scene->model, scene->index, &scene->random, scene->position);
    }
    cr_assert_not(is_there(scene, "index.new"));
    cr_assert_not(is_there(scene, "index.old"));
    cr_assert(is_there(scene, "index/data.mdb"));
}

static void reopen(struct scene *scene) {
    rooms_close(scene);
    rooms_open(scene);
    cr_assert_eq(terms_catch_up(scene->store, scene->index).failure, FAILURE_NONE);
    scene->position = store_position_last(scene->store);
}

static uint64_t inode_of(const struct scene *scene) {
    struct stat status;
    cr_assert_eq(stat(path_of(scene, "index/data.mdb").text, &status), 0);
    return status.st_ino;
}

static struct index_rebuild *rebuild_begun(struct scene *scene) {
    struct index_rebuild *rebuild = NULL;
    struct problem problem = {.text = ""};
    const result outcome = index_rebuild_begin(scene->index, scene->store, &rebuild, &problem);
    cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", problem.text);
    return rebuild;
}

static void rebuild_all(struct scene *scene) {
    struct problem problem = {.text = ""};
    const result outcome = index_rebuild(scene->index, scene->store, &problem);
    cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", problem.text);
    /* Lists can be answered at once. */
    struct name_figures figures;
    const result found = index_names_find(scene->index, TERM_TYPE, bytes_of_text("none"), &figures);
    cr_assert_eq(found.failure, FAILURE_NOT_FOUND);
}

Test(index_rebuild, a_new_index_answers_as_the_old_one_and_takes_its_place, .timeout = 120) {
    static const uint64_t counts[] = {0, 1, RUN_EVENTS_COUNT, EVENTS_COUNT};
    for (size_t round = 0; round < sizeof counts / sizeof counts[0]; round++) {
        struct scene scene = scene_make("index rebuild", EVENTS_COUNT + 2000);
        if (counts[round] > 0) events_append(&scene, counts[round]);
        const uint64_t before = inode_of(&scene);
        rebuild_all(&scene);
        cr_assert_neq(inode_of(&scene), before);
        expect_right(&scene);
        events_append(&scene, 2000);
        expect_right(&scene);
        reopen(&scene);
        expect_right(&scene);
        scene_remove(&scene);
    }
}

Test(index_rebuild, there_is_one_at_a_time) {
    struct scene scene = scene_make("index rebuild twice", 100);
    events_append(&scene, 100);
    struct index_rebuild *rebuild = rebuild_begun(&scene);
    struct index_rebuild *second = NULL;
    struct problem problem;
    cr_assert_eq(index_rebuild_begin(scene.index, scene.store, &second, &problem).failure, FAILURE_BUSY);
    index_rebuild_end(rebuild);
    rebuild_all(&scene);
    expect_right(&scene);
    scene_remove(&scene);
}

Test(index_rebuild, progress_goes_up_to_the_head) {
    struct scene scene = scene_make("index rebuild progress", EVENTS_COUNT);
    events_append(&scene, EVENTS_COUNT);
    struct index_rebuild *rebuild = rebuild_begun(&scene);
    bool is_switched = false;
    uint64_t position = 0;
    uint32_t steps_count = 0;
    while (!is_switched) {
        cr_assert_eq(index_rebuild_step(rebuild, &is_switched).failure, FAILURE_NONE);
        const struct index_rebuild_progress progress = index_rebuild_progress(rebuild);
        cr_assert_geq(progress.position, position);
        cr_assert_eq(progress.head, EVENTS_COUNT);
        position = progress.position;
        steps_count++;
    }
    cr_assert_eq(position, EVENTS_COUNT);
    cr_assert_gt(steps_count, 3);
    index_rebuild_end(rebuild);
    scene_remove(&scene);
}

/* Ends after each number of steps there is; appends go on between them. */
Test(index_rebuild, one_that_is_given_up_leaves_nothing, .timeout = 120) {
    struct scene scene = scene_make("index rebuild given up", EVENTS_COUNT + 1000);
    events_append(&scene, EVENTS_COUNT);
    const uint64_t before = inode_of(&scene);
    for (uint32_t steps_count = 0; steps_count < 3; steps_count++) {
        struct index_rebuild *rebuild = rebuild_begun(&scene);
        bool is_switched = false;
        for (uint32_t step = 0; step < steps_count; step++) {
            events_append(&scene, 10);
            cr_assert_eq(index_rebuild_step(rebuild, &is_switched).failure, FAILURE_NONE);
            cr_assert_not(is_switched);
        }
        index_rebuild_end(rebuild);
        events_append(&scene, 100);
        expect_right(&scene);
        cr_assert_eq(inode_of(&scene), before);
    }
    scene_remove(&scene);
}

/* --- Among queries and appends. -------------------------------------------------------------------------------------- */

struct busy {
    struct scene scene;
    _Atomic uint64_t position_begun;
    _Atomic uint64_t position;
    atomic_bool is_ended;
    _Atomic uint64_t questions_count;
};

struct asker {
    struct busy *busy;
    pthread_t thread;
    uint64_t seed;
};

static void *ask(void *argument) {
    const struct asker *asker = argument;
    struct busy *busy = asker->busy;
    struct random random = {.state = asker->seed};
    struct index_entry entries[MODEL_COUNT_MAX];
    while (!atomic_load(&busy->is_ended)) {
        const uint64_t position_least = atomic_load_explicit(&busy->position, memory_order_acquire);
        const struct model_query query = model_query_random(busy->scene.model, &random, position_least);
        uint32_t count = 0;
        const result outcome =
            index_range(busy->scene.index, query.term, query.number, query.direction, query.count_max, entries, &count);
        cr_assert_eq(outcome.failure, FAILURE_NONE);
        const uint64_t position_most = atomic_load_explicit(&busy->position_begun, memory_order_acquire);
        model_check(busy->scene.model, &query, entries, count, position_least, position_most);
        atomic_fetch_add_explicit(&busy->questions_count, 1, memory_order_relaxed);
    }
    return NULL;
}

/* Appends without a pause, so that a rebuild would never come near if appends did not wait for it. */
static void *append(void *argument) {
    struct busy *busy = argument;
    struct scene *scene = &busy->scene;
    while (!atomic_load(&busy->is_ended) && scene->position + 100 <= BUSY_EVENTS_COUNT) {
        atomic_store_explicit(&busy->position_begun, scene->position + 100, memory_order_release);
        events_append(scene, 100);
        atomic_store_explicit(&busy->position, scene->position, memory_order_release);
    }
    return NULL;
}

Test(index_rebuild, queries_and_appends_go_on, .timeout = 300) {
    struct busy busy = {.scene = scene_make("index rebuild busy", BUSY_EVENTS_COUNT)};
    struct asker askers[THREADS_COUNT];
    pthread_t appender;
    events_append(&busy.scene, 10000);
    atomic_store(&busy.position_begun, busy.scene.position);
    atomic_store(&busy.position, busy.scene.position);
    for (size_t number = 0; number < THREADS_COUNT; number++) {
        askers[number] = (struct asker){.busy = &busy, .seed = random_next(&busy.scene.random)};
        cr_assert_eq(pthread_create(&askers[number].thread, NULL, ask, &askers[number]), 0);
    }
    cr_assert_eq(pthread_create(&appender, NULL, append, &busy), 0);
    uint32_t rebuilds_count = 0;
    while (rebuilds_count < BUSY_REBUILDS || (atomic_load(&busy.questions_count) < 1000 && rebuilds_count < 1000)) {
        rebuild_all(&busy.scene);
        rebuilds_count++;
    }
    atomic_store(&busy.is_ended, true);
    pthread_join(appender, NULL);
    for (size_t number = 0; number < THREADS_COUNT; number++) pthread_join(askers[number].thread, NULL);
    cr_log_info("%u rebuilds, %llu questions, %llu events", rebuilds_count,
                (unsigned long long)atomic_load(&busy.questions_count), (unsigned long long)busy.scene.position);
    expect_right(&busy.scene);
    reopen(&busy.scene);
    expect_right(&busy.scene);
    scene_remove(&busy.scene);
}

/* A query that holds the old part keeps it open until it ends. */
static void *rebuild_in_thread(void *argument) {
    rebuild_all(argument);
    return NULL;
}

Test(index_rebuild, the_old_index_stays_until_its_last_query_has_ended) {
    struct scene scene = scene_make("index rebuild held", 1000);
    events_append(&scene, 1000);
    struct index_part *part = index_hold(scene.index);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, rebuild_in_thread, &scene), 0);
    struct index_part *current = part;
    while (current == part) { /* until the switch, which does not wait for the query */
        current = index_hold(scene.index);
        index_release(scene.index, current);
    }
    cr_assert(is_there(&scene, "index.new"));
    cr_assert_eq(environment_result(mdb_reader_check(part->environment.handle, NULL), "use the old part").failure,
                 FAILURE_NONE);
    for (uint32_t question = 0; question < QUESTIONS_COUNT; question++) {
        model_ask(scene.model, scene.index, &scene.random, scene.position);
    }
    index_release(scene.index, part);
    pthread_join(thread, NULL);
    expect_right(&scene);
    scene_remove(&scene);
}

/* --- Damage. --------------------------------------------------------------------------------------------------------- */

Test(index_rebuild, a_marked_index_is_whole_after_it) {
    struct scene scene = scene_make("index rebuild damaged", 1000);
    events_append(&scene, 1000);
    index_mark_damaged(scene.index->current);
    cr_assert(is_there(&scene, "index/damaged"));
    rebuild_all(&scene);
    cr_assert_not(is_there(&scene, "index/damaged"));
    const uint64_t rebuilt = inode_of(&scene);
    reopen(&scene);
    cr_assert_eq(inode_of(&scene), rebuilt);
    expect_right(&scene);
    scene_remove(&scene);
}

/* --- Crashes: a process ends after some number of steps, and at each moment of the exchange. -------------------------- */

__attribute__((noreturn)) static void child_rebuild(const struct scene *parent, uint32_t steps_count) {
    struct scene scene = *parent;
    rooms_open(&scene);
    if (failed(terms_catch_up(scene.store, scene.index))) _exit(2);
    struct index_rebuild *rebuild = rebuild_begun(&scene);
    bool is_switched = false;
    for (uint32_t step = 0; step < steps_count && !is_switched; step++) {
        if (failed(index_rebuild_step(rebuild, &is_switched))) _exit(3);
    }
    _exit(is_switched ? 1 : 0);
}

/* Most steps are waits for the runs and the names of the new index, of which one is as good as another: where a process ends
 * comes a random way further each time. Its first steps, which add events, are all among them. */
Test(index_rebuild, a_process_that_ends_after_any_step_leaves_an_index, .timeout = 240) {
    struct scene scene = scene_make("index rebuild crash", EVENTS_COUNT);
    events_append(&scene, EVENTS_COUNT);
    bool is_switched = false;
    for (uint32_t steps_count = 0; !is_switched;
         steps_count += 1 + (uint32_t)random_below(&scene.random, steps_count / 4 + 1)) {
        rooms_close(&scene);
        const pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) child_rebuild(&scene, steps_count);
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "the child failed");
        is_switched = WEXITSTATUS(status) == 1;
        cr_assert_eq(is_there(&scene, "index.new"), !is_switched);
        rooms_open(&scene);
        cr_assert_gt(index_position(scene.index), 0); /* it was not begun anew */
        cr_assert_eq(terms_catch_up(scene.store, scene.index).failure, FAILURE_NONE);
        expect_right(&scene);
    }
    scene_remove(&scene);
}

/* The moments around the exchange of the directories, made by hand. */
Test(index_rebuild, every_moment_of_the_exchange_can_be_opened) {
    static const char *const moments[][2] = {
        {"index", "index.new"},     /* after the exchange: the old one is in index.new */
        {"index", "index.old"},     /* without an exchange: the old one is aside, and the new one in its place */
        {"index.old", "index.new"}, /* without an exchange: between the two renames */
    };
    for (size_t moment = 0; moment < sizeof moments / sizeof moments[0]; moment++) {
        struct scene scene = scene_make("index rebuild moments", 3000);
        events_append(&scene, 3000);
        rooms_close(&scene);
        const struct temporary_path index = path_of(&scene, "index");
        const struct temporary_path kept = path_of(&scene, moments[moment][0]);
        const struct temporary_path other = path_of(&scene, moments[moment][1]);
        if (strcmp(kept.text, index.text) != 0) cr_assert_eq(rename(index.text, kept.text), 0);
        cr_assert_eq(mkdir(other.text, 0750), 0);
        rooms_open(&scene);
        cr_assert_gt(index_position(scene.index), 0);
        cr_assert_eq(terms_catch_up(scene.store, scene.index).failure, FAILURE_NONE);
        expect_right(&scene);
        scene_remove(&scene);
    }
}
