#include "service/store/index.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "service/base/limits.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define STORE_ID  "01890a5d-ac96-774b-bcce-b302099a8057"
#define MAP_BYTES GIB(1)

static struct index *index_opened(const struct temporary_directory *directory, uint32_t run_events_count,
                                  const char *store_id) {
    const struct temporary_path path = temporary_path(directory, "index");
    const struct index_options options = {
        .directory = path.text,
        .map_bytes = MAP_BYTES,
        .run_events_count = run_events_count,
        .store_id = store_id,
    };
    struct index *index = NULL;
    struct problem problem = {.text = ""};
    const result outcome = index_open(&options, &index, &problem);
    cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", problem.text);
    return index;
}

Test(index, an_empty_one_has_nothing) {
    const struct temporary_directory directory = temporary_directory_make();
    struct index *index = index_opened(&directory, 0, STORE_ID);
    const struct term term = term_of(TERM_STREAM, bytes_of_text("order-42"));
    struct index_entry entry;
    uint32_t count = 9;
    cr_assert_eq(index_position(index), 0);
    cr_assert_eq(index_last(index, term, &entry).failure, FAILURE_NOT_FOUND);
    cr_assert_eq(index_range(index, term, 0, INDEX_FORWARD, 1, &entry, &count).failure, FAILURE_NONE);
    cr_assert_eq(count, 0);
    cr_assert_eq(index_count(index).runs_count, 0);
    cr_assert_eq(index_count(index).tail_events_count, 0);
    cr_assert_null(index_close(index));
    cr_assert_null(index_close(NULL));
    temporary_directory_remove(&directory);
}

Test(index, an_entry_is_found_as_soon_as_it_is_added) {
    const struct temporary_directory directory = temporary_directory_make();
    struct index *index = index_opened(&directory, 0, STORE_ID);
    for (uint64_t position = 1; position <= 100; position++) {
        const struct index_entry added = {
            .term = term_of(TERM_STREAM, bytes_of_text(position % 2 == 0 ? "even" : "odd")),
            .number = (position + 1) / 2,
            .position = position,
        };
        struct index_entry found;
        cr_assert_eq(index_add(index, position, &added, 1).failure, FAILURE_NONE);
        cr_assert_eq(index_last(index, added.term, &found).failure, FAILURE_NONE);
        cr_assert_eq(memcmp(&found, &added, sizeof found), 0);
    }
    cr_assert_eq(index_count(index).tail_events_count, 100);
    index_close(index);
    temporary_directory_remove(&directory);
}

Test(index, events_without_entries_count) {
    const struct temporary_directory directory = temporary_directory_make();
    struct index *index = index_opened(&directory, 4, STORE_ID);
    for (uint64_t position = 1; position <= 400; position++) {
        cr_assert_eq(index_add(index, position, NULL, 0).failure, FAILURE_NONE);
    }
    index_close(index);
    index = index_opened(&directory, 4, STORE_ID);
    cr_assert_eq(index_position(index) % 4, 0);
    cr_assert_gt(index_position(index), 0);
    index_close(index);
    temporary_directory_remove(&directory);
}

/* Adds, asks, closes and opens at random; runs are so small that there are hundreds of them, and merges of merges. */
Test(index, model_with_reopens, .timeout = 240) {
    struct random random = random_start("index model");
    static const uint32_t run_events_counts[] = {1, 7, 16, 61, 300};
    for (size_t round = 0; round < sizeof run_events_counts / sizeof run_events_counts[0]; round++) {
        const uint32_t run_events_count = run_events_counts[round];
        const struct temporary_directory directory = temporary_directory_make();
        struct model *model = model_new(random_next(&random), 400 * (run_events_count < 20 ? run_events_count : 20));
        const uint32_t events_count = model_events_count(model);
        struct index *index = index_opened(&directory, run_events_count, STORE_ID);
        uint64_t position = 0;
        uint64_t reopens_count = 0;
        while (position < events_count) {
            uint64_t next = position + random_below(&random, 1 + events_count / 20);
            if (next > events_count) next = events_count;
            model_add(model, index, position + 1, next);
            position = next;
            for (uint32_t question = 0; question < 50; question++) model_ask(model, index, &random, position);
            if (random_below(&random, 8) != 0) continue;
            const uint64_t position_before = index_position(index);
            index_close(index);
            index = index_opened(&directory, run_events_count, STORE_ID);
            cr_assert(index_position(index) >= position_before && index_position(index) <= position);
            model_add(model, index, index_position(index) + 1, position);
            reopens_count++;
        }
        for (uint32_t question = 0; question < 3000; question++) model_ask(model, index, &random, position);
        const struct index_counts counts = index_count(index);
        cr_log_info("runs of %" PRIu32 ": %" PRIu64 " reopens, %" PRIu64 " runs, %" PRIu64 " waits", run_events_count,
                    reopens_count, counts.runs_count, counts.waits_count);
        index_close(index);
        model_free(model);
        temporary_directory_remove(&directory);
    }
}

Test(index, a_full_tail_makes_adds_wait) {
    const struct temporary_directory directory = temporary_directory_make();
    struct model *model = model_new(7, 4000);
    struct index *index = index_opened(&directory, 2, STORE_ID);
    model_add(model, index, 1, 4000);
    /* 2,000 runs in the time of as many adds: the thread, which goes to the disk for each, cannot have kept up. */
    const struct index_counts counts = index_count(index);
    cr_assert_gt(counts.waits_count, 0);
    cr_assert_leq(counts.tail_events_count, 2 * 5);
    cr_assert_gt(counts.used_bytes, 0);
    index_close(index);
    model_free(model);
    temporary_directory_remove(&directory);
}

Test(index, another_store_begins_it_anew) {
    const struct temporary_directory directory = temporary_directory_make();
    struct model *model = model_new(8, 200);
    struct index *index = index_opened(&directory, 8, STORE_ID);
    model_add(model, index, 1, 200);
    index_close(index);
    index = index_opened(&directory, 8, "01890a5d-ac96-774b-bcce-b302099a8058");
    cr_assert_eq(index_position(index), 0);
    cr_assert_eq(index_count(index).runs_count, 0);
    struct random random = random_start("index of another store");
    for (uint32_t question = 0; question < 100; question++) model_ask(model, index, &random, 0);
    index_close(index);
    model_free(model);
    temporary_directory_remove(&directory);
}

/* Two streams whose names share a term: every entry of both is found, in memory and on disk. */
Test(index, names_that_share_a_term_keep_their_entries) {
    const struct temporary_directory directory = temporary_directory_make();
    struct index *index = index_opened(&directory, 16, STORE_ID);
    const struct term term = term_of(TERM_STREAM, bytes_of_text("shared"));
    for (uint64_t position = 1; position <= 64; position++) {
        const struct index_entry entry = {.term = term, .number = (position + 1) / 2, .position = position};
        cr_assert_eq(index_add(index, position, &entry, 1).failure, FAILURE_NONE);
        struct index_entry found[64];
        uint32_t count = 0;
        cr_assert_eq(index_range(index, term, 0, INDEX_FORWARD, 64, found, &count).failure, FAILURE_NONE);
        cr_assert_eq(count, position);
        for (uint32_t number = 0; number < count; number++) cr_assert_eq(found[number].position, number + 1);
        cr_assert_eq(index_range(index, term, UINT64_MAX, INDEX_BACKWARD, 64, found, &count).failure, FAILURE_NONE);
        cr_assert_eq(count, position);
        for (uint32_t number = 0; number < count; number++) cr_assert_eq(found[number].position, position - number);
    }
    index_close(index);
    temporary_directory_remove(&directory);
}
