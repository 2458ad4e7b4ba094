/* attempt.h: one attempt of a unary call, which futures and blocking calls have in common.
 *
 * Ownership: everything lies in the call that makes the attempts. Threads: one at a time. Errors: of the functions. */
#ifndef DAYBOOK_SDK_RUNTIME_ATTEMPT_H
#define DAYBOOK_SDK_RUNTIME_ATTEMPT_H

#include "sdk/runtime/exchange.h"
#include "sdk/runtime/retry.h"

/* What goes on between one attempt and the next. */
struct attempt {
    struct exchange exchange;
    struct loop_operation operation;
    grpc_byte_buffer *response;
    struct retry retry;
};

/* Opens the exchange of a zeroed attempt, on `queue` (NULL: a loop's), and learns whether there may be others after it.
 * False: nothing was opened. */
DAYBOOK_MUST_USE bool daybook__attempt_open(struct attempt *attempt, daybook_client *client,
                                            const daybook_method *method, const void *request,
                                            const daybook_call_options *options, grpc_completion_queue *queue,
                                            void (*cancel)(struct client_entry *entry), daybook_status *ret_status);

/* Starts it, everything in one batch. */
void daybook__attempt_start(struct attempt *attempt);

/* After an attempt that ended with `status`: whether to make another, and after which pause. */
DAYBOOK_MUST_USE bool daybook__attempt_plan(struct attempt *attempt, const daybook_status *status,
                                            uint32_t *ret_pause_ms);

/* Makes ready for the next. */
void daybook__attempt_renew(struct attempt *attempt);

/* Decodes the response of an attempt that ended with `status` into the arena; a response that is missing or malformed makes
 * the status another. `ret_message` is set when the status stays OK. */
void daybook__attempt_take_response(struct attempt *attempt, upb_Arena *arena, daybook_status *status,
                                    const void **ret_message);

#endif
