/* GetStats: what the figures are after what has been done. */
#include <criterion/criterion.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/api/append_streams.h"
#include "service/base/limits.h"
#include "tests/unit/service/api/rooms.h"

TestSuite(stats, .init = rooms_open, .fini = rooms_close);

static const daybook_v1_GetStatsResponse *stats_get(void) {
    const daybook_v1_GetStatsResponse *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = ROOMS_PATIENCE_MS};
    cr_assert(daybook_v1_Admin_GetStats(rooms.client, daybook_v1_GetStatsRequest_new(rooms.arena), &options,
                                        rooms.arena, &response, &status),
              "%s", status.message);
    return response;
}

Test(stats, an_empty_store_has_an_identity_and_no_events) {
    const daybook_v1_GetStatsResponse *stats = stats_get();
    cr_assert(answer_text_is(daybook_v1_GetStatsResponse_store_id(stats), rooms.api.store_id));
    cr_assert(answer_text_is(daybook_v1_GetStatsResponse_version(stats), ROOMS_VERSION));
    const google_protobuf_Timestamp *started_at = daybook_v1_GetStatsResponse_started_at(stats);
    cr_assert_not_null(started_at);
    cr_assert_eq(google_protobuf_Timestamp_seconds(started_at), 1700000000);
    cr_assert_eq(google_protobuf_Timestamp_nanos(started_at), 123456789);
    cr_assert_eq(daybook_v1_GetStatsResponse_head(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_index_tail_events_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_events_appended_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_events_read_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_subscriptions_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_queue_requests_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_queue_rejected_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_calls_open_count(stats), 1, "the one that asks");
    cr_assert_eq(daybook_v1_GetStatsResponse_calls_open_bytes(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_calls_refused_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_answers_given_up_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_append_many_bytes(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_append_many_refused_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_connections_refused_count(stats), 0);
}

static uint64_t seven(void) {
    return 7;
}

Test(stats, connections_are_counted_by_whoever_accepts_them) {
    rooms.api.connections_refused = seven;
    cr_assert_eq(daybook_v1_GetStatsResponse_connections_refused_count(stats_get()), 7);
}

Test(stats, what_append_many_holds_and_refuses_is_told) {
    append_streams_hold(rooms.append_streams, (int64_t)APPEND_STREAMS_BYTES_MAX);
    cr_assert_not(append_streams_admit(rooms.append_streams, MIB(1)));
    const daybook_v1_GetStatsResponse *stats = stats_get();
    cr_assert_eq(daybook_v1_GetStatsResponse_append_many_bytes(stats), APPEND_STREAMS_BYTES_MAX);
    cr_assert_eq(daybook_v1_GetStatsResponse_append_many_refused_count(stats), 1);
    append_streams_hold(rooms.append_streams, -(int64_t)APPEND_STREAMS_BYTES_MAX);
}

Test(stats, appends_and_reads_are_counted) {
    const uint64_t log_bytes = daybook_v1_GetStatsResponse_log_bytes(stats_get());
    for (int index = 0; index < 100; index++) rooms_append_one("orders", "Sold");
    size_t count;
    (void)rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    const daybook_v1_GetStatsResponse *stats = stats_get();
    cr_assert_eq(daybook_v1_GetStatsResponse_head(stats), 100);
    cr_assert_eq(daybook_v1_GetStatsResponse_events_appended_count(stats), 100);
    cr_assert_eq(daybook_v1_GetStatsResponse_events_read_count(stats), 100);
    cr_assert_eq(daybook_v1_GetStatsResponse_indexed_position(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_index_runs_count(stats), 0);
    cr_assert_eq(daybook_v1_GetStatsResponse_index_tail_events_count(stats), 100);
    cr_assert_eq(daybook_v1_GetStatsResponse_index_waits_count(stats), 0);
    cr_assert_gt(daybook_v1_GetStatsResponse_index_bytes(stats), 0);
    cr_assert_gt(daybook_v1_GetStatsResponse_log_bytes(stats), log_bytes);
}

Test(stats, open_subscriptions_are_counted) {
    daybook_status status;
    daybook_v1_EventStore_Subscribe_stream *stream =
        daybook_v1_EventStore_Subscribe_open(rooms.client, daybook_v1_SubscribeRequest_new(rooms.arena), NULL, &status);
    cr_assert_not_null(stream, "%s", status.message);
    const daybook_v1_SubscribeResponse *response;
    cr_assert_eq(daybook_v1_EventStore_Subscribe_next(stream, ROOMS_PATIENCE_MS, &response, &status),
                 DAYBOOK_NEXT_MESSAGE);
    cr_assert_eq(daybook_v1_GetStatsResponse_subscriptions_count(stats_get()), 1);
    daybook_v1_EventStore_Subscribe_close(stream);
}
