/* errors.h: every error that the daemon answers with: one table of reasons, one shape for all of them.
 *
 * An error is a gRPC code and text, and a google.rpc.Status in "grpc-status-details-bin" with an ErrorInfo (reason, domain
 * "daybook", metadata), a BadRequest when fields are wrong, a RetryInfo when a retry helps (AIP-193), and an AppendConflicts
 * when an append was refused by what is there already; AppendMany says the same in an AppendError. All of it fits the 4 KiB of
 * details that a call may end with (daybook/server.h); the metadata "count" tells how many fields, streams or ids are wrong,
 * also those that are not listed.
 * Ownership: an error is plain data on its maker's stack; what it points at must outlive the answer's call.
 * Threads: any. */
#ifndef SERVICE_API_ERRORS_H
#define SERVICE_API_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/server.h"
#include "daybook/v1/event_store.upb.h"
#include "service/base/bytes.h"
#include "service/base/result.h"

enum reason {
    REASON_INVALID_FIELD,
    REASON_TOO_MANY_WRITES,
    REASON_TOO_MANY_CHECKS,
    REASON_TOO_MANY_EVENTS,
    REASON_TOO_MANY_TAGS,
    REASON_TOO_MANY_METADATA,
    REASON_TOO_MANY_CLAUSES,
    REASON_EVENT_TOO_LARGE,
    REASON_REVISION_CONFLICT,
    REASON_CONDITION_FAILED,
    REASON_CHECKPOINT_STALE,
    REASON_EVENT_ID_CONFLICT,
    REASON_STREAM_TOMBSTONED,
    REASON_STREAM_NOT_FOUND,
    REASON_CONSUMER_NOT_FOUND,
    REASON_OPERATION_RUNNING,
    REASON_QUEUE_FULL,
    REASON_DEADLINE_PASSED,
    REASON_TOO_MANY_READERS,
    REASON_OUT_OF_MEMORY,
    REASON_STORAGE_FULL,
    REASON_STORAGE_CORRUPT,
    REASON_NOT_READY,
    REASON_DRAINING,
    REASON_OUTCOME_UNKNOWN,
    REASON_UNIMPLEMENTED,
};

#define ERROR_VIOLATIONS_COUNT_MAX 8
#define ERROR_FIELD_BYTES          96
#define ERROR_TEXT_BYTES           256
/* Streams' names and ids in an AppendConflicts, with what each conflict costs beside its name. Together with a message, an
 * ErrorInfo and the types' URLs it stays below 4 KiB. */
#define ERROR_CONFLICTS_BYTES_MAX 3072
#define ERROR_CONFLICT_BYTES      48

struct violation {
    char field[ERROR_FIELD_BYTES];
    char description[ERROR_TEXT_BYTES];
};

struct error {
    enum reason reason;
    char message[ERROR_TEXT_BYTES];
    uint32_t wrong_count; /* fields, streams or ids that are wrong, listed or not; 0: it is about none of these */
    uint32_t violations_count;
    struct violation violations[ERROR_VIOLATIONS_COUNT_MAX];
    const daybook_v1_AppendConflicts *conflicts; /* or NULL */
};

/* An error without details beyond its reason. */
void error_set(struct error *ret_error, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a failure from the rooms below means to a client. */
void error_of_failure(struct error *ret_error, enum failure failure);

/* Why the sequencer did not take a request. */
void error_of_queue(struct error *ret_error, enum failure failure);

/* Why a request of an AppendMany stream was given back unread. */
void error_of_full_streams(struct error *ret_error);

/* Ends a call or a stream with the error. */
void error_fail(daybook_server_call *call, const struct error *error);
void error_fail_failure(daybook_server_call *call, enum failure failure);
void error_finish(daybook_server_stream *stream, const struct error *error);

/* As an encoded daybook.v1.AppendError in the arena; empty without memory. */
struct bytes error_encode(const struct error *error, upb_Arena *arena);

#endif
