/* Every room of the store while memory runs out at every point, in all threads: it says so, forgets no block, and what was
 * committed is there afterwards. */
#include <criterion/criterion.h>

#include "service/store/backup.h"
#include "service/store/compaction.h"
#include "service/store/index.h"
#include "service/store/index_names.h"
#include "service/store/index_rebuild.h"
#include "service/store/store.h"
#include "service/store/terms.h"
#include "service/store/verification.h"
#include "tests/support/allocation_faults.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define GROUPS_COUNT     3
#define GROUP_EVENTS     20
#define RECORDS_COUNT    (GROUPS_COUNT * GROUP_EVENTS)
#define PAYLOAD_BYTES    50
#define RUN_EVENTS_COUNT 16

static struct bytes records[RECORDS_COUNT + 1]; /* by position */

static void setup(void) {
    for (uint64_t position = 1; position <= RECORDS_COUNT; position++) {
        records[position] = stores_record(position, PAYLOAD_BYTES);
    }
}

static void teardown(void) {
    for (uint64_t position = 1; position <= RECORDS_COUNT; position++) stores_record_free(records[position]);
}

TestSuite(store_allocation, .init = setup, .fini = teardown, .timeout = 300);

struct work {
    struct temporary_directory directory;
    struct store *store;
    struct index *index;
    uint64_t committed_last;
};

/* Without memory, or well. */
static bool is_well(result outcome, const char *what) {
    cr_assert(!failed(outcome) || outcome.failure == FAILURE_MEMORY, "%s: %s", what, failure_name(outcome.failure));
    return !failed(outcome);
}

static bool group_write(struct store *store, uint64_t first) {
    if (!is_well(store_begin(store), "begin")) return false;
    for (uint64_t position = first; position < first + GROUP_EVENTS; position++) {
        if (!is_well(store_append(store, position, records[position]), "append")) {
            store_abort(store);
            return false;
        }
    }
    return is_well(store_commit(store), "commit");
}

static void nothing_found(void *context, uint64_t position, const char *text) {
    (void)context;
    cr_assert_fail("position %lu: %s", position, text);
}

static void verify(struct store *store) {
    struct verification *verification;
    bool is_done = false;
    const struct verification_options options = {.store = store, .found = nothing_found};
    if (!is_well(verification_begin(&options, &verification), "a verification")) return;
    while (!is_done && is_well(verification_step(verification, &is_done), "a step of a verification")) {
    }
    verification_end(verification);
}

static void back_up(struct store *store) {
    struct backup *backup;
    struct bytes part = {.size = 1};
    if (!is_well(backup_begin(store, &backup), "a backup")) return;
    while (part.size > 0 && is_well(backup_next(backup, &part), "a part of a backup")) {
    }
    backup_end(backup);
}

static void compact(struct store *store) {
    struct compaction *compaction;
    struct problem problem;
    bool is_ready = false;
    bool is_switched = false;
    if (!is_well(compaction_begin(store, &compaction, &problem), "a compaction")) return;
    while (!is_ready && is_well(compaction_step(compaction, &is_ready), "a step of a compaction")) {
    }
    if (is_ready) (void)is_well(compaction_switch(compaction, &is_switched), "the switch of a compaction");
    cr_assert(compaction_log_is_known(compaction));
    compaction_end(compaction);
}

static bool name_visit(void *context, struct bytes name, const struct name_figures *figures) {
    (void)context;
    cr_assert_gt(name.size, 0);
    cr_assert_gt(figures->events_count, 0);
    return true;
}

static void index_use(struct work *work) {
    struct problem problem;
    struct index_entry entry;
    const struct temporary_path path = temporary_path(&work->directory, "index");
    const struct index_options options = {.directory = path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .store_id = store_id(work->store),
                                          .store = work->store};
    if (!is_well(index_open(&options, &work->index, &problem), "the index")) return;
    if (is_well(terms_catch_up(work->store, work->index), "adding to the index") && work->committed_last > 0) {
        const struct term term = term_of(TERM_STREAM, bytes_of_text("stream-1"));
        if (is_well(index_last(work->index, term, &entry), "a query")) cr_assert_gt(entry.position, 0);
        const result listed =
            index_names_list(work->index, TERM_STREAM, bytes_of_text(""), bytes_of_text(""), name_visit, NULL);
        if (listed.failure != FAILURE_NOT_READY) (void)is_well(listed, "a list");
        (void)is_well(index_rebuild(work->index, work->store, &problem), "a rebuild");
    }
    index_close(work->index);
}

static void work_run(struct work *work) {
    const struct store_options options = {.directory = work->directory.path, .map_bytes = STORES_MAP_BYTES};
    struct problem problem;
    if (!is_well(store_open(&options, &work->store, &problem), "the store")) return;
    for (uint32_t group = 0; group < GROUPS_COUNT; group++) {
        if (group_write(work->store, work->committed_last + 1)) work->committed_last += GROUP_EVENTS;
    }
    index_use(work);
    verify(work->store);
    back_up(work->store);
    compact(work->store);
    store_close(work->store);
}

static void expect_stored(const struct work *work) {
    struct store *store = stores_open(work->directory.path);
    struct store_reader *reader;
    uint64_t last;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, &last).failure, FAILURE_NONE);
    cr_assert_eq(last, work->committed_last);
    for (uint64_t position = 1; position <= last; position++) {
        struct bytes record;
        cr_assert_eq(store_reader_get(reader, position, &record).failure, FAILURE_NONE);
        cr_assert(bytes_equal(record, records[position]));
    }
    store_reader_end(reader);
    store_reader_close(reader);
    store_close(store);
}

/* Whether allocation `number` was made at all. */
static bool fail(uint32_t number, bool and_all_after) {
    struct work work = {.directory = temporary_directory_make()};
    const int64_t before_count = allocation_faults_live_count();
    allocation_faults_begin(number, and_all_after);
    work_run(&work);
    const bool has_failed = allocation_faults_end() > 0;
    const int64_t forgotten_count = allocation_faults_live_count() - before_count;
    cr_assert_eq(forgotten_count, 0, "%ld blocks were forgotten after number %u", (long)forgotten_count, number);
    expect_stored(&work);
    temporary_directory_remove(&work.directory);
    return has_failed;
}

static void fail_every(bool and_all_after) {
    cr_assert_gt(allocation_faults_each(fail, and_all_after), 50,
                 "stores, readers, an index and its thread are allocated");
}

Test(store_allocation, one_that_fails) {
    fail_every(false);
}

Test(store_allocation, all_that_fail_from_one_on) {
    fail_every(true);
}
