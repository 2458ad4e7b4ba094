/* Wrong bytes on disk: each of them is found before anybody gets the record. The damage is done to the file under an
 * open store, whose map shows it at once. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/record/record.h"
#include "service/store/store.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define RECORDS_COUNT 5
#define PAYLOAD_BYTES 150

/* LMDB 0.9 has these in front of a key: the low and the high half of the value's length, flags, the key's length. */
#define NODE_HEADER_BYTES 8
#define KEY_BYTES         8

static struct temporary_directory directory;
static struct store *store;
static struct store_reader *reader;
static struct bytes record;
static int file;
static off_t offset;

/* Finds the record of the third position in the file. */
static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, RECORDS_COUNT, PAYLOAD_BYTES).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    record = stores_record(3, PAYLOAD_BYTES);
    const struct temporary_path path = temporary_path(&directory, "log/data.mdb");
    size_t size = 0;
    uint8_t *whole = temporary_file_read(path.text, &size);
    const uint8_t *found = memmem(whole, size, record.data, record.size);
    cr_assert_not_null(found);
    cr_assert_null(memmem(found + 1, size - (size_t)(found + 1 - whole), record.data, record.size), "one copy only");
    offset = found - whole;
    free(whole);
    file = open(path.text, O_RDWR | O_CLOEXEC);
    cr_assert_geq(file, 0);
}

static void teardown(void) {
    close(file);
    stores_record_free(record);
    store_reader_close(reader);
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(reader_damage, .init = setup, .fini = teardown);

static enum failure get(uint64_t position) {
    struct bytes found;
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    const result outcome = store_reader_get(reader, position, &found);
    store_reader_end(reader);
    return outcome.failure;
}

static void put(off_t at, const void *bytes, size_t size) {
    cr_assert_eq(pwrite(file, bytes, size, at), (ssize_t)size);
}

Test(reader_damage, every_bit_of_a_record_and_of_its_checksum_counts) {
    uint8_t stored[1024];
    const size_t size = record.size + RECORD_CHECKSUM_BYTES;
    cr_assert_eq(pread(file, stored, size, offset), (ssize_t)size);
    for (size_t index = 0; index < size; index++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            const uint8_t damaged = (uint8_t)(stored[index] ^ (1u << bit));
            put(offset + (off_t)index, &damaged, 1);
            cr_assert_eq(get(3), FAILURE_CORRUPT, "byte %zu, bit %u", index, bit);
        }
        put(offset + (off_t)index, &stored[index], 1);
    }
    for (uint64_t position = 1; position <= RECORDS_COUNT; position++) cr_assert_eq(get(position), FAILURE_NONE);
}

Test(reader_damage, every_other_length_is_found) {
    const off_t header = offset - KEY_BYTES - NODE_HEADER_BYTES;
    const uint16_t size = (uint16_t)(record.size + RECORD_CHECKSUM_BYTES);
    uint16_t lengths[2];
    cr_assert_eq(pread(file, lengths, sizeof lengths, header), (ssize_t)sizeof lengths);
    cr_assert(lengths[0] == size && lengths[1] == 0, "LMDB's node is not where this test looks for it");
    for (uint32_t length = 0; length <= UINT16_MAX; length++) {
        if (length == size) continue;
        const uint16_t damaged = (uint16_t)length;
        put(header, &damaged, sizeof damaged);
        cr_assert_eq(get(3), FAILURE_CORRUPT, "length %u", length);
    }
    put(header, &size, sizeof size);
    for (uint32_t high = 1; high <= UINT16_MAX; high += 97) {
        const uint16_t damaged = (uint16_t)high;
        put(header + 2, &damaged, sizeof damaged);
        cr_assert_eq(get(3), FAILURE_CORRUPT, "length %u", high << 16);
    }
}

Test(reader_damage, a_sound_record_in_the_wrong_place_is_found) {
    const struct bytes other = stores_record(4, PAYLOAD_BYTES);
    uint8_t stored[1024];
    const size_t size = other.size + RECORD_CHECKSUM_BYTES;
    cr_assert_eq(other.size, record.size);
    /* Record 4 lies before record 3 in the page: values grow downwards. */
    const struct temporary_path path = temporary_path(&directory, "log/data.mdb");
    size_t whole_size = 0;
    uint8_t *whole = temporary_file_read(path.text, &whole_size);
    const uint8_t *found = memmem(whole, whole_size, other.data, other.size);
    cr_assert_not_null(found);
    memcpy(stored, found, size);
    free(whole);
    put(offset, stored, size);
    cr_assert_eq(get(4), FAILURE_NONE);
    cr_assert_eq(get(3), FAILURE_CORRUPT);
    stores_record_free(other);
}

Test(reader_damage, random_damage_of_many_bytes_is_found) {
    struct random random = random_start("reader_damage");
    uint8_t stored[1024];
    uint8_t damaged[1024];
    const size_t size = record.size + RECORD_CHECKSUM_BYTES;
    cr_assert_eq(pread(file, stored, size, offset), (ssize_t)size);
    for (uint32_t round = 0; round < 20000; round++) {
        memcpy(damaged, stored, size);
        const size_t first = random_below(&random, size);
        random_fill(&random, damaged + first, 1 + random_below(&random, size - first));
        if (memcmp(damaged, stored, size) == 0) continue;
        put(offset, damaged, size);
        cr_assert_eq(get(3), FAILURE_CORRUPT);
    }
}
