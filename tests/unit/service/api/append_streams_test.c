/* Who hears that the daemon drains. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "service/api/append_streams.h"

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

Test(append_streams, nothing_is_no_streams) {
    cr_assert_null(append_streams_free(NULL));
}
