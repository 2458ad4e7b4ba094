/* GetStats: the figures of the rooms below, each as it is at the moment it is asked for. */
#include "google/protobuf/timestamp.upb.h"
#include "service/api/api.h"
#include "service/api/append_streams.h"
#include "service/api/errors.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/retention/retention.h"
#include "service/store/index_names.h"
#include "service/store/store.h"

#define NANOSECONDS_PER_SECOND 1000000000

static bool daemon_fill(const struct api *api, daybook_v1_GetStatsResponse *response, upb_Arena *arena) {
    google_protobuf_Timestamp *started_at = daybook_v1_GetStatsResponse_mutable_started_at(response, arena);
    if (started_at == NULL) return false;
    google_protobuf_Timestamp_set_seconds(started_at, api->started_ns / NANOSECONDS_PER_SECOND);
    google_protobuf_Timestamp_set_nanos(started_at, (int32_t)(api->started_ns % NANOSECONDS_PER_SECOND));
    daybook_v1_GetStatsResponse_set_store_id(response, upb_StringView_FromString(api->store_id));
    daybook_v1_GetStatsResponse_set_version(response, upb_StringView_FromString(api->version));
    return true;
}

static void index_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    const struct index_counts counts = index_count(api->index);
    daybook_v1_GetStatsResponse_set_indexed_position(response, counts.position);
    daybook_v1_GetStatsResponse_set_index_bytes(response, counts.used_bytes);
    daybook_v1_GetStatsResponse_set_index_runs_count(response, counts.runs_count);
    daybook_v1_GetStatsResponse_set_index_tail_events_count(response, counts.tail_events_count);
    daybook_v1_GetStatsResponse_set_index_waits_count(response, counts.waits_count);
    daybook_v1_GetStatsResponse_set_names_position(response, index_names_count(api->index).position);
}

static void sequencer_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    const struct sequencer_counts counts = sequencer_count(api->sequencer);
    daybook_v1_GetStatsResponse_set_queue_requests_count(response, counts.queue_requests_count);
    daybook_v1_GetStatsResponse_set_queue_rejected_count(response, counts.requests_rejected);
    daybook_v1_GetStatsResponse_set_queue_expired_count(response, counts.requests_expired);
    daybook_v1_GetStatsResponse_set_events_appended_count(response, counts.events_committed);
}

static void append_streams_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    const struct append_streams_counts counts = append_streams_count(api->append_streams);
    daybook_v1_GetStatsResponse_set_append_many_bytes(response, counts.held_bytes);
    daybook_v1_GetStatsResponse_set_append_many_refused_count(response, counts.refused_count);
}

static void server_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    if (api->connections_refused != NULL)
        daybook_v1_GetStatsResponse_set_connections_refused_count(response, api->connections_refused());
    if (api->server == NULL) return;
    const daybook_server_counts counts = daybook_server_count(api->server);
    daybook_v1_GetStatsResponse_set_calls_open_count(response, counts.unary_open);
    daybook_v1_GetStatsResponse_set_calls_open_bytes(response, counts.unary_bytes);
    daybook_v1_GetStatsResponse_set_calls_refused_count(response, counts.calls_refused);
    daybook_v1_GetStatsResponse_set_answers_given_up_count(response, counts.answers_given_up);
}

static void feed_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    const struct feed_counts counts = feed_count(api->feed);
    daybook_v1_GetStatsResponse_set_subscriptions_count(response, counts.subscriptions_count);
    daybook_v1_GetStatsResponse_set_events_read_count(response, counts.records_from_tail + counts.records_from_log);
}

static void retention_fill(const struct api *api, daybook_v1_GetStatsResponse *response) {
    const struct retention_counts counts = retention_count(api->retention);
    daybook_v1_GetStatsResponse_set_events_removed_count(response, counts.events_removed_count);
}

static bool tls_fill(const struct api *api, daybook_v1_GetStatsResponse *response, upb_Arena *arena) {
    if (api->server == NULL) return true;
    const daybook_server_tls_counts counts = daybook_server_tls_count(api->server);
    daybook_v1_GetStatsResponse_set_tls_reloads_count(response, counts.reloads_count);
    daybook_v1_GetStatsResponse_set_tls_reload_failures_count(response, counts.failures_count);
    if (counts.expires_s == 0) return true;
    google_protobuf_Timestamp *expires_at =
        daybook_v1_GetStatsResponse_mutable_tls_certificate_expires_at(response, arena);
    if (expires_at == NULL) return false;
    google_protobuf_Timestamp_set_seconds(expires_at, counts.expires_s);
    return true;
}

void api_get_stats(void *context, daybook_server_call *call, const daybook_v1_GetStatsRequest *request) {
    const struct api *api = context;
    (void)request;
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_GetStatsResponse *response = daybook_v1_GetStatsResponse_new(arena);
    if (response == NULL || !daemon_fill(api, response, arena) || !tls_fill(api, response, arena)) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    index_fill(api, response);
    sequencer_fill(api, response);
    append_streams_fill(api, response);
    server_fill(api, response);
    feed_fill(api, response);
    retention_fill(api, response);
    /* Last, so that it is not before anything that the others have counted. */
    daybook_v1_GetStatsResponse_set_log_bytes(response, store_used_bytes(api->store));
    daybook_v1_GetStatsResponse_set_head(response, feed_head(api->feed));
    daybook_v1_Admin_GetStats_reply(call, response);
}
