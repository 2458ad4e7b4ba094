#include "service/api/api.h"
#include "service/api/append_streams.h"
#include "service/api/errors.h"
#include "service/feed/feed.h"

/* A slot that is not filled answers UNIMPLEMENTED. */
static const daybook_v1_EventStore_handlers event_store_handlers = {
    .Append = api_append,
    .AppendMany = api_append_many,
    .Read = api_read,
    .Subscribe = api_subscribe,
    .Head = api_head,
    .GetCheckpoint = api_get_checkpoint,
    .ListCheckpoints = api_list_checkpoints,
    .UpdateStreamSettings = api_update_stream_settings,
    .DeleteStream = api_delete_stream,
    .EraseEvents = api_erase_events,
    .GetStream = api_get_stream,
    .ListStreams = api_list_streams,
    .ListTypes = api_list_types,
    .ListTags = api_list_tags,
};

static const daybook_v1_Admin_handlers admin_handlers = {
    .Backup = api_backup,
    .Verify = api_verify,
    .Reindex = api_reindex,
    .GetStats = api_get_stats,
    .Compact = api_compact,
};

bool api_serve(const struct api *api, daybook_server *server, daybook_status *ret_status) {
    /* The generated skin takes the context as it will be handed to the handlers, which only read it. */
    void *context = (void *)(uintptr_t)api;
    daybook_server_set_admission(server, api_admit, context);
    return daybook_v1_EventStore_serve(server, &event_store_handlers, context, ret_status) &&
           daybook_v1_Admin_serve(server, &admin_handlers, context, ret_status);
}

void api_drain(const struct api *api) {
    append_streams_drain(api->append_streams);
}

void api_head(void *context, daybook_server_call *call, const daybook_v1_HeadRequest *request) {
    const struct api *api = context;
    (void)request;
    daybook_v1_HeadResponse *response = daybook_v1_HeadResponse_new(daybook_server_call_arena(call));
    if (response == NULL) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    daybook_v1_HeadResponse_set_head(response, feed_head(api->feed));
    daybook_v1_HeadResponse_set_store_id(response, upb_StringView_FromString(api->store_id));
    daybook_v1_EventStore_Head_reply(call, response);
}
