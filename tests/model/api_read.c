/* Reads: from a revision, a position or a time, either way, filtered, limited; against a scan of everything. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/record/record.h"
#include "tests/model/api_world.h"
#include "tests/model/responses.h"

#define NANOSECONDS_PER_SECOND 1000000000
#define NO_STREAM              UINT32_MAX

struct read {
    uint32_t stream; /* NO_STREAM: everything */
    struct reference_filter filter;
    bool backward;
    uint64_t from; /* 0: the beginning, or the end backward */
    bool has_time;
    int64_t time_ns;
    uint64_t append_first; /* what a time means: the appends from this one on, or up to that one */
    uint64_t append_last;
    uint64_t limit; /* 0: none */
};

static bool wants(const struct reference *reference, const struct read *read, uint64_t position) {
    const struct reference_event *event = reference_at(reference, position);
    const uint64_t number = read->stream == NO_STREAM ? position : event->revision;
    if (read->stream != NO_STREAM && event->stream != read->stream) return false;
    /* A read of a stream shows nothing of what is before its first revision, its own deletion included. */
    if (read->stream != NO_STREAM && event->revision < reference->streams[event->stream].first_revision) return false;
    if (!reference_shows(reference, event) || !reference_matches(event, &read->filter)) return false;
    if (read->has_time) return event->append >= read->append_first && event->append <= read->append_last;
    return read->from == 0 || (read->backward ? number <= read->from : number >= read->from);
}

static uint64_t step(const struct read *read, uint64_t position) {
    return read->backward ? position - 1 : position + 1;
}

/* The position of the next event that the read must bring; 0: there is none. */
static uint64_t next(const struct reference *reference, const struct read *read, uint64_t position) {
    for (position = step(read, position); position >= 1 && position <= reference->head;
         position = step(read, position)) {
        if (wants(reference, read, position)) return position;
    }
    return 0;
}

/* The time of an event that somebody has seen, or a nanosecond aside of it: what lies there follows from where appends begin
 * and end, because each has one time and the next a later one. */
static void time_choose(struct api_world *world, struct read *read) {
    const struct reference *reference = world->reference;
    struct record record;
    read->append_last = UINT64_MAX;
    if (reference->head == 0 || api_one_in(world, 8)) {
        read->has_time = true;
        read->time_ns = INT64_MAX / 2; /* far ahead */
        read->append_first = read->backward ? 0 : UINT64_MAX;
        return;
    }
    const struct reference_event *event = reference_at(reference, 1 + api_below(world, reference->head));
    if (event->record.size == 0) return;
    cr_assert_not(failed(record_read(event->record, &record)));
    const bool aside = api_one_in(world, 2);
    read->has_time = true;
    read->time_ns = record.recorded_ns + (aside ? (read->backward ? -1 : 1) : 0);
    read->append_first = read->backward ? 0 : event->append + (aside ? 1 : 0);
    if (read->backward) read->append_last = event->append - (aside ? 1 : 0);
}

static struct read choose(struct api_world *world) {
    const struct reference *reference = world->reference;
    struct read read = {.stream = NO_STREAM, .backward = api_one_in(world, 2)};
    if (api_one_in(world, 2)) read.stream = (uint32_t)api_below(world, REFERENCE_STREAMS_COUNT + 1);
    read.filter = api_filter(world, false);
    if (api_one_in(world, 4)) {
        time_choose(world, &read);
    } else if (api_one_in(world, 2)) {
        read.from = api_below(
            world, 3 + (read.stream == NO_STREAM ? reference->head : reference->streams[read.stream].revision));
        /* What was written last is read most. */
        if (read.stream == NO_STREAM && reference->head > 20 && api_one_in(world, 2)) {
            read.from = reference->head - api_below(world, 20);
        }
        if (api_one_in(world, 20)) read.from = UINT64_MAX - api_below(world, 2);
    }
    if (!api_one_in(world, 3)) read.limit = 1 + api_below(world, api_one_in(world, 2) ? 200 : 5);
    return read;
}

static daybook_v1_ReadRequest *request_of(struct api_world *world, const struct read *read) {
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(world->arena);
    if (read->stream != NO_STREAM) {
        daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString(reference_streams[read->stream]));
    }
    daybook_v1_ReadRequest_set_filter(request, api_filter_message(world, &read->filter));
    if (read->has_time) {
        google_protobuf_Timestamp *time = daybook_v1_ReadRequest_mutable_from_time(request, world->arena);
        google_protobuf_Timestamp_set_seconds(time, read->time_ns / NANOSECONDS_PER_SECOND);
        google_protobuf_Timestamp_set_nanos(time, (int32_t)(read->time_ns % NANOSECONDS_PER_SECOND));
    } else if (read->from != 0) {
        daybook_v1_ReadRequest_set_from(request, read->from);
    }
    daybook_v1_ReadRequest_set_direction(request,
                                         read->backward ? daybook_v1_DIRECTION_BACKWARD : daybook_v1_DIRECTION_FORWARD);
    daybook_v1_ReadRequest_set_limit(request, read->limit);
    return request;
}

/* Compares everything that comes; returns how many responses there were. */
static uint64_t compare(struct api_world *world, const struct read *read, struct raw_call *call) {
    struct reference *reference = world->reference;
    uint64_t left = read->limit == 0 ? UINT64_MAX : read->limit;
    uint64_t position = read->backward ? reference->head + 1 : 0;
    uint64_t responses_count = 0;
    for (struct raw_bytes bytes = raw_call_receive(call); bytes.data != NULL; bytes = raw_call_receive(call)) {
        struct response response = response_read(bytes_of(bytes.data, bytes.size));
        struct bytes record;
        cr_assert_eq(response.fields[2], reference->head);
        while (response_take(&response, &record)) {
            position = left == 0 ? 0 : next(reference, read, position);
            cr_assert_neq(position, 0, "more than there is");
            cr_assert_eq(reference_check_record(reference, record, false), position);
            left--;
            world->events_checked_count++;
        }
        responses_count++;
        free(bytes.data);
    }
    if (left > 0 && (responses_count > 0)) {
        const uint64_t missing = next(reference, read, position);
        cr_assert_eq(missing, 0, "position %" PRIu64 " is missing", missing);
    }
    return responses_count;
}

const char *api_run_read(struct api_world *world) {
    const struct read read = choose(world);
    struct raw_call *call = api_stream(world, METHOD_READ, request_of(world, &read), &daybook_v1_ReadRequest_msginit);
    const uint64_t responses_count = compare(world, &read, call);
    struct answer answer = answer_of(call);
    raw_call_free(call);
    const struct reference_stream *stream = read.stream == NO_STREAM ? NULL : &world->reference->streams[read.stream];
    const bool is_there = stream == NULL || (stream->revision > 0 && stream->state == REFERENCE_ACTIVE);
    const char *outcome =
        is_there ? api_expect(&answer, DAYBOOK_OK, "OK") : api_expect(&answer, DAYBOOK_NOT_FOUND, "STREAM_NOT_FOUND");
    cr_assert_eq(responses_count > 0, is_there, "a read sends at least its head");
    answer_free(&answer);
    return outcome;
}
