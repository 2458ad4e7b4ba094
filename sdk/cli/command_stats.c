#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"

/* The plain figures, in the order of the proto. */
static const struct {
    const char *field; /* for programs */
    const char *label; /* for people */
    uint64_t (*get)(const daybook_v1_GetStatsResponse *stats);
    bool bytes;
} figures[] = {
    {"head", "head", daybook_v1_GetStatsResponse_head, false},
    {"log_bytes", "log", daybook_v1_GetStatsResponse_log_bytes, true},
    {"index_bytes", "index", daybook_v1_GetStatsResponse_index_bytes, true},
    {"indexed_position", "indexed in runs up to", daybook_v1_GetStatsResponse_indexed_position, false},
    {"index_runs_count", "index runs", daybook_v1_GetStatsResponse_index_runs_count, false},
    {"index_tail_events_count", "index events in memory", daybook_v1_GetStatsResponse_index_tail_events_count, false},
    {"index_waits_count", "waits for the index", daybook_v1_GetStatsResponse_index_waits_count, false},
    {"names_position", "names up to", daybook_v1_GetStatsResponse_names_position, false},
    {"subscriptions_count", "subscriptions", daybook_v1_GetStatsResponse_subscriptions_count, false},
    {"queue_requests_count", "requests waiting", daybook_v1_GetStatsResponse_queue_requests_count, false},
    {"queue_rejected_count", "requests rejected", daybook_v1_GetStatsResponse_queue_rejected_count, false},
    {"queue_expired_count", "requests expired", daybook_v1_GetStatsResponse_queue_expired_count, false},
    {"calls_open_count", "calls open", daybook_v1_GetStatsResponse_calls_open_count, false},
    {"calls_open_bytes", "their requests", daybook_v1_GetStatsResponse_calls_open_bytes, true},
    {"calls_refused_count", "calls refused", daybook_v1_GetStatsResponse_calls_refused_count, false},
    {"answers_given_up_count", "answers not taken", daybook_v1_GetStatsResponse_answers_given_up_count, false},
    {"append_many_bytes", "AppendMany calls hold", daybook_v1_GetStatsResponse_append_many_bytes, true},
    {"append_many_refused_count", "their refused requests", daybook_v1_GetStatsResponse_append_many_refused_count,
     false},
    {"connections_refused_count", "connections refused", daybook_v1_GetStatsResponse_connections_refused_count, false},
    {"events_appended_count", "events appended", daybook_v1_GetStatsResponse_events_appended_count, false},
    {"events_read_count", "events read", daybook_v1_GetStatsResponse_events_read_count, false},
    {"events_removed_count", "events removed", daybook_v1_GetStatsResponse_events_removed_count, false},
};

enum { FIGURES_COUNT = sizeof figures / sizeof figures[0] };

static void tls_json(json_t *object, const daybook_v1_GetStatsResponse *stats) {
    const google_protobuf_Timestamp *expires_at = daybook_v1_GetStatsResponse_tls_certificate_expires_at(stats);
    if (expires_at != NULL) json_add_time(object, "tls_certificate_expires_at", expires_at);
    json_add(object, "tls_reloads_count", json_number(daybook_v1_GetStatsResponse_tls_reloads_count(stats)));
    json_add(object, "tls_reload_failures_count",
             json_number(daybook_v1_GetStatsResponse_tls_reload_failures_count(stats)));
}

static bool stats_json(const daybook_v1_GetStatsResponse *stats) {
    json_t *object = json_object();
    json_add(object, "store_id", json_text(daybook_v1_GetStatsResponse_store_id(stats)));
    json_add(object, "version", json_text(daybook_v1_GetStatsResponse_version(stats)));
    json_add_time(object, "started_at", daybook_v1_GetStatsResponse_started_at(stats));
    for (size_t index = 0; index < FIGURES_COUNT; index++) {
        json_add(object, figures[index].field, json_number(figures[index].get(stats)));
    }
    tls_json(object, stats);
    return json_line(object);
}

static void text_line(const char *label, upb_StringView text) {
    (void)printf("%-24s", label);
    print_plain(stdout, text);
    (void)putchar('\n');
}

static void figure_line(const char *label, uint64_t figure, bool is_bytes) {
    char text[PRINT_BYTES_BYTES];
    (void)snprintf(text, sizeof text, "%" PRIu64, figure);
    if (is_bytes) print_bytes(figure, text);
    text_line(label, upb_StringView_FromString(text));
}

static void time_line(const char *label, const google_protobuf_Timestamp *time) {
    char text[PRINT_TIME_BYTES];
    print_time(time, PRINT_TIME_DIGITS_SHORT, text);
    text_line(label, upb_StringView_FromString(text));
}

/* Nothing where connections are not encrypted. */
static void tls_lines(const daybook_v1_GetStatsResponse *stats) {
    const google_protobuf_Timestamp *expires_at = daybook_v1_GetStatsResponse_tls_certificate_expires_at(stats);
    if (expires_at == NULL) return;
    time_line("certificate ends", expires_at);
    figure_line("certificate reloads", daybook_v1_GetStatsResponse_tls_reloads_count(stats), false);
    figure_line("reloads that failed", daybook_v1_GetStatsResponse_tls_reload_failures_count(stats), false);
}

static void stats_lines(const daybook_v1_GetStatsResponse *stats) {
    text_line("store", daybook_v1_GetStatsResponse_store_id(stats));
    text_line("version", daybook_v1_GetStatsResponse_version(stats));
    time_line("started", daybook_v1_GetStatsResponse_started_at(stats));
    for (size_t index = 0; index < FIGURES_COUNT; index++) {
        figure_line(figures[index].label, figures[index].get(stats), figures[index].bytes);
    }
    tls_lines(stats);
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)context;
    daybook_status status;
    const daybook_v1_GetStatsResponse *stats;
    const daybook_call_options options = common_call_options(common);
    const daybook_v1_GetStatsRequest *request = daybook_v1_GetStatsRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    if (!daybook_v1_Admin_GetStats(client, request, &options, arena, &stats, &status)) {
        return common_fail(common, &status);
    }
    if (common->json) return stats_json(stats) ? 0 : common_out_of_memory();
    stats_lines(stats);
    return 0;
}

int command_stats(int argc, char **argv) {
    struct common common;
    common_init(&common);
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Prints the figures of the store at this moment; counts of what was done begin "
                                     "with the daemon's start."};
    common_parse(&argp, argc, argv, &common);
    return common_run(&common, run, NULL);
}
