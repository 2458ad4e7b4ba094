#include "tests/unit/sdk/cli/recording_server.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"

struct recorded recorded;

static daybook_server *server;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void append_locked(daybook_server_call *call, const daybook_v1_AppendRequest *request) {
    const bool refused = recorded.appends_count_max > 0 && recorded.appends_count == recorded.appends_count_max;
    if (recorded.refusal != DAYBOOK_OK || refused) {
        const daybook_code code = refused ? DAYBOOK_RESOURCE_EXHAUSTED : recorded.refusal;
        daybook_server_call_fail(call, code, "it is refused", NULL, 0);
        return;
    }
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, recorded.arena, &size);
    cr_assert_lt(recorded.appends_count, RECORDED_MAX);
    const daybook_v1_AppendRequest *copy = daybook_v1_AppendRequest_parse(encoded, size, recorded.arena);
    cr_assert_not_null(copy);
    recorded.appends[recorded.appends_count++] = copy;
    const size_t events_count = recorded_events_count(recorded.appends_count - 1);
    upb_Arena *arena = daybook_server_call_arena(call);
    daybook_v1_AppendResponse *response = daybook_v1_AppendResponse_new(arena);
    daybook_v1_WriteResult *result = daybook_v1_AppendResponse_add_results(response, arena);
    daybook_v1_WriteResult_set_first_position(result, recorded.head + 1);
    recorded.head += events_count;
    daybook_v1_WriteResult_set_last_position(result, recorded.head);
    daybook_v1_WriteResult_set_last_revision(result, recorded.head);
    daybook_v1_EventStore_Append_reply(call, response);
}

static void append(void *context, daybook_server_call *call, const daybook_v1_AppendRequest *request) {
    (void)context;
    pthread_mutex_lock(&mutex);
    append_locked(call, request);
    pthread_mutex_unlock(&mutex);
}

static void head_locked(daybook_server_call *call, const daybook_v1_HeadRequest *request) {
    (void)request;
    if (recorded.refusal != DAYBOOK_OK) {
        daybook_server_call_fail(call, recorded.refusal, "it is refused", NULL, 0);
        return;
    }
    daybook_v1_HeadResponse *response = daybook_v1_HeadResponse_new(daybook_server_call_arena(call));
    daybook_v1_HeadResponse_set_head(response, recorded.head);
    daybook_v1_HeadResponse_set_store_id(response, upb_StringView_FromString("the-store"));
    daybook_v1_EventStore_Head_reply(call, response);
}

static void head(void *context, daybook_server_call *call, const daybook_v1_HeadRequest *request) {
    (void)context;
    pthread_mutex_lock(&mutex);
    head_locked(call, request);
    pthread_mutex_unlock(&mutex);
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)ok;
    (void)context;
    daybook_server_stream_finish(stream, DAYBOOK_OK, "", NULL, 0);
}

static void read_locked(daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    if (recorded.refusal != DAYBOOK_OK) {
        daybook_server_stream_finish(stream, recorded.refusal, "it is refused", NULL, 0);
        return;
    }
    size_t size;
    const char *encoded = daybook_v1_ReadRequest_serialize(request, recorded.arena, &size);
    recorded.read = daybook_v1_ReadRequest_parse(encoded, size, recorded.arena);
    upb_Arena *arena = daybook_server_stream_arena(stream);
    daybook_v1_ReadResponse *response = daybook_v1_ReadResponse_new(arena);
    for (uint64_t position = 1; position <= 2; position++) {
        daybook_v1_RecordedEvent *event = daybook_v1_ReadResponse_add_events(response, arena);
        daybook_v1_RecordedEvent_set_position(event, position);
        daybook_v1_RecordedEvent_set_revision(event, position);
        daybook_v1_RecordedEvent_set_stream(event, upb_StringView_FromString("order-1"));
        daybook_v1_Event_set_type(daybook_v1_RecordedEvent_mutable_event(event, arena),
                                  upb_StringView_FromString("Sold"));
    }
    daybook_v1_EventStore_Read_send(stream, response, on_sent, NULL);
}

static void read(void *context, daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    (void)context;
    pthread_mutex_lock(&mutex);
    read_locked(stream, request);
    pthread_mutex_unlock(&mutex);
}

/* Between the test and the server, whose gRPC nobody sees: what was set is seen by its next call, what it has recorded by the
 * test. */
static void settle(void) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

void recording_open(void) {
    static const daybook_v1_EventStore_handlers handlers = {.Append = append, .Head = head, .Read = read};
    daybook_status status;
    command_around = settle;
    argp_err_exit_status = EXIT_USAGE; /* as main does */
    recorded = (struct recorded){.arena = upb_Arena_New()};
    cr_assert_not_null(recorded.arena);
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &handlers, NULL, &status));
    cr_assert(daybook_server_start(server, &status));
    (void)snprintf(recorded.server, sizeof recorded.server, "127.0.0.1:%u", daybook_server_port(server));
}

void recording_close(void) {
    daybook_server_close(server);
    upb_Arena_Free(recorded.arena);
    free(said.out);
    free(said.err);
}

void recording_unwell(void) {
    daybook_server_set_serving(server, "", false);
}

const daybook_v1_Write *recorded_write(size_t append_index) {
    cr_assert_lt(append_index, recorded.appends_count);
    size_t count;
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(recorded.appends[append_index], &count);
    cr_assert_eq(count, 1);
    return writes[0];
}

size_t recorded_events_count(size_t append_index) {
    size_t count;
    (void)daybook_v1_Write_events(recorded_write(append_index), &count);
    return count;
}

const daybook_v1_Event *recorded_event(size_t append_index, size_t event) {
    size_t count;
    const daybook_v1_Event *const *events = daybook_v1_Write_events(recorded_write(append_index), &count);
    cr_assert_lt(event, count);
    return events[event];
}
