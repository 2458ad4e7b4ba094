/* server_context.c: see server_context.h. */
#include "sdk/runtime/server_context.h"

#include <stdlib.h>

#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "sdk/runtime/metadata.h"

/* The details of an error go with the trailers. */
#define ITEMS_COUNT (DAYBOOK_SERVER_HEADERS_MAX + 1)

static struct server_rpc *rpc_of(daybook_server_context *context) {
    return (struct server_rpc *)(void *)context;
}

static const struct server_rpc *const_rpc_of(const daybook_server_context *context) {
    return (const struct server_rpc *)(const void *)context;
}

daybook_server_context *daybook__server_context_of(struct server_rpc *rpc) {
    return (daybook_server_context *)(void *)rpc;
}

static void free_headers(struct server_headers *headers) {
    if (headers->items == NULL) return;
    uint32_t count = atomic_load_explicit(&headers->state, memory_order_acquire) & ~DAYBOOK__HEADERS_LEFT;
    for (uint32_t i = 0; i < count; i++) {
        grpc_slice_unref(headers->items[i].key);
        grpc_slice_unref(headers->items[i].value);
    }
    free(headers->items);
}

void daybook__server_context_deinit(struct server_rpc *rpc) {
    free_headers(&rpc->headers);
    free_headers(&rpc->trailers);
    if (rpc->peer != NULL) gpr_free(rpc->peer);
    if (rpc->auth != NULL) grpc_auth_context_release(rpc->auth);
}

/* --- What is known of the caller ---------------------------------------------------------------------------------- */

const daybook_method *daybook_server_context_method(const daybook_server_context *context) {
    return const_rpc_of(context)->arrival.method->method;
}

const daybook_metadata *daybook_server_context_metadata(const daybook_server_context *context) {
    return daybook__metadata_view(&const_rpc_of(context)->arrival.metadata);
}

const char *daybook_server_context_peer(daybook_server_context *context) {
    struct server_rpc *rpc = rpc_of(context);
    if (rpc->peer == NULL) rpc->peer = grpc_call_get_peer(rpc->arrival.call);
    return rpc->peer;
}

upb_StringView daybook_server_context_identity(daybook_server_context *context, size_t index) {
    struct server_rpc *rpc = rpc_of(context);
    if (rpc->auth == NULL) rpc->auth = grpc_call_auth_context(rpc->arrival.call);
    upb_StringView none = {.data = NULL, .size = 0};
    if (rpc->auth == NULL) return none;
    /* gRPC names the property by which a peer is known: the alternative names when there is any, else the common name. */
    grpc_auth_property_iterator iterator = grpc_auth_context_peer_identity(rpc->auth);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&iterator);
    for (size_t i = 0; i < index && property != NULL; i++) property = grpc_auth_property_iterator_next(&iterator);
    if (property == NULL) return none;
    return (upb_StringView){.data = property->value, .size = property->value_length};
}

uint64_t daybook_server_context_remaining_ms(const daybook_server_context *context) {
    return daybook__server_rpc_remaining_ms(const_rpc_of(context));
}

bool daybook_server_context_is_cancelled(const daybook_server_context *context) {
    return atomic_load_explicit(&const_rpc_of(context)->is_cancelled, memory_order_acquire);
}

upb_Arena *daybook_server_context_arena(daybook_server_context *context) {
    return rpc_of(context)->arena;
}

/* --- What is said beside the messages ----------------------------------------------------------------------------- */

static bool add(struct server_headers *headers, const char *what, const daybook_header *header,
                daybook_status *ret_status) {
    const char *problem = daybook__header_check(header);
    if (problem != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the %s %s", what, problem);
        return false;
    }
    uint32_t state = atomic_load_explicit(&headers->state, memory_order_acquire);
    if (state == DAYBOOK_SERVER_HEADERS_MAX) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "an answer has at most %d %ss",
                           DAYBOOK_SERVER_HEADERS_MAX, what);
        return false;
    }
    if ((state & DAYBOOK__HEADERS_LEFT) == 0) {
        if (headers->items == NULL) headers->items = calloc(ITEMS_COUNT, sizeof *headers->items);
        if (headers->items == NULL) {
            daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the %s", what);
            return false;
        }
        grpc_metadata item = daybook__header_convert(header);
        headers->items[state] = item;
        if (atomic_compare_exchange_strong(&headers->state, &state, state + 1)) return true;
        /* They left at this moment, on the queue's thread, and this one is not among them. */
        grpc_slice_unref(item.key);
        grpc_slice_unref(item.value);
    }
    daybook_status_set(ret_status, DAYBOOK_FAILED_PRECONDITION, "the %ss have left already", what);
    return false;
}

bool daybook_server_context_add_header(daybook_server_context *context, const daybook_header *header,
                                       daybook_status *ret_status) {
    return add(&rpc_of(context)->headers, "header", header, ret_status);
}

bool daybook_server_context_add_trailer(daybook_server_context *context, const daybook_header *trailer,
                                        daybook_status *ret_status) {
    return add(&rpc_of(context)->trailers, "trailer", trailer, ret_status);
}
