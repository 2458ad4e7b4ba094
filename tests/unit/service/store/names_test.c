/* The catalogue against a plain table, at every moment: in the tail, in runs, merged, and after restarts. */
#include "service/store/index_names.h"

#include <criterion/criterion.h>

#include "service/base/clock.h"
#include "service/base/limits.h"
#include "tests/unit/service/store/names_model.h"

/* Runs of a level become one of the next when there are eight of them. */
#define RUN_EVENTS_COUNT 40
#define EVENTS_COUNT     (RUN_EVENTS_COUNT * 8 * 9) /* so that there are runs of level 2 */

Test(names, an_empty_store_has_none) {
    struct names_model *model = names_model_open("names empty", RUN_EVENTS_COUNT);
    names_model_ask_all(model);
    cr_assert_eq(index_names_count(model->index).position, 0);
    cr_assert_null(names_model_close(model));
}

Test(names, every_answer_is_right_whatever_is_in_runs_and_what_is_not) {
    struct names_model *model = names_model_open("names", RUN_EVENTS_COUNT);
    while (model->position < EVENTS_COUNT) {
        names_model_append(model, 1 + (uint32_t)random_below(&model->random, 3 * RUN_EVENTS_COUNT));
        for (int question = 0; question < 10; question++) names_model_ask(model);
    }
    names_model_wait(model);
    names_model_ask_all(model);
    names_model_close(model);
}

Test(names, runs_are_merged_so_that_few_are_left) {
    struct names_model *model = names_model_open("names merged", RUN_EVENTS_COUNT);
    names_model_append(model, EVENTS_COUNT);
    names_model_wait(model);
    names_model_ask_all(model);
    const struct names_counts counts = index_names_count(model->index);
    cr_assert_geq(counts.position, EVENTS_COUNT - 3 * RUN_EVENTS_COUNT);
    cr_assert_leq(counts.runs_count, 36); /* of three levels, none of which has more than twelve */
    names_model_close(model);
}

Test(names, a_restart_at_any_moment_loses_nothing) {
    struct names_model *model = names_model_open("names restart", RUN_EVENTS_COUNT);
    uint64_t position = 0;
    for (int round = 0; round < 40; round++) {
        names_model_append(model, (uint32_t)random_below(&model->random, 4 * RUN_EVENTS_COUNT));
        if (random_below(&model->random, 2) == 0) names_model_ask(model);
        names_model_close_index(model);
        names_model_open_index(model);
        const uint64_t reached = index_names_count(model->index).position;
        cr_assert_geq(reached, position);
        position = reached;
        names_model_ask(model);
    }
    names_model_ask_all(model);
    names_model_close(model);
}

Test(names, what_is_kept_for_the_next_query_goes_when_none_comes) {
    struct names_model *model = names_model_open("names rest", 1000);
    names_model_append(model, 500);
    cr_assert_eq(index_names_count(model->index).kept_count, 0);
    names_model_ask_all(model);
    cr_assert_gt(index_names_count(model->index).kept_count, 0);
    index_names_rest(model->index, clock_monotonic_ns());
    cr_assert_gt(index_names_count(model->index).kept_count, 0);
    index_names_rest(model->index, clock_monotonic_ns() + (NAMES_TAIL_KEPT_SECONDS + 1) * INT64_C(1000000000));
    cr_assert_eq(index_names_count(model->index).kept_count, 0);
    names_model_ask_all(model);
    names_model_close(model);
}

Test(names, a_table_is_kept_until_its_run_is_listed) {
    struct names_model *model = names_model_open("names kept", RUN_EVENTS_COUNT);
    for (int round = 0; round < 10; round++) {
        names_model_append(model, RUN_EVENTS_COUNT);
        names_model_ask_all(model);
        names_model_wait(model);
    }
    names_model_ask_all(model);
    /* Not more than the names of two runs, though those of ten have been asked for. */
    cr_assert_leq(index_names_count(model->index).kept_count, 2 * NAMES_MODEL_NAMES_COUNT);
    names_model_close(model);
}

Test(names, it_can_be_begun_anew) {
    struct names_model *model = names_model_open("names anew", RUN_EVENTS_COUNT);
    names_model_append(model, EVENTS_COUNT / 2);
    for (int round = 0; round < 3; round++) {
        index_names_begin_anew(model->index);
        names_model_ask_all(model);
        names_model_append(model, 100);
        names_model_ask_all(model);
    }
    names_model_wait(model);
    names_model_ask_all(model);
    names_model_close(model);
}

Test(names, an_index_that_had_none_catches_up) {
    struct names_model *model = names_model_open("names late", RUN_EVENTS_COUNT);
    struct store *store = model->store;
    names_model_close_index(model);
    const struct index_options options = {.directory = model->index_path.text,
                                          .map_bytes = 256u << 20,
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .store_id = store_id(store)};
    struct problem problem = {.text = ""};
    cr_assert_eq(index_open(&options, &model->index, &problem).failure, FAILURE_NONE, "%s", problem.text);
    names_model_append(model, 2000);
    names_model_close_index(model);
    names_model_open_index(model);
    names_model_ask_all(model);
    names_model_close(model);
}

struct counting {
    uint32_t count;
    uint64_t events_count;
};

static bool count(void *context, struct bytes name, const struct name_figures *figures) {
    struct counting *counting = context;
    cr_assert_gt(name.size, 0);
    counting->count++;
    counting->events_count += figures->events_count;
    return true;
}

Test(names, several_names_are_found_at_one_moment) {
    struct names_model *model = names_model_open("names several", RUN_EVENTS_COUNT);
    names_model_append(model, 500);
    names_model_wait(model);
    struct bytes asked[NAMES_MODEL_NAMES_COUNT / 3 + 1];
    struct name_figures figures[NAMES_MODEL_NAMES_COUNT / 3 + 1];
    for (uint32_t at = 0; at < NAMES_MODEL_NAMES_COUNT / 3; at++) asked[at] = bytes_of_text(model->names[at].text);
    asked[NAMES_MODEL_NAMES_COUNT / 3] = bytes_of_text("nobody");
    const uint32_t asked_count = NAMES_MODEL_NAMES_COUNT / 3 + 1;
    cr_assert_eq(index_names_find_all(model->index, TERM_STREAM, asked, asked_count, figures).failure, FAILURE_NONE);
    uint64_t sum = 0;
    for (uint32_t at = 0; at < asked_count; at++) sum += figures[at].events_count;
    cr_assert_eq(sum, 500);
    cr_assert_eq(figures[asked_count - 1].events_count, 0);
    struct counting counting = {0};
    cr_assert_eq(
        index_names_list(model->index, TERM_STREAM, bytes_of(NULL, 0), bytes_of(NULL, 0), count, &counting).failure,
        FAILURE_NONE);
    cr_assert_eq(counting.events_count, 500);
    names_model_close(model);
}
