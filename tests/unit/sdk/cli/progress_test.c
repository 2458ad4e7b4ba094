/* Progress: a line that changes on a terminal, a line a percent elsewhere. */
#include "sdk/cli/progress.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sdk/cli/command_line.h"

static void teardown(void) {
    free(said.out);
    free(said.err);
}

TestSuite(progress, .fini = teardown);

Test(progress, elsewhere_each_whole_percent_has_a_line) {
    struct progress progress;
    capture_begin();
    progress_init(&progress, "events copied");
    for (uint64_t done = 0; done <= 100000; done += 10) progress_show(&progress, done, 100000);
    progress_end(&progress);
    capture_end();
    size_t lines_count = 0;
    for (const char *at = said.err; *at != '\0'; at++) lines_count += *at == '\n';
    cr_assert_eq(lines_count, 101);
    cr_assert_eq(strncmp(said.err, "0 of 100000 events copied (0 %)\n", 32), 0, "%s", said.err);
    expect_words(said.err, "\n50000 of 100000 events copied (50 %)\n");
    expect_words(said.err, "\n100000 of 100000 events copied (100 %)\n");
    cr_assert_null(strchr(said.err, '\r'));
    cr_assert_null(strchr(said.err, '\x1b'));
}

Test(progress, nothing_to_do_is_all_of_it) {
    struct progress progress;
    capture_begin();
    progress_init(&progress, "events indexed");
    progress_show(&progress, 0, 0);
    progress_end(&progress);
    capture_end();
    cr_assert_str_eq(said.err, "0 of 0 events indexed (100 %)\n");
}

Test(progress, of_the_largest_numbers_there_is_a_percentage) {
    struct progress progress;
    capture_begin();
    progress_init(&progress, "events");
    progress_show(&progress, UINT64_MAX / 2, UINT64_MAX);
    capture_end();
    expect_words(said.err, "(50 %)");
}

Test(progress, on_a_terminal_one_line_changes) {
    struct terminal terminal;
    struct progress progress;
    FILE *real_err = stderr;
    terminal_open(&terminal);
    stderr = terminal.slave;
    progress_init(&progress, "events copied");
    progress_show(&progress, 1, 1000);
    progress_show(&progress, 2, 1000);
    progress_end(&progress);
    (void)fflush(stderr);
    stderr = real_err;
    static const char expected[] = "\r1 of 1000 events copied (0 %)\x1b[K\r2 of 1000 events copied (0 %)\x1b[K\r\n";
    char seen[sizeof expected] = "";
    for (size_t size = 0; size < sizeof expected - 1;) {
        const ssize_t more = read(terminal.master, seen + size, sizeof expected - 1 - size);
        cr_assert_gt(more, 0);
        size += (size_t)more;
    }
    terminal_close(&terminal);
    cr_assert_str_eq(seen, expected);
}
