/* connection.h: a gRPC connection to a server under test, on gRPC core's C API, with the bytes of messages in hand.
 *
 * The load generator stands on gRPC core and not on our SDK, so that every peer is driven by the same code and a cost of
 * our SDK is not charged to our daemon alone.
 * Ownership: whoever opens a connection closes it, after its calls have ended. A call belongs to its caller, who keeps
 * it in place from start to finish.
 * Threads: a connection may be used by any thread; a call by the thread that waits on its queue.
 * Errors: a failed call has a status other than OK and a text. */
#ifndef DAYBOOK_TESTS_BENCH_CONNECTION_H
#define DAYBOOK_TESTS_BENCH_CONNECTION_H

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

#define CALL_ERROR_BYTES 256

struct connection {
    grpc_channel *channel;
};

/* Connects to "127.0.0.1:50051" and waits until the connection stands. Each has a TCP connection of its own. False: it
 * does not stand after `timeout_ms`. */
bool connection_open(struct connection *connection, const char *target, uint32_t timeout_ms);

/* Closes the connection. */
void connection_close(struct connection *connection);

/* Registers a method with the connection, as generated clients do. Valid as long as the connection. */
void *connection_method(const struct connection *connection, const char *method);

/* Ends a queue: it must have no call left. */
void connection_queue_free(grpc_completion_queue *queue);

/* How a call ended. */
struct call_status {
    grpc_status_code code;
    grpc_slice details;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
};

/* Counts the fields of type bytes, string or message at the top of a message, where gRPC left it. False: it is not
 * protobuf. */
bool message_count_fields(grpc_byte_buffer *message, uint32_t field, uint64_t *ret_count);

/* A call with one request: unary, or server-streaming when it was started by reading_start. */
struct unary_call {
    grpc_call *call;
    grpc_byte_buffer *request;
    /* The answer; NULL when there was none. Freed by unary_finish. */
    grpc_byte_buffer *response;
    struct call_status status;
    /* reading_start: there are no more messages, the status is all that is awaited. */
    bool ending;
    /* For the caller's use. */
    uint64_t started_ns;
    uint64_t answers_count;
};

/* Starts a call, which completes on `queue` with `call` as its tag. `request` is referenced for as long as needed. */
void unary_start(struct unary_call *call, const struct connection *connection, void *method,
                 grpc_completion_queue *queue, grpc_slice request, gpr_timespec deadline);

/* Frees what a completed call holds. False: it failed, and `ret_error` says how. */
bool unary_finish(struct unary_call *call, char ret_error[CALL_ERROR_BYTES]);

/* Starts a server-streaming call, which completes on `queue` with `call` as its tag, once for each message and twice
 * more; reading_step takes each completion. */
void reading_start(struct unary_call *call, const struct connection *connection, void *method,
                   grpc_completion_queue *queue, grpc_slice request, gpr_timespec deadline);

/* Takes one completion of a call. True: the call goes on; `ret_message` is the message that has come, which the caller
 * destroys, or NULL. False: it is complete, and unary_finish follows. */
bool reading_step(struct unary_call *call, grpc_byte_buffer **ret_message);

/* Makes one call, waits for it and finds the uint64 in `field` of its answer. */
bool unary_ask_uint(const struct connection *connection, const char *method, uint32_t field, uint32_t timeout_ms,
                    uint64_t *ret_value, char ret_error[CALL_ERROR_BYTES]);

/* A server-streaming call. */
struct stream_call {
    grpc_call *call;
    grpc_completion_queue *queue;
    grpc_byte_buffer *request;
    struct call_status status;
};

/* Starts a call and sends its one request. */
void stream_start(struct stream_call *call, const struct connection *connection, const char *method,
                  grpc_slice request);

/* Waits for the next message, which the caller destroys; NULL: there are no more. */
grpc_byte_buffer *stream_next(struct stream_call *call);

/* Waits for the end and frees what the call holds, after stream_next has returned NULL. False: it failed. */
bool stream_finish(struct stream_call *call, char ret_error[CALL_ERROR_BYTES]);

#endif
