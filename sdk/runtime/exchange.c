/* exchange.c: see exchange.h. */
#include "sdk/runtime/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>

#include "sdk/runtime/metadata.h"
#include "sdk/runtime/options.h"
#include "sdk/runtime/status.h"

#define DETAILS_KEY       "grpc-status-details-bin"
#define AUTHORIZATION_KEY "authorization"

/* Copies the headers: gRPC reads them when the batch is started, and options may be gone by the next one. There is room
 * for one more. */
static bool headers_copy(struct exchange *exchange, const daybook_call_options *options, daybook_status *ret_status) {
    exchange->headers = &exchange->own_header;
    if (options->headers_count == 0) return true;
    exchange->headers = calloc(options->headers_count + 1, sizeof *exchange->headers);
    if (exchange->headers == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for headers");
        return false;
    }
    exchange->headers_count = options->headers_count;
    for (size_t i = 0; i < options->headers_count; i++) {
        exchange->headers[i] = daybook__header_convert(&options->headers[i]);
        if (strcmp(options->headers[i].key, AUTHORIZATION_KEY) == 0) exchange->has_authorization = true;
    }
    return true;
}

bool daybook__client_streams(const daybook_method *method) {
    return method->kind == DAYBOOK_METHOD_CLIENT_STREAMING || method->kind == DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING;
}

/* Adds the client's token, unless the call has its own or there is none. Takes the value. */
static void authorize(struct exchange *exchange, grpc_slice value) {
    if (exchange->has_authorization || GRPC_SLICE_LENGTH(value) == 0) {
        grpc_slice_unref(value);
        return;
    }
    exchange->headers[exchange->headers_count++] = (grpc_metadata){
        .key = grpc_slice_from_static_string(AUTHORIZATION_KEY),
        .value = value,
    };
}

static bool request_encode(struct exchange *exchange, const void *request, daybook_status *ret_status) {
    assert((request == NULL) == daybook__client_streams(exchange->method));
    if (request == NULL) return true;
    codec_result result = daybook__codec_encode(request, exchange->method->request, &exchange->request);
    if (result == CODEC_OK) return true;
    daybook__exchange_refused(exchange, result, ret_status);
    return false;
}

static void release(struct exchange *exchange) {
    if (exchange->loop != NULL) daybook__loop_release(exchange->loop);
    if (exchange->call != NULL) grpc_call_unref(exchange->call);
    if (exchange->request != NULL) grpc_byte_buffer_destroy(exchange->request);
    for (size_t i = 0; i < exchange->headers_count; i++) {
        grpc_slice_unref(exchange->headers[i].key);
        grpc_slice_unref(exchange->headers[i].value);
    }
    if (exchange->headers != &exchange->own_header) free(exchange->headers);
    grpc_metadata_array_destroy(&exchange->initial_metadata);
    grpc_metadata_array_destroy(&exchange->trailing_metadata);
    grpc_slice_unref(exchange->text);
    grpc_slice_unref(exchange->request_kept);
}

static gpr_timespec deadline_after(uint32_t timeout_ms) {
    if (timeout_ms == DAYBOOK_TIMEOUT_NONE) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

bool daybook__exchange_open(struct exchange *exchange, daybook_client *client, const daybook_method *method,
                            const void *request, const daybook_call_options *options, grpc_completion_queue *queue,
                            void (*cancel)(struct client_entry *entry), daybook_status *ret_status) {
    daybook_call_options resolved;
    if (options != NULL && options->details != NULL) options->details->size = 0;
    if (!daybook__call_options_resolve(options, method->kind, &resolved, ret_status)) return false;
    *exchange = (struct exchange){
        .client = client,
        .method = method,
        .entry = {.cancel = cancel, .is_plucked = queue != NULL},
        .wait_for_ready = resolved.wait_for_ready != 0,
        .deadline = deadline_after(resolved.timeout_ms),
        .text = grpc_empty_slice(),
        .request_kept = grpc_empty_slice(),
        .details = resolved.details,
    };
    grpc_metadata_array_init(&exchange->initial_metadata);
    grpc_metadata_array_init(&exchange->trailing_metadata);
    if (!headers_copy(exchange, &resolved, ret_status) || !request_encode(exchange, request, ret_status)) {
        release(exchange);
        return false;
    }
    exchange->loop = queue == NULL ? daybook__client_hold_loop(client) : NULL;
    exchange->queue = queue == NULL ? exchange->loop->queue : queue;
    exchange->call = daybook__client_create_call(client, method, exchange->deadline, exchange->queue);
    grpc_slice authorization;
    if (!daybook__client_enter(client, &exchange->entry, &authorization)) {
        release(exchange);
        daybook_status_set(ret_status, DAYBOOK_CANCELLED, "the client is being closed");
        return false;
    }
    authorize(exchange, authorization);
    return true;
}

grpc_op daybook__exchange_headers_operation(struct exchange *exchange) {
    uint32_t flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    return (grpc_op){
        .op = GRPC_OP_SEND_INITIAL_METADATA,
        .flags = exchange->wait_for_ready ? flags : 0,
        .data.send_initial_metadata = {.count = exchange->headers_count, .metadata = exchange->headers},
    };
}

grpc_op daybook__exchange_metadata_operation(struct exchange *exchange) {
    return (grpc_op){
        .op = GRPC_OP_RECV_INITIAL_METADATA,
        .data.recv_initial_metadata.recv_initial_metadata = &exchange->initial_metadata,
    };
}

void daybook__exchange_request_operations(struct exchange *exchange, grpc_op operations[EXCHANGE_REQUEST_OPERATIONS]) {
    operations[0] = daybook__exchange_headers_operation(exchange);
    operations[1] = (grpc_op){
        .op = GRPC_OP_SEND_MESSAGE,
        .data.send_message.send_message = exchange->request,
    };
    operations[2] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    operations[3] = daybook__exchange_metadata_operation(exchange);
}

grpc_op daybook__exchange_status_operation(struct exchange *exchange) {
    return (grpc_op){
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client =
            {
                .trailing_metadata = &exchange->trailing_metadata,
                .status = &exchange->code,
                .status_details = &exchange->text,
            },
    };
}

void daybook__exchange_keep_request(struct exchange *exchange) {
    grpc_byte_buffer_reader reader;
    grpc_slice *slice = NULL;
    const int opened = grpc_byte_buffer_reader_init(&reader, exchange->request);
    assert(opened);
    if (grpc_byte_buffer_reader_peek(&reader, &slice)) exchange->request_kept = grpc_slice_ref(*slice);
    assert(GRPC_SLICE_LENGTH(exchange->request_kept) == grpc_byte_buffer_length(exchange->request));
    grpc_byte_buffer_reader_destroy(&reader);
}

void daybook__exchange_renew(struct exchange *exchange) {
    grpc_metadata_array_destroy(&exchange->initial_metadata);
    grpc_metadata_array_destroy(&exchange->trailing_metadata);
    grpc_metadata_array_init(&exchange->initial_metadata);
    grpc_metadata_array_init(&exchange->trailing_metadata);
    grpc_slice_unref(exchange->text);
    exchange->text = grpc_empty_slice();
    exchange->code = GRPC_STATUS_OK;
    grpc_byte_buffer_destroy(exchange->request);
    exchange->request = grpc_raw_byte_buffer_create(&exchange->request_kept, 1);
    grpc_call_unref(exchange->call);
    exchange->call =
        daybook__client_create_call(exchange->client, exchange->method, exchange->deadline, exchange->queue);
}

uint64_t daybook__exchange_left_ms(const struct exchange *exchange) {
    if (gpr_time_cmp(exchange->deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) return UINT64_MAX;
    const gpr_timespec left = gpr_time_sub(exchange->deadline, gpr_now(GPR_CLOCK_MONOTONIC));
    if (gpr_time_cmp(left, gpr_time_0(GPR_TIMESPAN)) <= 0) return 0;
    return (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_nsec / 1000000;
}

const grpc_slice *daybook__exchange_trailer(const struct exchange *exchange, const char *key) {
    for (size_t i = 0; i < exchange->trailing_metadata.count; i++) {
        const grpc_metadata *item = &exchange->trailing_metadata.metadata[i];
        if (grpc_slice_str_cmp(item->key, key) == 0) return &item->value;
    }
    return NULL;
}

void daybook__exchange_status(const struct exchange *exchange, daybook_status *ret_status) {
    daybook__status_set_text(ret_status, daybook__code_from_number((int)exchange->code),
                             (const char *)GRPC_SLICE_START_PTR(exchange->text), GRPC_SLICE_LENGTH(exchange->text));
    const grpc_slice *found = daybook__exchange_trailer(exchange, DETAILS_KEY);
    if (found == NULL) return;
    daybook__status_add_details(ret_status, GRPC_SLICE_START_PTR(*found), GRPC_SLICE_LENGTH(*found));
}

void daybook__exchange_fill_details(const struct exchange *exchange) {
    const grpc_slice *found = exchange->details == NULL ? NULL : daybook__exchange_trailer(exchange, DETAILS_KEY);
    if (found == NULL || exchange->code == GRPC_STATUS_OK) return;
    const size_t size = GRPC_SLICE_LENGTH(*found);
    if (size > sizeof exchange->details->bytes) return;
    memcpy(exchange->details->bytes, GRPC_SLICE_START_PTR(*found), size);
    exchange->details->size = size;
}

void daybook__exchange_refused(const struct exchange *exchange, codec_result result, daybook_status *ret_status) {
    daybook_code code = result == CODEC_NO_MEMORY ? DAYBOOK_RESOURCE_EXHAUSTED : DAYBOOK_INVALID_ARGUMENT;
    daybook_status_set(ret_status, code, "the request of %s %s", exchange->method->path, daybook__codec_text(result));
}

void daybook__exchange_undecoded(const struct exchange *exchange, codec_result result, daybook_status *ret_status) {
    daybook_code code = result == CODEC_NO_MEMORY ? DAYBOOK_RESOURCE_EXHAUSTED : DAYBOOK_INTERNAL;
    daybook_status_set(ret_status, code, "the response of %s %s", exchange->method->path, daybook__codec_text(result));
}

void daybook__exchange_malformed(const struct exchange *exchange, const char *text, daybook_status *ret_status) {
    daybook_status_set(ret_status, DAYBOOK_INTERNAL, "the response of %s %s", exchange->method->path, text);
}

/* Nobody may cancel a call that is released, and gRPC must be there until it is. */
void daybook__exchange_close(struct exchange *exchange) {
    daybook_client *client = exchange->client;
    daybook__client_leave(client, &exchange->entry);
    release(exchange);
    daybook__client_unref(client);
}

void daybook__exchange_cancel(struct exchange *exchange) {
    grpc_call_error error = grpc_call_cancel(exchange->call, NULL);
    assert(error == GRPC_CALL_OK);
}
