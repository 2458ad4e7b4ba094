/* Reindex: its progress, its refusals, and what ends it. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/feed/feed.h"
#include "service/store/index_rebuild.h"
#include "tests/unit/service/api/rooms.h"

TestSuite(reindex, .init = rooms_open, .fini = rooms_close);

static struct answer refusal(void) {
    return rooms_stream_end(METHOD_REINDEX, upb_StringView_FromDataAndSize(NULL, 0));
}

/* Runs to the end, which must be the head. */
static void reindex_all(uint64_t head) {
    daybook_status status;
    daybook_v1_Admin_Reindex_stream *stream =
        daybook_v1_Admin_Reindex_open(rooms.client, daybook_v1_ReindexRequest_new(rooms.arena), NULL, &status);
    cr_assert_not_null(stream, "%s", status.message);
    const daybook_v1_ReindexResponse *response;
    uint64_t position = 0;
    uint32_t count = 0;
    daybook_next next;
    while ((next = daybook_v1_Admin_Reindex_next(stream, ROOMS_PATIENCE_MS, &response, &status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        cr_assert_geq(daybook_v1_ReindexResponse_position(response), position);
        cr_assert_eq(daybook_v1_ReindexResponse_head(response), head);
        position = daybook_v1_ReindexResponse_position(response);
        count++;
    }
    cr_assert_eq(next, DAYBOOK_NEXT_END, "%s", status.message);
    cr_assert_eq(position, head);
    cr_assert_geq(count, 2); /* where it began, and where it ended */
    daybook_v1_Admin_Reindex_close(stream);
}

static void expect_stream(const char *name, size_t expected_count) {
    size_t count;
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(rooms.arena);
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString(name));
    (void)rooms_read(request, &count);
    cr_assert_eq(count, expected_count);
}

Test(reindex, an_empty_store_is_done_at_once) {
    reindex_all(0);
    cr_assert_eq(rooms_append_one("orders", "Sold"), 1);
    expect_stream("orders", 1);
}

Test(reindex, progress_ends_at_the_head_and_streams_are_as_before) {
    for (int index = 0; index < 50; index++) rooms_append_one(index % 2 == 0 ? "orders" : "invoices", "Sold");
    reindex_all(50);
    expect_stream("orders", 25);
    rooms_append_one("orders", "Sold");
    reindex_all(51);
    expect_stream("orders", 26);
}

Test(reindex, a_second_one_is_refused_while_one_is_going_on) {
    struct index_rebuild *rebuild;
    struct problem problem;
    cr_assert_not(failed(index_rebuild_begin(rooms.index, rooms.store, &rebuild, &problem)));
    struct answer answer = refusal();
    answer_expect(&answer, DAYBOOK_ABORTED, "OPERATION_RUNNING");
    cr_assert_gt(answer_retry_ms(&answer), 0);
    answer_free(&answer);
    index_rebuild_end(rebuild);
    reindex_all(0);
}

Test(reindex, a_daemon_that_drains_ends_it) {
    feed_drain(rooms.feed);
    struct answer answer = refusal();
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    answer_free(&answer);
}
