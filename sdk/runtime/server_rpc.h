/* server_rpc.h: what a unary call and a stream have in common: where it came from, its memory, and how it ends.
 *
 * Ownership: an rpc is the first part of a slot and goes back to its queue by `free`; the request's bytes live as long,
 * because the decoded request points into them.
 * Threads: `set_end` is for whoever ends the call, once; the rest for the queue's thread, `remaining_ms` for any.
 * Errors: none but those of decoding. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_RPC_H
#define DAYBOOK_SDK_RUNTIME_SERVER_RPC_H

#include <grpc/grpc_security.h>

#include "sdk/runtime/codec.h"
#include "sdk/runtime/server.h"

/* Clients take 8 KiB of metadata unless told otherwise, and binary values travel in base64: 4/3 of 4 KiB, 1 KiB of text
 * and the headers of gRPC itself stay below that. What is longer would replace the error by one about its size; a text is
 * cut, details are left out. */
#define DAYBOOK__END_MESSAGE_BYTES_MAX 1024u
#define DAYBOOK__END_DETAILS_BYTES_MAX 4096u

/* What arrived with a call. `method` is NULL for a path that nobody serves. */
struct server_arrival {
    struct server_queue *queue;
    const struct server_method *method;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata; /* its texts are the call's */
    grpc_byte_buffer *request;    /* NULL when the client streams, or has sent nothing */
};

/* Metadata that a handler adds to its answer. `state` is how many there are, and DAYBOOK__HEADERS_LEFT once they are on
 * their way: so one that comes at that moment is either sent or refused. */
struct server_headers {
    atomic_uint state;
    grpc_metadata *items; /* NULL: none; else room for all that are allowed, and for the details */
};

#define DAYBOOK__HEADERS_LEFT 0x80000000u

/* What an arena may still take: bounded while a request is decoded into it, because a hostile one of many empty parts takes
 * sixty times its bytes. */
struct server_memory {
    upb_alloc alloc;
    uint64_t taken_bytes; /* all in all: what is freed is not taken off */
    uint64_t taken_bytes_max;
};

struct server_rpc {
    struct server_arrival arrival;
    upb_Arena *arena;
    struct server_memory memory; /* of the arena */
    int cancelled;               /* written by gRPC when the call is over: the client has not heard the status */
    atomic_bool is_cancelled;    /* the same once it has been heard, for every thread */
    daybook_code code;
    grpc_slice message;
    grpc_metadata details;
    bool has_message;
    bool has_details;

    /* What only some handlers ask for; see server_context.c. */
    struct server_headers headers;
    struct server_headers trailers;
    char *peer;              /* gRPC's; NULL: not asked for */
    grpc_auth_context *auth; /* as `peer` */
};

/* Sets up the memory of one arena, without a bound. */
void daybook__server_memory_init(struct server_memory *memory);

/* Until the end of the decoding the arena takes at most what the server's options allow a request. */
void daybook__server_memory_begin_decode(struct server_memory *memory, const struct daybook_server *server);
void daybook__server_memory_end_decode(struct server_memory *memory);

/* Takes over what the arrival holds. The arena begins in the `block`, which lies in the rpc's own slot. */
void daybook__server_rpc_init(struct server_rpc *rpc, const struct server_arrival *arrival, void *block,
                              size_t block_size);

/* Ends a call for which there is no slot with RESOURCE_EXHAUSTED, and counts it. */
void daybook__server_rpc_drop(const struct server_arrival *arrival);

/* Gives everything back, the slot too, and counts the end. */
void daybook__server_rpc_free(struct server_rpc *rpc);

/* Decodes the one request of a call. False: the end is set, and the call must be ended with it. */
DAYBOOK_MUST_USE bool daybook__server_rpc_decode(struct server_rpc *rpc, const void **ret_request);

/* Sets how the call ends, in place of what was set before; copies the text and the details. */
void daybook__server_rpc_set_end(struct server_rpc *rpc, daybook_code code, const char *message, size_t message_size,
                                 const void *details, size_t details_size);

/* As set_end, with a formatted text. */
void daybook__server_rpc_set_error(struct server_rpc *rpc, daybook_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a request that could not be decoded ends a call with: the caller's mistake, but for a lack of memory. */
void daybook__server_rpc_set_codec_error(struct server_rpc *rpc, codec_result result);

/* What a response that could not be encoded ends a call with: the handler's mistake, but for a lack of memory. `which` is
 * "the response" or "a response". */
void daybook__server_rpc_set_response_error(struct server_rpc *rpc, const char *which, codec_result result);

/* Gives what the handler has added to the operation that sends the headers. It points into the rpc. */
void daybook__server_rpc_fill_headers(struct server_rpc *rpc, grpc_op *operation);

/* The operations that send the end, and that tell when the call is over. They point into the rpc. */
grpc_op daybook__server_rpc_end_operation(struct server_rpc *rpc);
grpc_op daybook__server_rpc_close_operation(struct server_rpc *rpc);

/* Says that no more headers can be added, because they leave. Any thread, as often as one likes. */
void daybook__server_rpc_close_headers(struct server_rpc *rpc);

/* Tells every thread what the close operation has found, as soon as it has completed. */
void daybook__server_rpc_hear_close(struct server_rpc *rpc);

uint64_t daybook__server_rpc_remaining_ms(const struct server_rpc *rpc);

#endif
