/* raw_client.h: a gRPC client on core's C API alone, that can also do what a well-behaved client never does.
 *
 * Every call has a completion queue of its own and every function waits until gRPC has done what it says, so that a test
 * reads from top to bottom.
 * Ownership: whoever opens a channel or starts a call ends it. Bytes that are received belong to the caller (free).
 * Threads: a call serves one thread; a channel any number. Errors: what must not fail is asserted. */
#ifndef TESTS_SUPPORT_RAW_CLIENT_H
#define TESTS_SUPPORT_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_TIMEOUT_NONE  UINT32_MAX
#define RAW_MESSAGE_BYTES 2048
#define RAW_DETAILS_BYTES 8192

struct raw_channel;
struct raw_call;

struct raw_bytes {
    char *data; /* NULL: no message */
    size_t size;
};

/* How a call ended. */
struct raw_status {
    int code;
    char message[RAW_MESSAGE_BYTES];
    char details[RAW_DETAILS_BYTES]; /* grpc-status-details-bin */
    size_t details_size;
};

/* A connection of its own to 127.0.0.1:`port`. */
struct raw_channel *raw_channel_open(uint16_t port);
void raw_channel_close(struct raw_channel *channel);

/* Waits until the connection stands. */
void raw_channel_connect(struct raw_channel *channel);

/* A piece of request metadata. */
struct raw_header {
    const char *key;
    const char *value;
    size_t value_size; /* 0: up to its NUL */
};

/* With this one, messages are compressed. */
extern const struct raw_header raw_gzip;

/* Starts a call by sending its headers; `header` is one more, or NULL. */
struct raw_call *raw_call_start(struct raw_channel *channel, const char *path, uint32_t timeout_ms,
                                const struct raw_header *header);

/* The same with any number of headers. */
struct raw_call *raw_call_start_with(struct raw_channel *channel, const char *path, uint32_t timeout_ms,
                                     const struct raw_header *headers, size_t headers_count);

/* Starts a call that has no deadline, with its one request. */
struct raw_call *raw_call_request(struct raw_channel *channel, const char *path, const void *request,
                                  size_t request_size);

/* False: the call has ended. */
bool raw_call_send(struct raw_call *call, const void *data, size_t size);
void raw_call_half_close(struct raw_call *call);

/* The next message; without data when there is none any more. */
struct raw_bytes raw_call_receive(struct raw_call *call);

/* Receives all messages that are left, and drops them. Returns how many there were. */
size_t raw_call_drain(struct raw_call *call);

/* Waits for the server's headers. */
void raw_call_receive_headers(struct raw_call *call);

/* The value of number `index` among the server's headers with this key, and among its trailers, once those have been
 * received. Without data when there is none. It is the call's. */
struct raw_bytes raw_call_header(const struct raw_call *call, const char *key, size_t index);
struct raw_bytes raw_call_trailer(const struct raw_call *call, const char *key, size_t index);

void raw_call_cancel(struct raw_call *call);

/* Waits for the end of the call, which core tells only when every message has been received. */
struct raw_status raw_call_finish(struct raw_call *call);

/* Cancels a call that has not ended. */
void raw_call_free(struct raw_call *call);

/* One request, one response, one end. */
struct raw_status raw_unary(struct raw_channel *channel, const char *path, const void *request, size_t request_size,
                            struct raw_bytes *ret_response);

#endif
