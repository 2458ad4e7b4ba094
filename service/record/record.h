/* record.h: the stored form of an event, which is the form that is sent.
 *
 * A record is the protobuf encoding of daybook.v1.RecordedEvent, written once when the event is committed:
 *
 *   08 position          varint                field 1
 *   12 length stream     text                  field 2
 *   18 revision          varint                field 3
 *   22 length            Timestamp             field 4: 08 seconds (varint), 10 nanoseconds (varint, absent when 0)
 *   2a length            Event                 field 5: the event as it was appended, its id set
 *   32 length            Erasure               field 6: only when the event was erased (remains.h)
 *
 * In the log a record is followed by its CRC32C, 4 bytes, little-endian.
 * Ownership: views point into the bytes they were made from. Threads: any. */
#ifndef SERVICE_RECORD_RECORD_H
#define SERVICE_RECORD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"

#define RECORD_CHECKSUM_BYTES 4

/* What types and streams of the server's own begin with; clients' are refused when they do. */
#define SYSTEM_NAME_PREFIX '$'

/* An event and its place. */
struct record {
    uint64_t position; /* from 1 */
    struct bytes stream;
    uint64_t revision;    /* from 1 */
    int64_t recorded_ns;  /* since 1970; not negative */
    struct bytes event;   /* encoded daybook.v1.Event */
    struct bytes erasure; /* encoded daybook.v1.Erasure; empty: it was not erased */
};

/* Bytes of the encoded record, without its checksum. */
size_t record_size(const struct record *record);

/* Writes exactly record_size bytes at `out` and returns the first byte after them. */
uint8_t *record_write(const struct record *record, uint8_t *out);

/* Takes a record apart without a copy. FAILURE_CORRUPT when the bytes are no record. */
MUST_USE result record_read(struct bytes encoded, struct record *ret_record);

/* The position alone, which the bytes begin with; 0 when they do not begin like a record. */
uint64_t record_position(struct bytes encoded);

/* What filters and indexes need of an encoded event, found by one shallow pass. */
struct event_fields {
    struct bytes id; /* 36 characters */
    struct bytes type;
    uint32_t tags_count;
    struct bytes tags[64]; /* TAGS_COUNT_MAX */
};

/* FAILURE_CORRUPT when the bytes are no event that the daemon accepts; `ret_fields` then holds nothing of use. Fields
 * that are not set are empty views; only the first tags_count tags are written. */
MUST_USE result record_event_fields(struct bytes event, struct event_fields *ret_fields);

/* Whether encoded fields, an event's unknown ones for example, hold a text, bytes or a message of this number at their top
 * level. False for what is malformed, too. */
bool record_fields_hold(struct bytes fields, uint32_t number);

#endif
