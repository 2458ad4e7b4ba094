#include "tests/unit/service/api/rooms.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/api/append_streams.h"
#include "service/api/lists.h"
#include "service/base/limits.h"
#include "service/commit/compactor.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/retention/retention.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"

/* Small enough for sanitizers, whose own maps leave little address space. */
#define MAP_BYTES        MIB(256)
#define EVENTS_COUNT_MAX 4096
#define ABANDONED_COUNT  10

struct rooms rooms;

static void on_committed(void *context, struct chunk *chunk) {
    (void)context;
    feed_committed(rooms.feed, chunk);
}

static void on_rewritten(void *context) {
    (void)context;
    feed_rewritten(rooms.feed);
}

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_fail("the store failed: %s", failure_name(failure));
}

static const struct commit_listener listener = {
    .committed = on_committed, .rewritten = on_rewritten, .storage_failed = on_storage_failed};

static void store_and_index_open(void) {
    struct problem problem;
    rooms.directory = temporary_directory_make();
    const struct temporary_path path = temporary_path(&rooms.directory, "data");
    const struct temporary_path index_path = temporary_path(&rooms.directory, "data/index");
    const struct store_options store_options = {.directory = path.text, .map_bytes = MAP_BYTES};
    cr_assert_not(failed(store_open(&store_options, &rooms.store, &problem)), "%s", problem.text);
    const struct index_options index_options = {.directory = index_path.text,
                                                .map_bytes = MAP_BYTES,
                                                .store_id = store_id(rooms.store),
                                                .log_position_end = 1,
                                                .store = rooms.store};
    cr_assert_not(failed(index_open(&index_options, &rooms.index, &problem)), "%s", problem.text);
    cr_assert_not(failed(terms_catch_up(rooms.store, rooms.index)));
}

static void server_open(void) {
    daybook_status status;
    cr_assert_not(failed(append_streams_new(&rooms.append_streams)));
    rooms.api = (struct api){.sequencer = rooms.sequencer,
                             .feed = rooms.feed,
                             .retention = rooms.retention,
                             .compactor = rooms.compactor,
                             .store = rooms.store,
                             .append_streams = rooms.append_streams,
                             .index = rooms.index,
                             .lists = rooms.lists,
                             .version = ROOMS_VERSION,
                             .started_ns = ROOMS_STARTED_NS,
                             .store_id = store_id(rooms.store),
                             .event_bytes_max = EVENT_BYTES_MAX_DEFAULT};
    const daybook_server_options options = {
        .listen = "127.0.0.1:0", .threads_count = 2, .message_bytes_max = REQUEST_BYTES_MAX};
    rooms.server = daybook_server_open(&options, &status);
    cr_assert_not_null(rooms.server, "%s", status.message);
    rooms.api.server = rooms.server;
    cr_assert(api_serve(&rooms.api, rooms.server, &status), "%s", status.message);
    cr_assert(daybook_server_start(rooms.server, &status), "%s", status.message);
}

void rooms_open(void) {
    store_and_index_open();
    const struct feed_options feed_options = {.store = rooms.store, .index = rooms.index};
    cr_assert_not(failed(feed_open(&feed_options, &rooms.feed)));
    const struct sequencer_options sequencer_options = {
        .store = rooms.store, .index = rooms.index, .listener = &listener};
    cr_assert_not(failed(sequencer_open(&sequencer_options, &rooms.sequencer)));
    cr_assert_not(failed(compactor_open(rooms.store, rooms.index, rooms.sequencer, &rooms.compactor)));
    cr_assert_not(failed(lists_open(&rooms.lists)));
    const struct retention_options retention_options = {
        .store = rooms.store, .index = rooms.index, .sequencer = rooms.sequencer, .interval_ms = ROOMS_PATIENCE_MS};
    cr_assert_not(failed(retention_open(&retention_options, &rooms.retention)));
    server_open();
    daybook_status status;
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", daybook_server_port(rooms.server));
    rooms.client = daybook_client_open(&(daybook_client_options){.target = target}, &status);
    cr_assert_not_null(rooms.client, "%s", status.message);
    rooms.channel = raw_channel_open(daybook_server_port(rooms.server));
    rooms.arena = upb_Arena_New();
    cr_assert_not_null(rooms.arena);
}

void rooms_close(void) {
    raw_channel_close(rooms.channel);
    daybook_client_close(rooms.client);
    daybook_server_close(rooms.server);
    lists_close(rooms.lists);
    retention_close(rooms.retention);
    compactor_close(rooms.compactor);
    sequencer_close(rooms.sequencer);
    append_streams_free(rooms.append_streams);
    feed_close(rooms.feed);
    index_close(rooms.index);
    store_close(rooms.store);
    upb_Arena_Free(rooms.arena);
    temporary_directory_remove(&rooms.directory);
}

daybook_v1_AppendRequest *rooms_request(void) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(rooms.arena);
    cr_assert_not_null(request);
    return request;
}

daybook_v1_Write *rooms_write(daybook_v1_AppendRequest *request, const char *stream) {
    daybook_v1_Write *write = daybook_v1_AppendRequest_add_writes(request, rooms.arena);
    cr_assert_not_null(write);
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(stream));
    return write;
}

daybook_v1_Event *rooms_event(daybook_v1_Write *write, const char *type) {
    daybook_v1_Event *event = daybook_v1_Write_add_events(write, rooms.arena);
    cr_assert_not_null(event);
    daybook_v1_Event_set_type(event, upb_StringView_FromString(type));
    return event;
}

const daybook_v1_AppendResponse *rooms_append(const daybook_v1_AppendRequest *request) {
    const daybook_v1_AppendResponse *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = ROOMS_PATIENCE_MS};
    cr_assert(daybook_v1_EventStore_Append(rooms.client, request, &options, rooms.arena, &response, &status), "%s %s",
              status.reason, status.message);
    return response;
}

uint64_t rooms_append_one(const char *stream, const char *type) {
    daybook_v1_AppendRequest *request = rooms_request();
    rooms_event(rooms_write(request, stream), type);
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(rooms_append(request), &count);
    cr_assert_eq(count, 1);
    return daybook_v1_WriteResult_last_position(results[0]);
}

uint64_t rooms_head(void) {
    const daybook_v1_HeadResponse *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = ROOMS_PATIENCE_MS};
    cr_assert(daybook_v1_EventStore_Head(rooms.client, daybook_v1_HeadRequest_new(rooms.arena), &options, rooms.arena,
                                         &response, &status),
              "%s", status.message);
    return daybook_v1_HeadResponse_head(response);
}

struct answer rooms_refused(const daybook_v1_AppendRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, rooms.arena, &size);
    cr_assert_not_null(encoded);
    const struct answer answer = answer_to(rooms.channel, METHOD_APPEND, upb_StringView_FromDataAndSize(encoded, size));
    cr_assert_neq(answer.status.code, DAYBOOK_OK);
    cr_assert_null(answer.response.data);
    return answer;
}

const daybook_v1_RecordedEvent **rooms_read(const daybook_v1_ReadRequest *request, size_t *ret_count) {
    daybook_status status;
    daybook_v1_EventStore_Read_stream *stream = daybook_v1_EventStore_Read_open(rooms.client, request, NULL, &status);
    cr_assert_not_null(stream, "%s", status.message);
    const daybook_v1_RecordedEvent **found = upb_Arena_Malloc(rooms.arena, EVENTS_COUNT_MAX * sizeof *found);
    cr_assert_not_null(found);
    size_t found_count = 0;
    const daybook_v1_ReadResponse *response;
    daybook_next next;
    while ((next = daybook_v1_EventStore_Read_next(stream, ROOMS_PATIENCE_MS, &response, &status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        /* A response lives until the next one: what is kept is copied by its bytes. */
        size_t size;
        const char *encoded = daybook_v1_ReadResponse_serialize(response, rooms.arena, &size);
        const daybook_v1_ReadResponse *copy = daybook_v1_ReadResponse_parse(encoded, size, rooms.arena);
        cr_assert_not_null(copy);
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(copy, &count);
        cr_assert_leq(found_count + count, EVENTS_COUNT_MAX);
        for (size_t index = 0; index < count; index++) found[found_count++] = events[index];
    }
    cr_assert_eq(next, DAYBOOK_NEXT_END, "%s", status.message);
    daybook_v1_EventStore_Read_close(stream);
    *ret_count = found_count;
    return found;
}

struct answer rooms_stream_end(const char *method, upb_StringView request) {
    struct raw_call *call = raw_call_request(rooms.channel, method, request.data, request.size);
    (void)raw_call_drain(call);
    const struct answer answer = answer_of(call);
    raw_call_free(call);
    return answer;
}

void rooms_stream_abandon(const char *method) {
    for (int round = 0; round < ABANDONED_COUNT; round++) {
        struct raw_call *call = raw_call_request(rooms.channel, method, "", 0);
        if (round % 2 == 0) free(raw_call_receive(call).data);
        raw_call_cancel(call);
        (void)raw_call_drain(call);
        (void)raw_call_finish(call);
        raw_call_free(call);
    }
}
