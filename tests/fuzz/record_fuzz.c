/* The record scanner: on bytes that may be anything, as those of a damaged file; on what it wrote itself; and against upb.
 *
 * Input: a byte that chooses, then the bytes of a record, or the parts that one is made of. */
#include <stdlib.h>

#include "google/protobuf/timestamp.upb.h"
#include "service/base/limits.h"
#include "service/base/uuid.h"
#include "service/record/remains.h"
#include "tests/fuzz/fuzz.h"

#define NANOSECONDS_PER_SECOND 1000000000

static void expect_same_record(const struct record *left, const struct record *right) {
    assert(left->position == right->position && left->revision == right->revision);
    assert(left->recorded_ns == right->recorded_ns);
    assert(bytes_equal(left->stream, right->stream) && bytes_equal(left->event, right->event));
    assert(bytes_equal(left->erasure, right->erasure));
}

/* Writes the record, reads it again, and reads what is left of it when its end is missing. */
static void expect_round_trip(const struct record *record) {
    const size_t size = record_size(record);
    assert(size <= record->event.size + record->erasure.size + RECORD_OVERHEAD_BYTES_MAX);
    uint8_t *written = malloc(size);
    assert(written != NULL && record_write(record, written) == written + size);
    struct record read;
    assert(!failed(record_read(bytes_of(written, size), &read)));
    expect_same_record(&read, record);
    assert(record_position(bytes_of(written, size)) == record->position);
    for (size_t cut = size > 64 ? size - 64 : 0; cut < size; cut++) {
        if (failed(record_read(bytes_of(written, cut), &read))) continue;
        /* Only what is whole without its erasure. */
        struct record whole = *record;
        whole.erasure = (struct bytes){0};
        expect_same_record(&read, &whole);
        assert(record->erasure.size > 0);
    }
    free(written);
}

/* What is left of the event is a record in the same place, and recognises the event. */
static void remains_test(const struct record *record) {
    struct event_fields fields;
    if (failed(record_event_fields(record->event, &fields)) || fields.id.size != UUID_TEXT_BYTES) return;
    struct remains remains;
    struct record left;
    assert(!failed(remains_of_removed(record, &remains)));
    const struct bytes removed = bytes_of(remains.bytes, remains.size);
    assert(remains_is_removed(removed) && !failed(record_read(removed, &left)));
    assert(left.position == record->position && bytes_equal(left.stream, record->stream));
    assert(remains_match(&left, fields.id, record->event));
    if (fields.type.size == 0) return;
    assert(!failed(remains_of_erased(record, record->recorded_ns, &remains)));
    const struct bytes erased = bytes_of(remains.bytes, remains.size);
    assert(!remains_is_removed(erased) && !failed(record_read(erased, &left)));
    assert(left.erasure.size > 0 && remains_match(&left, fields.id, record->event));
    struct event_fields left_fields;
    assert(!failed(record_event_fields(left.event, &left_fields)) && left_fields.tags_count == 0);
    assert(bytes_equal(left_fields.id, fields.id) && bytes_equal(left_fields.type, fields.type));
    assert(!remains_match(&left, fields.id, left.event) || bytes_equal(left.event, record->event));
}

/* What both take for an event must be the same event. What upb takes and encodes again is an event to us, too, if it is
 * within the limits. */
static void event_test(struct bytes encoded, upb_Arena *arena) {
    struct event_fields fields;
    const bool sound = !failed(record_event_fields(encoded, &fields));
    if (sound) {
        assert(fields.tags_count <= TAGS_COUNT_MAX && fields.type.size <= NAME_BYTES_MAX);
        for (uint32_t tag = 0; tag < fields.tags_count; tag++) assert(fields.tags[tag].size <= NAME_BYTES_MAX);
    }
    for (uint32_t number = 1; number < 12; number++) (void)record_fields_hold(encoded, number);
    const daybook_v1_Event *event = fuzz_decode(encoded, &daybook_v1_Event_msginit, arena);
    if (event == NULL) return;
    if (sound) fuzz_expect_fields(&fields, event);
    char *data;
    size_t size;
    assert(upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, arena, &data, &size) ==
           kUpb_EncodeStatus_Ok);
    const bool canonical_is_sound = !failed(record_event_fields(bytes_of(data, size), &fields));
    assert(canonical_is_sound == fuzz_event_is_within_limits(event));
    if (canonical_is_sound) fuzz_expect_fields(&fields, event);
}

static void expect_same_message(const struct record *record, const daybook_v1_RecordedEvent *message) {
    assert(daybook_v1_RecordedEvent_position(message) == record->position);
    assert(daybook_v1_RecordedEvent_revision(message) == record->revision);
    fuzz_expect_same(record->stream, daybook_v1_RecordedEvent_stream(message));
    const google_protobuf_Timestamp *time = daybook_v1_RecordedEvent_recorded_at(message);
    assert(time != NULL && daybook_v1_RecordedEvent_has_event(message));
    assert(google_protobuf_Timestamp_seconds(time) == record->recorded_ns / NANOSECONDS_PER_SECOND);
    assert(google_protobuf_Timestamp_nanos(time) == record->recorded_ns % NANOSECONDS_PER_SECOND);
}

static void record_test(struct bytes encoded, upb_Arena *arena) {
    struct record record;
    const bool removed = remains_is_removed(encoded);
    if (failed(record_read(encoded, &record))) {
        assert(!removed);
        event_test(encoded, arena);
        return;
    }
    assert(record_position(encoded) == record.position);
    expect_round_trip(&record);
    event_test(record.event, arena);
    if (record.erasure.size == 0) remains_test(&record);
    const daybook_v1_RecordedEvent *message = fuzz_decode(encoded, &daybook_v1_RecordedEvent_msginit, arena);
    if (message != NULL) expect_same_message(&record, message);
}

static void parts_test(struct fuzz_input *input) {
    struct record record = {.position = fuzz_number(input),
                            .revision = fuzz_number(input),
                            .recorded_ns = (int64_t)(fuzz_number(input) >> 1),
                            .stream = fuzz_bytes(input)};
    record.event = fuzz_rest(input);
    if (record.position == 0 || record.revision == 0) return;
    if (record.stream.size == 0 || record.stream.size > NAME_BYTES_MAX) return;
    /* The last second that a record holds whole, see record.c. */
    if (record.recorded_ns / NANOSECONDS_PER_SECOND >= INT64_MAX / NANOSECONDS_PER_SECOND) return;
    expect_round_trip(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {.data = data, .size = size};
    upb_Arena *arena = upb_Arena_New();
    assert(arena != NULL);
    if (fuzz_byte(&input) % 2 == 0) {
        record_test(fuzz_rest(&input), arena);
    } else {
        parts_test(&input);
    }
    upb_Arena_Free(arena);
    return 0;
}
