/* api.h: the gRPC edge of the daemon: check, call, map the error, fill the answer. No decisions are made here.
 *
 * Ownership: borrows everything it is given, which must outlive the server that serves it.
 * Threads: handlers run on the server's threads; answers come from the sequencer's and the feed's. */
#ifndef SERVICE_API_API_H
#define SERVICE_API_API_H

#include "daybook/server.h"
#include "daybook/v1/admin.grpc.h"
#include "daybook/v1/event_store.grpc.h"

struct append_streams;
struct compactor;
struct feed;
struct index;
struct lists;
struct retention;
struct sequencer;
struct store;

struct api {
    struct sequencer *sequencer;
    struct feed *feed;
    struct compactor *compactor;
    struct retention *retention;
    struct store *store;
    struct append_streams *append_streams;
    struct index *index; /* opened with the store, so that it has names */
    struct lists *lists;
    const daybook_server *server;          /* that serves it, for its figures; NULL: nothing is told of it */
    uint64_t (*connections_refused)(void); /* since the start; NULL: nothing is told of them */
    const char *store_id;
    const char *version;
    int64_t started_ns; /* since 1970 */
    uint64_t event_bytes_max;
};

/* Adds the daemon's services to a server that has not started. */
DAYBOOK_MUST_USE bool api_serve(const struct api *api, daybook_server *server, daybook_status *ret_status);

/* Ends what would never end by itself: open AppendMany streams answer what they have received and are UNAVAILABLE. */
void api_drain(const struct api *api);

/* Whether a unary call goes on; else it has been refused. `context` is the api. */
bool api_admit(void *context, daybook_server_call *call, const daybook_method *method, size_t request_bytes);

/* The handlers, one file each; `context` is the api. */
void api_append(void *context, daybook_server_call *call, const daybook_v1_AppendRequest *request);
void api_append_many(void *context, daybook_server_stream *stream);
void api_read(void *context, daybook_server_stream *stream, const daybook_v1_ReadRequest *request);
void api_subscribe(void *context, daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request);
void api_get_checkpoint(void *context, daybook_server_call *call, const daybook_v1_GetCheckpointRequest *request);
void api_list_checkpoints(void *context, daybook_server_call *call, const daybook_v1_ListCheckpointsRequest *request);
void api_get_stream(void *context, daybook_server_call *call, const daybook_v1_GetStreamRequest *request);
void api_list_streams(void *context, daybook_server_call *call, const daybook_v1_ListStreamsRequest *request);
void api_list_types(void *context, daybook_server_call *call, const daybook_v1_ListTypesRequest *request);
void api_list_tags(void *context, daybook_server_call *call, const daybook_v1_ListTagsRequest *request);
void api_reindex(void *context, daybook_server_stream *stream, const daybook_v1_ReindexRequest *request);
void api_get_stats(void *context, daybook_server_call *call, const daybook_v1_GetStatsRequest *request);
void api_head(void *context, daybook_server_call *call, const daybook_v1_HeadRequest *request);
void api_update_stream_settings(void *context, daybook_server_call *call,
                                const daybook_v1_UpdateStreamSettingsRequest *request);
void api_delete_stream(void *context, daybook_server_call *call, const daybook_v1_DeleteStreamRequest *request);
void api_erase_events(void *context, daybook_server_call *call, const daybook_v1_EraseEventsRequest *request);
void api_verify(void *context, daybook_server_stream *stream, const daybook_v1_VerifyRequest *request);
void api_backup(void *context, daybook_server_stream *stream, const daybook_v1_BackupRequest *request);
void api_compact(void *context, daybook_server_stream *stream, const daybook_v1_CompactRequest *request);

#endif
