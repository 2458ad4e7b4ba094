/* The bytes of responses: framed records, then the fields behind them, as event_store.proto has them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/limits.h"
#include "service/feed/message.h"

static struct buffers *buffers;
static struct message message;

static void setup(void) {
    cr_assert_eq(buffers_new(&buffers).failure, FAILURE_NONE);
    message_init(&message, buffers);
}

static void teardown(void) {
    message_deinit(&message);
    buffers_unref(buffers);
}

TestSuite(message, .init = setup, .fini = teardown);

static void expect_taken(const char *bytes, size_t size) {
    struct feed_message taken = message_take(&message);
    cr_assert_eq(taken.size, size);
    cr_assert_eq(memcmp(taken.data, bytes, size), 0);
    taken.release(taken.context);
    cr_assert_eq(message.size, 0);
}

Test(message, a_read_response_has_its_records_and_the_head) {
    cr_assert_eq(message_add_record(&message, bytes_of_text("one")).failure, FAILURE_NONE);
    cr_assert_eq(message_add_record(&message, bytes_of_text("other")).failure, FAILURE_NONE);
    cr_assert_eq(message_end_read(&message, 300).failure, FAILURE_NONE);
    cr_assert_eq(message.events_count, 2);
    expect_taken("\x0a\x03one\x0a\x05other\x10\xac\x02", 15);
}

Test(message, a_subscribe_response_has_its_marks) {
    const struct subscription_marks marks = {
        .position = 1, .head = 2, .caught_up = true, .fell_behind = true, .heartbeat = true, .append_continues = true};
    cr_assert_eq(message_end_subscribe(&message, &marks).failure, FAILURE_NONE);
    expect_taken("\x10\x01\x18\x02\x20\x01\x28\x01\x30\x01\x38\x01", 12);
}

Test(message, zero_and_false_are_not_encoded) {
    const struct subscription_marks marks = {.head = 5};
    cr_assert_eq(message_end_subscribe(&message, &marks).failure, FAILURE_NONE);
    expect_taken("\x18\x05", 2);
    cr_assert_eq(message_end_read(&message, 0).failure, FAILURE_NONE);
    expect_taken("", 0);
}

Test(message, the_largest_number_has_ten_bytes) {
    cr_assert_eq(message_end_read(&message, UINT64_MAX).failure, FAILURE_NONE);
    expect_taken("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
}

Test(message, grows_over_every_size_of_buffer) {
    uint8_t record[1000];
    memset(record, 'x', sizeof record);
    const size_t count = (CHUNK_BYTES_TARGET + MIB(1)) / sizeof record;
    for (size_t index = 0; index < count; index++) {
        record[0] = (uint8_t)index;
        cr_assert_eq(message_add_record(&message, bytes_of(record, sizeof record)).failure, FAILURE_NONE);
    }
    struct feed_message taken = message_take(&message);
    const uint8_t *at = taken.data;
    cr_assert_eq(taken.size, count * (sizeof record + 3));
    for (size_t index = 0; index < count; index++, at += sizeof record + 3) {
        cr_assert_eq(memcmp(at, "\x0a\xe8\x07", 3), 0);
        cr_assert_eq(at[3], (uint8_t)index);
    }
    taken.release(taken.context);
}
