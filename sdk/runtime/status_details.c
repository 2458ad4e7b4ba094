/* status_details.c: reads the rich error of gRPC (AIP-193) into a status. */
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "sdk/runtime/codec.h"
#include "sdk/runtime/status.h"

/* Most details fit; a larger one goes on in the heap. */
#define DETAILS_ARENA_BYTES 2048

/* A type URL names its type after the last slash, whatever host stands in front. */
static bool is_type(upb_StringView type_url, const char *name) {
    size_t size = strlen(name);
    return type_url.size > size && type_url.data[type_url.size - size - 1] == '/' &&
           memcmp(type_url.data + type_url.size - size, name, size) == 0;
}

/* A reason is a word in capitals, so it holds no character that could be cut in two. One with other bytes, or too long,
 * is none of AIP-193's and is left out: programs compare reasons, and half a reason compares wrongly. */
static void set_reason(daybook_status *status, upb_StringView reason) {
    if (reason.size == 0 || reason.size >= sizeof status->reason) return;
    for (size_t i = 0; i < reason.size; i++) {
        if (reason.data[i] <= ' ' || reason.data[i] > '~') return;
    }
    memcpy(status->reason, reason.data, reason.size);
    status->reason[reason.size] = '\0';
}

/* Rounds up, so that a client never comes back too early. */
static uint32_t duration_ms(const google_protobuf_Duration *duration) {
    int64_t seconds = google_protobuf_Duration_seconds(duration);
    int64_t nanos = google_protobuf_Duration_nanos(duration);
    if (seconds < 0 || nanos < 0) return 0;
    if (seconds >= UINT32_MAX / 1000) return UINT32_MAX;
    return (uint32_t)(seconds * 1000 + (nanos + 999999) / 1000000);
}

static void set_retry(daybook_status *status, const google_rpc_RetryInfo *retry) {
    status->retryable = true;
    const google_protobuf_Duration *delay = google_rpc_RetryInfo_retry_delay(retry);
    if (delay != NULL) status->retry_delay_ms = duration_ms(delay);
}

/* As many as there is room for; the texts are the peer's and are cut between two characters. */
static void add_field_violations(daybook_status *status, const google_rpc_BadRequest *bad_request) {
    size_t count = 0;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(bad_request, &count);
    for (size_t i = 0; i < count; i++) {
        if (status->field_violations_count == DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX) return;
        daybook_field_violation *violation = &status->field_violations[status->field_violations_count++];
        upb_StringView field = google_rpc_BadRequest_FieldViolation_field(violations[i]);
        upb_StringView description = google_rpc_BadRequest_FieldViolation_description(violations[i]);
        daybook__status_copy_text(violation->field, sizeof violation->field, field.data, field.size);
        daybook__status_copy_text(violation->description, sizeof violation->description, description.data,
                                  description.size);
    }
}

/* NULL when it is malformed. */
static const void *detail_decode(upb_StringView value, const upb_MiniTable *table, upb_Arena *arena) {
    const void *detail = NULL;
    codec_result result = daybook__codec_decode_bytes(value.data, value.size, table, arena, &detail);
    return result == CODEC_OK ? detail : NULL;
}

void daybook__status_add_details(daybook_status *status, const void *details, size_t details_size) {
    if (status == NULL || status->code == DAYBOOK_OK) return;
    char memory[DETAILS_ARENA_BYTES] __attribute__((aligned(16)));
    upb_Arena *arena = upb_Arena_Init(memory, sizeof memory, &upb_alloc_global);
    const void *rich = NULL;
    size_t count = 0;
    const google_protobuf_Any *const *anys = NULL;
    if (daybook__codec_decode_bytes(details, details_size, &google_rpc_Status_msginit, arena, &rich) == CODEC_OK) {
        anys = google_rpc_Status_details(rich, &count);
    }
    for (size_t i = 0; i < count; i++) {
        upb_StringView type_url = google_protobuf_Any_type_url(anys[i]);
        upb_StringView value = google_protobuf_Any_value(anys[i]);
        if (is_type(type_url, "google.rpc.ErrorInfo")) {
            const void *info = detail_decode(value, &google_rpc_ErrorInfo_msginit, arena);
            if (info != NULL) set_reason(status, google_rpc_ErrorInfo_reason(info));
        } else if (is_type(type_url, "google.rpc.RetryInfo")) {
            const void *retry = detail_decode(value, &google_rpc_RetryInfo_msginit, arena);
            if (retry != NULL) set_retry(status, retry);
        } else if (is_type(type_url, "google.rpc.BadRequest")) {
            const void *bad_request = detail_decode(value, &google_rpc_BadRequest_msginit, arena);
            if (bad_request != NULL) add_field_violations(status, bad_request);
        }
    }
    upb_Arena_Free(arena);
}
