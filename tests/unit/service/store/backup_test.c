/* A backup has everything of one commit, however slowly it is taken; whatever is changed in it is found; a restore makes the same
 * store of it, or nothing. */
#include "service/store/backup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/backup_reader.h"
#include "service/store/restore.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

static struct temporary_directory directory;
static struct store *store;

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(temporary_path(&directory, "data").text);
}

static void teardown(void) {
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(backup, .init = setup, .fini = teardown);

static void rows_put(uint64_t consumers_count, uint64_t position) {
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    for (uint64_t number = 0; number < consumers_count; number++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name-%lu", number);
        const struct stream_row row = {.state = number % 3 == 0 ? STREAM_DELETED : STREAM_ACTIVE,
                                       .first_revision = number,
                                       .max_age_seconds = 2 * number,
                                       .max_count = 3 * number,
                                       .metadata = bytes_of_text(name)};
        const struct checkpoint checkpoint = {
            .consumer = bytes_of_text(name), .position = position, .recorded_ns = (int64_t)number};
        cr_assert_eq(store_stream_put(store, bytes_of_text(name), &row).failure, FAILURE_NONE);
        cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
    }
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

/* A backup in memory that can be read as a file. */
struct copy {
    int descriptor;
    size_t size;
    uint8_t *bytes;
};

/* `between` is called after each part. */
static struct copy backup_take(void (*between)(void)) {
    struct backup *backup;
    struct digest *digest;
    struct copy copy = {.descriptor = memfd_create("backup", MFD_CLOEXEC)};
    char checksum[DIGEST_TEXT_BYTES + 1];
    char expected[DIGEST_TEXT_BYTES + 1];
    cr_assert_eq(digest_new(&digest).failure, FAILURE_NONE);
    cr_assert_eq(backup_begin(store, &backup).failure, FAILURE_NONE);
    struct bytes part;
    do {
        cr_assert_eq(backup_next(backup, &part).failure, FAILURE_NONE);
        cr_assert_leq(part.size, BACKUP_PART_BYTES_MAX);
        cr_assert_eq(write(copy.descriptor, part.data, part.size), (ssize_t)part.size);
        digest_add(digest, part);
        copy.size += part.size;
        if (between != NULL) between();
    } while (!backup_is_last(backup));
    backup_checksum(backup, checksum);
    digest_text(digest, expected);
    cr_assert_str_eq(checksum, expected);
    cr_assert_eq(backup_position(backup), backup_head(backup));
    cr_assert_eq(backup_next(backup, &part).failure, FAILURE_NONE);
    cr_assert_eq(part.size, 0);
    backup_end(backup);
    digest_free(digest);
    copy.bytes = mmap(NULL, copy.size, PROT_READ | PROT_WRITE, MAP_SHARED, copy.descriptor, 0);
    cr_assert_neq(copy.bytes, MAP_FAILED);
    return copy;
}

static void copy_free(struct copy *copy) {
    munmap(copy->bytes, copy->size);
    close(copy->descriptor);
}

static result copy_restore(const struct copy *copy, const char *name, struct restored *ret_restored,
                           struct problem *ret_problem) {
    const struct temporary_path path = temporary_path(&directory, name);
    const struct restore_options options = {
        .directory = path.text, .map_bytes = STORES_MAP_BYTES, .descriptor = copy->descriptor, .name = "copy"};
    cr_assert_eq(lseek(copy->descriptor, 0, SEEK_SET), 0);
    return restore(&options, ret_restored, ret_problem);
}

/* --- Equal stores. ------------------------------------------------------------------------------------------------ */

static void events_compare(struct store_reader *first, struct store_reader *second, uint64_t last) {
    for (uint64_t position = 1; position <= last; position++) {
        struct bytes left;
        struct bytes right;
        cr_assert_eq(store_reader_get(first, position, &left).failure, FAILURE_NONE);
        cr_assert_eq(store_reader_get(second, position, &right).failure, FAILURE_NONE);
        cr_assert(bytes_equal(left, right), "position %lu", position);
    }
}

static void rows_compare(struct store_reader *first, struct store_reader *second, uint64_t rows_count) {
    struct bytes stream = {0};
    struct bytes consumer = {0};
    for (uint64_t number = 0; number < rows_count; number++) {
        struct bytes other;
        struct stream_row left;
        struct stream_row right;
        struct checkpoint here;
        struct checkpoint there;
        cr_assert_eq(store_reader_stream_after(second, stream, &other, &right).failure, FAILURE_NONE);
        cr_assert_eq(store_reader_stream_after(first, stream, &stream, &left).failure, FAILURE_NONE);
        cr_assert(bytes_equal(stream, other) && bytes_equal(left.metadata, right.metadata));
        cr_assert_eq(left.state, right.state);
        cr_assert_eq(left.first_revision, right.first_revision);
        cr_assert_eq(left.max_age_seconds, right.max_age_seconds);
        cr_assert_eq(left.max_count, right.max_count);
        cr_assert_eq(store_reader_checkpoint_after(second, consumer, &there).failure, FAILURE_NONE);
        cr_assert_eq(store_reader_checkpoint_after(first, consumer, &here).failure, FAILURE_NONE);
        cr_assert(bytes_equal(here.consumer, there.consumer));
        cr_assert_eq(here.position, there.position);
        cr_assert_eq(here.recorded_ns, there.recorded_ns);
        consumer = here.consumer;
    }
    struct checkpoint none;
    cr_assert_eq(store_reader_checkpoint_after(second, consumer, &none).failure, FAILURE_NOT_FOUND);
}

/* The restored one has the first `last` events of the store and all its rows, which are so many. */
static void expect_equal(const char *name, uint64_t last, uint64_t rows_count) {
    struct store *other = stores_open(temporary_path(&directory, name).text);
    struct store_reader *first;
    struct store_reader *second;
    uint64_t restored_last;
    cr_assert_str_eq(store_id(other), store_id(store));
    cr_assert_eq(store_reader_open(store, &first).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(other, &second).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(first, NULL).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(second, &restored_last).failure, FAILURE_NONE);
    cr_assert_eq(restored_last, last);
    events_compare(first, second, last);
    rows_compare(first, second, rows_count);
    store_reader_end(second);
    store_reader_end(first);
    store_reader_close(second);
    store_reader_close(first);
    store_close(other);
}

static void expect_restored(const struct copy *copy, const char *name, uint64_t last, uint64_t rows_count) {
    struct restored restored;
    struct problem problem;
    cr_assert_eq(copy_restore(copy, name, &restored, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert_eq(restored.events_count, last);
    cr_assert_eq(restored.streams_count, rows_count);
    cr_assert_eq(restored.checkpoints_count, rows_count);
    cr_assert_str_eq(restored.store_id, store_id(store));
    expect_equal(name, last, rows_count);
    char work[64];
    (void)snprintf(work, sizeof work, "%s/restore.new", name);
    cr_assert_neq(access(temporary_path(&directory, work).text, F_OK), 0);
}

Test(backup, an_empty_store) {
    struct copy copy = backup_take(NULL);
    expect_restored(&copy, "restored", 0, 0);
    copy_free(&copy);
}

Test(backup, a_store_of_many_parts_and_rows) {
    cr_assert_eq(stores_append(store, 1, 30000, 200).failure, FAILURE_NONE);
    rows_put(9000, 30000);
    struct copy copy = backup_take(NULL);
    cr_assert_gt(copy.size, 5 * BACKUP_PART_BYTES_MAX);
    expect_restored(&copy, "restored", 30000, 9000);
    copy_free(&copy);
}

Test(backup, the_largest_events_are_of_many_parts) {
    for (uint64_t position = 1; position <= 4; position++) {
        const size_t payload_bytes = position % 2 == 0 ? EVENT_BYTES_MAX_CEILING - 100 : 10;
        cr_assert_eq(stores_append(store, position, position, payload_bytes).failure, FAILURE_NONE);
    }
    struct copy copy = backup_take(NULL);
    expect_restored(&copy, "restored", 4, 0);
    copy_free(&copy);
}

static uint64_t appended_last;

/* Moves everything on: events, checkpoints, settings. */
static void change(void) {
    cr_assert_eq(stores_append(store, appended_last + 1, appended_last + 500, 100).failure, FAILURE_NONE);
    appended_last += 500;
    const struct stream_row row = {.state = STREAM_TOMBSTONED, .first_revision = appended_last};
    const struct checkpoint checkpoint = {.consumer = bytes_of_text("name-1"), .position = appended_last};
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_put(store, bytes_of_text("name-1"), &row).failure, FAILURE_NONE);
    cr_assert_eq(store_stream_put(store, bytes_of_text("new"), &row).failure, FAILURE_NONE);
    cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

/* Rows and head are of one commit, whatever is committed while the parts are taken. */
Test(backup, is_of_one_commit) {
    cr_assert_eq(stores_append(store, 1, 20000, 200).failure, FAILURE_NONE);
    appended_last = 20000;
    rows_put(3, 20000);
    struct copy before = backup_take(NULL);
    struct copy during = backup_take(change);
    cr_assert_gt(appended_last, 20500);
    cr_assert_eq(before.size, during.size);
    /* All is equal but the header's time, and with it its checksum and the end's digest. */
    const size_t time_offset = BACKUP_HEADER_BYTES - 12;
    const size_t end_bytes = BACKUP_FRAME_OVERHEAD_BYTES + DIGEST_BYTES;
    cr_assert_eq(memcmp(before.bytes, during.bytes, time_offset), 0);
    cr_assert_eq(memcmp(before.bytes + BACKUP_HEADER_BYTES, during.bytes + BACKUP_HEADER_BYTES,
                        before.size - BACKUP_HEADER_BYTES - end_bytes),
                 0);
    copy_free(&during);
    copy_free(&before);
}

Test(backup, one_at_a_time) {
    struct backup *first;
    struct backup *second;
    cr_assert_eq(backup_begin(store, &first).failure, FAILURE_NONE);
    cr_assert_eq(backup_begin(store, &second).failure, FAILURE_BUSY);
    backup_end(first);
    cr_assert_eq(backup_begin(store, &second).failure, FAILURE_NONE);
    backup_end(second);
    cr_assert_null(backup_end(NULL));
}

/* --- Damage. ------------------------------------------------------------------------------------------------------ */

/* Reads to the end or to what is wrong. */
static result copy_read(const struct copy *copy) {
    struct backup_reader *reader;
    struct problem problem;
    struct backup_entry entry = {0};
    cr_assert_eq(lseek(copy->descriptor, 0, SEEK_SET), 0);
    TRY(backup_reader_open(copy->descriptor, "copy", &reader, &problem));
    result outcome = RESULT_OK;
    while (!failed(outcome) && entry.kind != BACKUP_END) outcome = backup_reader_next(reader, &entry, &problem);
    backup_reader_close(reader);
    return outcome;
}

static bool is_refused(const struct copy *copy) {
    const enum failure failure = copy_read(copy).failure;
    return failure == FAILURE_CORRUPT || failure == FAILURE_FORMAT;
}

static struct copy small_copy(void) {
    cr_assert_eq(stores_append(store, 1, 5, 20).failure, FAILURE_NONE);
    rows_put(2, 5);
    struct copy copy = backup_take(NULL);
    cr_assert_eq(copy_read(&copy).failure, FAILURE_NONE);
    return copy;
}

Test(backup, every_flipped_bit_is_found, .timeout = 300) {
    struct copy copy = small_copy();
    for (size_t index = 0; index < copy.size; index++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            copy.bytes[index] = (uint8_t)(copy.bytes[index] ^ (1u << bit));
            cr_assert(is_refused(&copy), "byte %zu, bit %u", index, bit);
            copy.bytes[index] = (uint8_t)(copy.bytes[index] ^ (1u << bit));
        }
    }
    cr_assert_eq(copy_read(&copy).failure, FAILURE_NONE);
    copy_free(&copy);
}

Test(backup, flipped_bits_of_a_large_one_are_found, .timeout = 300) {
    struct random random = random_start("backup_test");
    cr_assert_eq(stores_append(store, 1, 20000, 200).failure, FAILURE_NONE);
    struct copy copy = backup_take(NULL);
    for (uint32_t round = 0; round < 200; round++) {
        const size_t index = (size_t)random_below(&random, copy.size);
        const uint8_t mask = (uint8_t)(1u << random_below(&random, 8));
        copy.bytes[index] ^= mask;
        cr_assert(is_refused(&copy), "byte %zu, mask %u", index, mask);
        copy.bytes[index] ^= mask;
    }
    copy_free(&copy);
}

Test(backup, every_length_but_its_own_is_found, .timeout = 300) {
    struct copy copy = small_copy();
    uint8_t *bytes = malloc(copy.size);
    cr_assert_not_null(bytes);
    memcpy(bytes, copy.bytes, copy.size);
    munmap(copy.bytes, copy.size);
    for (size_t size = 0; size < copy.size; size++) {
        cr_assert_eq(ftruncate(copy.descriptor, (off_t)size), 0);
        cr_assert(is_refused(&copy), "%zu bytes", size);
        cr_assert_eq(pwrite(copy.descriptor, bytes + size, 1, (off_t)size), 1);
    }
    cr_assert_eq(copy_read(&copy).failure, FAILURE_NONE);
    cr_assert_eq(pwrite(copy.descriptor, "", 1, (off_t)copy.size), 1);
    cr_assert(is_refused(&copy), "a byte more");
    free(bytes);
    close(copy.descriptor);
}

/* A frame that was left out leaves every checksum of the others right. */
Test(backup, an_event_that_is_left_out_is_found) {
    struct copy copy = small_copy();
    const struct bytes first = stores_record(2, 20);
    const struct bytes second = stores_record(3, 20);
    uint8_t *begin = memmem(copy.bytes, copy.size, first.data, first.size);
    uint8_t *end = memmem(copy.bytes, copy.size, second.data, second.size);
    cr_assert(begin != NULL && end > begin);
    const size_t gone = (size_t)(end - begin);
    begin -= BACKUP_FRAME_HEAD_BYTES;
    end -= BACKUP_FRAME_HEAD_BYTES;
    memmove(begin, end, copy.size - (size_t)(end - copy.bytes));
    cr_assert_eq(ftruncate(copy.descriptor, (off_t)(copy.size - gone)), 0);
    cr_assert(is_refused(&copy));
    stores_record_free(first);
    stores_record_free(second);
    copy_free(&copy);
}

Test(backup, a_store_that_is_damaged_has_none) {
    cr_assert_eq(stores_append(store, 1, 10, 100).failure, FAILURE_NONE);
    const struct temporary_path path = temporary_path(&directory, "data/log/data.mdb");
    const struct bytes record = stores_record(7, 100);
    size_t size;
    uint8_t *whole = temporary_file_read(path.text, &size);
    uint8_t *found = memmem(whole, size, record.data, record.size);
    cr_assert_not_null(found);
    FILE *file = fopen(path.text, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, found - whole + 50, SEEK_SET), 0);
    cr_assert_neq(fputc(found[50] ^ 1, file), EOF);
    cr_assert_eq(fclose(file), 0);
    struct backup *backup;
    struct bytes part;
    cr_assert_eq(backup_begin(store, &backup).failure, FAILURE_NONE);
    cr_assert_eq(backup_next(backup, &part).failure, FAILURE_CORRUPT);
    cr_assert_eq(backup_position(backup), 6);
    backup_end(backup);
    free(whole);
    stores_record_free(record);
}

/* --- Restores that fail leave nothing. ---------------------------------------------------------------------------- */

Test(backup, a_damaged_one_leaves_no_directory) {
    struct restored restored;
    struct problem problem;
    struct copy copy = small_copy();
    copy.bytes[copy.size - 1] ^= 1;
    cr_assert_eq(copy_restore(&copy, "restored", &restored, &problem).failure, FAILURE_CORRUPT);
    cr_assert_not_null(strstr(problem.text, "at byte "));
    cr_assert_neq(access(temporary_path(&directory, "restored").text, F_OK), 0);
    /* A directory that was there stays, empty: it may be a mount. */
    const struct temporary_path path = temporary_path(&directory, "mount");
    cr_assert_eq(mkdir(path.text, 0750), 0);
    cr_assert_eq(copy_restore(&copy, "mount", &restored, &problem).failure, FAILURE_CORRUPT);
    cr_assert_eq(rmdir(path.text), 0, "it is not empty");
    copy_free(&copy);
}

Test(backup, a_directory_with_a_store_is_refused_and_stays) {
    struct restored restored;
    struct problem problem;
    struct copy copy = small_copy();
    expect_restored(&copy, "restored", 5, 2);
    cr_assert_eq(copy_restore(&copy, "restored", &restored, &problem).failure, FAILURE_INPUT);
    expect_equal("restored", 5, 2);
    cr_assert_eq(copy_restore(&copy, "data", &restored, &problem).failure, FAILURE_BUSY);
    cr_assert_eq(mkdir(temporary_path(&directory, "other").text, 0750), 0);
    temporary_file_write(temporary_path(&directory, "other/letter").text, "x", 1);
    cr_assert_eq(copy_restore(&copy, "other", &restored, &problem).failure, FAILURE_INPUT);
    cr_assert_eq(access(temporary_path(&directory, "other/letter").text, F_OK), 0);
    copy_free(&copy);
}

/* What a restore that was killed has left is no store and no obstacle. */
Test(backup, an_interrupted_one_is_begun_anew) {
    struct problem problem;
    struct store *none;
    struct copy copy = small_copy();
    cr_assert_eq(mkdir(temporary_path(&directory, "restored").text, 0750), 0);
    store_close(stores_open(temporary_path(&directory, "restored/restore.new").text));
    const struct temporary_path path = temporary_path(&directory, "restored");
    const struct store_options options = {.directory = path.text, .map_bytes = STORES_MAP_BYTES};
    cr_assert_eq(store_open(&options, &none, &problem).failure, FAILURE_FORMAT, "no daemon begins a store there");
    cr_assert_not_null(strstr(problem.text, "restore.new"));
    expect_restored(&copy, "restored", 5, 2);
    copy_free(&copy);
}

/* Nor what one has left that was killed between its two moves: a log that has no FORMAT yet. */
Test(backup, one_interrupted_between_its_moves_is_begun_anew) {
    struct problem problem;
    struct store *none;
    struct copy copy = small_copy();
    expect_restored(&copy, "restored", 5, 2);
    cr_assert_eq(mkdir(temporary_path(&directory, "restored/restore.new").text, 0750), 0);
    cr_assert_eq(rename(temporary_path(&directory, "restored/FORMAT").text,
                        temporary_path(&directory, "restored/restore.new/FORMAT").text),
                 0);
    const struct temporary_path path = temporary_path(&directory, "restored");
    const struct store_options options = {.directory = path.text, .map_bytes = STORES_MAP_BYTES};
    cr_assert_neq(store_open(&options, &none, &problem).failure, FAILURE_NONE, "no daemon serves what is not whole");
    expect_restored(&copy, "restored", 5, 2);
    copy_free(&copy);
}
