#include "tests/bench/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VARINT_BITS_MAX 64u

void wire_writer_init(struct wire_writer *writer) {
    *writer = (struct wire_writer){0};
}

void wire_writer_deinit(struct wire_writer *writer) {
    free(writer->data);
    wire_writer_init(writer);
}

void wire_writer_clear(struct wire_writer *writer) {
    writer->size = 0;
}

/* Makes room for `size` more bytes and returns where they go. */
static uint8_t *extend(struct wire_writer *writer, size_t size) {
    if (writer->capacity - writer->size < size) {
        size_t capacity = 2 * (writer->size + size);
        uint8_t *data = realloc(writer->data, capacity);
        if (data == NULL) abort();
        writer->data = data;
        writer->capacity = capacity;
    }
    uint8_t *end = writer->data + writer->size;
    writer->size += size;
    return end;
}

void wire_put_varint(struct wire_writer *writer, uint64_t value) {
    while (value >= 0x80) {
        *extend(writer, 1) = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *extend(writer, 1) = (uint8_t)value;
}

static void put_tag(struct wire_writer *writer, uint32_t field, enum wire_type type) {
    assert(field > 0);
    wire_put_varint(writer, (uint64_t)field << 3 | (uint64_t)type);
}

void wire_put_uint_field(struct wire_writer *writer, uint32_t field, uint64_t value) {
    put_tag(writer, field, WIRE_VARINT);
    wire_put_varint(writer, value);
}

void wire_put_bytes_field(struct wire_writer *writer, uint32_t field, const void *data, size_t size) {
    put_tag(writer, field, WIRE_BYTES);
    wire_put_varint(writer, size);
    if (size > 0) memcpy(extend(writer, size), data, size);
}

void wire_put_text_field(struct wire_writer *writer, uint32_t field, const char *text) {
    wire_put_bytes_field(writer, field, text, strlen(text));
}

void wire_put_message_field(struct wire_writer *writer, uint32_t field, const struct wire_writer *inner) {
    assert(writer != inner);
    wire_put_bytes_field(writer, field, inner->data, inner->size);
}

void wire_counter_init(struct wire_counter *counter, uint32_t field) {
    *counter = (struct wire_counter){.field = field, .state = WIRE_COUNTER_TAG};
}

/* Begins to skip `size` bytes, or goes on with the next field when there are none. */
static void skip(struct wire_counter *counter, uint64_t size) {
    counter->skip_bytes = size;
    counter->state = size > 0 ? WIRE_COUNTER_SKIP : WIRE_COUNTER_TAG;
}

/* A tag is complete: decides what its value looks like. */
static void take_tag(struct wire_counter *counter, uint64_t tag) {
    uint64_t field = tag >> 3;
    if (field == 0) {
        counter->state = WIRE_COUNTER_WRONG;
        return;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        counter->state = WIRE_COUNTER_VALUE;
        break;
    case WIRE_FIXED64:
        skip(counter, 8);
        break;
    case WIRE_BYTES:
        counter->fields_count += field == counter->field;
        counter->state = WIRE_COUNTER_LENGTH;
        break;
    case WIRE_FIXED32:
        skip(counter, 4);
        break;
    default:
        counter->state = WIRE_COUNTER_WRONG;
        break;
    }
}

/* Takes one byte of a varint; on its last byte the state moves on. */
static void take_varint_byte(struct wire_counter *counter, uint8_t byte) {
    if (counter->varint_bits >= VARINT_BITS_MAX) {
        counter->state = WIRE_COUNTER_WRONG;
        return;
    }
    counter->varint |= (uint64_t)(byte & 0x7f) << counter->varint_bits;
    counter->varint_bits += 7;
    if ((byte & 0x80) != 0) return;

    uint64_t value = counter->varint;
    counter->varint = 0;
    counter->varint_bits = 0;
    if (counter->state == WIRE_COUNTER_TAG) {
        take_tag(counter, value);
    } else if (counter->state == WIRE_COUNTER_LENGTH) {
        skip(counter, value);
    } else {
        counter->state = WIRE_COUNTER_TAG;
    }
}

/* The usual case at a glance: fields of wire type 2 with a tag of one byte and a length of two, that end in this piece.
 * Returns the offset of the first that is not so. The client shares its cores with the server: it must not be felt. */
static size_t take_usual_fields(struct wire_counter *counter, const uint8_t *data, size_t size, size_t offset) {
    while (size - offset > 3 && (data[offset] & 0x87) == WIRE_BYTES && data[offset] >> 3 != 0) {
        if (data[offset + 1] < 0x80 || data[offset + 2] >= 0x80) break;
        const size_t length = (size_t)(data[offset + 1] & 0x7f) | (size_t)data[offset + 2] << 7;
        if (size - offset - 3 < length) break;
        counter->fields_count += (uint32_t)(data[offset] >> 3) == counter->field;
        offset += 3 + length;
    }
    return offset;
}

bool wire_counter_feed(struct wire_counter *counter, const uint8_t *data, size_t size) {
    size_t offset = 0;
    while (offset < size && counter->state != WIRE_COUNTER_WRONG) {
        if (counter->state == WIRE_COUNTER_TAG && counter->varint_bits == 0) {
            offset = take_usual_fields(counter, data, size, offset);
            if (offset == size) break;
        }
        if (counter->state == WIRE_COUNTER_SKIP) {
            size_t here = size - offset;
            if (counter->skip_bytes < here) here = (size_t)counter->skip_bytes;
            offset += here;
            skip(counter, counter->skip_bytes - here);
        } else {
            take_varint_byte(counter, data[offset++]);
        }
    }
    return counter->state != WIRE_COUNTER_WRONG;
}

bool wire_counter_is_complete(const struct wire_counter *counter) {
    return counter->state == WIRE_COUNTER_TAG && counter->varint_bits == 0;
}

/* Reads a varint at *offset and moves past it. */
static bool read_varint(const uint8_t *data, size_t size, size_t *offset, uint64_t *ret_value) {
    uint64_t value = 0;
    for (uint32_t bits = 0; bits < VARINT_BITS_MAX; bits += 7) {
        if (*offset == size) return false;
        uint8_t byte = data[(*offset)++];
        value |= (uint64_t)(byte & 0x7f) << bits;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* The bytes of a field of a length that is known from its type or stands before them. */
static bool read_bytes(struct wire_reader *reader, enum wire_type type, struct wire_field *field) {
    uint64_t size = type == WIRE_FIXED64 ? 8 : 4;
    if (type == WIRE_BYTES && !read_varint(reader->data, reader->size, &reader->offset, &size)) return false;
    if (size > reader->size - reader->offset) return false;
    field->data = reader->data + reader->offset;
    field->size = (size_t)size;
    reader->offset += field->size;
    return true;
}

bool wire_next_field(struct wire_reader *reader, struct wire_field *ret_field) {
    if (reader->wrong || reader->offset == reader->size) return false;
    struct wire_field field = {0};
    uint64_t tag = 0;
    bool ok = read_varint(reader->data, reader->size, &reader->offset, &tag);
    field.number = (uint32_t)(tag >> 3);
    field.type = (enum wire_type)(tag & 7);
    if (!ok || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        ok = false;
    } else if (field.type == WIRE_VARINT) {
        ok = read_varint(reader->data, reader->size, &reader->offset, &field.value);
    } else if (field.type == WIRE_FIXED64 || field.type == WIRE_BYTES || field.type == WIRE_FIXED32) {
        ok = read_bytes(reader, field.type, &field);
    } else {
        ok = false;
    }
    reader->wrong = !ok;
    if (ok) *ret_field = field;
    return ok;
}

bool wire_find_uint(const uint8_t *data, size_t size, uint32_t field, uint64_t *ret_value) {
    uint64_t found = 0;
    struct wire_reader reader = {.data = data, .size = size};
    struct wire_field here;
    while (wire_next_field(&reader, &here)) {
        if (here.number == field && here.type == WIRE_VARINT) found = here.value;
    }
    if (reader.wrong) return false;
    *ret_value = found;
    return true;
}
