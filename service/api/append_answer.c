/* The way back of an Append: what was decided, as a response or an error; append_refuse.c says what stood in its way. */
#include "daybook/v1/event_store.grpc.h"
#include "service/api/append.h"
#include "service/api/errors.h"

static void committed_reply(struct append_call *append, upb_Arena *arena) {
    const struct append_request *request = &append->request;
    daybook_v1_AppendResponse *response = daybook_v1_AppendResponse_new(arena);
    for (uint32_t index = 0; response != NULL && index < request->writes_count; index++) {
        daybook_v1_WriteResult *written = daybook_v1_AppendResponse_add_results(response, arena);
        if (written == NULL) {
            response = NULL;
            break;
        }
        daybook_v1_WriteResult_set_first_revision(written, request->results[index].first_revision);
        daybook_v1_WriteResult_set_last_revision(written, request->results[index].last_revision);
        daybook_v1_WriteResult_set_first_position(written, request->results[index].first_position);
        daybook_v1_WriteResult_set_last_position(written, request->results[index].last_position);
    }
    if (response != NULL) daybook_v1_AppendResponse_set_replayed(response, request->replayed);
    if (response == NULL) {
        /* It is committed, but there is no memory to say so. */
        error_fail_failure(append->call, FAILURE_STORAGE);
        return;
    }
    daybook_v1_EventStore_Append_reply(append->call, response);
}

void append_answer(struct append_request *request) {
    struct append_call *append = request->context;
    upb_Arena *arena = daybook_server_call_arena(append->call);
    append->filter = filter_free(append->filter);
    switch (request->outcome) {
    case APPEND_COMMITTED:
        committed_reply(append, arena);
        return;
    case APPEND_REVISION_CONFLICT:
    case APPEND_CONDITION_FAILED:
    case APPEND_CHECKPOINT_STALE:
    case APPEND_ID_CONFLICT:
    case APPEND_STREAM_TOMBSTONED:
    case APPEND_STREAM_NOT_FOUND:
        append_refuse(append, arena);
        return;
    case APPEND_STORAGE_FULL:
        error_fail_failure(append->call, FAILURE_STORAGE_FULL);
        return;
    case APPEND_STORAGE_CORRUPT:
        error_fail_failure(append->call, FAILURE_CORRUPT);
        return;
    case APPEND_OUT_OF_MEMORY:
        error_fail_failure(append->call, FAILURE_MEMORY);
        return;
    case APPEND_STOPPED:
        error_fail_failure(append->call, FAILURE_STOPPED);
        return;
    case APPEND_PENDING:
    case APPEND_OUTCOME_UNKNOWN:
        error_fail_failure(append->call, FAILURE_STORAGE);
        return;
    }
}
