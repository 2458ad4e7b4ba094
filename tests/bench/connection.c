#include "tests/bench/connection.h"

#include "tests/bench/wire.h"

#include <assert.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <string.h>

static grpc_arg integer_arg(const char *key, int value) {
    /* grpc_arg has a char * for historical reasons; core copies the key and never writes to it. */
    union {
        const char *in;
        char *out;
    } name = {.in = key};
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.out, .value.integer = value};
}

static gpr_timespec after_ms(uint32_t timeout_ms) {
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis((int64_t)timeout_ms, GPR_TIMESPAN));
}

/* Waits on a queue that has a completion under way. */
static grpc_event next_event(grpc_completion_queue *queue) {
    return grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void start_batch(grpc_call *call, const grpc_op *ops, size_t ops_count, void *tag) {
    grpc_call_error error = grpc_call_start_batch(call, ops, ops_count, tag, NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

bool connection_open(struct connection *connection, const char *target, uint32_t timeout_ms) {
    grpc_arg arguments[] = {
        /* Channels to one target would share a TCP connection. */
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        /* Retries of the transport would hide errors, and cost the client time. */
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1),
    };
    grpc_channel_args channel_args = {.num_args = sizeof arguments / sizeof arguments[0], .args = arguments};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(target, credentials, &channel_args);
    grpc_channel_credentials_release(credentials);

    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    gpr_timespec deadline = after_ms(timeout_ms);
    grpc_connectivity_state state = grpc_channel_check_connectivity_state(channel, 1);
    bool in_time = true;
    while (state != GRPC_CHANNEL_READY && in_time) {
        grpc_channel_watch_connectivity_state(channel, state, deadline, queue, NULL);
        in_time = next_event(queue).success != 0;
        state = grpc_channel_check_connectivity_state(channel, 1);
    }
    connection_queue_free(queue);
    if (state != GRPC_CHANNEL_READY) {
        grpc_channel_destroy(channel);
        return false;
    }
    connection->channel = channel;
    return true;
}

void connection_close(struct connection *connection) {
    grpc_channel_destroy(connection->channel);
    connection->channel = NULL;
}

void *connection_method(const struct connection *connection, const char *method) {
    return grpc_channel_register_call(connection->channel, method, NULL, NULL);
}

void connection_queue_free(grpc_completion_queue *queue) {
    grpc_completion_queue_shutdown(queue);
    grpc_event event = next_event(queue);
    assert(event.type == GRPC_QUEUE_SHUTDOWN);
    (void)event;
    grpc_completion_queue_destroy(queue);
}

static void status_init(struct call_status *status) {
    status->code = GRPC_STATUS_UNKNOWN;
    status->details = grpc_empty_slice();
    grpc_metadata_array_init(&status->initial_metadata);
    grpc_metadata_array_init(&status->trailing_metadata);
}

/* Frees a status. False when it is not OK, with its code and text in `ret_error`. */
static bool status_finish(struct call_status *status, char ret_error[CALL_ERROR_BYTES]) {
    bool ok = status->code == GRPC_STATUS_OK;
    if (!ok) {
        (void)snprintf(ret_error, CALL_ERROR_BYTES, "gRPC status %d: %.*s", (int)status->code,
                       (int)GRPC_SLICE_LENGTH(status->details), (const char *)GRPC_SLICE_START_PTR(status->details));
    }
    grpc_slice_unref(status->details);
    grpc_metadata_array_destroy(&status->initial_metadata);
    grpc_metadata_array_destroy(&status->trailing_metadata);
    return ok;
}

static grpc_op receive_status_op(struct call_status *status) {
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &status->trailing_metadata;
    op.data.recv_status_on_client.status = &status->code;
    op.data.recv_status_on_client.status_details = &status->details;
    return op;
}

bool message_count_fields(grpc_byte_buffer *message, uint32_t field, uint64_t *ret_count) {
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) return false;
    struct wire_counter counter;
    wire_counter_init(&counter, field);
    grpc_slice *slice = NULL;
    bool ok = true;
    while (ok && grpc_byte_buffer_reader_peek(&reader, &slice))
        ok = wire_counter_feed(&counter, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
    grpc_byte_buffer_reader_destroy(&reader);
    if (!ok || !wire_counter_is_complete(&counter)) return false;
    *ret_count = counter.fields_count;
    return true;
}

/* Creates the call and fills in what both kinds have. */
static void call_init(struct unary_call *call, const struct connection *connection, void *method,
                      grpc_completion_queue *queue, grpc_slice request, gpr_timespec deadline) {
    call->call = grpc_channel_create_registered_call(connection->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, method,
                                                     deadline, NULL);
    call->request = grpc_raw_byte_buffer_create(&request, 1);
    call->response = NULL;
    call->ending = false;
    call->answers_count = 0;
    status_init(&call->status);
}

void unary_start(struct unary_call *call, const struct connection *connection, void *method,
                 grpc_completion_queue *queue, grpc_slice request, gpr_timespec deadline) {
    call_init(call, connection, method, queue, request, deadline);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &call->status.initial_metadata},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->response},
        receive_status_op(&call->status),
    };
    start_batch(call->call, ops, sizeof ops / sizeof ops[0], call);
}

void reading_start(struct unary_call *call, const struct connection *connection, void *method,
                   grpc_completion_queue *queue, grpc_slice request, gpr_timespec deadline) {
    call_init(call, connection, method, queue, request, deadline);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &call->status.initial_metadata},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->response},
    };
    start_batch(call->call, ops, sizeof ops / sizeof ops[0], call);
}

bool reading_step(struct unary_call *call, grpc_byte_buffer **ret_message) {
    if (call->ending) return false;
    *ret_message = call->response;
    call->ending = call->response == NULL;
    call->response = NULL;
    /* The status is asked for last: it would not come while there are messages that nobody has taken. */
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->response};
    if (call->ending) op = receive_status_op(&call->status);
    start_batch(call->call, &op, 1, call);
    return true;
}

bool unary_finish(struct unary_call *call, char ret_error[CALL_ERROR_BYTES]) {
    bool ok = status_finish(&call->status, ret_error);
    grpc_byte_buffer_destroy(call->request);
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    grpc_call_unref(call->call);
    *call = (struct unary_call){0};
    return ok;
}

/* Finds the number in an answer. */
static bool find_uint(grpc_byte_buffer *response, uint32_t field, uint64_t *ret_value) {
    grpc_byte_buffer_reader reader;
    if (response == NULL || !grpc_byte_buffer_reader_init(&reader, response)) return false;
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    bool found = wire_find_uint(GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), field, ret_value);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    return found;
}

bool unary_ask_uint(const struct connection *connection, const char *method, uint32_t field, uint32_t timeout_ms,
                    uint64_t *ret_value, char ret_error[CALL_ERROR_BYTES]) {
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    struct unary_call call;
    unary_start(&call, connection, connection_method(connection, method), queue, grpc_empty_slice(),
                after_ms(timeout_ms));
    (void)next_event(queue);
    (void)snprintf(ret_error, CALL_ERROR_BYTES, "%s: the answer is not protobuf", method);
    bool found = call.status.code == GRPC_STATUS_OK && find_uint(call.response, field, ret_value);
    bool ok = unary_finish(&call, ret_error);
    connection_queue_free(queue);
    return ok && found;
}

void stream_start(struct stream_call *call, const struct connection *connection, const char *method,
                  grpc_slice request) {
    call->queue = grpc_completion_queue_create_for_next(NULL);
    call->call = grpc_channel_create_registered_call(connection->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue,
                                                     connection_method(connection, method),
                                                     gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    call->request = grpc_raw_byte_buffer_create(&request, 1);
    status_init(&call->status);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &call->status.initial_metadata},
    };
    start_batch(call->call, ops, sizeof ops / sizeof ops[0], call);
    (void)next_event(call->queue);
}

grpc_byte_buffer *stream_next(struct stream_call *call) {
    grpc_byte_buffer *message = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &message};
    start_batch(call->call, &op, 1, call);
    (void)next_event(call->queue);
    return message;
}

bool stream_finish(struct stream_call *call, char ret_error[CALL_ERROR_BYTES]) {
    grpc_op op = receive_status_op(&call->status);
    start_batch(call->call, &op, 1, call);
    (void)next_event(call->queue);
    bool ok = status_finish(&call->status, ret_error);
    grpc_byte_buffer_destroy(call->request);
    grpc_call_unref(call->call);
    connection_queue_free(call->queue);
    return ok;
}
