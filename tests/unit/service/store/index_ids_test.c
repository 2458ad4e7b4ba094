/* An index that keeps the ids of the newest events alone. */
#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/store/index.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define STORE_ID         "01890a5d-ac96-774b-bcce-b302099a8057"
#define RUN_EVENTS_COUNT 16
#define EVENTS_COUNT     8000

struct scene {
    struct temporary_directory directory;
    struct temporary_path path;
    struct model *model;
    struct random random;
};

static struct scene scene_make(const char *name) {
    struct scene scene = {.directory = temporary_directory_make(), .random = random_start(name)};
    scene.path = temporary_path(&scene.directory, "index");
    scene.model = model_new(random_next(&scene.random), EVENTS_COUNT);
    return scene;
}

static void scene_remove(struct scene *scene) {
    model_free(scene->model);
    temporary_directory_remove(&scene->directory);
}

static struct index *index_opened(const struct scene *scene, uint64_t ids_window) {
    const struct index_options options = {.directory = scene->path.text,
                                          .map_bytes = GIB(1),
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .ids_window = ids_window,
                                          .store_id = STORE_ID};
    struct index *index = NULL;
    struct problem problem = {.text = ""};
    cr_assert_eq(index_open(&options, &index, &problem).failure, FAILURE_NONE, "%s", problem.text);
    return index;
}

static bool id_is_there(const struct scene *scene, struct index *index, uint64_t position) {
    struct index_entry entry;
    const result outcome = index_last(index, model_id(scene->model, position), &entry);
    if (outcome.failure == FAILURE_NOT_FOUND) return false;
    cr_assert_eq(outcome.failure, FAILURE_NONE);
    cr_assert_eq(entry.position, position);
    cr_assert_eq(entry.number, INDEX_ID_NUMBER);
    return true;
}

/* How many ids there are of the events from `first` to `last`. */
static uint64_t ids_count(const struct scene *scene, struct index *index, uint64_t first, uint64_t last) {
    uint64_t count = 0;
    for (uint64_t position = first; position <= last; position++) count += id_is_there(scene, index, position) ? 1 : 0;
    return count;
}

/* Everything that is no id is where the events are. */
static void expect_others(const struct scene *scene, struct index *index, uint64_t position_last) {
    for (uint64_t position = 1; position <= position_last; position++) {
        uint32_t count;
        const struct index_entry *entries = model_event(scene->model, position, &count);
        for (uint32_t number = 0; number + 1 < count; number++) {
            struct index_entry found;
            uint32_t found_count;
            cr_assert_eq(
                index_range(index, entries[number].term, entries[number].number, INDEX_FORWARD, 1, &found, &found_count)
                    .failure,
                FAILURE_NONE);
            cr_assert_eq(found_count, 1);
            cr_assert_eq(found.position, position);
        }
    }
}

Test(index_ids, the_newest_are_kept_at_every_moment_and_old_ones_go, .timeout = 240) {
    static const uint64_t windows[] = {1, 100, 500};
    for (size_t round = 0; round < sizeof windows / sizeof windows[0]; round++) {
        const uint64_t window = windows[round];
        struct scene scene = scene_make("index ids");
        struct index *index = index_opened(&scene, window);
        for (uint64_t position = 1; position <= EVENTS_COUNT; position++) {
            model_add(scene.model, index, position, position);
            const uint64_t first = position > window ? position - window + 1 : 1;
            cr_assert(id_is_there(&scene, index, first));
            cr_assert(id_is_there(&scene, index, first + random_below(&scene.random, position - first + 1)));
            if (position % 1500 != 0) continue;
            index_close(index);
            index = index_opened(&scene, window);
            cr_assert_gt(index_position(index), 0); /* the same window: not begun anew */
            model_add(scene.model, index, index_position(index) + 1, position);
        }
        const uint64_t first = EVENTS_COUNT - window + 1;
        cr_assert_eq(ids_count(&scene, index, first, EVENTS_COUNT), window);
        /* The bound of index_merge.h, and runs that are not merged. */
        const uint64_t old_count = first - 1;
        const uint64_t kept_count = ids_count(&scene, index, 1, old_count);
        cr_log_info("window %llu: %llu of %llu old ids are left", (unsigned long long)window,
                    (unsigned long long)kept_count, (unsigned long long)old_count);
        cr_assert_lt(kept_count, 24 * window + 16 * RUN_EVENTS_COUNT);
        cr_assert_lt(kept_count, old_count);
        expect_others(&scene, index, EVENTS_COUNT);
        index_close(index);
        scene_remove(&scene);
    }
}

Test(index_ids, one_that_is_permanent_keeps_all) {
    struct scene scene = scene_make("index ids permanent");
    struct index *index = index_opened(&scene, 0);
    model_add(scene.model, index, 1, EVENTS_COUNT);
    cr_assert_eq(ids_count(&scene, index, 1, EVENTS_COUNT), EVENTS_COUNT);
    index_close(index);
    scene_remove(&scene);
}

/* Leaves an index that has dropped ids, and says up to where it is in runs. */
static uint64_t dropped_make(const struct scene *scene, uint64_t window) {
    struct index *index = index_opened(scene, window);
    model_add(scene->model, index, 1, EVENTS_COUNT);
    while (ids_count(scene, index, 1, RUN_EVENTS_COUNT) > 0) continue; /* until the thread has merged the first runs */
    const uint64_t position = index_position(index);
    index_close(index);
    return position;
}

Test(index_ids, more_than_was_kept_begins_it_anew_and_less_does_not, .timeout = 120) {
    static const struct {
        uint64_t window;
        bool is_anew;
    } cases[] = {{0, true}, {EVENTS_COUNT - 1, true}, {100, false}, {1, false}};
    for (size_t round = 0; round < sizeof cases / sizeof cases[0]; round++) {
        struct scene scene = scene_make("index ids window");
        const uint64_t position = dropped_make(&scene, 100);
        struct index *index = index_opened(&scene, cases[round].window);
        if (cases[round].is_anew) {
            cr_assert_eq(index_position(index), 0);
        } else {
            cr_assert_geq(index_position(index), position);
        }
        index_close(index);
        scene_remove(&scene);
    }
}

/* The same id once more, after it has left the window: its newest event is found, in the tail and in runs. */
Test(index_ids, an_id_may_come_again) {
    struct scene scene = scene_make("index ids again");
    struct index *index = index_opened(&scene, 5);
    const struct term id = term_of(TERM_EVENT_ID, bytes_of_text("the same"));
    for (uint64_t position = 1; position <= 2000; position++) {
        const struct index_entry entries[2] = {
            {.term = term_of(TERM_TYPE, bytes_of_text("Sold")), .number = position, .position = position},
            {.term = id, .number = INDEX_ID_NUMBER, .position = position}};
        cr_assert_eq(index_add(index, position, entries, position % 10 == 1 ? 2 : 1).failure, FAILURE_NONE);
        const uint64_t newest = position - (position - 1) % 10;
        struct index_entry found[2];
        uint32_t count;
        if (position - newest < 5) {
            cr_assert_eq(index_range(index, id, UINT64_MAX, INDEX_BACKWARD, 2, found, &count).failure, FAILURE_NONE);
            cr_assert_geq(count, 1);
            cr_assert_eq(found[0].position, newest);
        }
        cr_assert_eq(index_range(index, entries[0].term, position, INDEX_BACKWARD, 2, found, &count).failure,
                     FAILURE_NONE);
        cr_assert_eq(found[0].position, position);
    }
    index_close(index);
    scene_remove(&scene);
}
