/* The writes, checks, condition and checkpoint of an append. */
#include <inttypes.h>
#include <stdlib.h>

#include "service/api/validate.h"
#include "service/base/limits.h"
#include "service/base/uuid.h"

static void validate_expectation(struct validation *validation, const struct field *field, bool has_revision,
                                 bool exists) {
    if (has_revision && exists) {
        violation_add(validation, REASON_INVALID_FIELD, field,
                      "has both expected_revision and stream_exists; set one of them");
    }
}

static bool view_equal(upb_StringView left, upb_StringView right) {
    return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

/* Only the first write to a stream may carry an expectation: those after it would be checked against what the request
 * itself has just written. */
static void validate_repeated_stream(struct validation *validation, const struct field *field,
                                     const daybook_v1_Write *const *writes, size_t index) {
    const daybook_v1_Write *write = writes[index];
    if (!daybook_v1_Write_has_expected_revision(write) && !daybook_v1_Write_stream_exists(write)) return;
    for (size_t before = 0; before < index; before++) {
        if (!view_equal(daybook_v1_Write_stream(writes[before]), daybook_v1_Write_stream(write))) continue;
        violation_add(validation, REASON_INVALID_FIELD, field,
                      "expects something of a stream that writes[%zu] writes to already; only the first write to a "
                      "stream may carry an expectation",
                      before);
        return;
    }
}

static void validate_write(struct validation *validation, const daybook_v1_Write *const *writes, size_t index,
                           size_t *events_total) {
    const daybook_v1_Write *write = writes[index];
    const struct field field = field_at(NULL, "writes", index);
    const struct field stream = field_of(&field, "stream");
    validate_own_name(validation, &stream, daybook_v1_Write_stream(write));
    validate_expectation(validation, &field, daybook_v1_Write_has_expected_revision(write),
                         daybook_v1_Write_stream_exists(write));
    validate_repeated_stream(validation, &field, writes, index);
    size_t count;
    const daybook_v1_Event *const *events = daybook_v1_Write_events(write, &count);
    *events_total += count;
    if (count == 0) {
        const struct field empty = field_of(&field, "events");
        violation_add(validation, REASON_INVALID_FIELD, &empty, "is empty; at least one event is needed");
    }
    if (*events_total > REQUEST_EVENTS_COUNT_MAX) return; /* reported once, by the caller */
    for (size_t event = 0; event < count; event++) {
        const struct field place = field_at(&field, "events", event);
        validate_event(validation, &place, events[event]);
    }
}

static void validate_check(struct validation *validation, const daybook_v1_StreamCheck *check, size_t index) {
    const struct field field = field_at(NULL, "checks", index);
    const struct field stream = field_of(&field, "stream");
    validate_name(validation, &stream, daybook_v1_StreamCheck_stream(check));
    const bool has_revision = daybook_v1_StreamCheck_has_expected_revision(check);
    const bool exists = daybook_v1_StreamCheck_stream_exists(check);
    validate_expectation(validation, &field, has_revision, exists);
    if (!has_revision && !exists) {
        violation_add(validation, REASON_INVALID_FIELD, &field,
                      "expects nothing; set expected_revision or stream_exists");
    }
}

static void validate_checks(struct validation *validation, const daybook_v1_AppendRequest *request) {
    size_t count;
    const daybook_v1_StreamCheck *const *checks = daybook_v1_AppendRequest_checks(request, &count);
    if (count > REQUEST_CHECKS_COUNT_MAX) {
        const struct field field = field_of(NULL, "checks");
        violation_add(validation, REASON_TOO_MANY_CHECKS, &field, "has %zu entries; at most %d are allowed", count,
                      REQUEST_CHECKS_COUNT_MAX);
        return;
    }
    for (size_t index = 0; index < count; index++) validate_check(validation, checks[index], index);
}

/* An id and where it is given. */
struct given_id {
    struct uuid uuid;
    uint32_t write;
    uint32_t event;
};

static int given_id_compare(const void *left, const void *right) {
    const struct given_id *a = left;
    const struct given_id *b = right;
    const int order = memcmp(a->uuid.bytes, b->uuid.bytes, sizeof a->uuid.bytes);
    if (order != 0) return order;
    if (a->write != b->write) return a->write < b->write ? -1 : 1;
    return a->event < b->event ? -1 : a->event > b->event;
}

static size_t ids_collect(const daybook_v1_Write *const *writes, size_t writes_count,
                          struct given_id ret_ids[REQUEST_EVENTS_COUNT_MAX]) {
    size_t ids_count = 0;
    for (size_t write = 0; write < writes_count; write++) {
        size_t events_count;
        const daybook_v1_Event *const *events = daybook_v1_Write_events(writes[write], &events_count);
        for (size_t event = 0; event < events_count; event++) {
            const upb_StringView id = daybook_v1_Event_id(events[event]);
            struct given_id *given = &ret_ids[ids_count];
            if (failed(uuid_parse(bytes_of(id.data, id.size), &given->uuid))) continue; /* none, or reported already */
            given->write = (uint32_t)write;
            given->event = (uint32_t)event;
            ids_count++;
        }
    }
    return ids_count;
}

/* An id is one event: a second one with it could never be told from a retry of the first. */
static void validate_ids(struct validation *validation, const daybook_v1_Write *const *writes, size_t writes_count) {
    struct given_id ids[REQUEST_EVENTS_COUNT_MAX] __attribute__((uninitialized));
    const size_t count = ids_collect(writes, writes_count, ids);
    qsort(ids, count, sizeof ids[0], given_id_compare);
    for (size_t index = 1; index < count; index++) {
        const struct given_id *before = &ids[index - 1];
        if (memcmp(before->uuid.bytes, ids[index].uuid.bytes, sizeof before->uuid.bytes) != 0) continue;
        const struct field write = field_at(NULL, "writes", ids[index].write);
        const struct field event = field_at(&write, "events", ids[index].event);
        const struct field field = field_of(&event, "id");
        violation_add(validation, REASON_INVALID_FIELD, &field,
                      "is also that of writes[%u].events[%u]; each event needs an id of its own", before->write,
                      before->event);
    }
}

/* The sequencer must not scan: the index has to lead to whatever may match. */
static void validate_none_match(struct validation *validation, const struct field *condition,
                                const daybook_v1_Filter *filter) {
    const struct field field = field_of(condition, "none_match");
    validate_filter(validation, &field, filter);
    size_t count;
    const daybook_v1_Clause *const *clauses = daybook_v1_Filter_any_of(filter, &count);
    for (size_t index = 0; index < count && !validation->failed; index++) {
        size_t types_count;
        size_t tags_count;
        size_t streams_count;
        (void)daybook_v1_Clause_types(clauses[index], &types_count);
        (void)daybook_v1_Clause_tags(clauses[index], &tags_count);
        (void)daybook_v1_Clause_streams(clauses[index], &streams_count);
        if (types_count + tags_count + streams_count > 0) continue;
        const struct field place = field_at(&field, "any_of", index);
        violation_add(validation, REASON_INVALID_FIELD, &place,
                      "has prefixes alone; a condition needs a type, a tag or a stream in every clause");
    }
}

static void validate_condition(struct validation *validation, const daybook_v1_Condition *condition, uint64_t head) {
    const struct field field = field_of(NULL, "condition");
    const daybook_v1_Filter *filter = daybook_v1_Condition_none_match(condition);
    if (filter != NULL) validate_none_match(validation, &field, filter);
    const uint64_t after = daybook_v1_Condition_after(condition);
    if (after <= head) return;
    const struct field place = field_of(&field, "after");
    violation_add(validation, REASON_INVALID_FIELD, &place,
                  "is %" PRIu64 ", beyond the head; positions up to %" PRIu64 " are allowed", after, head);
}

static void validate_checkpoint(struct validation *validation, const daybook_v1_Checkpoint *checkpoint, uint64_t head) {
    const struct field field = field_of(NULL, "checkpoint");
    const struct field consumer = field_of(&field, "consumer");
    validate_name(validation, &consumer, daybook_v1_Checkpoint_consumer(checkpoint));
    const uint64_t position = daybook_v1_Checkpoint_position(checkpoint);
    if (position > 0 && position <= head) return;
    const struct field place = field_of(&field, "position");
    violation_add(validation, REASON_INVALID_FIELD, &place,
                  "is %" PRIu64 "; a position from 1 to the head, %" PRIu64 ", is allowed", position, head);
}

void validate_append(struct validation *validation, const daybook_v1_AppendRequest *request, uint64_t head) {
    const struct field field = field_of(NULL, "writes");
    size_t count;
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(request, &count);
    if (count == 0) violation_add(validation, REASON_INVALID_FIELD, &field, "is empty; at least one write is needed");
    if (count > REQUEST_WRITES_COUNT_MAX) {
        violation_add(validation, REASON_TOO_MANY_WRITES, &field, "has %zu entries; at most %d are allowed", count,
                      REQUEST_WRITES_COUNT_MAX);
        return;
    }
    size_t events_total = 0;
    for (size_t index = 0; index < count; index++) validate_write(validation, writes, index, &events_total);
    if (events_total > REQUEST_EVENTS_COUNT_MAX) {
        violation_add(validation, REASON_TOO_MANY_EVENTS, &field,
                      "has %zu events in all; at most %d are allowed in a request", events_total,
                      REQUEST_EVENTS_COUNT_MAX);
    } else if (events_total > 1) {
        validate_ids(validation, writes, count);
    }
    validate_checks(validation, request);
    const daybook_v1_Condition *condition = daybook_v1_AppendRequest_condition(request);
    if (condition != NULL) validate_condition(validation, condition, head);
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_checkpoint(request);
    if (checkpoint != NULL) validate_checkpoint(validation, checkpoint, head);
}
