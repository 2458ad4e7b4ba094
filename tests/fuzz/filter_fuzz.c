/* The filter matcher against a slow one that looks at decoded messages.
 *
 * Input: a byte that chooses, a length and an encoded daybook.v1.Filter, and a record: its bytes as they would be stored,
 * or an encoded RecordedEvent that is stored here as the daemon stores it, which the fuzzer hits far more often. */
#include <string.h>

#include "service/api/filters.h"
#include "service/api/validate.h"
#include "service/base/limits.h"
#include "tests/fuzz/fuzz.h"

enum how { HOW_EQUAL, HOW_BEGINS };

static bool name_matches(upb_StringView name, upb_StringView text, enum how how) {
    if (how == HOW_EQUAL && name.size != text.size) return false;
    if (name.size > text.size) return false;
    for (size_t index = 0; index < name.size; index++) {
        if (name.data[index] != text.data[index]) return false;
    }
    return true;
}

static bool any_matches(const upb_StringView *names, size_t count, upb_StringView text, enum how how) {
    for (size_t index = 0; index < count; index++) {
        if (name_matches(names[index], text, how)) return true;
    }
    return count == 0; /* a field that is not set asks for nothing */
}

static bool clause_matches(const daybook_v1_Clause *clause, upb_StringView stream, const daybook_v1_Event *event) {
    size_t count;
    const upb_StringView *names = daybook_v1_Clause_streams(clause, &count);
    if (!any_matches(names, count, stream, HOW_EQUAL)) return false;
    names = daybook_v1_Clause_stream_prefixes(clause, &count);
    if (!any_matches(names, count, stream, HOW_BEGINS)) return false;
    names = daybook_v1_Clause_types(clause, &count);
    if (!any_matches(names, count, daybook_v1_Event_type(event), HOW_EQUAL)) return false;
    names = daybook_v1_Clause_type_prefixes(clause, &count);
    if (!any_matches(names, count, daybook_v1_Event_type(event), HOW_BEGINS)) return false;
    names = daybook_v1_Clause_tags(clause, &count);
    size_t tags_count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &tags_count);
    for (size_t index = 0; index < count; index++) {
        bool found = false;
        for (size_t tag = 0; tag < tags_count; tag++) found = found || name_matches(names[index], tags[tag], HOW_EQUAL);
        if (!found) return false;
    }
    return true;
}

static bool filter_matches(const daybook_v1_Filter *filter, upb_StringView stream, const daybook_v1_Event *event) {
    size_t count;
    const daybook_v1_Clause *const *clauses = daybook_v1_Filter_any_of(filter, &count);
    for (size_t index = 0; index < count; index++) {
        if (clause_matches(clauses[index], stream, event)) return true;
    }
    return false;
}

/* Stores the message as the daemon would; without data when it would refuse it. */
static struct bytes record_store(struct bytes encoded, upb_Arena *arena) {
    const daybook_v1_RecordedEvent *message = fuzz_decode(encoded, &daybook_v1_RecordedEvent_msginit, arena);
    const daybook_v1_Event *event = message == NULL ? NULL : daybook_v1_RecordedEvent_event(message);
    if (event == NULL || !fuzz_event_is_within_limits(event)) return (struct bytes){0};
    const upb_StringView stream = daybook_v1_RecordedEvent_stream(message);
    if (stream.size == 0 || stream.size > NAME_BYTES_MAX) return (struct bytes){0};
    char *data;
    size_t size;
    assert(upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) ==
           kUpb_EncodeStatus_Ok);
    const struct record record = {.position = 1,
                                  .stream = bytes_of(stream.data, stream.size),
                                  .revision = 1,
                                  .recorded_ns = 1,
                                  .event = bytes_of(data, size)};
    uint8_t *out = upb_Arena_Malloc(arena, record_size(&record));
    assert(out != NULL);
    return bytes_of(out, (size_t)(record_write(&record, out) - out));
}

static void match_test(const daybook_v1_Filter *message, const struct filter *filter, struct bytes stored,
                       bool by_daemon, upb_Arena *arena) {
    bool matches = false;
    const bool matched = !failed(filter_match(filter, stored, &matches));
    struct record record;
    if (failed(record_read(stored, &record))) {
        assert(!matched && !by_daemon);
        return;
    }
    /* Of a damaged event a filter may or may not notice the damage; the answer for a whole one is one. */
    struct event_fields fields;
    const bool whole = !failed(record_event_fields(record.event, &fields));
    assert(matched || !whole);
    const daybook_v1_RecordedEvent *decoded = fuzz_decode(stored, &daybook_v1_RecordedEvent_msginit, arena);
    assert(!by_daemon || (whole && decoded != NULL));
    if (!whole || decoded == NULL) return;
    const bool expected =
        filter_matches(message, daybook_v1_RecordedEvent_stream(decoded), daybook_v1_RecordedEvent_event(decoded));
    assert(matches == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {.data = data, .size = size};
    const bool by_daemon = fuzz_byte(&input) % 2 == 0;
    const struct bytes encoded = fuzz_bytes(&input);
    upb_Arena *arena = upb_Arena_New();
    assert(arena != NULL);
    const daybook_v1_Filter *message = fuzz_decode(encoded, &daybook_v1_Filter_msginit, arena);
    struct filter *filter = NULL;
    if (message != NULL) {
        struct validation validation;
        validation_init(&validation);
        const struct field field = field_of(NULL, "filter");
        validate_filter(&validation, &field, message);
        if (!validation.failed) assert(!failed(filter_compile(message, arena, &filter)));
    }
    if (filter != NULL) {
        const struct bytes stored = by_daemon ? record_store(fuzz_rest(&input), arena) : fuzz_rest(&input);
        if (!by_daemon || stored.size > 0) match_test(message, filter, stored, by_daemon, arena);
    }
    filter_free(filter);
    upb_Arena_Free(arena);
    return 0;
}
