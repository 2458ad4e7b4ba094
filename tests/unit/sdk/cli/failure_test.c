/* What is said of a failed call: every detail that the server gives, and nothing that could steer the terminal. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

static google_rpc_Status *rich;

static void setup(void) {
    scripted_open();
    rich = google_rpc_Status_new(scripted.arena);
}

TestSuite(failure, .init = setup, .fini = scripted_close);

static void add_detail(const char *type, const char *bytes, size_t size) {
    google_protobuf_Any *any = google_rpc_Status_add_details(rich, scripted.arena);
    google_protobuf_Any_set_type_url(any, upb_StringView_FromString(type));
    google_protobuf_Any_set_value(any, upb_StringView_FromDataAndSize(bytes, size));
}

static void add_reason(const char *reason) {
    size_t size;
    google_rpc_ErrorInfo *info = google_rpc_ErrorInfo_new(scripted.arena);
    google_rpc_ErrorInfo_set_reason(info, upb_StringView_FromString(reason));
    const char *bytes = google_rpc_ErrorInfo_serialize(info, scripted.arena, &size);
    add_detail("type.googleapis.com/google.rpc.ErrorInfo", bytes, size);
}

/* Fails an append with the details; the command's message must be this. */
static void expect_said(daybook_code code, const char *message, const char *expected) {
    size_t size;
    const char *bytes = google_rpc_Status_serialize(rich, scripted.arena, &size);
    scripted_tell_error(STORE(Append), code, message, upb_StringView_FromDataAndSize(bytes, size));
    cr_assert_eq(RUN(command_append, NULL, "append", "s", "T"), EXIT_REFUSED);
    cr_assert_str_eq(said.err, expected);
    cr_assert_str_empty(said.out);
}

static void add_violations(size_t count) {
    size_t size;
    google_rpc_BadRequest *bad = google_rpc_BadRequest_new(scripted.arena);
    for (size_t index = 0; index < count; index++) {
        google_rpc_BadRequest_FieldViolation *violation =
            google_rpc_BadRequest_add_field_violations(bad, scripted.arena);
        google_rpc_BadRequest_FieldViolation_set_field(violation, upb_StringView_FromString("writes[0].stream"));
        google_rpc_BadRequest_FieldViolation_set_description(violation, upb_StringView_FromString("is\x1b missing"));
    }
    const char *bytes = google_rpc_BadRequest_serialize(bad, scripted.arena, &size);
    add_detail("type.googleapis.com/google.rpc.BadRequest", bytes, size);
}

Test(failure, every_wrong_field_is_told) {
    add_reason("INVALID_FIELD");
    add_violations(2);
    expect_said(DAYBOOK_INVALID_ARGUMENT, "m\x1b[2J",
                "daybook: INVALID_FIELD: m\\x1b[2J\n"
                "         writes[0].stream is\\x1b missing\n"
                "         writes[0].stream is\\x1b missing\n");
}

Test(failure, a_single_wrong_field_is_told_once) {
    add_reason("INVALID_FIELD");
    add_violations(1);
    expect_said(DAYBOOK_INVALID_ARGUMENT, "writes[0].stream is missing",
                "daybook: INVALID_FIELD: writes[0].stream is missing\n");
}

static void add_conflicts(const daybook_v1_AppendConflicts *conflicts) {
    size_t size;
    const char *bytes = daybook_v1_AppendConflicts_serialize(conflicts, scripted.arena, &size);
    add_detail("type.googleapis.com/daybook.v1.AppendConflicts", bytes, size);
}

static daybook_v1_StreamConflict *add_stream(daybook_v1_AppendConflicts *conflicts, const char *field,
                                             uint64_t actual) {
    daybook_v1_StreamConflict *conflict = daybook_v1_AppendConflicts_add_streams(conflicts, scripted.arena);
    daybook_v1_StreamConflict_set_field(conflict, upb_StringView_FromString(field));
    daybook_v1_StreamConflict_set_stream(conflict, upb_StringView_FromString("order-1\a"));
    daybook_v1_StreamConflict_set_actual_revision(conflict, actual);
    return conflict;
}

Test(failure, every_conflict_is_told) {
    daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendConflicts_new(scripted.arena);
    daybook_v1_StreamConflict_set_expected_revision(add_stream(conflicts, "writes[0]", 9), 7);
    daybook_v1_StreamConflict_set_expected_revision(add_stream(conflicts, "checks[0]", 9), 0);
    (void)add_stream(conflicts, "checks[1]", 0);
    daybook_v1_EventIdConflict *event = daybook_v1_AppendConflicts_add_events(conflicts, scripted.arena);
    daybook_v1_EventIdConflict_set_field(event, upb_StringView_FromString("writes[0].events[2]"));
    daybook_v1_EventIdConflict_set_id(event, upb_StringView_FromString("01890a5d-ac96-774b-bcce-b302099a8057"));
    daybook_v1_EventIdConflict_set_position(event, 5);
    daybook_v1_ConditionConflict_set_position(daybook_v1_AppendConflicts_mutable_condition(conflicts, scripted.arena),
                                              6);
    daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendConflicts_mutable_checkpoint(conflicts, scripted.arena);
    daybook_v1_Checkpoint_set_consumer(checkpoint, upb_StringView_FromString("billing"));
    daybook_v1_Checkpoint_set_position(checkpoint, 42);
    add_reason("REVISION_CONFLICT");
    add_conflicts(conflicts);
    expect_said(DAYBOOK_ABORTED, "m",
                "daybook: REVISION_CONFLICT: m\n"
                "         writes[0] order-1\\x07: expected at revision 7, is at 9\n"
                "         checks[0] order-1\\x07: expected to be new, is at 9\n"
                "         checks[1] order-1\\x07: expected to have events, does not exist\n"
                "         writes[0].events[2] 01890a5d-ac96-774b-bcce-b302099a8057: known at position 5\n"
                "         the condition: the event at position 6 matches\n"
                "         the checkpoint: billing is at 42\n");
}

Test(failure, details_that_are_none_hide_nothing) {
    add_detail("type.googleapis.com/google.rpc.BadRequest", "\xff\xff\xff", 3);
    add_detail("type.googleapis.com/daybook.v1.AppendConflicts", "\x0a\x7f", 2);
    add_detail("AppendConflicts", "", 0);
    add_detail("", "x", 1);
    expect_said(DAYBOOK_ABORTED, "m", "daybook: ABORTED: m\n");
}

Test(failure, a_call_without_an_answer_tells_of_an_older_daemon) {
    cr_assert_eq(RUN(command_append, NULL, "append", "s", "T"), EXIT_REFUSED);
    expect_words(said.err, "daybook: UNIMPLEMENTED: it is not implemented\n");
    expect_words(said.err, "does not know this request: it is older than this command");
}

Test(failure, details_of_a_stream_are_told_too) {
    size_t size;
    add_reason("INVALID_FIELD");
    add_violations(2);
    const char *bytes = google_rpc_Status_serialize(rich, scripted.arena, &size);
    scripted_tell_error(STORE(Read), DAYBOOK_INVALID_ARGUMENT, "m", upb_StringView_FromDataAndSize(bytes, size));
    cr_assert_eq(RUN(command_read, NULL, "read"), EXIT_REFUSED);
    expect_words(said.err, "daybook: INVALID_FIELD: m\n         writes[0].stream is\\x1b missing\n");
}

/* An append is tried again only when its events have ids, by which the server knows them. */
Test(failure, an_append_with_an_id_is_tried_again) {
    scripted_tell_error(STORE(Append), DAYBOOK_UNAVAILABLE, "draining", (upb_StringView){.data = "", .size = 0});
    scripted_tell(STORE(Append), daybook_v1_AppendResponse_new(scripted.arena));
    cr_assert_eq(RUN(command_append, NULL, "append", "s", "T", "--id", "01890a5d-ac96-774b-bcce-b302099a8057"), 0);
    cr_assert_str_empty(said.err);
    cr_assert_eq(scripted_requests_count(STORE(Append)), 2);
    scripted_tell_error(STORE(Append), DAYBOOK_UNAVAILABLE, "draining", (upb_StringView){.data = "", .size = 0});
    cr_assert_neq(RUN(command_append, NULL, "append", "s", "T"), 0);
    cr_assert_eq(scripted_requests_count(STORE(Append)), 3);
}
