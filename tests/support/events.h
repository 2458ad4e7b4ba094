/* events.h: encoded events and records for tests below the API, made field by field.
 *
 * Ownership: caller's memory. Threads: any. Errors: a buffer that is too small is an assertion. */
#ifndef TESTS_SUPPORT_EVENTS_H
#define TESTS_SUPPORT_EVENTS_H

#include "service/base/bytes.h"
#include "service/record/record.h"

#define EVENTS_ID "01890a5d-ac96-774b-bcce-b302099a8057"

/* What a daybook.v1.Event is made of; NULL and 0: the field is not set. */
struct event_parts {
    const char *id;
    const char *type;
    const char *const *tags;
    uint32_t tags_count;
    struct bytes data;
};

/* The text of an id that belongs to this number alone. */
struct events_id {
    char text[37];
};
struct events_id events_id_of(uint64_t number);

/* Writes the encoded event into `buffer` and returns it. */
struct bytes event_encode(const struct event_parts *parts, uint8_t *buffer, size_t capacity);

/* Writes one field of wire type 2 and returns the first byte after it. */
uint8_t *event_field_write(uint8_t *out, uint32_t number, struct bytes bytes);

/* Writes an encoded record into `buffer` and returns it. */
struct bytes event_record_encode(const struct record *record, uint8_t *buffer, size_t capacity);

#endif
