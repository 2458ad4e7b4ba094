#include "tests/unit/service/api/answers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/protobuf/duration.upb.h"

bool answer_text_is(upb_StringView actual, const char *expected) {
    return upb_StringView_IsEqual(actual, upb_StringView_FromString(expected));
}

/* Decodes the detail when it is of this type. */
static const void *detail_decode(const google_protobuf_Any *any, const char *type_url, const upb_MiniTable *layout,
                                 upb_Arena *arena) {
    if (!answer_text_is(google_protobuf_Any_type_url(any), type_url)) return NULL;
    const upb_StringView value = google_protobuf_Any_value(any);
    upb_Message *message = _upb_Message_New(layout, arena);
    cr_assert_eq(upb_Decode(value.data, value.size, message, layout, NULL, 0, arena), kUpb_DecodeStatus_Ok);
    return message;
}

static void detail_take(struct answer *answer, const google_protobuf_Any *any) {
    const void *found =
        detail_decode(any, "type.googleapis.com/google.rpc.ErrorInfo", &google_rpc_ErrorInfo_msginit, answer->arena);
    if (found != NULL) answer->info = found;
    found =
        detail_decode(any, "type.googleapis.com/google.rpc.BadRequest", &google_rpc_BadRequest_msginit, answer->arena);
    if (found != NULL) answer->bad_request = found;
    found =
        detail_decode(any, "type.googleapis.com/google.rpc.RetryInfo", &google_rpc_RetryInfo_msginit, answer->arena);
    if (found != NULL) answer->retry = found;
    found = detail_decode(any, "type.googleapis.com/daybook.v1.AppendConflicts", &daybook_v1_AppendConflicts_msginit,
                          answer->arena);
    if (found != NULL) answer->conflicts = found;
}

static void details_take(struct answer *answer) {
    if (answer->status.details_size == 0) return;
    answer->details = google_rpc_Status_parse(answer->status.details, answer->status.details_size, answer->arena);
    cr_assert_not_null(answer->details);
    cr_assert_eq(google_rpc_Status_code(answer->details), answer->status.code);
    cr_assert(answer_text_is(google_rpc_Status_message(answer->details), answer->status.message));
    size_t count;
    const google_protobuf_Any *const *details = google_rpc_Status_details(answer->details, &count);
    for (size_t index = 0; index < count; index++) detail_take(answer, details[index]);
}

struct answer answer_to(struct raw_channel *channel, const char *method, upb_StringView request) {
    struct answer answer = {.arena = upb_Arena_New()};
    cr_assert_not_null(answer.arena);
    answer.status = raw_unary(channel, method, request.data, request.size, &answer.response);
    details_take(&answer);
    return answer;
}

struct answer answer_of(struct raw_call *call) {
    struct answer answer = {.arena = upb_Arena_New()};
    cr_assert_not_null(answer.arena);
    answer.status = raw_call_finish(call);
    details_take(&answer);
    return answer;
}

void answer_free(struct answer *answer) {
    free(answer->response.data);
    upb_Arena_Free(answer->arena);
}

void answer_expect(const struct answer *answer, int code, const char *reason) {
    cr_assert_eq(answer->status.code, code, "%d %s", answer->status.code, answer->status.message);
    cr_assert_not_null(answer->info, "%s: no ErrorInfo", answer->status.message);
    const upb_StringView actual = google_rpc_ErrorInfo_reason(answer->info);
    cr_assert(answer_text_is(actual, reason), "%.*s is not %s", (int)actual.size, actual.data, reason);
    cr_assert(answer_text_is(google_rpc_ErrorInfo_domain(answer->info), "daybook"));
}

upb_StringView answer_metadata(const struct answer *answer, const char *key) {
    upb_StringView value;
    cr_assert_not_null(answer->info);
    cr_assert(google_rpc_ErrorInfo_metadata_get(answer->info, upb_StringView_FromString(key), &value),
              "no metadata \"%s\"", key);
    return value;
}

int64_t answer_retry_ms(const struct answer *answer) {
    if (answer->retry == NULL) return -1;
    const google_protobuf_Duration *delay = google_rpc_RetryInfo_retry_delay(answer->retry);
    cr_assert_not_null(delay);
    return google_protobuf_Duration_seconds(delay) * 1000 + google_protobuf_Duration_nanos(delay) / 1000000;
}
