/* failure.c: what is said of a call that has failed; see common.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daybook/v1/event_store.upb.h"
#include "google/protobuf/any.upb.h"
#include "google/rpc/error_details.upb.h"
#include "google/rpc/status.upb.h"
#include "sdk/cli/common.h"
#include "sdk/cli/print.h"

/* Under "daybook: ". */
#define INDENTATION "         "

int common_out_of_memory(void) {
    (void)fputs("daybook: out of memory\n", stderr);
    return EXIT_RESOURCES;
}

static bool is_type(upb_StringView type_url, const char *name) {
    const size_t size = strlen(name);
    return type_url.size > size && type_url.data[type_url.size - size - 1] == '/' &&
           memcmp(type_url.data + type_url.size - size, name, size) == 0;
}

/* The fields that are wrong. The message says the first of them already. */
static void violations_print(upb_StringView encoded, upb_Arena *arena) {
    const google_rpc_BadRequest *bad = google_rpc_BadRequest_parse(encoded.data, encoded.size, arena);
    size_t count = 0;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        bad == NULL ? NULL : google_rpc_BadRequest_field_violations(bad, &count);
    if (count < 2) return;
    for (size_t index = 0; index < count; index++) {
        (void)fputs(INDENTATION, stderr);
        print_plain(stderr, google_rpc_BadRequest_FieldViolation_field(violations[index]));
        (void)fputc(' ', stderr);
        print_plain(stderr, google_rpc_BadRequest_FieldViolation_description(violations[index]));
        (void)fputc('\n', stderr);
    }
}

static void stream_conflict_print(const daybook_v1_StreamConflict *conflict) {
    (void)fputs(INDENTATION, stderr);
    print_plain(stderr, daybook_v1_StreamConflict_field(conflict));
    (void)fputc(' ', stderr);
    print_plain(stderr, daybook_v1_StreamConflict_stream(conflict));
    const bool has_revision = daybook_v1_StreamConflict_has_expected_revision(conflict);
    const uint64_t expected = daybook_v1_StreamConflict_expected_revision(conflict);
    const uint64_t actual = daybook_v1_StreamConflict_actual_revision(conflict);
    if (!has_revision && actual > 0) {
        (void)fprintf(stderr, ": is tombstoned, last at %" PRIu64 "\n", actual);
        return;
    }
    if (has_revision && expected > 0) {
        (void)fprintf(stderr, ": expected at revision %" PRIu64, expected);
    } else {
        (void)fprintf(stderr, ": expected to %s", has_revision ? "be new" : "have events");
    }
    if (actual == 0) {
        (void)fputs(", does not exist\n", stderr);
    } else {
        (void)fprintf(stderr, ", is at %" PRIu64 "\n", actual);
    }
}

/* What was violated by an append. */
static void conflicts_print(upb_StringView encoded, upb_Arena *arena) {
    const daybook_v1_AppendConflicts *conflicts = daybook_v1_AppendConflicts_parse(encoded.data, encoded.size, arena);
    if (conflicts == NULL) return;
    size_t count;
    const daybook_v1_StreamConflict *const *streams = daybook_v1_AppendConflicts_streams(conflicts, &count);
    for (size_t index = 0; index < count; index++) stream_conflict_print(streams[index]);
    const daybook_v1_EventIdConflict *const *events = daybook_v1_AppendConflicts_events(conflicts, &count);
    for (size_t index = 0; index < count; index++) {
        (void)fputs(INDENTATION, stderr);
        print_plain(stderr, daybook_v1_EventIdConflict_field(events[index]));
        (void)fputc(' ', stderr);
        print_plain(stderr, daybook_v1_EventIdConflict_id(events[index]));
        (void)fprintf(stderr, ": known at position %" PRIu64 "\n", daybook_v1_EventIdConflict_position(events[index]));
    }
    const daybook_v1_ConditionConflict *condition = daybook_v1_AppendConflicts_condition(conflicts);
    if (condition != NULL) {
        (void)fprintf(stderr, INDENTATION "the condition: the event at position %" PRIu64 " matches\n",
                      daybook_v1_ConditionConflict_position(condition));
    }
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendConflicts_checkpoint(conflicts);
    if (checkpoint != NULL) {
        (void)fputs(INDENTATION "the checkpoint: ", stderr);
        print_plain(stderr, daybook_v1_Checkpoint_consumer(checkpoint));
        (void)fprintf(stderr, " is at %" PRIu64 "\n", daybook_v1_Checkpoint_position(checkpoint));
    }
}

/* Details that cannot be decoded are passed over: they must not hide the error that they came with. */
static void details_print(const daybook_details *details) {
    upb_Arena *arena = details->size == 0 ? NULL : upb_Arena_New();
    if (arena == NULL) return;
    const google_rpc_Status *rich = google_rpc_Status_parse(details->bytes, details->size, arena);
    size_t count = 0;
    const google_protobuf_Any *const *anys = rich == NULL ? NULL : google_rpc_Status_details(rich, &count);
    for (size_t index = 0; index < count; index++) {
        const upb_StringView type_url = google_protobuf_Any_type_url(anys[index]);
        const upb_StringView value = google_protobuf_Any_value(anys[index]);
        if (is_type(type_url, "google.rpc.BadRequest")) violations_print(value, arena);
        if (is_type(type_url, "daybook.v1.AppendConflicts")) conflicts_print(value, arena);
    }
    upb_Arena_Free(arena);
}

static void headline_print(const char *name, const char *message) {
    (void)fprintf(stderr, "daybook: %s: ", name);
    print_plain(stderr, upb_StringView_FromString(message));
    (void)fputc('\n', stderr);
}

int common_fail(const struct common *common, const daybook_status *status) {
    if (status->code == DAYBOOK_UNAVAILABLE && status->reason[0] == '\0') {
        (void)fprintf(stderr, "daybook: cannot reach %s (", common->server);
        print_plain(stderr, upb_StringView_FromString(status->message));
        (void)fputs(")\n" INDENTATION
                    "Is daybookd running there? Name another server with --server or DAYBOOK_SERVER.\n",
                    stderr);
        return EXIT_UNREACHABLE;
    }
    headline_print(status->reason[0] != '\0' ? status->reason : daybook_code_name(status->code), status->message);
    details_print(common->details);
    if (status->code == DAYBOOK_UNIMPLEMENTED) {
        (void)fprintf(stderr,
                      INDENTATION "The daemon at %s does not know this request: it is older than this command.\n",
                      common->server);
    }
    if (status->retryable) (void)fputs(INDENTATION "The same command may succeed when it is run again.\n", stderr);
    if (status->code == DAYBOOK_UNAVAILABLE || status->code == DAYBOOK_DEADLINE_EXCEEDED) return EXIT_UNREACHABLE;
    return EXIT_REFUSED;
}
