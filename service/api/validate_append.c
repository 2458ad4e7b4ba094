/* The writes and checks of an append. */
#include "service/api/validate.h"
#include "service/base/limits.h"

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
    validate_name(validation, &stream, daybook_v1_Write_stream(write));
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

void validate_append(struct validation *validation, const daybook_v1_AppendRequest *request) {
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
    }
    validate_checks(validation, request);
}
