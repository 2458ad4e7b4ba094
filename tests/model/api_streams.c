/* Settings and deletion of streams, erasure of events, and the retention that takes bytes away. */
#include <criterion/criterion.h>
#include <sched.h>

#include "service/retention/retention.h"
#include "tests/model/api_world.h"
#include "tests/support/wall_clock.h"

#define METHOD_UPDATE_STREAM_SETTINGS "/daybook.v1.EventStore/UpdateStreamSettings"
#define METHOD_DELETE_STREAM          "/daybook.v1.EventStore/DeleteStream"
#define METHOD_ERASE_EVENTS           "/daybook.v1.EventStore/EraseEvents"
#define POSITIONS_COUNT_MAX           6
#define AGE_SECONDS_MAX               200
#define NANOSECONDS_PER_SECOND        INT64_C(1000000000)

static struct reference_stream *stream_at(struct api_world *world, uint32_t stream) {
    return &world->reference->streams[stream];
}

/* What a change of a stream expects of it; nothing, most of the time. */
static struct reference_expectation expectation_of(struct api_world *world, uint32_t stream) {
    struct reference_expectation expectation = {.stream = stream};
    if (!api_one_in(world, 3)) return expectation;
    expectation.expects = EXPECTS_REVISION;
    expectation.revision = stream_at(world, stream)->revision + (api_one_in(world, 3) ? 1 : 0);
    return expectation;
}

static const char *conflict_expect(const struct answer *answer, const struct reference_stream *stream,
                                   const struct reference_expectation *expectation) {
    const char *outcome = api_expect(answer, DAYBOOK_ABORTED, "REVISION_CONFLICT");
    size_t count;
    cr_assert_not_null(answer->conflicts);
    const daybook_v1_StreamConflict *const *conflicts = daybook_v1_AppendConflicts_streams(answer->conflicts, &count);
    cr_assert_eq(count, 1);
    cr_assert(answer_text_is(daybook_v1_StreamConflict_field(conflicts[0]), "expected_revision"));
    cr_assert_eq(daybook_v1_StreamConflict_expected_revision(conflicts[0]), expectation->revision);
    cr_assert_eq(daybook_v1_StreamConflict_actual_revision(conflicts[0]), stream->revision);
    return outcome;
}

/* --- Settings. ----------------------------------------------------------------------------------------------------------- */

struct settings {
    uint64_t max_age_seconds;
    uint64_t max_count;
    uint64_t truncate_before;
};

static daybook_v1_UpdateStreamSettingsRequest *settings_request(struct api_world *world,
                                                                const struct reference_expectation *expectation,
                                                                const struct settings *asked) {
    daybook_v1_UpdateStreamSettingsRequest *request = daybook_v1_UpdateStreamSettingsRequest_new(world->arena);
    daybook_v1_StreamSettings *settings =
        daybook_v1_UpdateStreamSettingsRequest_mutable_settings(request, world->arena);
    daybook_v1_UpdateStreamSettingsRequest_set_stream(
        request, upb_StringView_FromString(reference_streams[expectation->stream]));
    if (expectation->expects == EXPECTS_REVISION) {
        daybook_v1_UpdateStreamSettingsRequest_set_expected_revision(request, expectation->revision);
    }
    daybook_v1_StreamSettings_set_max_age_seconds(settings, asked->max_age_seconds);
    daybook_v1_StreamSettings_set_max_count(settings, asked->max_count);
    daybook_v1_StreamSettings_set_truncate_before(settings, asked->truncate_before);
    return request;
}

static void settings_take(struct api_world *world, uint32_t index, const struct settings *asked) {
    struct reference_stream *stream = stream_at(world, index);
    stream->has_settings = true;
    reference_limit_age(world->reference, index, asked->max_age_seconds);
    stream->max_count = asked->max_count;
    stream->truncate_before = asked->truncate_before;
    reference_hide(world->reference, index, asked->truncate_before);
    if (asked->max_count > 0 && stream->revision > asked->max_count) {
        reference_hide(world->reference, index, stream->revision - asked->max_count + 1);
    }
}

const char *api_run_settings(struct api_world *world) {
    const uint32_t index = (uint32_t)api_below(world, REFERENCE_STREAMS_COUNT);
    const struct reference_stream *stream = stream_at(world, index);
    const struct reference_expectation expectation = expectation_of(world, index);
    struct settings asked = {0};
    if (api_one_in(world, 2)) asked.max_age_seconds = 1 + api_below(world, AGE_SECONDS_MAX);
    if (api_one_in(world, 3)) asked.max_count = 1 + api_below(world, stream->revision + 20);
    if (api_one_in(world, 3)) asked.truncate_before = api_below(world, stream->revision + 4);
    struct answer answer = api_call(world, METHOD_UPDATE_STREAM_SETTINGS, settings_request(world, &expectation, &asked),
                                    &daybook_v1_UpdateStreamSettingsRequest_msginit);
    const char *outcome = NULL;
    if (stream->state == REFERENCE_TOMBSTONED) {
        outcome = api_expect(&answer, DAYBOOK_FAILED_PRECONDITION, "STREAM_TOMBSTONED");
    } else if (!reference_holds(world->reference, &expectation)) {
        outcome = conflict_expect(&answer, stream, &expectation);
    } else {
        if (asked.truncate_before > stream->revision + 1) asked.truncate_before = stream->revision + 1;
        outcome = api_expect(&answer, DAYBOOK_OK, "OK");
        const daybook_v1_UpdateStreamSettingsResponse *response =
            api_response(world, &answer, &daybook_v1_UpdateStreamSettingsResponse_msginit);
        const daybook_v1_StreamSettings *now = daybook_v1_UpdateStreamSettingsResponse_settings(response);
        cr_assert_eq(daybook_v1_StreamSettings_max_age_seconds(now), asked.max_age_seconds);
        cr_assert_eq(daybook_v1_StreamSettings_max_count(now), asked.max_count);
        cr_assert_eq(daybook_v1_StreamSettings_truncate_before(now), asked.truncate_before);
        settings_take(world, index, &asked);
    }
    answer_free(&answer);
    return outcome;
}

/* --- Deletion. ----------------------------------------------------------------------------------------------------------- */

static void delete_take(struct api_world *world, uint32_t index, bool tombstone, const struct answer *answer) {
    struct reference_stream *stream = stream_at(world, index);
    const daybook_v1_DeleteStreamResponse *response =
        api_response(world, answer, &daybook_v1_DeleteStreamResponse_msginit);
    const uint64_t position =
        reference_append_own(world->reference, index, tombstone ? "$StreamTombstoned" : "$StreamDeleted");
    cr_assert_eq(daybook_v1_DeleteStreamResponse_position(response), position);
    cr_assert_eq(daybook_v1_DeleteStreamResponse_revision(response), stream->revision);
    stream->has_settings = true;
    stream->state = tombstone ? REFERENCE_TOMBSTONED : REFERENCE_DELETED;
    reference_hide(world->reference, index, stream->revision + 1);
}

const char *api_run_delete(struct api_world *world) {
    const uint32_t index = (uint32_t)api_below(world, REFERENCE_STREAMS_COUNT);
    const struct reference_stream *stream = stream_at(world, index);
    const struct reference_expectation expectation = expectation_of(world, index);
    /* Most streams are never used up. */
    const bool tombstone = index % 4 == 1 && api_one_in(world, 20);
    daybook_v1_DeleteStreamRequest *request = daybook_v1_DeleteStreamRequest_new(world->arena);
    daybook_v1_DeleteStreamRequest_set_stream(request, upb_StringView_FromString(reference_streams[index]));
    daybook_v1_DeleteStreamRequest_set_tombstone(request, tombstone);
    if (expectation.expects == EXPECTS_REVISION) {
        daybook_v1_DeleteStreamRequest_set_expected_revision(request, expectation.revision);
    }
    struct answer answer = api_call(world, METHOD_DELETE_STREAM, request, &daybook_v1_DeleteStreamRequest_msginit);
    const bool is_there = stream->revision > 0 && (tombstone || stream->state == REFERENCE_ACTIVE);
    const char *outcome = NULL;
    if (stream->state == REFERENCE_TOMBSTONED) {
        outcome = api_expect(&answer, DAYBOOK_FAILED_PRECONDITION, "STREAM_TOMBSTONED");
    } else if (!is_there) {
        outcome = api_expect(&answer, DAYBOOK_NOT_FOUND, "STREAM_NOT_FOUND");
    } else if (!reference_holds(world->reference, &expectation)) {
        outcome = conflict_expect(&answer, stream, &expectation);
    } else {
        outcome = api_expect(&answer, DAYBOOK_OK, "OK");
        delete_take(world, index, tombstone, &answer);
    }
    answer_free(&answer);
    return outcome;
}

/* --- Erasure. ------------------------------------------------------------------------------------------------------------ */

/* Takes what is erased out of an event. True: there was something to take. */
static bool event_erase(struct reference *reference, uint64_t position) {
    struct reference_event *event = &reference->events[position - 1];
    if (event->is_erased || event->is_removed || event->is_of_system) return false;
    event->is_erased = true;
    event->changed_at = reference->operation;
    event->event.tags_count = 0;
    event->record = (struct bytes){0};
    return true;
}

const char *api_run_erase(struct api_world *world) {
    struct reference *reference = world->reference;
    if (reference->head == 0) return "nothing yet";
    daybook_v1_EraseEventsRequest *request = daybook_v1_EraseEventsRequest_new(world->arena);
    uint64_t positions[POSITIONS_COUNT_MAX];
    const uint64_t count = 1 + api_below(world, POSITIONS_COUNT_MAX);
    for (uint64_t index = 0; index < count; index++) {
        /* The newest are in memory, where they must be forgotten. */
        const uint64_t newest = api_one_in(world, 2) && reference->head > 20 ? 20 : reference->head;
        positions[index] = reference->head - api_below(world, newest);
        cr_assert(daybook_v1_EraseEventsRequest_add_positions(request, positions[index], world->arena));
    }
    struct answer answer = api_call(world, METHOD_ERASE_EVENTS, request, &daybook_v1_EraseEventsRequest_msginit);
    const char *outcome = api_expect(&answer, DAYBOOK_OK, "OK");
    const daybook_v1_EraseEventsResponse *response =
        api_response(world, &answer, &daybook_v1_EraseEventsResponse_msginit);
    uint32_t erased_count = 0;
    for (uint64_t index = 0; index < count; index++) erased_count += event_erase(reference, positions[index]) ? 1 : 0;
    cr_assert_eq(daybook_v1_EraseEventsResponse_erased_count(response), erased_count);
    const uint64_t position =
        erased_count == 0 ? 0 : reference_append_own(reference, REFERENCE_STREAM_ERASURES, "$EventsErased");
    cr_assert_eq(daybook_v1_EraseEventsResponse_position(response), position);
    answer_free(&answer);
    return erased_count == 0 ? "nothing to erase" : outcome;
}

/* --- Retention. ---------------------------------------------------------------------------------------------------------- */

/* Moments, as they lie between appends, or long enough for all limits of age. */
const char *api_run_pass(struct api_world *world) {
    const uint64_t seconds = api_one_in(world, 10) ? AGE_SECONDS_MAX : api_below(world, AGE_SECONDS_MAX / 5);
    const int64_t aside_ns = (int64_t)api_below(world, 3);
    reference_pass(world->reference, (int64_t)seconds * NANOSECONDS_PER_SECOND + aside_ns);
    wall_clock_set(world->reference->now_ns);
    return seconds == AGE_SECONDS_MAX ? "long" : "short";
}

/* One pass over all streams: it changes nothing that anybody sees. */
const char *api_run_retention(struct api_world *world) {
    struct reference *reference = world->reference;
    uint64_t removed_count = 0;
    for (uint64_t index = 0; index < reference->head; index++) {
        struct reference_event *event = &reference->events[index];
        if (event->is_removed || reference_shows(reference, event)) continue;
        event->is_removed = true;
        removed_count++;
    }
    const struct retention_options options = {
        .store = world->rooms.store, .index = world->rooms.index, .sequencer = world->rooms.sequencer};
    struct retention *retention;
    cr_assert_not(failed(retention_open(&options, &retention)));
    while (retention_count(retention).passes_count == 0) sched_yield();
    cr_assert_eq(retention_count(retention).events_removed_count, removed_count);
    retention_close(retention);
    return removed_count == 0 ? "nothing to remove" : "OK";
}
