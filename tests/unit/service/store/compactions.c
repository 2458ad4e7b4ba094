#include "tests/unit/service/store/compactions.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/stores.h"

void history_free(struct history *history) {
    free(history->payloads);
    *history = (struct history){0};
}

void history_append(struct history *history, struct store *store, uint64_t count, size_t payload_bytes) {
    const uint64_t first = history->position_last + 1;
    cr_assert_eq(stores_append(store, first, first + count - 1, payload_bytes).failure, FAILURE_NONE);
    history->position_last += count;
    if (history->position_last >= history->capacity) {
        history->capacity = 2 * (history->position_last + 1);
        history->payloads = reallocarray(history->payloads, history->capacity, sizeof *history->payloads);
        cr_assert_not_null(history->payloads);
    }
    for (uint64_t position = first; position <= history->position_last; position++) {
        history->payloads[position] = payload_bytes;
    }
}

void history_rewrite(struct history *history, struct store *store, uint64_t first, uint64_t last, uint64_t stride,
                     size_t payload_bytes) {
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    for (uint64_t position = first; position <= last; position += stride) {
        const struct bytes record = stores_record(position, payload_bytes);
        cr_assert_eq(store_rewrite(store, position, record).failure, FAILURE_NONE);
        stores_record_free(record);
        history->payloads[position] = payload_bytes;
    }
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

static struct bytes consumer_name(uint64_t number, char text[32]) {
    const int size = snprintf(text, 32, "consumer-%lu", (unsigned long)number);
    return bytes_of(text, (size_t)size);
}

void history_rows(struct history *history, struct store *store, uint64_t count, uint64_t offset) {
    char text[32];
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    for (uint64_t number = 0; number < count; number++) {
        const struct checkpoint checkpoint = {
            .consumer = consumer_name(number, text), .position = number + offset, .recorded_ns = 1};
        const struct stream_row row = {.state = STREAM_DELETED, .first_revision = number + offset};
        cr_assert_eq(store_checkpoint_put(store, &checkpoint).failure, FAILURE_NONE);
        cr_assert_eq(store_stream_put(store, checkpoint.consumer, &row).failure, FAILURE_NONE);
    }
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
    if (history->rows_count < count) history->rows_count = count;
}

static void rows_expect(const struct history *history, struct store_reader *reader, uint64_t offset) {
    struct checkpoint checkpoint = {.consumer = bytes_of("", 0)};
    char text[32];
    uint64_t count = 0;
    while (store_reader_checkpoint_after(reader, checkpoint.consumer, &checkpoint).failure == FAILURE_NONE) count++;
    cr_assert_eq(count, history->rows_count);
    struct bytes stream = bytes_of("", 0);
    struct stream_row row;
    for (count = 0; store_reader_stream_after(reader, stream, &stream, &row).failure == FAILURE_NONE; count++) {
    }
    cr_assert_eq(count, history->rows_count);
    for (uint64_t number = 0; number < history->rows_count; number++) {
        cr_assert_eq(store_reader_checkpoint(reader, consumer_name(number, text), &checkpoint).failure, FAILURE_NONE);
        cr_assert_eq(checkpoint.position, number + offset);
        cr_assert_eq(store_reader_stream(reader, checkpoint.consumer, &row).failure, FAILURE_NONE);
        cr_assert_eq(row.first_revision, number + offset);
    }
}

void history_expect(const struct history *history, struct store *store, uint64_t offset) {
    struct store_reader *reader;
    uint64_t position_last;
    struct bytes found;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, &position_last).failure, FAILURE_NONE);
    cr_assert_eq(position_last, history->position_last);
    cr_assert_eq(store_position_last(store), history->position_last);
    for (uint64_t position = 1; position <= position_last; position++) {
        const struct bytes expected = stores_record(position, history->payloads[position]);
        cr_assert_eq(store_reader_get(reader, position, &found).failure, FAILURE_NONE);
        cr_assert(bytes_equal(found, expected), "position %lu", (unsigned long)position);
        stores_record_free(expected);
    }
    rows_expect(history, reader, offset);
    store_reader_end(reader);
    store_reader_close(reader);
}

struct compaction *compactions_begin(struct store *store) {
    struct compaction *compaction = NULL;
    struct problem problem = {0};
    cr_assert_eq(compaction_begin(store, &compaction, &problem).failure, FAILURE_NONE, "%s", problem.text);
    return compaction;
}

void compactions_step_until_ready(struct compaction *compaction) {
    bool is_ready = false;
    while (!is_ready) cr_assert_eq(compaction_step(compaction, &is_ready).failure, FAILURE_NONE);
}

struct compaction_progress compactions_run(struct store *store) {
    struct compaction *compaction = compactions_begin(store);
    bool is_switched = false;
    compactions_step_until_ready(compaction);
    cr_assert_eq(compaction_switch(compaction, &is_switched).failure, FAILURE_NONE);
    cr_assert(is_switched);
    cr_assert(compaction_log_is_known(compaction));
    const struct compaction_progress progress = compaction_progress(compaction);
    cr_assert_null(compaction_end(compaction));
    return progress;
}

uint32_t compactions_removed_files_open(void) {
    uint32_t count = 0;
    DIR *descriptors = opendir("/proc/self/fd");
    cr_assert_not_null(descriptors);
    for (const struct dirent *entry = readdir(descriptors); entry != NULL; entry = readdir(descriptors)) {
        char path[300];
        char target[4096] = {0};
        (void)snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "data.mdb (deleted)") != NULL) count++;
    }
    closedir(descriptors);
    return count;
}
