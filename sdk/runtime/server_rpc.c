/* server_rpc.c: see server_rpc.h. */
#include "sdk/runtime/server_rpc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "sdk/runtime/server_context.h"

/* What is freed does not count: an arena gives everything back at once. */
static void *allocate(upb_alloc *alloc, void *memory, size_t size_before, size_t size) {
    if (size == 0) {
        free(memory);
        return NULL;
    }
    struct server_memory *budget = (struct server_memory *)(void *)alloc;
    const size_t more = size > size_before ? size - size_before : 0;
    if (more > budget->taken_bytes_max - budget->taken_bytes) return NULL;
    void *allocated = realloc(memory, size);
    if (allocated != NULL) budget->taken_bytes += more;
    return allocated;
}

void daybook__server_memory_init(struct server_memory *memory) {
    *memory = (struct server_memory){.alloc = {.func = allocate}, .taken_bytes_max = UINT64_MAX};
}

void daybook__server_memory_begin_decode(struct server_memory *memory, const struct daybook_server *server) {
    memory->taken_bytes_max = memory->taken_bytes + server->request_memory_bytes_max;
}

void daybook__server_memory_end_decode(struct server_memory *memory) {
    memory->taken_bytes_max = UINT64_MAX;
}

void daybook__server_rpc_init(struct server_rpc *rpc, const struct server_arrival *arrival, void *block,
                              size_t block_size) {
    *rpc = (struct server_rpc){.arrival = *arrival};
    daybook__server_memory_init(&rpc->memory);
    rpc->arena = upb_Arena_Init(block, block_size, &rpc->memory.alloc);
    assert(rpc->arena != NULL);
    daybook__server_queue_count_start(arrival->queue);
}

/* Cancelling a call that has sent nothing sends the status given here. */
void daybook__server_rpc_drop(const struct server_arrival *arrival) {
    daybook__server_queue_count_start(arrival->queue);
    grpc_call_cancel_with_status(arrival->call, GRPC_STATUS_RESOURCE_EXHAUSTED, "the server has no memory for the call",
                                 NULL);
    grpc_call_unref(arrival->call);
    if (arrival->request != NULL) grpc_byte_buffer_destroy(arrival->request);
    grpc_metadata_array metadata = arrival->metadata;
    grpc_metadata_array_destroy(&metadata);
    daybook__server_queue_count_end(arrival->queue, true);
}

static void clear_end(struct server_rpc *rpc) {
    if (rpc->has_message) grpc_slice_unref(rpc->message);
    if (rpc->has_details) grpc_slice_unref(rpc->details.value);
    rpc->has_message = false;
    rpc->has_details = false;
}

void daybook__server_rpc_free(struct server_rpc *rpc) {
    struct server_queue *queue = rpc->arrival.queue;
    bool failed = rpc->code != DAYBOOK_OK || rpc->cancelled != 0;
    clear_end(rpc);
    upb_Arena_Free(rpc->arena);
    if (rpc->arrival.request != NULL) grpc_byte_buffer_destroy(rpc->arrival.request);
    grpc_metadata_array_destroy(&rpc->arrival.metadata);
    if (rpc->headers.items != NULL || rpc->trailers.items != NULL || rpc->peer != NULL || rpc->auth != NULL) {
        daybook__server_context_deinit(rpc);
    }
    grpc_call_unref(rpc->arrival.call);
    daybook__server_queue_give_slot(queue, rpc);
    daybook__server_queue_count_end(queue, failed);
}

bool daybook__server_rpc_decode(struct server_rpc *rpc, const void **ret_request) {
    const daybook_method *method = rpc->arrival.method->method;
    if (rpc->arrival.request == NULL) {
        /* gRPC's statuscodes.md: a method that takes one request and was sent none. */
        daybook__server_rpc_set_error(rpc, DAYBOOK_UNIMPLEMENTED, "%s takes one request, none was sent", method->path);
        return false;
    }
    daybook__server_memory_begin_decode(&rpc->memory, rpc->arrival.queue->server);
    codec_result result = daybook__codec_decode_alias(rpc->arrival.request, method->request, rpc->arena, ret_request);
    daybook__server_memory_end_decode(&rpc->memory);
    if (result == CODEC_OK) return true;
    daybook__server_rpc_set_codec_error(rpc, result);
    return false;
}

void daybook__server_rpc_set_codec_error(struct server_rpc *rpc, codec_result result) {
    daybook_code code = result == CODEC_NO_MEMORY    ? DAYBOOK_RESOURCE_EXHAUSTED
                        : result == CODEC_COMPRESSED ? DAYBOOK_UNIMPLEMENTED
                                                     : DAYBOOK_INVALID_ARGUMENT;
    daybook__server_rpc_set_error(rpc, code, "the request of %s %s", rpc->arrival.method->method->path,
                                  daybook__codec_text(result));
}

void daybook__server_rpc_set_response_error(struct server_rpc *rpc, const char *which, codec_result result) {
    daybook_code code = result == CODEC_NO_MEMORY ? DAYBOOK_RESOURCE_EXHAUSTED : DAYBOOK_INTERNAL;
    daybook__server_rpc_set_error(rpc, code, "%s of %s %s", which, rpc->arrival.method->method->path,
                                  daybook__codec_text(result));
}

/* The size of a text that is cut to `size_max` bytes between two characters: a byte 10xxxxxx goes on a character. */
static size_t cut(const char *text, size_t size, size_t size_max) {
    if (size <= size_max) return size;
    size = size_max;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) size--;
    return size;
}

void daybook__server_rpc_set_end(struct server_rpc *rpc, daybook_code code, const char *message, size_t message_size,
                                 const void *details, size_t details_size) {
    assert(code >= DAYBOOK_OK && code <= DAYBOOK_UNAUTHENTICATED);
    clear_end(rpc);
    rpc->code = code;
    if (code == DAYBOOK_OK) return;
    if (message_size > 0) {
        rpc->message =
            grpc_slice_from_copied_buffer(message, cut(message, message_size, DAYBOOK__END_MESSAGE_BYTES_MAX));
        rpc->has_message = true;
    }
    if (details_size > 0 && details_size <= DAYBOOK__END_DETAILS_BYTES_MAX) {
        rpc->details = (grpc_metadata){
            .key = grpc_slice_from_static_string("grpc-status-details-bin"),
            .value = grpc_slice_from_copied_buffer(details, details_size),
        };
        rpc->has_details = true;
    }
}

void daybook__server_rpc_set_error(struct server_rpc *rpc, daybook_code code, const char *format, ...) {
    char text[DAYBOOK__END_MESSAGE_BYTES_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    daybook__server_rpc_set_end(rpc, code, text, strlen(text), NULL, 0);
}

void daybook__server_rpc_close_headers(struct server_rpc *rpc) {
    if ((atomic_load_explicit(&rpc->headers.state, memory_order_relaxed) & DAYBOOK__HEADERS_LEFT) != 0) return;
    atomic_fetch_or(&rpc->headers.state, DAYBOOK__HEADERS_LEFT);
}

void daybook__server_rpc_fill_headers(struct server_rpc *rpc, grpc_op *operation) {
    uint32_t count = atomic_load_explicit(&rpc->headers.state, memory_order_acquire) & ~DAYBOOK__HEADERS_LEFT;
    if (count == 0) return;
    operation->data.send_initial_metadata.count = count;
    operation->data.send_initial_metadata.metadata = rpc->headers.items;
}

grpc_op daybook__server_rpc_end_operation(struct server_rpc *rpc) {
    grpc_metadata *trailers = &rpc->details;
    size_t trailers_count = rpc->has_details ? 1 : 0;
    if (atomic_load_explicit(&rpc->trailers.state, memory_order_relaxed) != 0) {
        uint32_t added_count = atomic_fetch_or(&rpc->trailers.state, DAYBOOK__HEADERS_LEFT);
        trailers = rpc->trailers.items;
        if (rpc->has_details) trailers[added_count] = rpc->details;
        trailers_count += added_count;
    }
    return (grpc_op){
        .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
        .data.send_status_from_server =
            {
                .status = (grpc_status_code)rpc->code,
                .status_details = rpc->has_message ? &rpc->message : NULL,
                .trailing_metadata = trailers_count > 0 ? trailers : NULL,
                .trailing_metadata_count = trailers_count,
            },
    };
}

grpc_op daybook__server_rpc_close_operation(struct server_rpc *rpc) {
    return (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &rpc->cancelled};
}

void daybook__server_rpc_hear_close(struct server_rpc *rpc) {
    if (rpc->cancelled != 0) atomic_store_explicit(&rpc->is_cancelled, true, memory_order_release);
}

uint64_t daybook__server_rpc_remaining_ms(const struct server_rpc *rpc) {
    gpr_timespec deadline = rpc->arrival.deadline;
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) return UINT64_MAX;
    gpr_timespec remaining = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    if (gpr_time_cmp(remaining, gpr_time_0(GPR_TIMESPAN)) <= 0) return 0;
    /* Rounded up: a deadline that has not passed never reads as one that has. */
    return (uint64_t)remaining.tv_sec * 1000 + ((uint64_t)remaining.tv_nsec + 999999) / 1000000;
}
