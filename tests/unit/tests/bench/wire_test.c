#include "tests/bench/wire.h"

#include <criterion/criterion.h>
#include <string.h>

#define EXPECT_BYTES(writer, ...)                                                                                      \
    do {                                                                                                               \
        const uint8_t expected[] = {__VA_ARGS__};                                                                      \
        cr_assert_eq((writer).size, sizeof expected);                                                                  \
        cr_assert(memcmp((writer).data, expected, sizeof expected) == 0);                                              \
    } while (0)

Test(wire, varints_as_the_encoding_guide_has_them) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    wire_put_varint(&writer, 0);
    wire_put_varint(&writer, 127);
    wire_put_varint(&writer, 150);
    wire_put_varint(&writer, UINT64_MAX);
    EXPECT_BYTES(writer, 0x00, 0x7f, 0x96, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    wire_writer_deinit(&writer);
    cr_assert_eq(writer.size, 0);
}

Test(wire, fields_of_every_kind) {
    struct wire_writer inner;
    struct wire_writer writer;
    wire_writer_init(&inner);
    wire_writer_init(&writer);
    wire_put_uint_field(&inner, 1, 150);
    wire_put_text_field(&writer, 2, "testing");
    wire_put_message_field(&writer, 3, &inner);
    wire_put_bytes_field(&writer, 16, NULL, 0);
    EXPECT_BYTES(writer, 0x12, 0x07, 't', 'e', 's', 't', 'i', 'n', 'g', 0x1a, 0x03, 0x08, 0x96, 0x01, 0x82, 0x01, 0x00);
    wire_writer_deinit(&inner);
    wire_writer_deinit(&writer);
}

Test(wire, clear_keeps_nothing_of_the_message) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    wire_put_text_field(&writer, 1, "gone");
    wire_writer_clear(&writer);
    wire_put_varint(&writer, 1);
    EXPECT_BYTES(writer, 0x01);
    wire_writer_deinit(&writer);
}

/* Appends bytes as they are; each is below 0x80, and so a varint of its own. */
static void put_raw(struct wire_writer *writer, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) wire_put_varint(writer, data[i]);
}

/* Three fields 1 that are bytes and one that is a number, among others of every wire type; a field 1 inside of another
 * is not at the top. */
static void write_sample(struct wire_writer *writer) {
    static const uint8_t fixed64[] = {0x11, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t fixed32[] = {0x1d, 1, 2, 3, 4};
    struct wire_writer inner;
    wire_writer_init(&inner);
    wire_put_text_field(&inner, 1, "inside");
    uint8_t large[300];
    memset(large, 0x0a, sizeof large);

    wire_put_bytes_field(writer, 1, large, sizeof large);
    put_raw(writer, fixed64, sizeof fixed64);
    wire_put_message_field(writer, 9, &inner);
    wire_put_bytes_field(writer, 1, NULL, 0);
    put_raw(writer, fixed32, sizeof fixed32);
    wire_put_uint_field(writer, 4, 1u << 30);
    wire_put_uint_field(writer, 1, 7);
    wire_put_text_field(writer, 1, "last");
    wire_writer_deinit(&inner);
}

Test(wire, counter_counts_at_the_top_whatever_the_pieces) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    write_sample(&writer);
    for (size_t piece = 1; piece <= writer.size; piece++) {
        struct wire_counter counter;
        wire_counter_init(&counter, 1);
        for (size_t offset = 0; offset < writer.size; offset += piece) {
            size_t here = writer.size - offset < piece ? writer.size - offset : piece;
            cr_assert(wire_counter_feed(&counter, writer.data + offset, here), "piece %zu", piece);
        }
        cr_assert(wire_counter_is_complete(&counter), "piece %zu", piece);
        cr_assert_eq(counter.fields_count, 3);
    }
    wire_writer_deinit(&writer);
}

Test(wire, counter_sees_a_message_that_is_cut_off) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    wire_put_text_field(&writer, 1, "testing");
    for (size_t size = 1; size < writer.size; size++) {
        struct wire_counter counter;
        wire_counter_init(&counter, 1);
        cr_assert(wire_counter_feed(&counter, writer.data, size));
        cr_assert_not(wire_counter_is_complete(&counter));
    }
    wire_writer_deinit(&writer);
}

Test(wire, counter_refuses_what_is_not_protobuf) {
    static const uint8_t field_zero[] = {0x02, 0x00};
    static const uint8_t group[] = {0x0b};
    static const uint8_t endless[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    const struct {
        const uint8_t *data;
        size_t size;
    } samples[] = {{field_zero, sizeof field_zero}, {group, sizeof group}, {endless, sizeof endless}};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct wire_counter counter;
        wire_counter_init(&counter, 1);
        cr_assert_not(wire_counter_feed(&counter, samples[i].data, samples[i].size), "sample %zu", i);
        cr_assert_not(wire_counter_is_complete(&counter));
        cr_assert_not(wire_counter_feed(&counter, (const uint8_t[]){0x08, 0x01}, 2), "stays wrong");
    }
}

Test(wire, find_takes_the_last_field_or_zero) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    write_sample(&writer);
    uint64_t value = 42;
    cr_assert(wire_find_uint(writer.data, writer.size, 1, &value));
    cr_assert_eq(value, 7);
    cr_assert(wire_find_uint(writer.data, writer.size, 4, &value));
    cr_assert_eq(value, 1u << 30);
    cr_assert(wire_find_uint(writer.data, writer.size, 8, &value));
    cr_assert_eq(value, 0);
    cr_assert(wire_find_uint(NULL, 0, 1, &value));
    cr_assert_eq(value, 0);
    wire_writer_deinit(&writer);
}

Test(wire, find_leaves_the_value_alone_when_the_bytes_are_wrong) {
    static const uint8_t cut_varint[] = {0x08, 0x80};
    static const uint8_t cut_bytes[] = {0x12, 0x05, 'a'};
    static const uint8_t cut_fixed[] = {0x11, 1, 2};
    const struct {
        const uint8_t *data;
        size_t size;
    } samples[] = {{cut_varint, sizeof cut_varint}, {cut_bytes, sizeof cut_bytes}, {cut_fixed, sizeof cut_fixed}};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint64_t value = 42;
        cr_assert_not(wire_find_uint(samples[i].data, samples[i].size, 1, &value), "sample %zu", i);
        cr_assert_eq(value, 42);
    }
}

Test(wire, reader_takes_every_field_at_the_top) {
    struct wire_writer writer;
    wire_writer_init(&writer);
    write_sample(&writer);
    static const struct {
        uint32_t number;
        enum wire_type type;
        size_t size;
    } expected[] = {
        {1, WIRE_BYTES, 300}, {2, WIRE_FIXED64, 8}, {9, WIRE_BYTES, 8},  {1, WIRE_BYTES, 0},
        {3, WIRE_FIXED32, 4}, {4, WIRE_VARINT, 0},  {1, WIRE_VARINT, 0}, {1, WIRE_BYTES, 4},
    };
    struct wire_reader reader = {.data = writer.data, .size = writer.size};
    struct wire_field field;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        cr_assert(wire_next_field(&reader, &field), "field %zu", i);
        cr_assert_eq(field.number, expected[i].number);
        cr_assert_eq(field.type, expected[i].type);
        cr_assert_eq(field.size, expected[i].size);
        if (field.type == WIRE_VARINT) cr_assert_eq(field.value, field.number == 4 ? 1u << 30 : 7);
    }
    cr_assert(memcmp(field.data, "last", 4) == 0);
    cr_assert_not(wire_next_field(&reader, &field));
    cr_assert_not(reader.wrong);
    wire_writer_deinit(&writer);
}

Test(wire, reader_sees_what_is_not_protobuf_and_stays_so) {
    static const uint8_t field_zero[] = {0x02, 0x00};
    static const uint8_t group[] = {0x0b};
    static const uint8_t cut_bytes[] = {0x12, 0x05, 'a'};
    const struct wire_reader samples[] = {
        {.data = field_zero, .size = sizeof field_zero},
        {.data = group, .size = sizeof group},
        {.data = cut_bytes, .size = sizeof cut_bytes},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct wire_reader reader = samples[i];
        struct wire_field field = {.number = 42};
        cr_assert_not(wire_next_field(&reader, &field), "sample %zu", i);
        cr_assert(reader.wrong);
        cr_assert_eq(field.number, 42);
        cr_assert_not(wire_next_field(&reader, &field));
    }
}
