/* The memory of messages: large buffers come back, and outlive the feed when they must. */
#include <criterion/criterion.h>
#include <string.h>

#include "service/base/limits.h"
#include "service/feed/buffers.h"

static struct buffers *buffers;

static void setup(void) {
    cr_assert_eq(buffers_new(&buffers).failure, FAILURE_NONE);
}

TestSuite(buffers, .init = setup);

static struct buffer *take(size_t capacity) {
    struct buffer *buffer;
    cr_assert_eq(buffer_take(buffers, capacity, &buffer).failure, FAILURE_NONE);
    cr_assert_geq(buffer->capacity, capacity);
    memset(buffer->data, 0xa5, buffer->capacity); /* A sanitizer sees a capacity that is not there. */
    return buffer;
}

Test(buffers, small_messages_take_little) {
    struct buffer *buffer = take(100);
    cr_assert_leq(buffer->capacity, KIB(1));
    buffer_give(buffer);
    buffer = take(KIB(20));
    cr_assert_leq(buffer->capacity, KIB(32));
    buffer_give(buffer);
    buffers_unref(buffers);
}

Test(buffers, a_large_one_is_used_again) {
    struct buffer *first = take(CHUNK_BYTES_TARGET);
    struct buffer *second = take(CHUNK_BYTES_TARGET);
    cr_assert_neq(first, second);
    buffer_give(first);
    cr_assert_eq(take(CHUNK_BYTES_TARGET / 2), first);
    buffer_give(first);
    buffer_give(second);
    buffers_unref(buffers);
}

Test(buffers, one_beyond_every_message_is_made_and_freed) {
    buffer_give(take(MIB(9)));
    buffer_give(NULL);
    buffers_unref(buffers);
}

Test(buffers, what_is_out_outlives_the_feed) {
    struct buffer *large = take(CHUNK_BYTES_TARGET);
    struct buffer *small = take(1);
    buffer_give(take(CHUNK_BYTES_TARGET));
    cr_assert_null(buffers_unref(buffers));
    buffer_give(large);
    buffer_give(small);
    cr_assert_null(buffers_unref(NULL));
}
