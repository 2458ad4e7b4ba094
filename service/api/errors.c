#include "service/api/errors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "service/base/limits.h"

#define NANOSECONDS_PER_MILLISECOND 1000000
#define NO_RETRY                    0

/* The one table: what each reason is called, its canonical code, and after how long a retry may help. */
static const struct {
    const char *name;
    daybook_code code;
    int32_t retry_delay_ms;
} reasons[] = {
    [REASON_INVALID_FIELD] = {"INVALID_FIELD", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_WRITES] = {"TOO_MANY_WRITES", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_CHECKS] = {"TOO_MANY_CHECKS", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_EVENTS] = {"TOO_MANY_EVENTS", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_TAGS] = {"TOO_MANY_TAGS", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_METADATA] = {"TOO_MANY_METADATA", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_TOO_MANY_CLAUSES] = {"TOO_MANY_CLAUSES", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_EVENT_TOO_LARGE] = {"EVENT_TOO_LARGE", DAYBOOK_INVALID_ARGUMENT, NO_RETRY},
    [REASON_REVISION_CONFLICT] = {"REVISION_CONFLICT", DAYBOOK_ABORTED, NO_RETRY},
    [REASON_CONDITION_FAILED] = {"CONDITION_FAILED", DAYBOOK_ABORTED, NO_RETRY},
    [REASON_CHECKPOINT_STALE] = {"CHECKPOINT_STALE", DAYBOOK_ABORTED, NO_RETRY},
    [REASON_EVENT_ID_CONFLICT] = {"EVENT_ID_CONFLICT", DAYBOOK_ALREADY_EXISTS, NO_RETRY},
    [REASON_STREAM_TOMBSTONED] = {"STREAM_TOMBSTONED", DAYBOOK_FAILED_PRECONDITION, NO_RETRY},
    [REASON_STREAM_NOT_FOUND] = {"STREAM_NOT_FOUND", DAYBOOK_NOT_FOUND, NO_RETRY},
    [REASON_CONSUMER_NOT_FOUND] = {"CONSUMER_NOT_FOUND", DAYBOOK_NOT_FOUND, NO_RETRY},
    [REASON_OPERATION_RUNNING] = {"OPERATION_RUNNING", DAYBOOK_ABORTED, 10000},
    [REASON_QUEUE_FULL] = {"QUEUE_FULL", DAYBOOK_RESOURCE_EXHAUSTED, 50},
    [REASON_DEADLINE_PASSED] = {"DEADLINE_PASSED", DAYBOOK_DEADLINE_EXCEEDED, NO_RETRY},
    [REASON_TOO_MANY_READERS] = {"QUOTA_EXCEEDED", DAYBOOK_RESOURCE_EXHAUSTED, 1000},
    [REASON_OUT_OF_MEMORY] = {"OUT_OF_MEMORY", DAYBOOK_RESOURCE_EXHAUSTED, 1000},
    [REASON_STORAGE_FULL] = {"STORAGE_FULL", DAYBOOK_RESOURCE_EXHAUSTED, 10000},
    [REASON_STORAGE_CORRUPT] = {"STORAGE_CORRUPT", DAYBOOK_DATA_LOSS, NO_RETRY},
    [REASON_NOT_READY] = {"NOT_READY", DAYBOOK_UNAVAILABLE, 1000},
    [REASON_DRAINING] = {"DRAINING", DAYBOOK_UNAVAILABLE, 1000},
    [REASON_OUTCOME_UNKNOWN] = {"OUTCOME_UNKNOWN", DAYBOOK_UNAVAILABLE, 1000},
    [REASON_UNIMPLEMENTED] = {"UNIMPLEMENTED", DAYBOOK_UNIMPLEMENTED, NO_RETRY},
};

void error_set(struct error *ret_error, enum reason reason, const char *format, ...) {
    ret_error->reason = reason;
    ret_error->wrong_count = 0;
    ret_error->violations_count = 0;
    ret_error->conflicts = NULL;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_error->message, sizeof ret_error->message, format, arguments);
    va_end(arguments);
}

void error_of_failure(struct error *ret_error, enum failure failure) {
    switch (failure) {
    case FAILURE_NOT_FOUND:
        error_set(ret_error, REASON_STREAM_NOT_FOUND, "the stream has no events");
        return;
    case FAILURE_LIMIT:
        error_set(ret_error, REASON_TOO_MANY_READERS, "too many reads and subscriptions are open; close some or retry");
        return;
    case FAILURE_MEMORY:
        error_set(ret_error, REASON_OUT_OF_MEMORY, "the server has no memory for this request now; retry later");
        return;
    case FAILURE_STORAGE_FULL:
        error_set(
            ret_error, REASON_STORAGE_FULL,
            "no space is left on the server's disk: nothing was written; reads go on, appends resume when there is "
            "space");
        return;
    case FAILURE_CORRUPT:
        error_set(ret_error, REASON_STORAGE_CORRUPT,
                  "stored bytes are damaged (a checksum is wrong) and are not sent; restore from a backup");
        return;
    case FAILURE_NOT_READY:
        error_set(ret_error, REASON_NOT_READY,
                  "the catalogue of names is being brought up to date with the log; retry");
        return;
    case FAILURE_BUSY:
        error_set(ret_error, REASON_OPERATION_RUNNING, "the same is being done for another call; wait for its end");
        return;
    case FAILURE_STOPPED:
        error_set(ret_error, REASON_DRAINING, "the server is stopping; retry");
        return;
    default:
        error_set(ret_error, REASON_OUTCOME_UNKNOWN, "the server's disk failed (%s); retry with the same event ids",
                  failure_name(failure));
        return;
    }
}

void error_of_queue(struct error *ret_error, enum failure failure) {
    if (failure != FAILURE_LIMIT) {
        error_of_failure(ret_error, failure);
        return;
    }
    error_set(ret_error, REASON_QUEUE_FULL,
              "%d requests or %" PRIu64 " bytes of them are waiting to be written; retry later",
              QUEUE_REQUESTS_COUNT_MAX, QUEUE_BYTES_MAX);
}

void error_of_full_streams(struct error *ret_error) {
    error_set(ret_error, REASON_QUEUE_FULL,
              "the requests of all AppendMany calls would hold more than %" PRIu64 " bytes with this one; retry later",
              APPEND_STREAMS_BYTES_MAX);
}

/* --- The messages of google/rpc/error_details.proto; NULL without memory. ------------------------------------------- */

static google_rpc_ErrorInfo *info_build(const struct error *error, upb_Arena *arena) {
    google_rpc_ErrorInfo *info = google_rpc_ErrorInfo_new(arena);
    if (info == NULL) return NULL;
    google_rpc_ErrorInfo_set_reason(info, upb_StringView_FromString(reasons[error->reason].name));
    google_rpc_ErrorInfo_set_domain(info, upb_StringView_FromString("daybook"));
    if (error->wrong_count == 0) return info;
    enum { COUNT_BYTES = 16 };
    char *count = upb_Arena_Malloc(arena, COUNT_BYTES);
    if (count == NULL) return NULL;
    (void)snprintf(count, COUNT_BYTES, "%" PRIu32, error->wrong_count);
    const bool set = google_rpc_ErrorInfo_metadata_set(info, upb_StringView_FromString("count"),
                                                       upb_StringView_FromString(count), arena);
    return set ? info : NULL;
}

/* Its texts are the error's own. */
static google_rpc_BadRequest *violations_build(const struct error *error, upb_Arena *arena) {
    google_rpc_BadRequest *bad = google_rpc_BadRequest_new(arena);
    for (uint32_t index = 0; bad != NULL && index < error->violations_count; index++) {
        google_rpc_BadRequest_FieldViolation *violation = google_rpc_BadRequest_add_field_violations(bad, arena);
        if (violation == NULL) return NULL;
        const struct violation *source = &error->violations[index];
        google_rpc_BadRequest_FieldViolation_set_field(violation, upb_StringView_FromString(source->field));
        google_rpc_BadRequest_FieldViolation_set_description(violation, upb_StringView_FromString(source->description));
    }
    return bad;
}

static google_rpc_RetryInfo *retry_build(int32_t delay_ms, upb_Arena *arena) {
    google_rpc_RetryInfo *retry = google_rpc_RetryInfo_new(arena);
    if (retry == NULL) return NULL;
    google_protobuf_Duration *delay = google_rpc_RetryInfo_mutable_retry_delay(retry, arena);
    if (delay == NULL) return NULL;
    google_protobuf_Duration_set_seconds(delay, delay_ms / 1000);
    google_protobuf_Duration_set_nanos(delay, delay_ms % 1000 * NANOSECONDS_PER_MILLISECOND);
    return retry;
}

/* --- As details of a google.rpc.Status. -------------------------------------------------------------------------------- */

/* Adds a detail of a type. Without memory the detail is left out: code and text still go. */
static void detail_add(google_rpc_Status *status, const char *type_url, const void *message,
                       const upb_MiniTable *layout, upb_Arena *arena) {
    char *data;
    size_t size;
    if (message == NULL || upb_Encode(message, layout, 0, arena, &data, &size) != kUpb_EncodeStatus_Ok) return;
    google_protobuf_Any *any = google_rpc_Status_add_details(status, arena);
    if (any == NULL) return;
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString(type_url));
    google_protobuf_Any_set_value(any, upb_StringView_FromDataAndSize(data, size));
}

/* The encoded google.rpc.Status; empty without memory. */
static upb_StringView details_encode(const struct error *error, upb_Arena *arena) {
    const upb_StringView none = {NULL, 0};
    google_rpc_Status *status = google_rpc_Status_new(arena);
    if (status == NULL) return none;
    google_rpc_Status_set_code(status, (int32_t)reasons[error->reason].code);
    google_rpc_Status_set_message(status, upb_StringView_FromString(error->message));
    detail_add(status, "type.googleapis.com/google.rpc.ErrorInfo", info_build(error, arena),
               &google_rpc_ErrorInfo_msginit, arena);
    if (error->violations_count > 0) {
        detail_add(status, "type.googleapis.com/google.rpc.BadRequest", violations_build(error, arena),
                   &google_rpc_BadRequest_msginit, arena);
    }
    if (reasons[error->reason].retry_delay_ms != NO_RETRY) {
        detail_add(status, "type.googleapis.com/google.rpc.RetryInfo",
                   retry_build(reasons[error->reason].retry_delay_ms, arena), &google_rpc_RetryInfo_msginit, arena);
    }
    if (error->conflicts != NULL) {
        detail_add(status, "type.googleapis.com/daybook.v1.AppendConflicts", error->conflicts,
                   &daybook_v1_AppendConflicts_msginit, arena);
    }
    char *data;
    size_t size;
    if (upb_Encode(status, &google_rpc_Status_msginit, 0, arena, &data, &size) != kUpb_EncodeStatus_Ok) return none;
    return upb_StringView_FromDataAndSize(data, size);
}

/* --- As an AppendError. ------------------------------------------------------------------------------------------------ */

static bool append_error_fill(daybook_v1_AppendError *message, const struct error *error, upb_Arena *arena) {
    daybook_v1_AppendError_set_code(message, (int32_t)reasons[error->reason].code);
    daybook_v1_AppendError_set_message(message, upb_StringView_FromString(error->message));
    google_rpc_ErrorInfo *info = info_build(error, arena);
    if (info == NULL) return false;
    daybook_v1_AppendError_set_info(message, info);
    if (error->violations_count > 0) {
        google_rpc_BadRequest *bad = violations_build(error, arena);
        if (bad == NULL) return false;
        daybook_v1_AppendError_set_bad_request(message, bad);
    }
    if (reasons[error->reason].retry_delay_ms != NO_RETRY) {
        google_rpc_RetryInfo *retry = retry_build(reasons[error->reason].retry_delay_ms, arena);
        if (retry == NULL) return false;
        daybook_v1_AppendError_set_retry(message, retry);
    }
    if (error->conflicts != NULL) {
        /* The skin takes what it could also change; it is encoded and nothing else. */
        daybook_v1_AppendError_set_conflicts(message, (daybook_v1_AppendConflicts *)(uintptr_t)error->conflicts);
    }
    return true;
}

struct bytes error_encode(const struct error *error, upb_Arena *arena) {
    assert((size_t)error->reason < sizeof reasons / sizeof reasons[0]);
    daybook_v1_AppendError *message = daybook_v1_AppendError_new(arena);
    if (message == NULL || !append_error_fill(message, error, arena)) return bytes_of(NULL, 0);
    char *data;
    size_t size;
    if (upb_Encode(message, &daybook_v1_AppendError_msginit, 0, arena, &data, &size) != kUpb_EncodeStatus_Ok) {
        return bytes_of(NULL, 0);
    }
    return bytes_of(data, size);
}

void error_fail(daybook_server_call *call, const struct error *error) {
    assert((size_t)error->reason < sizeof reasons / sizeof reasons[0]);
    const upb_StringView details = details_encode(error, daybook_server_call_arena(call));
    daybook_server_call_fail(call, reasons[error->reason].code, error->message, details.data, details.size);
}

void error_finish(daybook_server_stream *stream, const struct error *error) {
    assert((size_t)error->reason < sizeof reasons / sizeof reasons[0]);
    const upb_StringView details = details_encode(error, daybook_server_stream_arena(stream));
    daybook_server_stream_finish(stream, reasons[error->reason].code, error->message, details.data, details.size);
}

void error_fail_failure(daybook_server_call *call, enum failure failure) {
    struct error error;
    error_of_failure(&error, failure);
    error_fail(call, &error);
}
