/* exchange.h: what unary calls and streams have in common: headers and deadline, the request, and how it ended.
 *
 * Ownership: an exchange is embedded in its owner, which must not move from open until close.
 * Threads: one at a time, but for daybook__exchange_cancel, which any thread may call between open and close.
 * Errors: whatever fails before something is sent is a status of its own: INVALID_ARGUMENT for options and requests that
 * cannot be sent, CANCELLED when the client is being closed. */
#ifndef DAYBOOK_SDK_RUNTIME_EXCHANGE_H
#define DAYBOOK_SDK_RUNTIME_EXCHANGE_H

#include <grpc/grpc.h>

#include "daybook/method.h"
#include "daybook/options.h"
#include "sdk/runtime/client.h"
#include "sdk/runtime/codec.h"

struct exchange {
    daybook_client *client;
    const daybook_method *method;
    struct client_entry entry;
    struct loop *loop; /* held while the exchange is open; NULL: the calling threads pluck from `queue` */
    grpc_completion_queue *queue;
    grpc_call *call;
    gpr_timespec deadline;
    /* The sending half. */
    grpc_byte_buffer *request; /* gRPC takes what is in it; NULL where the client streams */
    grpc_slice request_kept;   /* for another attempt; empty when none is wanted */
    grpc_metadata *headers;
    size_t headers_count;
    grpc_metadata own_header; /* the place of `headers` when the options have none */
    bool has_authorization;   /* among the options' headers */
    bool wait_for_ready;
    /* The receiving half. */
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_status_code code;
    grpc_slice text;
    daybook_details *details; /* the caller's; may be NULL */
};

/* Whether the client sends any number of messages. */
bool daybook__client_streams(const daybook_method *method);

/* Checks the options, serialises the request, which is NULL where the client streams, and enters the client. What is
 * started completes on one of the client's loops, or, when `queue` is not NULL, there. `cancel` is for the client's close: it
 * must end the exchange. False: nothing was opened. */
DAYBOOK_MUST_USE bool daybook__exchange_open(struct exchange *exchange, daybook_client *client,
                                             const daybook_method *method, const void *request,
                                             const daybook_call_options *options, grpc_completion_queue *queue,
                                             void (*cancel)(struct client_entry *entry), daybook_status *ret_status);

/* The operations that send the headers and receive the initial metadata. */
grpc_op daybook__exchange_headers_operation(struct exchange *exchange);
grpc_op daybook__exchange_metadata_operation(struct exchange *exchange);

/* Fills in the operations that send everything and receive the initial metadata; exactly this many. */
#define EXCHANGE_REQUEST_OPERATIONS 4
void daybook__exchange_request_operations(struct exchange *exchange, grpc_op operations[EXCHANGE_REQUEST_OPERATIONS]);

/* The operation that receives how the exchange ended. */
grpc_op daybook__exchange_status_operation(struct exchange *exchange);

/* Keeps the request beyond its sending. To be called before that. */
void daybook__exchange_keep_request(struct exchange *exchange);

/* Forgets what was received and makes the exchange ready for another start, with the request that was kept. Everything that
 * was started has completed; what is started next completes in the same place. */
void daybook__exchange_renew(struct exchange *exchange);

/* Milliseconds until the deadline; UINT64_MAX without one. */
uint64_t daybook__exchange_left_ms(const struct exchange *exchange);

/* A trailer's value, once the status operation has completed; NULL without it. */
const grpc_slice *daybook__exchange_trailer(const struct exchange *exchange, const char *key);

/* How the exchange ended, once its status operation has completed. */
void daybook__exchange_status(const struct exchange *exchange, daybook_status *ret_status);

/* Fills the caller's details, once the status operation has completed and while the caller still has them. */
void daybook__exchange_fill_details(const struct exchange *exchange);

/* Describes a request that cannot be encoded. */
void daybook__exchange_refused(const struct exchange *exchange, codec_result result, daybook_status *ret_status);

/* Describes a response that cannot be decoded. */
void daybook__exchange_undecoded(const struct exchange *exchange, codec_result result, daybook_status *ret_status);

/* Describes responses that the method does not have: "the response of PATH `text`". */
void daybook__exchange_malformed(const struct exchange *exchange, const char *text, daybook_status *ret_status);

/* Leaves the client and releases everything, once nothing is in flight. */
void daybook__exchange_close(struct exchange *exchange);

/* Asks the exchange to end with CANCELLED. */
void daybook__exchange_cancel(struct exchange *exchange);

#endif
