/* cases.h: the client's cases of gRPC's interoperability suite: doc/interop-test-descriptions.md of grpc/grpc says what each
 * does and what it asserts.
 *
 * Errors: a case that fails says on standard error what it found, and returns false. Threads: one. */
#ifndef TESTS_INTEROP_CASES_H
#define TESTS_INTEROP_CASES_H

#include "grpc/testing/test.grpc.h"

/* For every call and every wait: longer than any case takes on a machine that does many other things. */
#define PATIENCE_MS 60000

typedef bool interop_case(daybook_client *client);

interop_case case_empty_unary;
interop_case case_large_unary;
interop_case case_concurrent_large_unary;
interop_case case_client_identity;
interop_case case_special_status_message;
interop_case case_unimplemented_method;
interop_case case_unimplemented_service;

interop_case case_client_streaming;
interop_case case_server_streaming;
interop_case case_ping_pong;
interop_case case_half_duplex;
interop_case case_empty_stream;
interop_case case_intervals;
interop_case case_cancel_after_begin;
interop_case case_cancel_after_first_response;
interop_case case_cancel_in_interval;
interop_case case_cancel_at_any_moment;
interop_case case_timeout_on_sleeping_server;

/* Of both, a unary call and a stream. */
interop_case case_custom_metadata;
interop_case case_status_code_and_message;

/* Returns `condition`; when it is false, says what was not so. */
bool check(bool condition, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The status is this one; `message` NULL: with any text. */
bool check_status(const daybook_status *status, daybook_code code, const char *message);

/* A payload of zeros has this size. */
bool check_payload(const grpc_testing_Payload *payload, size_t size);

/* The metadata that was sent with custom_headers came back: the text as a header, the bytes as a trailer. */
bool check_custom_metadata(const daybook_metadata *initial, const daybook_metadata *trailing);

#define CUSTOM_HEADERS_COUNT 2
extern const daybook_header custom_headers[CUSTOM_HEADERS_COUNT];

/* Makes a payload of zeros, at most PAYLOAD_BYTES_MAX. */
#define PAYLOAD_BYTES_MAX 271828
void payload_set(grpc_testing_Payload *payload, size_t size);

/* The halves of the cases of both kinds of call. */
bool unary_custom_metadata(daybook_client *client);
bool unary_status(daybook_client *client, daybook_code code, const char *message);

#endif
