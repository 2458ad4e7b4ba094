#include "tests/unit/service/api/append_many_client.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "service/api/append_streams.h"
#include "service/base/limits.h"

#define METHOD_APPEND_MANY "/daybook.v1.EventStore/AppendMany"

struct many many = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void append_many(void *context, daybook_server_stream *stream) {
    pthread_mutex_lock(&many.mutex);
    pthread_mutex_unlock(&many.mutex);
    api_append_many(context, stream);
}

void many_open(void) {
    static const daybook_v1_EventStore_handlers handlers = {.AppendMany = append_many};
    daybook_status status;
    validations_open();
    held_open();
    many.api = (struct api){.event_bytes_max = EVENT_BYTES_MAX_DEFAULT};
    cr_assert_not(failed(append_streams_new(&many.api.append_streams)));
    const daybook_server_options options = {
        .listen = "127.0.0.1:0", .threads_count = 2, .message_bytes_max = REQUEST_BYTES_MAX};
    many.server = daybook_server_open(&options, &status);
    cr_assert_not_null(many.server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(many.server, &handlers, &many.api, &status));
    cr_assert(daybook_server_start(many.server, &status));
    many.channel = raw_channel_open(daybook_server_port(many.server));
}

void many_close(void) {
    raw_channel_close(many.channel);
    daybook_server_close(many.server);
    append_streams_free(many.api.append_streams);
    validations_close();
}

void many_wait_until_closed(void) {
    while (daybook_server_count(many.server).calls_open > 0) {
    }
}

struct client client_open(void) {
    return (struct client){.call = raw_call_start(many.channel, METHOD_APPEND_MANY, RAW_TIMEOUT_NONE, NULL)};
}

void client_send(struct client *client, const daybook_v1_AppendRequest *request) {
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, validations_arena, &size);
    cr_assert_not_null(encoded);
    cr_assert(raw_call_send(client->call, encoded, size));
}

void client_send_many(struct client *client, uint32_t count) {
    const daybook_v1_AppendRequest *request = request_new();
    for (uint32_t index = 0; index < count; index++) client_send(client, request);
}

const daybook_v1_AppendOutcome *client_hear(struct client *client) {
    if (client->next == client->outcomes_count) {
        const struct raw_bytes bytes = raw_call_receive(client->call);
        if (bytes.data == NULL) return NULL;
        char *copy = upb_Arena_Malloc(validations_arena, bytes.size);
        cr_assert_not_null(copy);
        memcpy(copy, bytes.data, bytes.size);
        free(bytes.data);
        const daybook_v1_AppendManyResponse *response =
            daybook_v1_AppendManyResponse_parse(copy, bytes.size, validations_arena);
        cr_assert_not_null(response);
        client->outcomes = daybook_v1_AppendManyResponse_outcomes(response, &client->outcomes_count);
        cr_assert_gt(client->outcomes_count, 0);
        client->next = 0;
        client->responses_count++;
    }
    return client->outcomes[client->next++];
}

void expect_appended(struct client *client, uint64_t position) {
    const daybook_v1_AppendOutcome *outcome = client_hear(client);
    cr_assert_not_null(outcome);
    cr_assert(daybook_v1_AppendOutcome_has_appended(outcome));
    size_t count;
    const daybook_v1_WriteResult *const *results =
        daybook_v1_AppendResponse_results(daybook_v1_AppendOutcome_appended(outcome), &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(daybook_v1_WriteResult_first_position(results[0]), position);
    cr_assert_eq(daybook_v1_WriteResult_last_position(results[0]), position);
    cr_assert_eq(daybook_v1_WriteResult_first_revision(results[0]), position);
}

const daybook_v1_AppendError *expect_error(struct client *client, daybook_code code, const char *reason) {
    const daybook_v1_AppendOutcome *outcome = client_hear(client);
    cr_assert_not_null(outcome);
    cr_assert(daybook_v1_AppendOutcome_has_error(outcome), "%s was expected", reason);
    const daybook_v1_AppendError *error = daybook_v1_AppendOutcome_error(outcome);
    cr_assert_eq(daybook_v1_AppendError_code(error), (int32_t)code);
    cr_assert_gt(daybook_v1_AppendError_message(error).size, 0);
    const google_rpc_ErrorInfo *info = daybook_v1_AppendError_info(error);
    cr_assert_not_null(info);
    cr_assert(answer_text_is(google_rpc_ErrorInfo_reason(info), reason));
    cr_assert(answer_text_is(google_rpc_ErrorInfo_domain(info), "daybook"));
    return error;
}

struct answer client_end(struct client *client) {
    cr_assert_null(client_hear(client));
    const struct answer answer = answer_of(client->call);
    raw_call_free(client->call);
    return answer;
}

void expect_ended_well(struct client *client) {
    struct answer answer = client_end(client);
    cr_assert_eq(answer.status.code, DAYBOOK_OK, "%s", answer.status.message);
    answer_free(&answer);
}

void expect_ended_well_at_half_close(struct client *client) {
    raw_call_half_close(client->call);
    expect_ended_well(client);
}
