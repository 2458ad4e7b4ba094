/* append_outcome.c: what the server answered, as the status and the messages of an append; see append.h. */
#include <string.h>

#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "sdk/client/append.h"
#include "sdk/client/backoff.h"

#define OUTCOME_UNKNOWN "OUTCOME_UNKNOWN"
#define DELAY_MAX_MS    3600000

/* --- The status ------------------------------------------------------------------------------------------------------ */

/* Copies text with a NUL, cut between two characters when it is too long. */
static void text_copy(char *ret_text, size_t capacity, upb_StringView text) {
    size_t size = text.size < capacity ? text.size : capacity - 1;
    /* The bytes of UTF-8 that begin no character. */
    while (size > 0 && size < text.size && ((unsigned char)text.data[size] & 0xc0) == 0x80) size--;
    if (size > 0) memcpy(ret_text, text.data, size);
    ret_text[size] = '\0';
}

static void violations_fill(daybook_status *status, const google_rpc_BadRequest *bad) {
    size_t count = 0;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        bad == NULL ? NULL : google_rpc_BadRequest_field_violations(bad, &count);
    if (count > DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX) count = DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX;
    for (size_t index = 0; index < count; index++) {
        daybook_field_violation *violation = &status->field_violations[index];
        text_copy(violation->field, sizeof violation->field,
                  google_rpc_BadRequest_FieldViolation_field(violations[index]));
        text_copy(violation->description, sizeof violation->description,
                  google_rpc_BadRequest_FieldViolation_description(violations[index]));
    }
    status->field_violations_count = (uint32_t)count;
}

static uint32_t delay_ms(const google_rpc_RetryInfo *retry) {
    const google_protobuf_Duration *delay = retry == NULL ? NULL : google_rpc_RetryInfo_retry_delay(retry);
    if (delay == NULL) return 0;
    const int64_t seconds = google_protobuf_Duration_seconds(delay);
    const int32_t nanos = google_protobuf_Duration_nanos(delay);
    if (seconds < 0 || nanos < 0) return 0;
    if (seconds >= DELAY_MAX_MS / 1000) return DELAY_MAX_MS;
    return (uint32_t)(seconds * 1000 + nanos / 1000000);
}

/* False: it is no error. */
static bool status_fill(daybook_status *status, const daybook_v1_AppendError *error) {
    const int32_t code = daybook_v1_AppendError_code(error);
    if (code == DAYBOOK_OK) return false;
    daybook_status_set(status, code > 0 && code <= DAYBOOK_UNAUTHENTICATED ? (daybook_code)code : DAYBOOK_UNKNOWN, "%s",
                       "");
    text_copy(status->message, sizeof status->message, daybook_v1_AppendError_message(error));
    const google_rpc_ErrorInfo *info = daybook_v1_AppendError_info(error);
    const upb_StringView reason = info == NULL ? upb_StringView_FromString("") : google_rpc_ErrorInfo_reason(info);
    /* Half a reason would compare wrongly. */
    if (reason.size < sizeof status->reason) text_copy(status->reason, sizeof status->reason, reason);
    const google_rpc_RetryInfo *retry = daybook_v1_AppendError_retry(error);
    if (retry != NULL) status->retryable = true;
    status->retry_delay_ms = delay_ms(retry);
    violations_fill(status, daybook_v1_AppendError_bad_request(error));
    return true;
}

/* --- The messages. NULL without memory. ------------------------------------------------------------------------------ */

static const daybook_v1_AppendResponse *response_copy(const daybook_v1_AppendResponse *response, upb_Arena *arena) {
    size_t size = 0;
    const char *encoded = daybook_v1_AppendResponse_serialize(response, arena, &size);
    return encoded == NULL ? NULL : daybook_v1_AppendResponse_parse(encoded, size, arena);
}

static const daybook_v1_AppendConflicts *conflicts_copy(const daybook_v1_AppendConflicts *conflicts, upb_Arena *arena) {
    size_t size = 0;
    const char *encoded = daybook_v1_AppendConflicts_serialize(conflicts, arena, &size);
    return encoded == NULL ? NULL : daybook_v1_AppendConflicts_parse(encoded, size, arena);
}

/* --- The verdict ----------------------------------------------------------------------------------------------------- */

static enum append_verdict appended(struct daybook_append *append, const daybook_v1_AppendResponse *response) {
    size_t count;
    (void)daybook_v1_AppendResponse_results(response, &count);
    if (count != append->writes_count) return APPEND_MALFORMED;
    append->response = response_copy(response, append->arena);
    if (append->response == NULL) {
        /* It is on disk, and the next answer will say so. */
        daybook_status_set(&append->status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the result");
        append->doubtful = true;
        return APPEND_AGAIN;
    }
    daybook_status_clear(&append->status);
    return APPEND_DECIDED;
}

static enum append_verdict refused(struct daybook_append *append, const daybook_v1_AppendError *error) {
    if (!status_fill(&append->status, error)) return APPEND_MALFORMED;
    if (daybook__backoff_is_passing(&append->status)) {
        if (strcmp(append->status.reason, OUTCOME_UNKNOWN) == 0) append->doubtful = true;
        return APPEND_AGAIN;
    }
    const daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendError_conflicts(error);
    if (conflicts != NULL) append->conflicts = conflicts_copy(conflicts, append->arena);
    return APPEND_DECIDED;
}

enum append_verdict daybook__append_take(struct daybook_append *append, const daybook_v1_AppendOutcome *outcome) {
    const daybook_v1_AppendResponse *response = daybook_v1_AppendOutcome_appended(outcome);
    const daybook_v1_AppendError *error = daybook_v1_AppendOutcome_error(outcome);
    if (response != NULL) return appended(append, response);
    return error == NULL ? APPEND_MALFORMED : refused(append, error);
}

void daybook__append_give_up(struct daybook_append *append, const daybook_status *why) {
    daybook_status *status = &append->status;
    const bool is_own = why->code == DAYBOOK_DEADLINE_EXCEEDED || why->code == DAYBOOK_CANCELLED;
    if (append->doubtful) {
        daybook_status_set(status, why->code,
                           "it is not known whether it was appended, which the same event ids tell: %s", why->message);
        memcpy(status->reason, OUTCOME_UNKNOWN, sizeof OUTCOME_UNKNOWN);
        status->retryable = true;
    } else if (!is_own || status->code == DAYBOOK_OK) {
        *status = *why;
    } /* else the server has said why it did not take it, which tells more */
}
