/* `daybook backup`: a file is there under its name when it is whole, and not before. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/cli/common.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

/* XXH3-128 of "the first part and the second". */
#define PART_FIRST  "the first part "
#define PART_SECOND "and the second"
#define CHECKSUM    "e381f47201c2e466ef0f1591bbf59020"

static struct temporary_directory directory;
static struct temporary_path file;
static struct temporary_path partial;

static void setup(void) {
    scripted_open();
    directory = temporary_directory_make();
    file = temporary_path(&directory, "copy");
    partial = temporary_path(&directory, "copy.partial");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
    scripted_close();
}

TestSuite(command_backup, .init = setup, .fini = teardown);

static void tell(const char *data, uint64_t head, const char *checksum) {
    daybook_v1_BackupResponse *response = daybook_v1_BackupResponse_new(scripted.arena);
    daybook_v1_BackupResponse_set_data(response, upb_StringView_FromString(data));
    daybook_v1_BackupResponse_set_head(response, head);
    daybook_v1_BackupResponse_set_checksum(response, upb_StringView_FromString(checksum));
    scripted_tell(ADMIN(Backup), response);
}

static void tell_whole(const char *checksum) {
    tell(PART_FIRST, 7, "");
    tell(PART_SECOND, 0, checksum);
    scripted_tell_end(ADMIN(Backup), DAYBOOK_OK);
}

static void expect_file(const char *text) {
    size_t size;
    uint8_t *bytes = temporary_file_read(file.text, &size);
    cr_assert_eq(size, strlen(text));
    cr_assert_eq(memcmp(bytes, text, size), 0);
    free(bytes);
    cr_assert_neq(access(partial.text, F_OK), 0);
}

static void expect_nothing(void) {
    cr_assert_neq(access(file.text, F_OK), 0);
    cr_assert_neq(access(partial.text, F_OK), 0);
}

Test(command_backup, writes_what_is_sent) {
    tell_whole(CHECKSUM);
    cr_assert_eq(RUN(command_backup, NULL, "backup", file.text), 0, "%s", said.err);
    cr_assert_str_eq(said.out, "7 events, 29 bytes, XXH3-128 " CHECKSUM "\n");
    expect_file(PART_FIRST PART_SECOND);
}

Test(command_backup, says_so_in_json) {
    tell_whole(CHECKSUM);
    cr_assert_eq(RUN(command_backup, NULL, "backup", file.text, "--json"), 0);
    cr_assert_str_eq(said.out, "{\"head\":7,\"bytes\":29,\"checksum\":\"" CHECKSUM "\"}\n");
}

Test(command_backup, writes_to_standard_output) {
    tell_whole(CHECKSUM);
    cr_assert_eq(RUN(command_backup, NULL, "backup", "-"), 0);
    cr_assert_str_eq(said.out, PART_FIRST PART_SECOND);
    expect_words(said.err, "7 events, 29 bytes, XXH3-128 " CHECKSUM);
}

Test(command_backup, another_checksum_leaves_nothing) {
    tell_whole("00000000000000000000000000000000");
    cr_assert_eq(RUN(command_backup, NULL, "backup", file.text), EXIT_DATA);
    expect_words(said.err, "is not what was sent");
    expect_nothing();
}

Test(command_backup, one_without_a_checksum_leaves_nothing) {
    tell_whole("");
    cr_assert_eq(RUN(command_backup, NULL, "backup", file.text), EXIT_DATA);
    expect_nothing();
}

Test(command_backup, one_that_ends_early_leaves_nothing) {
    tell(PART_FIRST, 7, "");
    scripted_tell_end(ADMIN(Backup), DAYBOOK_UNAVAILABLE);
    cr_assert_neq(RUN(command_backup, NULL, "backup", file.text), 0);
    expect_nothing();
}

Test(command_backup, a_file_that_is_there_stays_unless_asked) {
    temporary_file_write(file.text, "old", 3);
    tell_whole(CHECKSUM);
    cr_assert_eq(RUN(command_backup, NULL, "backup", file.text), EXIT_OUTPUT);
    expect_words(said.err, "--replace");
    expect_file("old");
    cr_assert_eq(scripted_requests_count(ADMIN(Backup)), 0);
    cr_assert_eq(RUN(command_backup, NULL, "backup", "--replace", file.text), 0);
    expect_file(PART_FIRST PART_SECOND);
}

Test(command_backup, a_failed_one_leaves_the_file_that_it_would_replace) {
    temporary_file_write(file.text, "old", 3);
    tell_whole("00000000000000000000000000000000");
    cr_assert_eq(RUN(command_backup, NULL, "backup", "--replace", file.text), EXIT_DATA);
    expect_file("old");
}

Test(command_backup, a_place_that_cannot_be_written) {
    const struct temporary_path nowhere = temporary_path(&directory, "no/where");
    cr_assert_eq(RUN(command_backup, NULL, "backup", nowhere.text), EXIT_OUTPUT);
    expect_words(said.err, "cannot write");
}
