#include "tests/unit/sdk/client/append_server.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"

struct append_server {
    daybook_server *server;
    struct append_turn turns[APPEND_TURNS_MAX];
    size_t turns_count;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct append_record log[APPEND_LOG_MAX];
    size_t count;
    size_t calls_count;
    size_t requests_count;
    daybook_code head_code;
};

/* One call; in its stream's arena, touched by the server's thread alone. */
struct play {
    struct append_server *server;
    struct append_turn turn;
    daybook_server_stream *stream;
    uint32_t taken_count;
    bool finished;
};

/* --- The log --------------------------------------------------------------------------------------------------------- */

static size_t log_find(const struct append_server *server, upb_StringView id) {
    for (size_t index = server->count; index > 0; index--) {
        if (memcmp(server->log[index - 1].id, id.data, APPEND_UUID_BYTES) == 0) return index;
    }
    return 0;
}

/* Returns the event's position. */
static uint64_t log_add(struct append_server *server, upb_StringView stream, const daybook_v1_Event *event,
                        bool *ret_replayed) {
    const upb_StringView id = daybook_v1_Event_id(event);
    const upb_StringView text = daybook_v1_Event_text(event);
    cr_assert_eq(id.size, APPEND_UUID_BYTES, "every event has an id");
    cr_assert_lt(stream.size, APPEND_STREAM_MAX);
    const size_t known = log_find(server, id);
    *ret_replayed = known > 0;
    if (known > 0) return known;
    cr_assert_lt(server->count, APPEND_LOG_MAX);
    struct append_record *record = &server->log[server->count++];
    memcpy(record->id, id.data, APPEND_UUID_BYTES);
    memcpy(record->stream, stream.data, stream.size);
    char number[24] = "";
    cr_assert_lt(text.size, sizeof number);
    if (text.size > 0) memcpy(number, text.data, text.size);
    record->number = strtoull(number, NULL, 10);
    return server->count;
}

static void commit(struct play *play, const daybook_v1_AppendRequest *request, daybook_v1_AppendResponse *response) {
    struct append_server *server = play->server;
    upb_Arena *arena = daybook_server_stream_arena(play->stream);
    size_t writes_count;
    bool replayed = false;
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(request, &writes_count);
    pthread_mutex_lock(&server->mutex);
    for (size_t write = 0; write < writes_count; write++) {
        daybook_v1_WriteResult *result = daybook_v1_AppendResponse_add_results(response, arena);
        size_t count;
        const daybook_v1_Event *const *events = daybook_v1_Write_events(writes[write], &count);
        for (size_t index = 0; index < count; index++) {
            const uint64_t position = log_add(server, daybook_v1_Write_stream(writes[write]), events[index], &replayed);
            if (index == 0) daybook_v1_WriteResult_set_first_position(result, position);
            daybook_v1_WriteResult_set_last_position(result, position);
        }
    }
    pthread_mutex_unlock(&server->mutex);
    daybook_v1_AppendResponse_set_replayed(response, replayed);
}

/* --- Answers --------------------------------------------------------------------------------------------------------- */

static void finish(struct play *play, daybook_code code) {
    if (play->finished) return;
    play->finished = true;
    daybook_server_stream_finish(play->stream, code, "the script says so", NULL, 0);
}

static void receive(struct play *play);

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct play *play = context;
    (void)stream;
    if (ok)
        receive(play);
    else
        finish(play, DAYBOOK_CANCELLED);
}

static void error_fill(daybook_v1_AppendError *error, daybook_code code, const char *reason, uint32_t retry_ms,
                       upb_Arena *arena) {
    daybook_v1_AppendError_set_code(error, (int32_t)code);
    daybook_v1_AppendError_set_message(error, upb_StringView_FromString(APPEND_SERVER_TEXT));
    google_rpc_ErrorInfo *info = daybook_v1_AppendError_mutable_info(error, arena);
    google_rpc_ErrorInfo_set_reason(info, upb_StringView_FromString(reason));
    if (retry_ms == 0) return;
    google_rpc_RetryInfo *retry = daybook_v1_AppendError_mutable_retry(error, arena);
    google_protobuf_Duration *delay = google_rpc_RetryInfo_mutable_retry_delay(retry, arena);
    google_protobuf_Duration_set_seconds(delay, retry_ms / 1000);
    google_protobuf_Duration_set_nanos(delay, (int32_t)(retry_ms % 1000 * 1000000));
}

static void conflict_fill(daybook_v1_AppendError *error, upb_Arena *arena) {
    error_fill(error, DAYBOOK_ABORTED, "REVISION_CONFLICT", 0, arena);
    daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendError_mutable_conflicts(error, arena);
    daybook_v1_StreamConflict *conflict = daybook_v1_AppendConflicts_add_streams(conflicts, arena);
    daybook_v1_StreamConflict_set_field(conflict, upb_StringView_FromString("writes[0]"));
    daybook_v1_StreamConflict_set_actual_revision(conflict, 7);
}

static void invalid_fill(daybook_v1_AppendError *error, upb_Arena *arena) {
    error_fill(error, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD", 0, arena);
    google_rpc_BadRequest *bad = daybook_v1_AppendError_mutable_bad_request(error, arena);
    google_rpc_BadRequest_FieldViolation *violation = google_rpc_BadRequest_add_field_violations(bad, arena);
    google_rpc_BadRequest_FieldViolation_set_field(violation, upb_StringView_FromString("writes[0].events[0].type"));
    google_rpc_BadRequest_FieldViolation_set_description(violation, upb_StringView_FromString("is empty"));
}

static bool is_written_to(const daybook_v1_AppendRequest *request, const char *stream) {
    size_t count;
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(request, &count);
    return count > 0 && upb_StringView_IsEqual(daybook_v1_Write_stream(writes[0]), upb_StringView_FromString(stream));
}

static void answer_well(struct play *play, const daybook_v1_AppendRequest *request,
                        daybook_v1_AppendManyResponse *response) {
    upb_Arena *arena = daybook_server_stream_arena(play->stream);
    daybook_v1_AppendOutcome *outcome = daybook_v1_AppendManyResponse_add_outcomes(response, arena);
    if (is_written_to(request, "refused"))
        conflict_fill(daybook_v1_AppendOutcome_mutable_error(outcome, arena), arena);
    else if (is_written_to(request, "invalid"))
        invalid_fill(daybook_v1_AppendOutcome_mutable_error(outcome, arena), arena);
    else
        commit(play, request, daybook_v1_AppendOutcome_mutable_appended(outcome, arena));
}

/* False: nothing is to be sent. */
static bool answer_badly(struct play *play, const daybook_v1_AppendRequest *request,
                         daybook_v1_AppendManyResponse *response) {
    const struct append_turn *turn = &play->turn;
    upb_Arena *arena = daybook_server_stream_arena(play->stream);
    daybook_v1_AppendOutcome *outcome = NULL;
    if (turn->fault != APPEND_FAULT_END && turn->fault != APPEND_FAULT_HOLD)
        outcome = daybook_v1_AppendManyResponse_add_outcomes(response, arena);
    switch (turn->fault) {
    case APPEND_FAULT_END:
        finish(play, turn->code);
        return false;
    case APPEND_FAULT_HOLD:
        return false;
    case APPEND_FAULT_TWICE:
        commit(play, request, daybook_v1_AppendOutcome_mutable_appended(outcome, arena));
        answer_well(play, request, response);
        return true;
    case APPEND_FAULT_EMPTY:
        return true;
    case APPEND_FAULT_NO_ERROR:
        error_fill(daybook_v1_AppendOutcome_mutable_error(outcome, arena), DAYBOOK_OK, "", 0, arena);
        return true;
    case APPEND_FAULT_TOO_FEW:
        cr_assert_not_null(daybook_v1_AppendOutcome_mutable_appended(outcome, arena));
        return true;
    case APPEND_FAULT_REFUSE_ONCE:
        error_fill(daybook_v1_AppendOutcome_mutable_error(outcome, arena), turn->code, turn->reason, turn->retry_ms,
                   arena);
        if (turn->commits_refused) commit(play, request, daybook_v1_AppendResponse_new(arena));
        return true;
    }
    return false;
}

static bool is_faulty(const struct play *play) {
    if (play->taken_count <= play->turn.answers_count + play->turn.swallowed_count) return false;
    return play->turn.fault != APPEND_FAULT_REFUSE_ONCE ||
           play->taken_count <= play->turn.answers_count + play->turn.refusals_count;
}

static void on_received(daybook_server_stream *stream, const void *message, void *context) {
    struct play *play = context;
    const daybook_v1_AppendRequest *request = daybook_v1_EventStore_AppendMany_request(message);
    if (play->finished) return;
    if (request == NULL) {
        finish(play, DAYBOOK_OK);
        return;
    }
    pthread_mutex_lock(&play->server->mutex);
    play->server->requests_count++;
    pthread_cond_broadcast(&play->server->changed);
    pthread_mutex_unlock(&play->server->mutex);
    play->taken_count++;
    upb_Arena *arena = daybook_server_stream_arena(stream);
    daybook_v1_AppendManyResponse *response = daybook_v1_AppendManyResponse_new(arena);
    cr_assert_not_null(response);
    if (is_faulty(play)) {
        if (!answer_badly(play, request, response)) {
            receive(play);
            return;
        }
    } else if (play->taken_count > play->turn.answers_count && play->turn.swallowed_count > 0) {
        commit(play, request, daybook_v1_AppendResponse_new(arena));
        receive(play);
        return;
    } else {
        answer_well(play, request, response);
    }
    daybook_v1_EventStore_AppendMany_send(stream, response, on_sent, play);
}

static void receive(struct play *play) {
    if (!play->finished) daybook_server_stream_receive(play->stream, on_received, play);
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    finish(context, DAYBOOK_CANCELLED);
}

static void append_many(void *context, daybook_server_stream *stream) {
    static const daybook_server_stream_events events = {.cancelled = on_cancelled};
    struct append_server *server = context;
    struct play *play = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *play);
    cr_assert_not_null(play);
    pthread_mutex_lock(&server->mutex);
    const size_t last = server->turns_count - 1;
    const size_t turn = server->calls_count < last ? server->calls_count : last;
    *play = (struct play){.server = server, .stream = stream, .turn = server->turns[turn]};
    server->calls_count++;
    pthread_mutex_unlock(&server->mutex);
    daybook_server_stream_watch(stream, &events, play);
    receive(play);
}

static void head(void *context, daybook_server_call *call, const daybook_v1_HeadRequest *request) {
    struct append_server *server = context;
    (void)request;
    pthread_mutex_lock(&server->mutex);
    const daybook_code code = server->head_code;
    pthread_mutex_unlock(&server->mutex);
    if (code == DAYBOOK_OK)
        daybook_v1_EventStore_Head_reply(call, daybook_v1_HeadResponse_new(daybook_server_call_arena(call)));
    else
        daybook_server_call_fail(call, code, "the script says so", NULL, 0);
}

/* --- The server ------------------------------------------------------------------------------------------------------ */

struct append_server *append_server_start(uint16_t port, const struct append_turn *turns, size_t count) {
    static const daybook_v1_EventStore_handlers handlers = {.AppendMany = append_many, .Head = head};
    struct append_server *server = calloc(1, sizeof *server);
    cr_assert_not_null(server);
    cr_assert(count > 0 && count <= APPEND_TURNS_MAX);
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

void append_server_stop(struct append_server *server) {
    daybook_server_close(server->server);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

uint16_t append_server_port(const struct append_server *server) {
    return daybook_server_port(server->server);
}

void append_server_fail_head(struct append_server *server, daybook_code code) {
    pthread_mutex_lock(&server->mutex);
    server->head_code = code;
    pthread_mutex_unlock(&server->mutex);
}

static size_t counted(struct append_server *server, const size_t *count) {
    pthread_mutex_lock(&server->mutex);
    const size_t found = *count;
    pthread_mutex_unlock(&server->mutex);
    return found;
}

size_t append_server_count(struct append_server *server) {
    return counted(server, &server->count);
}

size_t append_server_calls_count(struct append_server *server) {
    return counted(server, &server->calls_count);
}

size_t append_server_requests_count(struct append_server *server) {
    return counted(server, &server->requests_count);
}

struct append_record append_server_record(struct append_server *server, size_t index) {
    pthread_mutex_lock(&server->mutex);
    cr_assert_lt(index, server->count);
    const struct append_record record = server->log[index];
    pthread_mutex_unlock(&server->mutex);
    return record;
}

void append_server_wait_requests(struct append_server *server, size_t count) {
    pthread_mutex_lock(&server->mutex);
    while (server->requests_count < count) pthread_cond_wait(&server->changed, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
}
