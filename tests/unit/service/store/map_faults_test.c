/* How a process ends that LMDB's pages lead astray; each in a child. */
#include "service/store/map_faults.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/store/environment.h"
#include "tests/support/temporary_directory.h"

#define MAP_BYTES         MIB(64)
#define EXIT_LOG          65
#define EXIT_DERIVED      74
#define EXIT_CHILD_FAILED 1
#define VALUE_BYTES       100000

static struct temporary_directory directory;
static struct temporary_path file;
static struct temporary_path note;
static struct temporary_path told;

static void setup(void) {
    directory = temporary_directory_make();
    file = temporary_path(&directory, "data.mdb");
    note = temporary_path(&directory, "note");
    told = temporary_path(&directory, "told");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(map_faults, .init = setup, .fini = teardown);

/* What a child does with an environment that has one value. */
typedef void child_act(struct environment *environment, const volatile uint8_t *value);

static void child_run(bool is_installed, const char *damage_note, child_act *act) {
    static const uint8_t bytes[VALUE_BYTES] = {0x5a};
    const struct rlimit none = {0};
    const struct environment_options options = {
        .directory = directory.path, .map_bytes = MAP_BYTES, .tables_count_max = 2, .damage_note = damage_note};
    struct environment environment;
    struct problem problem = {0};
    MDB_txn *transaction = NULL;
    MDB_dbi table;
    uint8_t name = 1;
    MDB_val key = {.mv_size = 1, .mv_data = &name};
    MDB_val value = {.mv_size = sizeof bytes, .mv_data = (void *)(uintptr_t)bytes};
    (void)setrlimit(RLIMIT_CORE, &none);
    const int output = open(told.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output < 0 || dup2(output, STDERR_FILENO) < 0) _exit(EXIT_CHILD_FAILED);
    if (is_installed) map_faults_install(EXIT_LOG, EXIT_DERIVED);
    if (failed(environment_open(&options, &environment, &problem)) ||
        mdb_txn_begin(environment.handle, NULL, 0, &transaction) != MDB_SUCCESS ||
        mdb_dbi_open(transaction, "table", MDB_CREATE, &table) != MDB_SUCCESS ||
        mdb_put(transaction, table, &key, &value, 0) != MDB_SUCCESS ||
        failed(environment_commit(&environment, transaction, sizeof bytes)) ||
        mdb_txn_begin(environment.handle, NULL, MDB_RDONLY, &transaction) != MDB_SUCCESS ||
        mdb_get(transaction, table, &key, &value) != MDB_SUCCESS) {
        _exit(EXIT_CHILD_FAILED);
    }
    act(&environment, value.mv_data);
    _exit(0);
}

static int child_status(bool is_installed, const char *damage_note, child_act *act) {
    int status = 0;
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) child_run(is_installed, damage_note, act);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static void expect_exit(int status, int code) {
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), code, "%d", WEXITSTATUS(status));
}

/* What it has said contains the text. */
static void expect_told(const char *text) {
    size_t size = 0;
    uint8_t *bytes = temporary_file_read(told.text, &size);
    cr_assert_not_null(memmem(bytes, size, text, strlen(text)), "%.*s", (int)size, (const char *)bytes);
    free(bytes);
}

static void cut_short(struct environment *environment, const volatile uint8_t *value) {
    if (ftruncate(environment->descriptor, 2 * (off_t)environment->page_bytes) != 0) _exit(EXIT_CHILD_FAILED);
    (void)value[VALUE_BYTES / 2];
}

Test(map_faults, a_page_that_is_not_there_ends_it_with_a_line) {
    expect_exit(child_status(true, NULL, cut_short), EXIT_LOG);
    expect_told(file.text);
    expect_told("is damaged or cannot be read (byte ");
    expect_told("SIGBUS");
    expect_told("daybookd --verify");
}

static void cut_short_later(struct environment *environment, const volatile uint8_t *value) {
    map_faults_exit_code(EXIT_DERIVED);
    cut_short(environment, value);
}

Test(map_faults, the_exit_code_may_change) {
    expect_exit(child_status(true, NULL, cut_short_later), EXIT_DERIVED);
}

Test(map_faults, what_can_be_made_anew_leaves_a_note) {
    expect_exit(child_status(true, note.text, cut_short), EXIT_DERIVED);
    expect_told("made anew at the next start");
    cr_assert_eq(access(note.text, F_OK), 0);
}

static void beyond_the_file(struct environment *environment, const volatile uint8_t *value) {
    (void)value[environment->file_bytes + MIB(16)];
}

Test(map_faults, so_does_an_address_beyond_the_file) {
    expect_exit(child_status(true, NULL, beyond_the_file), EXIT_LOG);
}

static void assertion_break(struct environment *environment, const volatile uint8_t *value) {
    (void)value;
    map_faults_assertion(environment->watch, "IS_BRANCH(mp)");
}

Test(map_faults, so_does_an_assertion_of_lmdbs) {
    expect_exit(child_status(true, NULL, assertion_break), EXIT_LOG);
    expect_told("IS_BRANCH(mp)");
    expect_told("an assertion of LMDB's");
}

static void elsewhere(struct environment *environment, const volatile uint8_t *value) {
    (void)environment;
    (void)value;
    const volatile uint8_t *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)*nowhere;
}

/* A sanitizer ends it in its own way. */
static void expect_crash(int status) {
    cr_assert(WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != EXIT_LOG));
}

Test(map_faults, any_other_fault_goes_where_it_went) {
    expect_crash(child_status(true, NULL, elsewhere));
}

static void killed(struct environment *environment, const volatile uint8_t *value) {
    (void)environment;
    (void)value;
    (void)raise(SIGBUS);
}

Test(map_faults, so_does_a_signal_that_somebody_sends) {
    expect_crash(child_status(true, NULL, killed));
}

static void closed(struct environment *environment, const volatile uint8_t *value) {
    (void)value;
    map_faults_unwatch(environment->watch);
    cut_short(environment, value);
}

Test(map_faults, a_map_that_is_not_watched_any_more_is_not_told_of) {
    expect_crash(child_status(true, NULL, closed));
    expect_crash(child_status(false, NULL, cut_short));
}
