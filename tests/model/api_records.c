/* What the API sends of an event, compared with what the reference says was written. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "sdk/runtime/codec.h"
#include "service/base/checksum.h"
#include "service/record/record.h"
#include "tests/model/api_reference.h"

static daybook_v1_Event *event_decode(struct reference *reference, struct bytes encoded) {
    const void *event = NULL;
    cr_assert_eq(
        daybook__codec_decode_bytes(encoded.data, encoded.size, &daybook_v1_Event_msginit, reference->arena, &event),
        CODEC_OK);
    return (daybook_v1_Event *)(uintptr_t)event;
}

static struct bytes event_encode(struct reference *reference, const daybook_v1_Event *event) {
    char *data;
    size_t size;
    cr_assert_eq(
        upb_Encode(event, &daybook_v1_Event_msginit, kUpb_EncodeOption_Deterministic, reference->arena, &data, &size),
        kUpb_EncodeStatus_Ok);
    return bytes_of(data, size);
}

/* The server has made the id: it is learned when the event is first seen. */
static void id_learn(struct reference *reference, struct reference_event *event, struct bytes id) {
    cr_assert_eq(id.size, REFERENCE_ID_BYTES);
    cr_assert_eq(id.data[14], '7', "a UUIDv7");
    event->event.id = reference_text(reference, (const char *)id.data, id.size);
    daybook_v1_Event *message = event_decode(reference, event->event.encoded);
    daybook_v1_Event_set_id(message, upb_StringView_FromString(event->event.id));
    event->event.encoded = event->as_written = event_encode(reference, message);
}

/* Of an event of the server's own its type is known; the request that it carries is not looked into here. */
static void own_learn(struct reference *reference, struct reference_event *event, const struct record *record,
                      const struct event_fields *fields) {
    cr_assert(bytes_equal(fields->type, bytes_of_text(event->event.type)));
    cr_assert(fields->tags_count == 0);
    event->event.id = reference_text(reference, (const char *)fields->id.data, fields->id.size);
    event->event.encoded = event->as_written = reference_bytes(reference, record->event);
}

static void check_erased(const struct reference_event *event, const struct record *record,
                         const struct event_fields *fields) {
    uint8_t digest[SHA256_BYTES];
    checksum_sha256(event->as_written, digest);
    cr_assert(record->erasure.size > sizeof digest);
    const struct bytes told = bytes_of(record->erasure.data + record->erasure.size - sizeof digest, sizeof digest);
    cr_assert(bytes_equal(told, bytes_of(digest, sizeof digest)), "the digest of position %" PRIu64, record->position);
    cr_assert(bytes_equal(fields->id, bytes_of_text(event->event.id)));
    cr_assert(bytes_equal(fields->type, bytes_of_text(event->event.type)));
    /* Two texts with a tag and a length each, and nothing else. */
    cr_assert_eq(record->event.size, fields->id.size + fields->type.size + 4);
}

uint64_t reference_check_record(struct reference *reference, struct bytes encoded, bool may_be_old) {
    struct record record;
    struct event_fields fields;
    cr_assert_not(failed(record_read(encoded, &record)));
    cr_assert_not(failed(record_event_fields(record.event, &fields)));
    cr_assert(record.position >= 1 && record.position <= reference->head);
    struct reference_event *event = &reference->events[record.position - 1];
    cr_assert(bytes_equal(record.stream, bytes_of_text(reference_streams[event->stream])));
    cr_assert_eq(record.revision, event->revision);
    cr_assert_eq(record.recorded_ns, event->recorded_ns, "the time of position %" PRIu64, record.position);
    if (event->event.id == NULL && event->is_of_system) own_learn(reference, event, &record, &fields);
    if (event->event.id == NULL) id_learn(reference, event, fields.id);
    if (may_be_old && event->is_erased && record.erasure.size == 0) {
        cr_assert(bytes_equal(record.event, event->as_written));
        return record.position;
    }
    cr_assert_eq(record.erasure.size > 0, event->is_erased, "position %" PRIu64, record.position);
    if (event->is_erased) {
        check_erased(event, &record, &fields);
    } else {
        cr_assert(bytes_equal(record.event, event->event.encoded), "position %" PRIu64, record.position);
    }
    if (event->record.size == 0) event->record = reference_bytes(reference, encoded);
    cr_assert(bytes_equal(event->record, encoded), "position %" PRIu64 " was sent with other bytes before",
              record.position);
    return record.position;
}
