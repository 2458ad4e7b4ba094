/* The way back of an Append: what was decided, as a response or an error; append_refuse.c says what stood in its way. */
#include "daybook/v1/event_store.grpc.h"
#include "service/api/append.h"

static void committed_reply(struct append_call *unary, upb_Arena *arena) {
    const struct append_request *request = &unary->append.request;
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
        error_fail_failure(unary->call, FAILURE_STORAGE);
        return;
    }
    daybook_v1_EventStore_Append_reply(unary->call, response);
}

void append_answer(struct append_request *request) {
    struct append_call *unary = request->context;
    upb_Arena *arena = daybook_server_call_arena(unary->call);
    append_deinit(&unary->append);
    if (request->outcome == APPEND_COMMITTED) {
        committed_reply(unary, arena);
        return;
    }
    struct error error;
    append_explain(request, arena, &error);
    error_fail(unary->call, &error);
}
