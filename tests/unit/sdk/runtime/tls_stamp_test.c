/* Files that are others are seen, however they were exchanged. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/runtime/tls_stamp.h"
#include "tests/support/temporary_directory.h"

static struct temporary_directory directory;

static void setup(void) {
    directory = temporary_directory_make();
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(tls_stamp, .init = setup, .fini = teardown);

static bool differs(const struct tls_stamp *before, const daybook_tls_options *options) {
    const struct tls_stamp after = daybook__tls_stamp(options);
    const struct tls_stamp again = daybook__tls_stamp(options);
    cr_assert(daybook__tls_stamp_equal(&after, &again));
    return !daybook__tls_stamp_equal(before, &after);
}

Test(tls_stamp, every_file_counts) {
    const struct temporary_path paths[] = {temporary_path(&directory, "ca.crt"), temporary_path(&directory, "tls.crt"),
                                           temporary_path(&directory, "tls.key")};
    const daybook_tls_options options = {
        .authorities_file = paths[0].text, .certificate_file = paths[1].text, .key_file = paths[2].text};
    for (int i = 0; i < 3; i++) {
        struct tls_stamp before = daybook__tls_stamp(&options);
        cr_assert_not(differs(&before, &options));
        temporary_file_write(paths[i].text, "one", 3);
        cr_assert(differs(&before, &options), "file %d has come", i);
        before = daybook__tls_stamp(&options);
        temporary_file_write(paths[i].text, "longer", 6);
        cr_assert(differs(&before, &options), "file %d is longer", i);
        before = daybook__tls_stamp(&options);
        cr_assert_eq(chmod(paths[i].text, 0400), 0);
        cr_assert_eq(unlink(paths[i].text), 0);
        cr_assert(differs(&before, &options), "file %d has gone", i);
    }
}

/* The same bytes, length and times under the same name: only the file is another one, behind a link in the way. */
Test(tls_stamp, a_link_in_the_way_leads_elsewhere) {
    const struct temporary_path one = temporary_path(&directory, "one");
    const struct temporary_path two = temporary_path(&directory, "two");
    const struct temporary_path link = temporary_path(&directory, "..data");
    const struct temporary_path link_next = temporary_path(&directory, "..data_next");
    const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const struct temporary_path *folders[] = {&one, &two};
    for (int i = 0; i < 2; i++) {
        char file[1100];
        cr_assert_eq(mkdir(folders[i]->text, 0700), 0);
        (void)snprintf(file, sizeof file, "%s/tls.key", folders[i]->text);
        temporary_file_write(file, "same", 4);
        cr_assert_eq(utimensat(AT_FDCWD, file, times, 0), 0);
    }
    cr_assert_eq(symlink("one", link.text), 0);
    const struct temporary_path key = temporary_path(&directory, "..data/tls.key");
    const daybook_tls_options options = {.key_file = key.text};
    const struct tls_stamp before = daybook__tls_stamp(&options);
    cr_assert_eq(symlink("two", link_next.text), 0);
    cr_assert_eq(rename(link_next.text, link.text), 0);
    cr_assert(differs(&before, &options));
}
