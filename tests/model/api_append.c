/* Appends: new ones, those that were made before, and wrong ones. */
#include "tests/model/api_append.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool results_equal(const daybook_v1_AppendResponse *response, const struct reference_answer *expected) {
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(response, &count);
    if (daybook_v1_AppendResponse_replayed(response) != expected->replayed || count != expected->results_count)
        return false;
    for (size_t index = 0; index < count; index++) {
        const struct reference_result *wanted = &expected->results[index];
        if (daybook_v1_WriteResult_first_revision(results[index]) != wanted->first_revision ||
            daybook_v1_WriteResult_last_revision(results[index]) != wanted->last_revision ||
            daybook_v1_WriteResult_first_position(results[index]) != wanted->first_position ||
            daybook_v1_WriteResult_last_position(results[index]) != wanted->last_position) {
            return false;
        }
    }
    return true;
}

static bool stream_equals(const daybook_v1_StreamConflict *told, const struct reference_stream_conflict *wanted,
                          bool is_tombstoned) {
    char field[32];
    (void)snprintf(field, sizeof field, "%s[%" PRIu32 "]", wanted->is_check ? "checks" : "writes", wanted->index);
    const struct reference_expectation *expectation = &wanted->expectation;
    /* A tombstone stands against everything, whatever was expected. */
    const bool has_revision = expectation->expects == EXPECTS_REVISION && !is_tombstoned;
    return answer_text_is(daybook_v1_StreamConflict_field(told), field) &&
           answer_text_is(daybook_v1_StreamConflict_stream(told), reference_streams[expectation->stream]) &&
           daybook_v1_StreamConflict_has_expected_revision(told) == has_revision &&
           (!has_revision || daybook_v1_StreamConflict_expected_revision(told) == expectation->revision) &&
           daybook_v1_StreamConflict_actual_revision(told) == wanted->actual;
}

static bool streams_equal(const daybook_v1_AppendConflicts *conflicts, const struct reference_answer *expected) {
    size_t count;
    const daybook_v1_StreamConflict *const *streams = daybook_v1_AppendConflicts_streams(conflicts, &count);
    bool equal = count == expected->streams_count;
    const bool is_tombstoned = strcmp(expected->reason, "STREAM_TOMBSTONED") == 0;
    for (size_t index = 0; equal && index < count; index++) {
        equal = stream_equals(streams[index], &expected->streams[index], is_tombstoned);
    }
    return equal;
}

static bool id_equals(const daybook_v1_EventIdConflict *told, const struct reference_id_conflict *wanted) {
    char field[48];
    (void)snprintf(field, sizeof field, "writes[%" PRIu32 "].events[%" PRIu32 "]", wanted->write, wanted->event);
    return answer_text_is(daybook_v1_EventIdConflict_field(told), field) &&
           answer_text_is(daybook_v1_EventIdConflict_id(told), wanted->id) &&
           daybook_v1_EventIdConflict_position(told) == wanted->position;
}

static bool ids_equal(const daybook_v1_AppendConflicts *conflicts, const struct reference_answer *expected) {
    size_t count;
    const daybook_v1_EventIdConflict *const *ids = daybook_v1_AppendConflicts_events(conflicts, &count);
    bool equal = count == expected->ids_count;
    for (size_t index = 0; equal && index < count; index++) equal = id_equals(ids[index], &expected->ids[index]);
    return equal;
}

static bool conflicts_equal(const struct answer *answer, const struct reference_answer *expected) {
    const daybook_v1_AppendConflicts *conflicts = answer->conflicts;
    if (conflicts == NULL || !streams_equal(conflicts, expected) || !ids_equal(conflicts, expected)) return false;
    const daybook_v1_ConditionConflict *condition = daybook_v1_AppendConflicts_condition(conflicts);
    const uint64_t position = condition == NULL ? 0 : daybook_v1_ConditionConflict_position(condition);
    if (position != expected->condition_position) return false;
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendConflicts_checkpoint(conflicts);
    if ((checkpoint != NULL) != expected->checkpoint_is_stale) return false;
    if (checkpoint != NULL && daybook_v1_Checkpoint_position(checkpoint) != expected->checkpoint_position) return false;
    const uint32_t count = expected->streams_count + expected->ids_count;
    char text[16];
    (void)snprintf(text, sizeof text, "%" PRIu32, count);
    return count == 0 || answer_text_is(answer_metadata(answer, "count"), text);
}

bool api_append_equals(struct api_world *world, const struct answer *answer, const struct reference_answer *expected) {
    if (answer->status.code != expected->code) return false;
    if (expected->code == DAYBOOK_OK) {
        return results_equal(api_response(world, answer, &daybook_v1_AppendResponse_msginit), expected);
    }
    return answer_text_is(google_rpc_ErrorInfo_reason(answer->info), expected->reason) &&
           conflicts_equal(answer, expected);
}

static const char *outcome_of(const struct reference_answer *answer) {
    return answer->replayed ? "REPLAYED" : answer->reason;
}

static const char *run(struct api_world *world, const struct reference_append *append) {
    struct answer answer = api_call_bytes(world, METHOD_APPEND, api_append_encode(world, append));
    const struct reference_answer expected = reference_append(world->reference, append);
    cr_assert(api_append_equals(world, &answer, &expected), "%s instead of %s", answer.status.message,
              outcome_of(&expected));
    answer_free(&answer);
    return outcome_of(&expected);
}

const char *api_run_append(struct api_world *world) {
    const struct reference_append append = api_append_make(world);
    if (api_one_in(world, 2)) world->kept[world->kept_count++ % API_APPENDS_KEPT] = append;
    return run(world, &append);
}

/* --- Once more. ---------------------------------------------------------------------------------------------------------- */

static struct reference_append *kept_any(struct api_world *world) {
    const uint64_t count = world->kept_count < API_APPENDS_KEPT ? world->kept_count : API_APPENDS_KEPT;
    return &world->kept[api_below(world, count)];
}

/* Something else than the first time; some of these are still the same request. */
static void change(struct api_world *world, struct reference_append *append) {
    struct reference_write *write = &append->writes[api_below(world, append->writes_count)];
    switch (api_below(world, 6)) {
    case 0:
        api_event_change(world, &write->events[api_below(world, write->events_count)]);
        break;
    case 1:
        write->expectation =
            (struct reference_expectation){.stream = (uint32_t)api_below(world, REFERENCE_STREAMS_COUNT)};
        break;
    case 2:
        if (write->events_count > 1) write->events_count--;
        break;
    case 3:
        if (write->events_count < REFERENCE_WRITE_EVENTS_MAX) {
            write->events[write->events_count++] = api_event_make(world);
        }
        break;
    case 4:
        if (append->writes_count > 1) append->writes_count--;
        break;
    default: {
        const struct reference_write *other = &kept_any(world)->writes[0];
        const bool is_other = other->events[0].id != NULL && append->writes[0].events[0].id != NULL &&
                              strcmp(other->events[0].id, append->writes[0].events[0].id) != 0;
        if (!is_other || append->writes_count == REFERENCE_WRITES_MAX || append->writes_count > 1) break;
        append->writes[append->writes_count] = *other;
        append->writes[append->writes_count++].expectation.expects = EXPECTS_NOTHING;
        break;
    }
    }
}

/* Writes that now share a stream or an id with an earlier one would be refused before anything is looked up. */
static bool is_valid(const struct reference_append *append) {
    const char *ids[REFERENCE_WRITES_MAX * REFERENCE_WRITE_EVENTS_MAX];
    uint32_t ids_count = 0;
    for (uint32_t write = 0; write < append->writes_count; write++) {
        const struct reference_expectation *expectation = &append->writes[write].expectation;
        for (uint32_t before = 0; before < write; before++) {
            const bool same = append->writes[before].expectation.stream == expectation->stream;
            if (same && expectation->expects != EXPECTS_NOTHING) return false;
        }
        for (uint32_t event = 0; event < append->writes[write].events_count; event++) {
            const char *id = append->writes[write].events[event].id;
            for (uint32_t index = 0; id != NULL && index < ids_count; index++) {
                if (strcmp(ids[index], id) == 0) return false;
            }
            if (id != NULL) ids[ids_count++] = id;
        }
    }
    return true;
}

const char *api_run_append_again(struct api_world *world) {
    if (world->kept_count == 0) return "nothing yet";
    struct reference_append append = *kept_any(world);
    if (api_one_in(world, 2)) change(world, &append);
    return is_valid(&append) ? run(world, &append) : "not valid";
}

/* --- Wrong ones. --------------------------------------------------------------------------------------------------------- */

/* Breaks a good append in one place; returns the field that the daemon must name. */
static const char *break_append(struct api_world *world, struct reference_append *append) {
    switch (api_below(world, 6)) {
    case 0:
        append->has_condition = true;
        append->none_match.count = 0;
        append->after = world->reference->head + 1 + api_below(world, 3);
        return "condition.after";
    case 1:
        append->consumer = reference_consumers[0];
        append->checkpoint = api_one_in(world, 2) ? 0 : world->reference->head + 1;
        return "checkpoint.position";
    case 2:
        append->has_condition = true;
        append->after = 0;
        append->none_match = (struct reference_filter){.count = 1};
        append->none_match.clauses[0].stream_prefixes = (struct reference_names){.names = {"order"}, .count = 1};
        return "condition.none_match.any_of[0]";
    case 3:
        append->writes_count = 2;
        append->writes[1] = append->writes[0];
        append->writes[1].events[0] = api_event_make(world);
        append->writes[1].events_count = 1;
        append->writes[1].expectation.expects = EXPECTS_REVISION;
        return "writes[1]";
    case 4:
        append->writes_count = 0;
        return "writes";
    default:
        append->writes[append->writes_count - 1].events_count = 0;
        return append->writes_count == 1   ? "writes[0].events"
               : append->writes_count == 2 ? "writes[1].events"
               : append->writes_count == 3 ? "writes[2].events"
                                           : "writes[3].events";
    }
}

const char *api_run_append_wrong(struct api_world *world) {
    struct reference_append append = api_append_make(world);
    const char *field = break_append(world, &append);
    struct answer answer = api_call_bytes(world, METHOD_APPEND, api_append_encode(world, &append));
    const char *outcome = api_expect(&answer, DAYBOOK_INVALID_ARGUMENT, "INVALID_FIELD");
    cr_assert_not_null(answer.bad_request);
    size_t count;
    const google_rpc_BadRequest_FieldViolation *const *violations =
        google_rpc_BadRequest_field_violations(answer.bad_request, &count);
    cr_assert_eq(count, 1);
    const upb_StringView told = google_rpc_BadRequest_FieldViolation_field(violations[0]);
    cr_assert(answer_text_is(told, field), "%.*s instead of %s", (int)told.size, told.data, field);
    answer_free(&answer);
    return outcome;
}
