/* wire.h: the little of the protobuf wire format that a load generator needs: write requests, count answers.
 *
 * All peers' requests are written and all peers' answers are read by these functions, so that the client costs each of
 * them the same; no generated code, ours or theirs, takes part in the measurement.
 * Ownership: a writer owns its bytes until wire_writer_deinit; counter, reader and find own nothing.
 * Threads: plain data; one thread at a time.
 * Errors: the functions that read return false on bytes that are not protobuf. Running out of memory aborts. */
#ifndef DAYBOOK_TESTS_BENCH_WIRE_H
#define DAYBOOK_TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The wire types that are still in use. */
enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
};

/* A growing message. */
struct wire_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Makes an empty message. */
void wire_writer_init(struct wire_writer *writer);

/* Frees the bytes and makes the message empty. */
void wire_writer_deinit(struct wire_writer *writer);

/* Empties the message and keeps its memory. */
void wire_writer_clear(struct wire_writer *writer);

/* Appends a number of 1 to 10 bytes. */
void wire_put_varint(struct wire_writer *writer, uint64_t value);

/* Appends a field of type uint64, uint32, bool or enum. */
void wire_put_uint_field(struct wire_writer *writer, uint32_t field, uint64_t value);

/* Appends a field of type bytes, string or message. */
void wire_put_bytes_field(struct wire_writer *writer, uint32_t field, const void *data, size_t size);

/* Appends a field of type string. */
void wire_put_text_field(struct wire_writer *writer, uint32_t field, const char *text);

/* Appends a field that is the message `inner`. */
void wire_put_message_field(struct wire_writer *writer, uint32_t field, const struct wire_writer *inner);

/* Counts how often a field of type bytes, string or message stands at the top of a message that arrives in pieces, and
 * looks at nothing inside: the bytes of an answer are walked over, not copied. */
struct wire_counter {
    uint64_t fields_count;
    uint64_t skip_bytes;
    uint64_t varint;
    uint32_t varint_bits;
    uint32_t field;
    enum {
        WIRE_COUNTER_TAG,
        WIRE_COUNTER_VALUE,
        WIRE_COUNTER_LENGTH,
        WIRE_COUNTER_SKIP,
        WIRE_COUNTER_WRONG,
    } state;
};

/* Starts counting `field`. */
void wire_counter_init(struct wire_counter *counter, uint32_t field);

/* Takes the next piece of the message, of any size. False: the bytes are not protobuf; it stays so. */
bool wire_counter_feed(struct wire_counter *counter, const uint8_t *data, size_t size);

/* True when the message may end here: between two fields. */
bool wire_counter_is_complete(const struct wire_counter *counter);

/* A field at the top of a message. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    /* Of WIRE_VARINT. */
    uint64_t value;
    /* Of WIRE_BYTES, inside of the message. */
    const uint8_t *data;
    size_t size;
};

/* Walks over the fields of a whole message. Set data and size, and the rest to 0. */
struct wire_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    bool wrong;
};

/* Takes the next field. False: there is none, or the bytes are not protobuf, then `wrong` is set. */
bool wire_next_field(struct wire_reader *reader, struct wire_field *ret_field);

/* Finds the last field `field` of type uint64 at the top of a whole message; 0 when it is not there, as proto3 has it.
 * False: the bytes are not protobuf, `ret_value` is untouched. */
bool wire_find_uint(const uint8_t *data, size_t size, uint32_t field, uint64_t *ret_value);

#endif
