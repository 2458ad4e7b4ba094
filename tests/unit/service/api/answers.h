/* answers.h: how a call ended, with the details of its error taken apart.
 *
 * Ownership: an answer owns its arena; `answer_free`. Threads: one. Errors: what is no google.rpc.Status fails the test. */
#ifndef TESTS_UNIT_SERVICE_API_ANSWERS_H
#define TESTS_UNIT_SERVICE_API_ANSWERS_H

#include "daybook/v1/event_store.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "tests/support/raw_client.h"

#define METHOD_APPEND    "/daybook.v1.EventStore/Append"
#define METHOD_READ      "/daybook.v1.EventStore/Read"
#define METHOD_SUBSCRIBE "/daybook.v1.EventStore/Subscribe"
#define METHOD_HEAD      "/daybook.v1.EventStore/Head"
#define METHOD_REINDEX   "/daybook.v1.Admin/Reindex"

struct answer {
    struct raw_status status;
    struct raw_bytes response; /* without data: none */
    upb_Arena *arena;
    const google_rpc_Status *details; /* NULL: none */
    const google_rpc_ErrorInfo *info;
    const google_rpc_BadRequest *bad_request;
    const google_rpc_RetryInfo *retry;
    const daybook_v1_AppendConflicts *conflicts;
};

/* A call with these bytes as its request and at most one response. */
struct answer answer_to(struct raw_channel *channel, const char *method, upb_StringView request);

/* How a call ended whose responses were received before. */
struct answer answer_of(struct raw_call *call);

void answer_free(struct answer *answer);

bool answer_text_is(upb_StringView actual, const char *expected);

/* The code, and the reason with the domain "daybook". */
void answer_expect(const struct answer *answer, int code, const char *reason);

/* The value of a key of the ErrorInfo's metadata; fails the test when there is none. Valid until answer_free. */
upb_StringView answer_metadata(const struct answer *answer, const char *key);

/* The whole delay of the RetryInfo; -1 without one. */
int64_t answer_retry_ms(const struct answer *answer);

#endif
