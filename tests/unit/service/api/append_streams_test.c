/* Who hears that the daemon drains, and how much of the memory that all streams share each may take. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "service/api/append_streams.h"
#include "service/base/limits.h"
#include "service/feed/buffers.h"

static struct append_streams *streams;

static void setup(void) {
    cr_assert_not(failed(append_streams_new(&streams)));
}

static void teardown(void) {
    cr_assert_null(append_streams_free(streams));
}

TestSuite(append_streams, .init = setup, .fini = teardown);

struct counting {
    struct append_member member; /* first: it is what is told */
    uint32_t drained_count;
};

static void count_drain(struct append_member *member) {
    ((struct counting *)(void *)member)->drained_count++;
}

static struct counting member_new(void) {
    return (struct counting){.member.drain = count_drain};
}

Test(append_streams, a_drain_is_told_once_to_those_who_are_there) {
    struct counting members[4];
    for (uint32_t index = 0; index < 4; index++) {
        members[index] = member_new();
        cr_assert_not(failed(append_streams_enter(streams, &members[index].member)));
    }
    append_streams_leave(streams, &members[2].member);
    append_streams_drain(streams);
    append_streams_drain(streams);
    for (uint32_t index = 0; index < 4; index++) cr_assert_eq(members[index].drained_count, index == 2 ? 0 : 1);
    append_streams_leave(streams, &members[0].member);
    append_streams_leave(streams, &members[3].member);
    append_streams_leave(streams, &members[1].member);
}

Test(append_streams, nobody_enters_after_the_drain) {
    struct counting late = member_new();
    append_streams_drain(streams);
    cr_assert_eq(append_streams_enter(streams, &late.member).failure, FAILURE_STOPPED);
    cr_assert_eq(late.drained_count, 0);
}

Test(append_streams, who_has_left_may_enter_again) {
    struct counting member = member_new();
    for (uint32_t round = 0; round < 3; round++) {
        cr_assert_not(failed(append_streams_enter(streams, &member.member)));
        append_streams_leave(streams, &member.member);
    }
}

/* --- Memory ------------------------------------------------------------------------------------------------------------ */

static uint64_t held_bytes(void) {
    return append_streams_count(streams).held_bytes;
}

Test(append_streams, windows_are_whole_until_half_of_the_memory_is_held) {
    cr_assert_eq(append_streams_window_bytes(streams), APPEND_MANY_BYTES_MAX);
    append_streams_hold(streams, (int64_t)APPEND_STREAMS_BYTES_MAX / 2);
    cr_assert_eq(append_streams_window_bytes(streams), APPEND_MANY_BYTES_MAX);
    append_streams_hold(streams, (int64_t)APPEND_STREAMS_BYTES_MAX / 4);
    cr_assert_eq(append_streams_window_bytes(streams), APPEND_MANY_BYTES_MAX / 2);
    append_streams_hold(streams, (int64_t)APPEND_STREAMS_BYTES_MAX / 4);
    cr_assert_eq(append_streams_window_bytes(streams), 0);
    append_streams_hold(streams, 1);
    cr_assert_eq(append_streams_window_bytes(streams), 0);
    append_streams_hold(streams, -(int64_t)held_bytes());
}

/* Streams that fill their windows and never give anything back: what they hold stays below the bound, and the next one finds
 * as large a window as they have. */
Test(append_streams, any_number_of_greedy_streams_leaves_a_window) {
    enum { STREAMS_COUNT = 1000, STEP_BYTES = 16384, WINDOW_BYTES_MIN = 1 << 18 };
    static uint64_t held[STREAMS_COUNT];
    for (bool goes_on = true; goes_on;) {
        goes_on = false;
        for (uint32_t index = 0; index < STREAMS_COUNT; index++) {
            if (held[index] >= append_streams_window_bytes(streams)) continue;
            held[index] += STEP_BYTES;
            append_streams_hold(streams, STEP_BYTES);
            goes_on = true;
        }
    }
    cr_assert_leq(held_bytes(), APPEND_STREAMS_BYTES_MAX);
    cr_assert_geq(append_streams_window_bytes(streams), WINDOW_BYTES_MIN - STEP_BYTES);
    append_streams_hold(streams, -(int64_t)held_bytes());
}

Test(append_streams, a_request_without_room_is_refused_unless_it_is_small) {
    append_streams_hold(streams, (int64_t)(APPEND_STREAMS_BYTES_MAX - MIB(1)));
    cr_assert(append_streams_admit(streams, MIB(1)));
    cr_assert_eq(append_streams_count(streams).refused_count, 0);
    cr_assert_not(append_streams_admit(streams, MIB(1) + 1));
    append_streams_hold(streams, (int64_t)MIB(2));
    cr_assert_not(append_streams_admit(streams, APPEND_SLOT_BYTES + 1));
    cr_assert(append_streams_admit(streams, APPEND_SLOT_BYTES));
    cr_assert_eq(append_streams_count(streams).refused_count, 2);
    append_streams_hold(streams, -(int64_t)held_bytes());
}

Test(append_streams, answers_that_are_not_taken_count) {
    struct buffer *buffer = NULL;
    cr_assert_not(failed(buffer_take(append_streams_buffers(streams), KIB(64), &buffer)));
    cr_assert_eq(held_bytes(), KIB(64));
    buffer_give(buffer);
    cr_assert_eq(held_bytes(), 0);
}

Test(append_streams, nothing_is_no_streams) {
    cr_assert_null(append_streams_free(NULL));
}
