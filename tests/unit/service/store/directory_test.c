#include "service/store/directory.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temporary_directory.h"

#define ID "01890a5d-ac96-774b-bcce-b302099a8057"

static struct temporary_directory parent;
static struct temporary_path data;

static void setup(void) {
    parent = temporary_directory_make();
    data = temporary_path(&parent, "data");
}

static void teardown(void) {
    (void)chmod(parent.path, 0755);
    temporary_directory_remove(&parent);
}

TestSuite(directory, .init = setup, .fini = teardown);

static struct temporary_path in_data(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "data/%s", name);
    return temporary_path(&parent, path);
}

static result open_data(struct directory *ret_directory, struct problem *ret_problem) {
    const struct directory_options options = {.path = data.text};
    return directory_open(&options, ret_directory, ret_problem);
}

static void expect_failure(enum failure failure, const char *text) {
    struct directory directory;
    struct problem problem = {0};
    cr_assert_eq(open_data(&directory, &problem).failure, failure, "%s", problem.text);
    cr_assert_not_null(strstr(problem.text, text), "%s", problem.text);
}

static uint32_t entries_count(void) {
    uint32_t count = 0;
    DIR *entries = opendir(data.text);
    cr_assert_not_null(entries);
    while (readdir(entries) != NULL) count++;
    closedir(entries);
    return count - 2; /* itself and its parent */
}

Test(directory, is_made_and_gets_its_format_once) {
    struct directory directory;
    struct problem problem = {0};
    cr_assert_eq(open_data(&directory, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert_not(directory.has_store);
    cr_assert_eq(directory_format_write(&directory, ID, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert(directory.has_store);
    directory_close(&directory);

    size_t size = 0;
    uint8_t *text = temporary_file_read(in_data("FORMAT").text, &size);
    static const char expected[] = "daybook store 1\n" ID "\n";
    cr_assert(size == sizeof expected - 1 && memcmp(text, expected, size) == 0);
    free(text);
    cr_assert_eq(entries_count(), 2, "FORMAT and LOCK");

    cr_assert_eq(open_data(&directory, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert(directory.has_store);
    cr_assert_str_eq(directory.store_id, ID);
    directory_close(&directory);
    directory_close(&(struct directory){0});
}

Test(directory, the_lock_ends_with_its_process) {
    cr_assert_eq(mkdir(data.text, 0750), 0);
    int ready[2];
    int stop[2];
    char byte = 'x';
    cr_assert_eq(pipe(ready) + pipe(stop), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct directory directory;
        const bool opened = !failed(open_data(&directory, NULL));
        const bool told = write(ready[1], &byte, 1) == 1 && read(stop[0], &byte, 1) == 1;
        _exit(opened && told ? 0 : 1); /* without directory_close, as after a kill */
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    char process[32];
    (void)snprintf(process, sizeof process, "process %ld;", (long)child);
    expect_failure(FAILURE_BUSY, process);
    cr_assert_eq(write(stop[1], &byte, 1), 1);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    struct directory directory;
    cr_assert_eq(open_data(&directory, NULL).failure, FAILURE_NONE);
    directory_close(&directory);
}

Test(directory, the_lock_is_closed_on_exec) {
    struct directory directory;
    cr_assert_eq(open_data(&directory, NULL).failure, FAILURE_NONE);
    cr_assert(fcntl(directory.lock, F_GETFD) & FD_CLOEXEC);
    cr_assert(fcntl(directory.descriptor, F_GETFD) & FD_CLOEXEC);
    directory_close(&directory);
}

Test(directory, a_volumes_own_directory_does_not_matter) {
    cr_assert_eq(mkdir(data.text, 0750), 0);
    cr_assert_eq(mkdir(in_data("lost+found").text, 0700), 0);
    struct directory directory;
    cr_assert_eq(open_data(&directory, NULL).failure, FAILURE_NONE);
    directory_close(&directory);
}

Test(directory, foreign_files_are_refused_and_left_alone) {
    cr_assert_eq(mkdir(data.text, 0750), 0);
    temporary_file_write(in_data("thesis.tex").text, "x", 1);
    expect_failure(FAILURE_FORMAT, "thesis.tex");
    cr_assert_eq(entries_count(), 1, "not even a lock file");
}

Test(directory, newer_foreign_and_damaged_formats_are_told_apart) {
    static const struct {
        const char *text;
        enum failure failure;
        const char *problem;
    } cases[] = {
        {"daybook store 2\n" ID "\n", FAILURE_FORMAT, "newer daybookd (format 2, this one knows 1)"},
        {"daybook store 10\nanything", FAILURE_FORMAT, "newer"},
        {"rocksdb 7\n", FAILURE_FORMAT, "not a Daybook store"},
        {"", FAILURE_FORMAT, "not a Daybook store"},
        {"daybook store 1\n", FAILURE_CORRUPT, "damaged"},
        {"daybook store 1\nxx890a5d-ac96-774b-bcce-b302099a8057\n", FAILURE_CORRUPT, "damaged"},
        {"daybook store 1\n" ID, FAILURE_CORRUPT, "damaged"},
        {"daybook store 1\n" ID "\nmore", FAILURE_CORRUPT, "damaged"},
        {"daybook store 0\n" ID "\n", FAILURE_CORRUPT, "damaged"},
        {"daybook store -1\n" ID "\n", FAILURE_CORRUPT, "damaged"},
        {"daybook store one\n" ID "\n", FAILURE_CORRUPT, "damaged"},
    };
    cr_assert_eq(mkdir(data.text, 0750), 0);
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        temporary_file_write(in_data("FORMAT").text, cases[index].text, strlen(cases[index].text));
        expect_failure(cases[index].failure, cases[index].problem);
        size_t size = 0;
        uint8_t *text = temporary_file_read(in_data("FORMAT").text, &size);
        cr_assert(size == strlen(cases[index].text) && memcmp(text, cases[index].text, size) == 0);
        free(text);
        cr_assert_eq(entries_count(), 1, "nothing is added");
    }
}

Test(directory, what_is_no_directory_is_bad_input) {
    temporary_file_write(data.text, "a file", 6);
    expect_failure(FAILURE_INPUT, "Not a directory");
    cr_assert_eq(unlink(data.text), 0);
    data = temporary_path(&parent, "missing/data");
    expect_failure(FAILURE_INPUT, "parent directory does not exist");
}

/* Root may write everywhere, so root becomes nobody for a while, in a place that is open to all. */
Test(directory, what_cannot_be_written_is_bad_input) {
    const bool is_root = geteuid() == 0;
    cr_assert_eq(setenv("TEST_TMPDIR", "/tmp", 1), 0);
    const struct temporary_directory open_to_all = temporary_directory_make();
    cr_assert_eq(chmod(open_to_all.path, 0555), 0);
    data = temporary_path(&open_to_all, "data");
    if (is_root) cr_assert_eq(seteuid(65534), 0);
    expect_failure(FAILURE_INPUT, "Permission denied; choose a directory that can be written");
    data = temporary_path(&open_to_all, ".");
    expect_failure(FAILURE_INPUT, "Permission denied; choose a directory that can be written");
    if (is_root) cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(open_to_all.path, 0755), 0);
    temporary_directory_remove(&open_to_all);
}

Test(directory, remote_file_systems_are_known) {
    cr_assert_str_eq(directory_remote_name(NFS_SUPER_MAGIC), "NFS");
    cr_assert_str_eq(directory_remote_name(CIFS_SUPER_MAGIC), "SMB");
    cr_assert_str_eq(directory_remote_name(SMB2_SUPER_MAGIC), "SMB");
    cr_assert_str_eq(directory_remote_name(V9FS_MAGIC), "9p");
    cr_assert_null(directory_remote_name(EXT4_SUPER_MAGIC));
    cr_assert_null(directory_remote_name(XFS_SUPER_MAGIC));
    cr_assert_null(directory_remote_name(OVERLAYFS_SUPER_MAGIC));
    cr_assert_null(directory_remote_name(TMPFS_MAGIC));
}
