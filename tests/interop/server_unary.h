/* server_unary.h: the handlers of the suite's unary calls.
 *
 * Threads: threads of the server. */
#ifndef TESTS_INTEROP_SERVER_UNARY_H
#define TESTS_INTEROP_SERVER_UNARY_H

#include "grpc/testing/test.grpc.h"

void server_empty_call(void *context, daybook_server_call *call, const grpc_testing_Empty *request);
void server_unary_call(void *context, daybook_server_call *call, const grpc_testing_SimpleRequest *request);

#endif
