/* A compaction that ends in the middle: by a crash at each of its points, by a full or failing disk, by damage. Whatever was
 * acknowledged is there afterwards, and a crash leaves nothing behind that the next start does not remove. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/environment.h"
#include "tests/support/random.h"
#include "tests/support/small_disk.h"
#include "tests/support/stores.h"
#include "tests/support/system_faults.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/compactions.h"

static struct temporary_directory directory;
static struct temporary_path data;
static struct store *store;
static struct history history;
static char identity[UUID_TEXT_BYTES + 1];

static void begin(void) {
    data = temporary_path(&directory, "data");
    store = stores_open(data.text);
    memcpy(identity, store_id(store), sizeof identity);
    history_append(&history, store, 40000, 100);
    for (uint64_t first = 1; first <= 40000; first += 2000) {
        history_rewrite(&history, store, first, first + 1999, 4, 0);
    }
    history_rows(&history, store, 1000, 3);
}

static void setup(void) {
    directory = temporary_directory_make();
}

static void teardown(void) {
    store_close(store);
    history_free(&history);
    temporary_directory_remove(&directory);
}

TestSuite(compaction_crash, .init = setup, .fini = teardown, .timeout = 600);
TestSuite(compaction_disk, .init = setup, .timeout = 600); /* its disk goes with the process */

static bool is_there(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "data/%s", name);
    const struct temporary_path whole = temporary_path(&directory, path);
    return access(whole.text, F_OK) == 0;
}

static void expect_all(void) {
    cr_assert_str_eq(store_id(store), identity);
    cr_assert(is_there("log"));
    cr_assert_not(is_there("log.new"));
    cr_assert_not(is_there("log.old"));
    history_expect(&history, store, 3);
}

/* --- Crashes: a process that opens the store, compacts it and dies. -------------------------------------------------- */

static void switch_now(struct compaction *compaction) {
    bool is_switched = false;
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
}

static void die(void) {
    (void)kill(getpid(), SIGKILL);
}

static void die_at_the_begin(uint64_t number) {
    (void)number;
    (void)compactions_begin(store);
    die();
}

static void die_between_steps(uint64_t number) {
    struct compaction *compaction = compactions_begin(store);
    bool is_ready;
    for (uint64_t step = 0; step < number; step++) {
        cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
    }
    die();
}

/* At the n-th commit of the copy or, at the end, of the switch. */
static void die_at_a_sync(uint64_t number) {
    struct compaction *compaction = compactions_begin(store);
    bool is_ready;
    for (uint64_t step = 0; step < number; step++) {
        cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
    }
    history_append(&history, store, 10, 5);
    system_fault_kill(SYS_fdatasync);
    compactions_step_until_ready(compaction);
    switch_now(compaction);
}

static void die_before_the_exchange(uint64_t number) {
    struct compaction *compaction = compactions_begin(store);
    (void)number;
    compactions_step_until_ready(compaction);
    history_append(&history, store, 10, 5);
    system_fault_kill(SYS_renameat2);
    switch_now(compaction);
}

static void die_after_the_exchange(uint64_t number) {
    struct compaction *compaction = compactions_begin(store);
    (void)number;
    compactions_step_until_ready(compaction);
    history_append(&history, store, 10, 5);
    system_fault_kill(SYS_fsync);
    switch_now(compaction);
}

/* What is appended after the switch is in the new log alone. */
static void die_after_the_switch(uint64_t number) {
    struct compaction *compaction = compactions_begin(store);
    (void)number;
    compactions_step_until_ready(compaction);
    switch_now(compaction);
    history_append(&history, store, 10, 5);
    system_fault_kill(SYS_unlinkat);
    compaction_end(compaction);
}

/* The same where the file system cannot exchange two names. */
static void die_in_steps_before(uint64_t number) {
    system_fault(SYS_renameat2, EINVAL);
    struct compaction *compaction = compactions_begin(store);
    (void)number;
    compactions_step_until_ready(compaction);
    history_append(&history, store, 10, 5);
    system_fault_kill(SYS_renameat);
    switch_now(compaction);
}

static void die_in_steps_between(uint64_t number) {
    system_fault(SYS_renameat2, ENOSYS);
    die_after_the_exchange(number);
}

static void die_in_steps_after(uint64_t number) {
    system_fault(SYS_renameat2, EOPNOTSUPP);
    die_after_the_switch(number);
}

/* Runs a crash in a process of its own and opens what it has left; `events_count` were acknowledged by it. */
static void crash(void (*run)(uint64_t number), uint64_t number, uint64_t events_count) {
    store = store_close(store);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        store = stores_open(data.text);
        run(number);
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGSYS), "%d", status);
    for (uint64_t index = 0; index < events_count; index++) history.payloads[++history.position_last] = 5;
    store = stores_open(data.text);
    expect_all();
}

static void go_on(void) {
    compactions_run(store);
    history_append(&history, store, 10, 50);
    expect_all();
}

Test(compaction_crash, while_it_copies) {
    begin();
    crash(die_at_the_begin, 0, 0);
    for (uint64_t steps = 1; steps < 5; steps++) crash(die_between_steps, steps, 0);
    for (uint64_t steps = 0; steps < 5; steps++) crash(die_at_a_sync, steps, 10);
    go_on();
}

Test(compaction_crash, at_the_exchange) {
    begin();
    crash(die_before_the_exchange, 0, 10);
    crash(die_after_the_exchange, 0, 10);
    crash(die_after_the_switch, 0, 10);
    go_on();
}

Test(compaction_crash, at_the_exchange_in_steps) {
    begin();
#ifdef SYS_renameat
    crash(die_in_steps_before, 0, 10);
#endif
    crash(die_in_steps_between, 0, 10);
    crash(die_in_steps_after, 0, 10);
    go_on();
}

/* --- The exchange in steps, without a crash. ------------------------------------------------------------------------- */

Test(compaction_crash, a_file_system_that_cannot_exchange_names) {
    begin();
    system_fault(SYS_renameat2, EINVAL);
    go_on();
    store_close(store);
    store = stores_open(data.text);
    expect_all();
}

/* --- Failures that are no crash. ------------------------------------------------------------------------------------- */

/* An error of the exchange itself: nothing has changed. */
Test(compaction_crash, an_exchange_that_is_refused_changes_nothing) {
    begin();
    system_fault(SYS_renameat2, EACCES);
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = false;
    compactions_step_until_ready(compaction);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_INPUT);
    cr_assert_not(is_switched);
    cr_assert(compaction_log_is_known(compaction));
    compaction_end(compaction);
    history_append(&history, store, 10, 50);
    expect_all();
}

/* Its sync failed: after a power cut either log may be there, so nothing may be acknowledged; both hold the same. */
Test(compaction_crash, an_exchange_whose_sync_fails_is_fatal) {
    begin();
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = false;
    compactions_step_until_ready(compaction);
    system_fault(SYS_fsync, EIO);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_STORAGE);
    cr_assert_not(is_switched);
    cr_assert_not(compaction_log_is_known(compaction));
    compaction_end(compaction);
    cr_assert(is_there("log.new"));
    store_close(store);
    store = stores_open(data.text);
    expect_all();
}

/* The copy's disk failed; the log does not depend on it. */
Test(compaction_crash, a_copy_that_cannot_be_synced_changes_nothing) {
    begin();
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct compaction *compaction = compactions_begin(store);
        bool is_ready = false;
        system_fault(SYS_fdatasync, EIO);
        result outcome = RESULT_OK;
        while (!failed(outcome)) outcome = compaction_step(compaction, &is_ready);
        const bool is_sound = outcome.failure == FAILURE_STORAGE && compaction_log_is_known(compaction);
        compaction_end(compaction);
        _exit(is_sound ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    expect_all();
}

Test(compaction_disk, a_full_disk_ends_it_before_appends_are_refused) {
    enum { DISK_MIB = 448, GROUPS_COUNT = 60 };
    if (!small_disk_mount(directory.path, MIB(DISK_MIB))) cr_skip_test("needs root");
    begin();
    for (int group = 0; group < GROUPS_COUNT; group++) history_append(&history, store, 1000, 1000);
    const struct temporary_path filler = temporary_path(&directory, "filler");
    small_disk_fill(filler.text, 2 * ENVIRONMENT_RESERVE_BYTES + 3 * ENVIRONMENT_GROWTH_BYTES);
    struct compaction *compaction = compactions_begin(store);
    result outcome = RESULT_OK;
    bool is_ready = false;
    while (!failed(outcome) && !is_ready) outcome = compaction_step(compaction, &is_ready);
    cr_assert_eq(outcome.failure, FAILURE_STORAGE_FULL);
    for (int group = 0; group < 10; group++) history_append(&history, store, 1000, 1000);
    compaction_end(compaction);
    expect_all();
    cr_assert_eq(unlink(filler.text), 0);
    go_on();
}

Test(compaction_disk, a_disk_without_room_to_begin) {
    if (!small_disk_mount(directory.path, MIB(256))) cr_skip_test("needs root");
    begin();
    const struct temporary_path filler = temporary_path(&directory, "filler");
    small_disk_fill(filler.text, 2 * ENVIRONMENT_RESERVE_BYTES);
    struct compaction *compaction = NULL;
    struct problem problem = {0};
    cr_assert_eq(compaction_begin(store, &compaction, &problem).failure, FAILURE_STORAGE_FULL);
    cr_assert_not_null(strstr(problem.text, "no space"), "%s", problem.text);
    history_append(&history, store, 10, 50);
    expect_all();
}

/* A wrong byte anywhere in a record: it is not copied, and the log stays, with all that is sound in it. */
Test(compaction_crash, damage_ends_it) {
    struct random random = random_start("compaction_crash");
    begin();
    const uint64_t position = 1 + random_below(&random, history.position_last);
    const struct bytes record = stores_record(position, history.payloads[position]);
    const struct temporary_path path = temporary_path(&directory, "data/log/data.mdb");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(path.text, &size);
    const int file = open(path.text, O_RDWR | O_CLOEXEC);
    cr_assert_geq(file, 0);
    /* Pages that are not in use any more may hold it, too. */
    const size_t offset = (size_t)random_below(&random, record.size);
    const uint8_t wrong = record.data[offset] ^ 1;
    for (uint8_t *found = memmem(whole, size, record.data, record.size); found != NULL;
         found = memmem(found + 1, size - (size_t)(found + 1 - whole), record.data, record.size)) {
        cr_assert_eq(pwrite(file, &wrong, 1, found - whole + (off_t)offset), 1);
    }
    close(file);
    struct compaction *compaction = compactions_begin(store);
    result outcome = RESULT_OK;
    bool is_ready = false;
    while (!failed(outcome) && !is_ready) outcome = compaction_step(compaction, &is_ready);
    cr_assert_eq(outcome.failure, FAILURE_CORRUPT);
    compaction_end(compaction);
    cr_assert_not(is_there("log.new"));
    history_append(&history, store, 10, 50);
    free(whole);
    stores_record_free(record);
}

/* --- What a start finds. --------------------------------------------------------------------------------------------- */

Test(compaction_crash, a_start_without_a_log_removes_nothing) {
    begin();
    store = store_close(store);
    const struct temporary_path log = temporary_path(&directory, "data/log");
    const struct temporary_path copy = temporary_path(&directory, "data/log.new");
    cr_assert_eq(rename(log.text, copy.text), 0);
    const struct store_options options = {.directory = data.text, .map_bytes = STORES_MAP_BYTES};
    struct problem problem = {0};
    cr_assert(failed(store_open(&options, &store, &problem)));
    cr_assert(is_there("log.new/data.mdb"));
    cr_assert_eq(rename(copy.text, log.text), 0);
    store = stores_open(data.text);
    expect_all();
}
