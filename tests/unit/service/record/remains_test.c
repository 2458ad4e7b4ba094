#include "service/record/remains.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "service/base/checksum.h"
#include "tests/support/events.h"

#define ERASED_NS 1700000001000000002

static uint8_t event_buffer[512];

static struct bytes event_of(const char *type, const char *payload) {
    static const char *const tags[] = {"customer:7"};
    const struct event_parts parts = {
        .id = EVENTS_ID, .type = type, .tags = tags, .tags_count = 1, .data = bytes_of_text(payload)};
    return event_encode(&parts, event_buffer, sizeof event_buffer);
}

static struct record example(void) {
    return (struct record){.position = 300,
                           .stream = bytes_of_text("order-42"),
                           .revision = 7,
                           .recorded_ns = 1700000000123456789,
                           .event = event_of("ProductSold", "a secret of some length")};
}

static void expect_same_place(const struct record *left, const struct record *right) {
    cr_assert_eq(left->position, right->position);
    cr_assert_eq(left->revision, right->revision);
    cr_assert_eq(left->recorded_ns, right->recorded_ns);
    cr_assert(bytes_equal(left->stream, right->stream));
}

static bool holds(struct bytes whole, const char *part) {
    return memmem(whole.data, whole.size, part, strlen(part)) != NULL;
}

Test(remains, a_removed_event_keeps_its_place_and_its_id) {
    const struct record record = example();
    struct remains remains;
    struct record read;
    struct event_fields fields;
    cr_assert_eq(remains_of_removed(&record, &remains).failure, FAILURE_NONE);
    const struct bytes encoded = bytes_of(remains.bytes, remains.size);
    cr_assert_eq(record_read(encoded, &read).failure, FAILURE_NONE);
    expect_same_place(&read, &record);
    cr_assert_eq(record_event_fields(read.event, &fields).failure, FAILURE_NONE);
    cr_assert(bytes_equal(fields.id, bytes_of_text(EVENTS_ID)));
    cr_assert_eq(fields.type.size, 0);
    cr_assert_eq(fields.tags_count, 0);
    cr_assert(remains_is_removed(encoded));
    cr_assert(!holds(encoded, "secret") && !holds(encoded, "customer") && !holds(encoded, "ProductSold"));
}

/* The format on disk: this may only change with the store's format number. */
Test(remains, an_erased_event_keeps_type_and_digest_in_the_documented_bytes) {
    static const uint8_t erased_at[] = {0x32, 0x30, 0x0a, 0x0c, 0x08, 0x81, 0xe2,
                                        0xcf, 0xaa, 0x06, 0x10, 0x02, 0x12, 0x20};
    const struct record record = example();
    struct remains remains;
    struct record read;
    struct event_fields fields;
    uint8_t digest[SHA256_BYTES];
    cr_assert_eq(remains_of_erased(&record, ERASED_NS, &remains).failure, FAILURE_NONE);
    const struct bytes encoded = bytes_of(remains.bytes, remains.size);
    cr_assert_eq(record_read(encoded, &read).failure, FAILURE_NONE);
    expect_same_place(&read, &record);
    cr_assert_eq(record_event_fields(read.event, &fields).failure, FAILURE_NONE);
    cr_assert(bytes_equal(fields.id, bytes_of_text(EVENTS_ID)));
    cr_assert(bytes_equal(fields.type, bytes_of_text("ProductSold")));
    cr_assert_eq(fields.tags_count, 0);
    cr_assert(!holds(encoded, "secret") && !holds(encoded, "customer"));
    cr_assert_not(remains_is_removed(encoded));
    const size_t fixed = 14; /* 12 bytes of time are 10 here: the seconds take five bytes, the nanoseconds one */
    const uint8_t *erasure = encoded.data + encoded.size - SHA256_BYTES - fixed + 2;
    cr_assert_eq(memcmp(erasure + 2, erased_at + 4, 6), 0);
    checksum_sha256(record.event, digest);
    cr_assert_eq(memcmp(encoded.data + encoded.size - SHA256_BYTES, digest, sizeof digest), 0);
}

Test(remains, the_digest_is_sha_256) {
    static const uint8_t expected[SHA256_BYTES] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                                   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                                   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t digest[SHA256_BYTES];
    checksum_sha256(bytes_of_text("abc"), digest);
    cr_assert_eq(memcmp(digest, expected, sizeof digest), 0);
}

Test(remains, what_is_left_matches_the_event_alone_that_it_was) {
    struct record record = example();
    struct remains remains;
    struct record read;
    uint8_t copy[512];
    memcpy(copy, record.event.data, record.event.size);
    record.event.data = copy;
    const struct bytes id = bytes_of_text(EVENTS_ID);
    cr_assert_not(remains_match(&record, id, record.event), "it has its event: whoever asks compares it");

    cr_assert_eq(remains_of_erased(&record, ERASED_NS, &remains).failure, FAILURE_NONE);
    cr_assert_eq(record_read(bytes_of(remains.bytes, remains.size), &read).failure, FAILURE_NONE);
    cr_assert(remains_match(&read, id, record.event));
    cr_assert_not(remains_match(&read, id, event_of("ProductSold", "another secret")));
    cr_assert_not(remains_match(&read, bytes_of_text("01890a5d-ac96-774b-bcce-b302099a8058"), record.event));

    /* Of a removed one nothing but the id is left to compare, also when it was erased before. */
    struct remains removed;
    cr_assert_eq(remains_of_removed(&read, &removed).failure, FAILURE_NONE);
    cr_assert(remains_is_removed(bytes_of(removed.bytes, removed.size)));
    cr_assert_eq(record_read(bytes_of(removed.bytes, removed.size), &read).failure, FAILURE_NONE);
    cr_assert(remains_match(&read, id, event_of("ProductSold", "another secret")));
}

Test(remains, a_payload_that_ends_like_a_removed_record_is_none) {
    char payload[64];
    (void)snprintf(payload, sizeof payload, "*&\n$%s", EVENTS_ID);
    struct record record = example();
    record.event = event_of("T", payload);
    uint8_t buffer[512];
    const struct bytes encoded = event_record_encode(&record, buffer, sizeof buffer);
    cr_assert_eq(memcmp(encoded.data + encoded.size - 40, "\x2a\x26\x0a\x24", 4), 0, "else this tests nothing");
    cr_assert_not(remains_is_removed(encoded));
}

Test(remains, the_largest_names_fit) {
    char name[NAME_BYTES_MAX + 1];
    memset(name, 'n', NAME_BYTES_MAX);
    name[NAME_BYTES_MAX] = '\0';
    struct record record = example();
    record.position = record.revision = UINT64_MAX;
    record.recorded_ns = INT64_MAX - 1000000000;
    record.stream = bytes_of_text(name);
    record.event = event_of(name, "payload");
    struct remains remains;
    cr_assert_eq(remains_of_erased(&record, record.recorded_ns, &remains).failure, FAILURE_NONE);
    cr_assert_eq(remains_of_removed(&record, &remains).failure, FAILURE_NONE);
}

Test(remains, what_is_no_event_is_refused) {
    struct record record = example();
    struct remains remains;
    record.event = bytes_of_text("\x0a\x05wrong");
    cr_assert_eq(remains_of_removed(&record, &remains).failure, FAILURE_CORRUPT);
    cr_assert_eq(remains_of_erased(&record, ERASED_NS, &remains).failure, FAILURE_CORRUPT);
}
