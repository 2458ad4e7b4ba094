/* echo.h: what the server gives back as it was asked to: payloads, statuses, metadata.
 *
 * Ownership: payloads point to static zeros. Threads: as the context that is given. Errors: `ret_status`. */
#ifndef TESTS_INTEROP_ECHO_H
#define TESTS_INTEROP_ECHO_H

#include "daybook/daybook.h"
#include "grpc/testing/messages.upb.h"

/* Makes a payload of zeros. False: INVALID_ARGUMENT for a type that is unknown and for a size out of range. */
bool echo_payload(grpc_testing_Payload *payload, int32_t type, int32_t size, daybook_status *ret_status);

/* The status that a call is to end with. True, with `ret_status`: one was asked for, and it is not OK. */
bool echo_status(const grpc_testing_EchoStatus *wanted, daybook_status *ret_status);

/* Sends "x-grpc-test-echo-initial" back as a header, "x-grpc-test-echo-trailing-bin" as a trailer. */
bool echo_metadata(daybook_server_context *context, daybook_status *ret_status);

#endif
