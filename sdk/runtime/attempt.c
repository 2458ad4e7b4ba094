/* attempt.c: see attempt.h. */
#include "sdk/runtime/attempt.h"

#include "sdk/runtime/codec.h"
#include "sdk/runtime/options.h"

#define PUSHBACK_KEY "grpc-retry-pushback-ms"

/* Whose options hold for retries, and whether any may be made. */
static bool retry_init(struct retry *retry, const daybook_client *client, const daybook_method *method,
                       const daybook_call_options *options, daybook_status *ret_status) {
    const bool has_own = options != NULL && options->retry != NULL;
    retry->options = has_own ? *options->retry : *daybook__client_retry(client);
    retry->is_safe =
        method->idempotency != DAYBOOK_IDEMPOTENCY_UNKNOWN || (options != NULL && options->idempotent != 0);
    if (has_own && !daybook__retry_options_resolve(&retry->options, ret_status)) return false;
    if (retry->options.attempts_max == 1) retry->is_safe = false;
    return true;
}

bool daybook__attempt_open(struct attempt *attempt, daybook_client *client, const daybook_method *method,
                           const void *request, const daybook_call_options *options, grpc_completion_queue *queue,
                           void (*cancel)(struct client_entry *entry), daybook_status *ret_status) {
    if (!retry_init(&attempt->retry, client, method, options, ret_status)) return false;
    if (!daybook__exchange_open(&attempt->exchange, client, method, request, options, queue, cancel, ret_status)) {
        return false;
    }
    if (attempt->retry.is_safe) {
        /* Clients whose calls fail at the same time must not come again at the same time. */
        attempt->retry.random = (uintptr_t)attempt ^ (uint64_t)attempt->exchange.deadline.tv_nsec;
        daybook__exchange_keep_request(&attempt->exchange);
    }
    return true;
}

void daybook__attempt_start(struct attempt *attempt) {
    attempt->retry.attempts_count++;
    grpc_op operations[EXCHANGE_REQUEST_OPERATIONS + 2];
    daybook__exchange_request_operations(&attempt->exchange, operations);
    operations[EXCHANGE_REQUEST_OPERATIONS] = (grpc_op){
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &attempt->response,
    };
    operations[EXCHANGE_REQUEST_OPERATIONS + 1] = daybook__exchange_status_operation(&attempt->exchange);
    daybook__loop_start(attempt->exchange.call, operations, EXCHANGE_REQUEST_OPERATIONS + 2, &attempt->operation);
}

bool daybook__attempt_plan(struct attempt *attempt, const daybook_status *status, uint32_t *ret_pause_ms) {
    if (status->code == DAYBOOK_OK || !attempt->retry.is_safe) return false;
    struct retry_pushback pushback = {.kind = RETRY_PUSHBACK_NONE};
    const grpc_slice *trailer = daybook__exchange_trailer(&attempt->exchange, PUSHBACK_KEY);
    if (trailer != NULL) {
        pushback =
            daybook__retry_pushback_parse((const char *)GRPC_SLICE_START_PTR(*trailer), GRPC_SLICE_LENGTH(*trailer));
    }
    return daybook__retry_plan(&attempt->retry, status, &pushback, daybook__exchange_left_ms(&attempt->exchange),
                               ret_pause_ms);
}

static void response_drop(struct attempt *attempt) {
    if (attempt->response != NULL) grpc_byte_buffer_destroy(attempt->response);
    attempt->response = NULL;
}

void daybook__attempt_renew(struct attempt *attempt) {
    response_drop(attempt);
    daybook__exchange_renew(&attempt->exchange);
}

void daybook__attempt_take_response(struct attempt *attempt, upb_Arena *arena, daybook_status *status,
                                    const void **ret_message) {
    const struct exchange *exchange = &attempt->exchange;
    if (status->code == DAYBOOK_OK && attempt->response == NULL) {
        daybook__exchange_malformed(exchange, "is missing, though the status is OK", status);
    } else if (status->code == DAYBOOK_OK) {
        codec_result result = daybook__codec_decode(attempt->response, exchange->method->response, arena, ret_message);
        if (result != CODEC_OK) daybook__exchange_undecoded(exchange, result, status);
    }
    response_drop(attempt);
}
