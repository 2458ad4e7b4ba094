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
    cr_assert_leq(buffer->capacity, KIB(64));
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

/* The address sanitizer is to see whoever uses a message after its release: there small ones are not kept. */
#ifndef __SANITIZE_ADDRESS__
Test(buffers, small_ones_are_used_again_by_their_size) {
    static const size_t capacities[] = {KIB(1), KIB(8), KIB(64)};
    struct buffer *buffers_taken[3];
    for (size_t index = 0; index < 3; index++) buffers_taken[index] = take(capacities[index]);
    for (size_t index = 0; index < 3; index++) buffer_give(buffers_taken[index]);
    for (size_t index = 0; index < 3; index++) cr_assert_eq(take(capacities[index] / 2), buffers_taken[index]);
    for (size_t index = 0; index < 3; index++) buffer_give(buffers_taken[index]);
    buffers_unref(buffers);
}
#endif

Test(buffers, no_more_are_kept_than_may_be) {
    enum { COUNT = 3 * FREE_SMALL_BUFFERS_COUNT_MAX };
    static struct buffer *taken[COUNT];
    for (size_t index = 0; index < COUNT; index++) taken[index] = take(1);
    for (size_t index = 0; index < COUNT; index++) buffer_give(taken[index]);
    buffers_unref(buffers); /* A leak would show here. */
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
