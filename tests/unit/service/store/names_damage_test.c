/* A catalogue that is not what was written is begun anew from the log, without a restart and without harm to the index. */
#include <criterion/criterion.h>
#include <lmdb.h>
#include <string.h>

#include "service/base/limits.h"
#include "service/store/names_run.h"
#include "tests/unit/service/store/names_model.h"

#define RUN_EVENTS_COUNT 50
#define EVENTS_COUNT     (7 * RUN_EVENTS_COUNT) /* as many runs as are not merged yet */

static struct names_model *scene_make(const char *name) {
    struct names_model *model = names_model_open(name, RUN_EVENTS_COUNT);
    names_model_append(model, EVENTS_COUNT);
    names_model_wait(model);
    names_model_ask_all(model);
    return model;
}

/* Changes one byte of the value of the first name that begins with the kind, behind everybody's back. */
static void byte_flip(const struct names_model *model, const char *table, MDB_cursor_op place, size_t offset) {
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi handle;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t copy[64];
    cr_assert_eq(mdb_env_create(&environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(environment, 1), 0);
    cr_assert_eq(mdb_env_set_mapsize(environment, GIB(1)), 0);
    cr_assert_eq(mdb_env_open(environment, model->index_path.text, MDB_NOTLS, 0640), 0);
    cr_assert_eq(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, table, 0, &handle), 0);
    cr_assert_eq(mdb_cursor_open(transaction, handle, &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &value, place), 0);
    cr_assert(value.mv_size <= sizeof copy && offset < value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[offset] ^= 0x10;
    value.mv_data = copy;
    cr_assert_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
}

static bool ignore(void *context, struct bytes name, const struct name_figures *figures) {
    (void)context;
    (void)name;
    (void)figures;
    return true;
}

/* The first list that meets the damage fails; then everything is right again. */
static void expect_begun_anew(struct names_model *model) {
    enum failure failure = FAILURE_NONE;
    for (int kind = TERM_STREAM; kind <= TERM_TAG && failure == FAILURE_NONE; kind++) {
        failure =
            index_names_list(model->index, (enum term_kind)kind, bytes_of(NULL, 0), bytes_of(NULL, 0), ignore, NULL)
                .failure;
    }
    cr_assert_eq(failure, FAILURE_NOT_READY);
    names_model_ask_all(model);
    names_model_append(model, 3 * RUN_EVENTS_COUNT);
    names_model_wait(model);
    names_model_ask_all(model);
    names_model_close_index(model);
    names_model_open_index(model);
    cr_assert_gt(index_names_count(model->index).position, 0);
    names_model_ask_all(model);
}

Test(names_damage, a_query_that_meets_a_damaged_name_fails_and_the_catalogue_is_begun_anew) {
    static const size_t offsets[] = {0, 8, 31, 32, 35};
    for (size_t number = 0; number < sizeof offsets / sizeof offsets[0]; number++) {
        struct names_model *model = scene_make("names damage");
        names_model_close_index(model);
        byte_flip(model, "names 03", number % 2 == 0 ? MDB_FIRST : MDB_LAST, offsets[number]);
        names_model_open_index(model);
        cr_assert_eq(index_names_count(model->index).position, EVENTS_COUNT);
        expect_begun_anew(model);
        names_model_close(model);
    }
}

Test(names_damage, a_damaged_list_is_begun_anew_at_the_open_and_the_index_stays) {
    struct names_model *model = scene_make("names damage list");
    names_model_close_index(model);
    byte_flip(model, "names", MDB_FIRST, 3);
    names_model_open_index(model);
    cr_assert_eq(index_position(model->index), EVENTS_COUNT);
    names_model_ask_all(model);
    names_model_wait(model);
    names_model_ask_all(model);
    names_model_close(model);
}

Test(names_damage, a_merge_that_meets_a_damaged_name_begins_it_anew_and_appends_go_on) {
    struct names_model *model = scene_make("names damage merge");
    names_model_close_index(model);
    byte_flip(model, "names 05", MDB_LAST, 9);
    names_model_open_index(model);
    names_model_append(model, 20 * RUN_EVENTS_COUNT);
    names_model_wait(model);
    names_model_ask_all(model);
    names_model_close(model);
}
