#include "tests/unit/sdk/client/scripted_server.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"

struct scripted_server {
    daybook_server *server;
    struct script_turn turns[SCRIPT_TURNS_MAX];
    size_t turns_count;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct script_seen seen[SCRIPT_SEEN_MAX];
    size_t seen_count;
};

/* One subscription; in its stream's arena, touched by the server's thread alone. */
struct play {
    struct script_turn turn;
    daybook_server_stream *stream;
    uint64_t cursor;
    bool finished;
};

static void detail_add(google_rpc_Status *status, const char *type_url, const char *encoded, size_t size,
                       upb_Arena *arena) {
    cr_assert_not_null(encoded);
    google_protobuf_Any *any = google_rpc_Status_add_details(status, arena);
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString(type_url));
    google_protobuf_Any_set_value(any, upb_StringView_FromDataAndSize(encoded, size));
}

static upb_StringView details_build(const struct script_turn *turn, upb_Arena *arena) {
    google_rpc_Status *status = google_rpc_Status_new(arena);
    size_t size;
    const char *encoded;
    if (turn->retry_ms > 0) {
        google_rpc_RetryInfo *retry = google_rpc_RetryInfo_new(arena);
        google_protobuf_Duration *delay = google_rpc_RetryInfo_mutable_retry_delay(retry, arena);
        google_protobuf_Duration_set_seconds(delay, turn->retry_ms / 1000);
        google_protobuf_Duration_set_nanos(delay, (int32_t)(turn->retry_ms % 1000 * 1000000));
        encoded = google_rpc_RetryInfo_serialize(retry, arena, &size);
        detail_add(status, "type.googleapis.com/google.rpc.RetryInfo", encoded, size, arena);
    }
    if (turn->reason != NULL) {
        google_rpc_ErrorInfo *info = google_rpc_ErrorInfo_new(arena);
        google_rpc_ErrorInfo_set_reason(info, upb_StringView_FromString(turn->reason));
        encoded = google_rpc_ErrorInfo_serialize(info, arena, &size);
        detail_add(status, "type.googleapis.com/google.rpc.ErrorInfo", encoded, size, arena);
    }
    encoded = google_rpc_Status_serialize(status, arena, &size);
    cr_assert_not_null(encoded);
    return upb_StringView_FromDataAndSize(encoded, size);
}

static void play_finish(struct play *play) {
    if (play->finished) return;
    play->finished = true;
    upb_StringView details = {NULL, 0};
    if (play->turn.retry_ms > 0 || play->turn.reason != NULL) {
        details = details_build(&play->turn, daybook_server_stream_arena(play->stream));
    }
    daybook_server_stream_finish(play->stream, play->turn.code, "the script says so", details.data, details.size);
}

static daybook_v1_SubscribeResponse *response_build(struct play *play) {
    upb_Arena *arena = daybook_server_stream_arena(play->stream);
    daybook_v1_SubscribeResponse *response = daybook_v1_SubscribeResponse_new(arena);
    cr_assert_not_null(response);
    for (int count = 0; !play->turn.marks_alone && count < SCRIPT_RESPONSE_EVENTS && play->cursor < SCRIPT_HISTORY;
         count++) {
        daybook_v1_RecordedEvent *event = daybook_v1_SubscribeResponse_add_events(response, arena);
        cr_assert_not_null(event);
        daybook_v1_RecordedEvent_set_position(event, ++play->cursor);
    }
    daybook_v1_SubscribeResponse_set_position(response, play->turn.marks_alone ? play->turn.position : play->cursor);
    return response;
}

static void play_on(struct play *play);

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    if (ok) {
        play_on(context);
    } else {
        play_finish(context);
    }
}

static void play_on(struct play *play) {
    const bool over = !play->turn.marks_alone && play->cursor == SCRIPT_HISTORY;
    if (play->finished) return;
    if (play->turn.responses_count > 0 && !over) {
        play->turn.responses_count--;
        daybook_v1_EventStore_Subscribe_send(play->stream, response_build(play), on_sent, play);
    } else if (!play->turn.hold) {
        play_finish(play);
    }
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    play_finish(context);
}

static struct script_turn turn_take(struct scripted_server *server, const struct script_seen *seen) {
    pthread_mutex_lock(&server->mutex);
    cr_assert_lt(server->seen_count, SCRIPT_SEEN_MAX);
    const size_t last = server->turns_count - 1;
    const struct script_turn turn = server->turns[server->seen_count < last ? server->seen_count : last];
    server->seen[server->seen_count++] = *seen;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    return turn;
}

static void subscribe(void *context, daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request) {
    static const daybook_server_stream_events events = {.cancelled = on_cancelled};
    struct script_seen seen = {.from_end = daybook_v1_SubscribeRequest_has_end(request),
                               .after = daybook_v1_SubscribeRequest_after(request),
                               .heartbeat_ms = daybook_v1_SubscribeRequest_heartbeat_ms(request),
                               .has_filter = daybook_v1_SubscribeRequest_has_filter(request)};
    const upb_StringView consumer = daybook_v1_SubscribeRequest_consumer(request);
    cr_assert_lt(consumer.size, sizeof seen.consumer);
    if (daybook_v1_SubscribeRequest_has_consumer(request)) memcpy(seen.consumer, consumer.data, consumer.size);
    struct play *play = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *play);
    cr_assert_not_null(play);
    *play = (struct play){.turn = turn_take(context, &seen), .stream = stream, .cursor = seen.after};
    daybook_server_stream_watch(stream, &events, play);
    play_on(play);
}

struct scripted_server *scripted_start(uint16_t port, const struct script_turn *turns, size_t count) {
    static const daybook_v1_EventStore_handlers handlers = {.Subscribe = subscribe};
    struct scripted_server *server = calloc(1, sizeof *server);
    cr_assert_not_null(server);
    cr_assert(count > 0 && count <= SCRIPT_TURNS_MAX);
    memcpy(server->turns, turns, count * sizeof *turns);
    server->turns_count = count;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->changed, NULL);
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    daybook_status status;
    server->server = daybook_server_open(&(daybook_server_options){.listen = listen, .threads_count = 1}, &status);
    cr_assert_not_null(server->server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server->server, &handlers, server, &status));
    cr_assert(daybook_server_start(server->server, &status));
    return server;
}

void scripted_stop(struct scripted_server *server) {
    daybook_server_close(server->server);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

uint16_t scripted_port(const struct scripted_server *server) {
    return daybook_server_port(server->server);
}

size_t scripted_seen(struct scripted_server *server, struct script_seen ret_seen[SCRIPT_SEEN_MAX]) {
    pthread_mutex_lock(&server->mutex);
    const size_t count = server->seen_count;
    memcpy(ret_seen, server->seen, count * sizeof *ret_seen);
    pthread_mutex_unlock(&server->mutex);
    return count;
}

void scripted_wait(struct scripted_server *server, size_t count) {
    pthread_mutex_lock(&server->mutex);
    while (server->seen_count < count) pthread_cond_wait(&server->changed, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
}
