#include "tests/model/api_reference.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "daybook/status.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

const char *const reference_streams[REFERENCE_STREAMS_COUNT + 1] = {
    "order-1",    "order-2", "order-22", "order", "cart-1",  "cart-2",   "c",
    "customer-1", "o",       "order-",   "stock", "stock-1", "$erasures"};
const char *const reference_types[REFERENCE_TYPES_COUNT] = {"OrderPlaced", "OrderPaid", "Order", "Sold", "Stocked"};
const char *const reference_tags[REFERENCE_TAGS_COUNT] = {"customer:1", "customer:11", "customer:2", "product:1",
                                                          "product:2",  "urgent",      "u",          "product:"};
const char *const reference_consumers[REFERENCE_CONSUMERS_COUNT] = {"billing", "billing-2", "inventory", "mail", "z"};

struct reference *reference_new(void) {
    upb_Arena *arena = upb_Arena_New();
    cr_assert_not_null(arena);
    struct reference *reference = upb_Arena_Malloc(arena, sizeof *reference);
    cr_assert_not_null(reference);
    *reference = (struct reference){.arena = arena, .now_ns = REFERENCE_BEGIN_NS};
    reference->events = calloc(REFERENCE_EVENTS_COUNT_MAX, sizeof *reference->events);
    cr_assert_not_null(reference->events);
    for (uint32_t index = 0; index < REFERENCE_CONSUMERS_COUNT; index++) {
        reference->checkpoints[index].consumer = reference_consumers[index];
    }
    return reference;
}

struct reference *reference_free(struct reference *reference) {
    free(reference->events);
    upb_Arena_Free(reference->arena);
    return NULL;
}

const char *reference_text(struct reference *reference, const char *text, size_t size) {
    char *copy = upb_Arena_Malloc(reference->arena, size + 1);
    cr_assert_not_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

struct bytes reference_bytes(struct reference *reference, struct bytes bytes) {
    return bytes_of(reference_text(reference, (const char *)bytes.data, bytes.size), bytes.size);
}

const struct reference_event *reference_at(const struct reference *reference, uint64_t position) {
    cr_assert(position >= 1 && position <= reference->head, "%" PRIu64 " of %" PRIu64, position, reference->head);
    return &reference->events[position - 1];
}

/* --- Filters. ------------------------------------------------------------------------------------------------------------ */

static bool any_equals(const struct reference_names *names, const char *text) {
    bool any = names->count == 0;
    for (uint32_t index = 0; index < names->count; index++) any = any || strcmp(names->names[index], text) == 0;
    return any;
}

static bool any_begins(const struct reference_names *names, const char *text) {
    bool any = names->count == 0;
    for (uint32_t index = 0; index < names->count; index++) {
        any = any || strncmp(names->names[index], text, strlen(names->names[index])) == 0;
    }
    return any;
}

static bool has_tags(const struct reference_event *event, const struct reference_names *names) {
    for (uint32_t index = 0; index < names->count; index++) {
        bool found = false;
        for (uint32_t tag = 0; tag < event->event.tags_count; tag++) {
            found = found || strcmp(event->event.tags[tag], names->names[index]) == 0;
        }
        if (!found) return false;
    }
    return true;
}

bool reference_matches(const struct reference_event *event, const struct reference_filter *filter) {
    bool any = filter->count == 0;
    const char *stream = reference_streams[event->stream];
    for (uint32_t index = 0; index < filter->count; index++) {
        const struct reference_clause *clause = &filter->clauses[index];
        any = any || (any_equals(&clause->streams, stream) && any_begins(&clause->stream_prefixes, stream) &&
                      any_equals(&clause->types, event->event.type) &&
                      any_begins(&clause->type_prefixes, event->event.type) && has_tags(event, &clause->tags));
    }
    return any;
}

/* --- What may be shown. -------------------------------------------------------------------------------------------------- */

static bool is_too_old(const struct reference_event *event, uint64_t max_age_seconds, int64_t now_ns) {
    return max_age_seconds > 0 && event->recorded_ns < now_ns - (int64_t)max_age_seconds * NANOSECONDS_PER_SECOND;
}

static bool shows_at(const struct reference *reference, const struct reference_event *event, int64_t now_ns) {
    const struct reference_stream *stream = &reference->streams[event->stream];
    if (event->is_of_system) return true;
    return event->revision >= stream->first_revision && !is_too_old(event, stream->max_age_seconds, now_ns);
}

bool reference_shows(const struct reference *reference, const struct reference_event *event) {
    return shows_at(reference, event, reference->now_ns);
}

/* The first revision of a stream that is not too old at a time; one after the last: all are. */
static uint64_t first_young(const struct reference *reference, uint32_t stream, uint64_t max_age_seconds,
                            int64_t now_ns) {
    for (uint64_t index = 0; index < reference->head; index++) {
        const struct reference_event *event = &reference->events[index];
        if (event->stream == stream && !is_too_old(event, max_age_seconds, now_ns)) return event->revision;
    }
    return reference->streams[stream].revision + 1;
}

uint64_t reference_first_revision(const struct reference *reference, uint32_t stream) {
    const uint64_t limit = reference->streams[stream].first_revision;
    const uint64_t young =
        first_young(reference, stream, reference->streams[stream].max_age_seconds, reference->now_ns);
    return young > limit ? young : limit;
}

/* Notes of those events of a stream below a revision that are shown until now that they disappear. */
static void note_hidden(struct reference *reference, uint32_t stream, uint64_t first_revision) {
    for (uint64_t index = 0; index < reference->head; index++) {
        struct reference_event *event = &reference->events[index];
        if (event->stream != stream || event->revision >= first_revision || !reference_shows(reference, event))
            continue;
        if (!event->is_of_system) event->changed_at = reference->operation;
    }
}

void reference_hide(struct reference *reference, uint32_t stream, uint64_t first_revision) {
    if (first_revision <= reference->streams[stream].first_revision) return;
    note_hidden(reference, stream, first_revision);
    reference->streams[stream].first_revision = first_revision;
}

/* The time of a request that is written now: later than that of every append before it. */
static int64_t request_ns(const struct reference *reference) {
    return reference->now_ns > reference->recorded_last_ns ? reference->now_ns : reference->recorded_last_ns + 1;
}

void reference_limit_age(struct reference *reference, uint32_t stream, uint64_t max_age_seconds) {
    const uint64_t max_age_before = reference->streams[stream].max_age_seconds;
    if (max_age_before > 0) {
        reference_hide(reference, stream, first_young(reference, stream, max_age_before, request_ns(reference)));
    }
    note_hidden(reference, stream, first_young(reference, stream, max_age_seconds, reference->now_ns));
    reference->streams[stream].max_age_seconds = max_age_seconds;
}

void reference_pass(struct reference *reference, int64_t nanoseconds) {
    const int64_t now_ns = reference->now_ns + nanoseconds;
    for (uint32_t stream = 0; stream < REFERENCE_STREAMS_COUNT; stream++) {
        const uint64_t max_age_seconds = reference->streams[stream].max_age_seconds;
        if (max_age_seconds == 0) continue;
        note_hidden(reference, stream, first_young(reference, stream, max_age_seconds, now_ns));
    }
    reference->now_ns = now_ns;
}

/* --- Appends. ------------------------------------------------------------------------------------------------------------ */

static bool exists(const struct reference_stream *stream) {
    return stream->revision > 0 && stream->state == REFERENCE_ACTIVE;
}

bool reference_holds(const struct reference *reference, const struct reference_expectation *expectation) {
    const struct reference_stream *stream = &reference->streams[expectation->stream];
    if (expectation->expects == EXPECTS_NOTHING) return true;
    if (expectation->expects == EXPECTS_STREAM) return exists(stream);
    return stream->revision == expectation->revision || (expectation->revision == 0 && !exists(stream));
}

struct reference_checkpoint *reference_checkpoint(struct reference *reference, const char *consumer) {
    for (uint32_t index = 0; index < REFERENCE_CONSUMERS_COUNT; index++) {
        if (strcmp(reference->checkpoints[index].consumer, consumer) == 0) return &reference->checkpoints[index];
    }
    cr_assert_fail("no consumer %s", consumer);
    return NULL;
}

static uint64_t find_id(const struct reference *reference, const char *id) {
    for (uint64_t position = 1; id != NULL && position <= reference->head; position++) {
        const char *known = reference->events[position - 1].event.id;
        if (known != NULL && strcmp(known, id) == 0) return position;
    }
    return 0;
}

/* Of a removed event only its id is left to compare with, of an erased one its digest. */
static bool is_event(const struct reference_event *there, const struct reference_new_event *asked) {
    return there->is_removed || bytes_equal(there->as_written, asked->encoded);
}

/* All ids are known: whether they are this very request. */
static bool is_replay(const struct reference *reference, const struct reference_append *append,
                      struct reference_answer *answer) {
    const struct reference_id_conflict *known = answer->ids;
    uint64_t last = 0;
    for (uint32_t write = 0; write < append->writes_count; write++) {
        const struct reference_write *asked = &append->writes[write];
        for (uint32_t event = 0; event < asked->events_count; event++, known++) {
            const struct reference_event *there = reference_at(reference, known->position);
            const bool follows = event == 0 ? known->position > last : known->position == last + 1;
            if (!follows || there->stream != asked->expectation.stream || !is_event(there, &asked->events[event])) {
                return false;
            }
            last = known->position;
            if (event == 0) answer->results[write].first_position = last;
            if (event == 0) answer->results[write].first_revision = there->revision;
            answer->results[write].last_position = last;
            answer->results[write].last_revision = there->revision;
        }
    }
    return true;
}

static void find_known(const struct reference *reference, const struct reference_append *append,
                       struct reference_answer *answer) {
    uint32_t events_count = 0;
    for (uint32_t write = 0; write < append->writes_count; write++) {
        for (uint32_t event = 0; event < append->writes[write].events_count; event++) {
            events_count++;
            const char *id = append->writes[write].events[event].id;
            const uint64_t position = find_id(reference, id);
            if (position == 0) continue;
            answer->ids[answer->ids_count++] =
                (struct reference_id_conflict){.write = write, .event = event, .id = id, .position = position};
        }
    }
    if (answer->ids_count == 0) return;
    answer->results_count = append->writes_count;
    answer->replayed = answer->ids_count == events_count && is_replay(reference, append, answer);
    if (answer->replayed) {
        answer->ids_count = 0;
        return;
    }
    answer->reason = "EVENT_ID_CONFLICT";
    answer->code = DAYBOOK_ALREADY_EXISTS;
}

static void note_stream(const struct reference *reference, const struct reference_expectation *expectation,
                        bool is_check, uint32_t index, struct reference_answer *answer) {
    const uint64_t revision = reference->streams[expectation->stream].revision;
    answer->streams[answer->streams_count++] =
        (struct reference_stream_conflict){.is_check = is_check,
                                           .index = index,
                                           .expectation = *expectation,
                                           .actual = expectation->expects == EXPECTS_STREAM ? 0 : revision};
}

/* A tombstone is told before anything that could be put right. */
static void find_tombstones(const struct reference *reference, const struct reference_append *append,
                            struct reference_answer *answer) {
    for (uint32_t write = 0; write < append->writes_count; write++) {
        const struct reference_expectation *expectation = &append->writes[write].expectation;
        if (reference->streams[expectation->stream].state != REFERENCE_TOMBSTONED) continue;
        note_stream(reference, expectation, false, write, answer);
        answer->streams[answer->streams_count - 1].actual = reference->streams[expectation->stream].revision;
        answer->reason = "STREAM_TOMBSTONED";
        answer->code = DAYBOOK_FAILED_PRECONDITION;
    }
}

/* Without a filter every position counts, whether its event is shown or not. A request asks at its own time. */
static uint64_t find_violation(const struct reference *reference, const struct reference_append *append) {
    for (uint64_t position = append->after + 1; position <= reference->head; position++) {
        const struct reference_event *event = reference_at(reference, position);
        if (append->none_match.count == 0) return position;
        const bool is_shown = shows_at(reference, event, request_ns(reference));
        if (is_shown && reference_matches(event, &append->none_match)) return position;
    }
    return 0;
}

static void find_conflicts(struct reference *reference, const struct reference_append *append,
                           struct reference_answer *answer) {
    for (uint32_t write = 0; write < append->writes_count; write++) {
        const struct reference_expectation *expectation = &append->writes[write].expectation;
        if (!reference_holds(reference, expectation)) note_stream(reference, expectation, false, write, answer);
    }
    for (uint32_t check = 0; check < append->checks_count; check++) {
        if (!reference_holds(reference, &append->checks[check])) {
            note_stream(reference, &append->checks[check], true, check, answer);
        }
    }
    if (append->has_condition) answer->condition_position = find_violation(reference, append);
    if (append->consumer != NULL) {
        const uint64_t stored = reference_checkpoint(reference, append->consumer)->position;
        answer->checkpoint_is_stale = append->checkpoint <= stored;
        answer->checkpoint_position = stored;
    }
    if (answer->streams_count > 0) {
        answer->reason = "REVISION_CONFLICT";
    } else if (answer->condition_position > 0) {
        answer->reason = "CONDITION_FAILED";
    } else if (answer->checkpoint_is_stale) {
        answer->reason = "CHECKPOINT_STALE";
    } else {
        return;
    }
    answer->code = DAYBOOK_ABORTED;
}

/* A request that writes. */
static void begin(struct reference *reference) {
    reference->appends_count++;
    reference->recorded_last_ns = request_ns(reference);
}

/* The next event of a stream, which brings a deleted one back. */
static struct reference_event *add(struct reference *reference, uint32_t stream) {
    cr_assert_lt(reference->head, REFERENCE_EVENTS_COUNT_MAX);
    struct reference_event *event = &reference->events[reference->head++];
    *event = (struct reference_event){.stream = stream,
                                      .revision = ++reference->streams[stream].revision,
                                      .append = reference->appends_count,
                                      .recorded_ns = reference->recorded_last_ns};
    return event;
}

static void write_all(struct reference *reference, const struct reference_append *append,
                      struct reference_answer *answer) {
    begin(reference);
    answer->results_count = append->writes_count;
    for (uint32_t write = 0; write < append->writes_count; write++) {
        const struct reference_write *asked = &append->writes[write];
        struct reference_stream *stream = &reference->streams[asked->expectation.stream];
        answer->results[write].first_position = reference->head + 1;
        answer->results[write].first_revision = stream->revision + 1;
        for (uint32_t event = 0; event < asked->events_count; event++) {
            struct reference_event *added = add(reference, asked->expectation.stream);
            added->event = asked->events[event];
            added->as_written = added->event.encoded;
            added->tags_written_count = added->event.tags_count;
        }
        answer->results[write].last_position = reference->head;
        answer->results[write].last_revision = stream->revision;
        stream->state = REFERENCE_ACTIVE;
        if (stream->max_count > 0 && stream->revision > stream->max_count) {
            reference_hide(reference, asked->expectation.stream, stream->revision - stream->max_count + 1);
        }
    }
    if (append->consumer != NULL) {
        reference_checkpoint(reference, append->consumer)->position = append->checkpoint;
    }
}

struct reference_answer reference_decide(struct reference *reference, const struct reference_append *append) {
    struct reference_answer answer = {.reason = "OK", .code = DAYBOOK_OK};
    find_known(reference, append, &answer);
    if (answer.code != DAYBOOK_OK || answer.replayed) return answer;
    find_tombstones(reference, append, &answer);
    if (answer.code != DAYBOOK_OK) return answer;
    find_conflicts(reference, append, &answer);
    return answer;
}

struct reference_answer reference_append(struct reference *reference, const struct reference_append *append) {
    struct reference_answer answer = reference_decide(reference, append);
    if (answer.code == DAYBOOK_OK && !answer.replayed) write_all(reference, append, &answer);
    return answer;
}

uint64_t reference_append_own(struct reference *reference, uint32_t stream, const char *type) {
    begin(reference);
    struct reference_event *event = add(reference, stream);
    event->event.type = type;
    event->is_of_system = true;
    return reference->head;
}
