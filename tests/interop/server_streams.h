/* server_streams.h: the handlers of the suite's streams. Their context is the timer of the pauses between responses.
 *
 * Threads: threads of the server, and the timer's. */
#ifndef TESTS_INTEROP_SERVER_STREAMS_H
#define TESTS_INTEROP_SERVER_STREAMS_H

#include "grpc/testing/test.grpc.h"

void server_streaming_output_call(void *context, daybook_server_stream *stream,
                                  const grpc_testing_StreamingOutputCallRequest *request);
void server_streaming_input_call(void *context, daybook_server_stream *stream);
void server_full_duplex_call(void *context, daybook_server_stream *stream);
void server_half_duplex_call(void *context, daybook_server_stream *stream);

#endif
