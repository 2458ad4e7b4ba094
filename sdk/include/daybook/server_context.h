/** @file server_context.h
 * What a handler can know of a call, of any kind, and say beside its messages: who calls, with which metadata and until
 * when; headers and trailers of the answer.
 *
 * Ownership: a context is a part of its call or stream and lives as long: until the reply of a call has been given, until
 * `closed` of a stream. So does every text that it gives.
 * Threads: as each function says. */
#ifndef DAYBOOK_SERVER_CONTEXT_H
#define DAYBOOK_SERVER_CONTEXT_H

#include "daybook/metadata.h"
#include "daybook/method.h"
#include "daybook/status.h"

DAYBOOK_BEGIN_DECLARATIONS

/** What surrounds the messages of one call. */
typedef struct daybook_server_context daybook_server_context;

/** Headers, and trailers, of one answer at most. */
#define DAYBOOK_SERVER_HEADERS_MAX 16

/** The method that was called. Any thread. */
const daybook_method *daybook_server_context_method(const daybook_server_context *context);

/** The metadata that came with the call. Any thread. */
const daybook_metadata *daybook_server_context_metadata(const daybook_server_context *context);

/** Where the call came from, in gRPC's form: "ipv4:127.0.0.1:41234". Any thread, one at a time. */
const char *daybook_server_context_peer(daybook_server_context *context);

/** Who the client is, as its certificate says and TLS has proven: the subject alternative names, or, of a certificate
 * without any, the common name. The name of number `index`; without data when there are no more, and for a client without a
 * certificate. Any thread, one at a time. */
upb_StringView daybook_server_context_identity(daybook_server_context *context, size_t index);

/** Milliseconds until the caller's deadline, 0 when it has passed, UINT64_MAX when there is none. Any thread. */
uint64_t daybook_server_context_remaining_ms(const daybook_server_context *context);

/** Whether the client has gone, has cancelled, or its deadline has passed, as far as the server has heard: of a unary call
 * that is watched, and of a stream. Any thread. */
bool daybook_server_context_is_cancelled(const daybook_server_context *context);

/** Memory that lives as long as the context, for the handler's use and for building responses. Not thread-safe: one thread
 * at a time. */
upb_Arena *daybook_server_context_arena(daybook_server_context *context);

/** Adds metadata that is sent before the first message of the answer. False: INVALID_ARGUMENT for a header that cannot be
 * sent, RESOURCE_EXHAUSTED for too many, FAILED_PRECONDITION when the headers have left: with the first message, or, where
 * the client streams, as soon as the handler has returned. One thread at a time. */
DAYBOOK_MUST_USE bool daybook_server_context_add_header(daybook_server_context *context, const daybook_header *header,
                                                        daybook_status *ret_status);

/** Adds metadata that is sent with the status. Before the reply or the finish. One thread at a time. */
DAYBOOK_MUST_USE bool daybook_server_context_add_trailer(daybook_server_context *context, const daybook_header *trailer,
                                                         daybook_status *ret_status);

DAYBOOK_END_DECLARATIONS

#endif
