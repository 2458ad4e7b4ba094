/* raw_client.c: see raw_client.h. */
#include "tests/support/raw_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

struct raw_channel {
    grpc_channel *channel;
};

struct raw_call {
    grpc_call *call;
    grpc_completion_queue *queue;
    grpc_metadata_array headers;
    grpc_metadata_array trailers;
    bool has_headers;
    bool is_finished;
};

/* What core's own compression is asked for by. */
const struct raw_header raw_gzip = {.key = GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY, .value = "gzip"};

struct raw_channel *raw_channel_open(uint16_t port) {
    grpc_init();
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    grpc_arg arguments[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_RETRIES, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = -1},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_METADATA_SIZE, .value.integer = 8192},
    };
    grpc_channel_args list = {.num_args = sizeof arguments / sizeof arguments[0], .args = arguments};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    struct raw_channel *channel = calloc(1, sizeof *channel);
    assert(channel != NULL);
    channel->channel = grpc_channel_create(target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

void raw_channel_close(struct raw_channel *channel) {
    grpc_channel_destroy(channel->channel);
    free(channel);
    grpc_shutdown();
}

static grpc_event next_event(grpc_completion_queue *queue) {
    return grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void free_queue(grpc_completion_queue *queue) {
    grpc_completion_queue_shutdown(queue);
    grpc_event event = next_event(queue);
    assert(event.type == GRPC_QUEUE_SHUTDOWN);
    grpc_completion_queue_destroy(queue);
}

void raw_channel_connect(struct raw_channel *channel) {
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_connectivity_state state;
    while ((state = grpc_channel_check_connectivity_state(channel->channel, 1)) != GRPC_CHANNEL_READY) {
        gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_REALTIME);
        grpc_channel_watch_connectivity_state(channel->channel, state, deadline, queue, NULL);
        next_event(queue);
    }
    free_queue(queue);
}

/* Runs one batch to its end. */
static bool run(struct raw_call *call, const grpc_op *operations, size_t count) {
    grpc_call_error error = grpc_call_start_batch(call->call, operations, count, call, NULL);
    assert(error == GRPC_CALL_OK);
    grpc_event event = next_event(call->queue);
    assert(event.type == GRPC_OP_COMPLETE);
    return event.success != 0;
}

#define HEADERS_MAX 32

static void send_headers(struct raw_call *call, const struct raw_header *headers, size_t headers_count) {
    grpc_metadata metadata[HEADERS_MAX] = {0};
    assert(headers_count <= HEADERS_MAX);
    for (size_t i = 0; i < headers_count; i++) {
        size_t value_size = headers[i].value_size > 0 ? headers[i].value_size : strlen(headers[i].value);
        metadata[i].key = grpc_slice_from_copied_string(headers[i].key);
        metadata[i].value = grpc_slice_from_copied_buffer(headers[i].value, value_size);
    }
    grpc_op operation = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                         .data.send_initial_metadata = {.count = headers_count, .metadata = metadata}};
    run(call, &operation, 1);
    for (size_t i = 0; i < headers_count; i++) {
        grpc_slice_unref(metadata[i].key);
        grpc_slice_unref(metadata[i].value);
    }
}

struct raw_call *raw_call_start(struct raw_channel *channel, const char *path, uint32_t timeout_ms,
                                const struct raw_header *header) {
    return raw_call_start_with(channel, path, timeout_ms, header, header == NULL ? 0 : 1);
}

struct raw_call *raw_call_start_with(struct raw_channel *channel, const char *path, uint32_t timeout_ms,
                                     const struct raw_header *headers, size_t headers_count) {
    struct raw_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    gpr_timespec deadline =
        timeout_ms == RAW_TIMEOUT_NONE
            ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
            : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis((int64_t)timeout_ms, GPR_TIMESPAN));
    call->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_metadata_array_init(&call->headers);
    grpc_metadata_array_init(&call->trailers);
    grpc_slice method = grpc_slice_from_copied_string(path);
    call->call = grpc_channel_create_call(channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue, method, NULL,
                                          deadline, NULL);
    grpc_slice_unref(method);
    send_headers(call, headers, headers_count);
    return call;
}

bool raw_call_send(struct raw_call *call, const void *data, size_t size) {
    grpc_slice slice = grpc_slice_from_copied_buffer(data, size);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_op operation = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    bool ok = run(call, &operation, 1);
    grpc_byte_buffer_destroy(buffer);
    return ok;
}

void raw_call_half_close(struct raw_call *call) {
    grpc_op operation = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    run(call, &operation, 1);
}

struct raw_call *raw_call_request(struct raw_channel *channel, const char *path, const void *request,
                                  size_t request_size) {
    struct raw_call *call = raw_call_start(channel, path, RAW_TIMEOUT_NONE, NULL);
    /* A call that has ended already says so by its status. */
    (void)raw_call_send(call, request, request_size);
    raw_call_half_close(call);
    return call;
}

static grpc_op headers_operation(struct raw_call *call) {
    call->has_headers = true;
    return (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA,
                     .data.recv_initial_metadata.recv_initial_metadata = &call->headers};
}

void raw_call_receive_headers(struct raw_call *call) {
    grpc_op operation = headers_operation(call);
    run(call, &operation, 1);
}

struct raw_bytes raw_call_receive(struct raw_call *call) {
    /* Core gives no message before somebody has asked for the headers. */
    if (!call->has_headers) raw_call_receive_headers(call);
    grpc_byte_buffer *buffer = NULL;
    grpc_op operation = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &buffer};
    struct raw_bytes bytes = {0};
    if (!run(call, &operation, 1) || buffer == NULL) return bytes;
    grpc_byte_buffer_reader reader;
    int readable = grpc_byte_buffer_reader_init(&reader, buffer);
    assert(readable);
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    bytes.size = GRPC_SLICE_LENGTH(all);
    bytes.data = malloc(bytes.size + 1);
    assert(bytes.data != NULL);
    memcpy(bytes.data, GRPC_SLICE_START_PTR(all), bytes.size);
    bytes.data[bytes.size] = '\0';
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return bytes;
}

size_t raw_call_drain(struct raw_call *call) {
    size_t count = 0;
    for (char *data = raw_call_receive(call).data; data != NULL; data = raw_call_receive(call).data) {
        free(data);
        count++;
    }
    return count;
}

static struct raw_bytes find(const grpc_metadata_array *metadata, const char *key, size_t index) {
    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_metadata *item = &metadata->metadata[i];
        if (grpc_slice_str_cmp(item->key, key) != 0 || index-- > 0) continue;
        return (struct raw_bytes){.data = (char *)GRPC_SLICE_START_PTR(item->value),
                                  .size = GRPC_SLICE_LENGTH(item->value)};
    }
    return (struct raw_bytes){.data = NULL};
}

struct raw_bytes raw_call_header(const struct raw_call *call, const char *key, size_t index) {
    return find(&call->headers, key, index);
}

struct raw_bytes raw_call_trailer(const struct raw_call *call, const char *key, size_t index) {
    return find(&call->trailers, key, index);
}

void raw_call_cancel(struct raw_call *call) {
    grpc_call_cancel(call->call, NULL);
}

struct raw_status raw_call_finish(struct raw_call *call) {
    struct raw_status status = {0};
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice message = grpc_empty_slice();
    grpc_op operations[2] = {{.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    operations[0].data.recv_status_on_client.trailing_metadata = &call->trailers;
    operations[0].data.recv_status_on_client.status = &code;
    operations[0].data.recv_status_on_client.status_details = &message;
    size_t count = 1;
    if (!call->has_headers) operations[count++] = headers_operation(call);
    run(call, operations, count);
    call->is_finished = true;
    status.code = (int)code;
    snprintf(status.message, sizeof status.message, "%.*s", (int)GRPC_SLICE_LENGTH(message),
             (const char *)GRPC_SLICE_START_PTR(message));
    struct raw_bytes details = raw_call_trailer(call, "grpc-status-details-bin", 0);
    assert(details.size <= sizeof status.details);
    if (details.data != NULL) memcpy(status.details, details.data, details.size);
    status.details_size = details.size;
    grpc_slice_unref(message);
    return status;
}

void raw_call_free(struct raw_call *call) {
    if (!call->is_finished) {
        raw_call_cancel(call);
        raw_call_finish(call);
    }
    grpc_metadata_array_destroy(&call->headers);
    grpc_metadata_array_destroy(&call->trailers);
    grpc_call_unref(call->call);
    free_queue(call->queue);
    free(call);
}

struct raw_status raw_unary(struct raw_channel *channel, const char *path, const void *request, size_t request_size,
                            struct raw_bytes *ret_response) {
    struct raw_call *call = raw_call_request(channel, path, request, request_size);
    struct raw_bytes response = raw_call_receive(call);
    struct raw_status status = raw_call_finish(call);
    if (ret_response != NULL)
        *ret_response = response;
    else
        free(response.data);
    raw_call_free(call);
    return status;
}
