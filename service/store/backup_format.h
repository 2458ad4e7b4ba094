/* backup_format.h: the bytes of a backup: a stream that is written and read from its beginning to its end, by any machine.
 * Numbers are little-endian.
 *
 *   header   "daybook backup\n" and a zero byte (16), version: 1 (4), store id (36 characters), head (8), when it was made, in
 *            nanoseconds since 1970 (8), CRC32C of all that (4)
 *   frames   kind (1), length of the body (4), body, CRC32C of kind, length and body (4):
 *     'S'    a row of the table `streams`: length of the name (1), name, value as it is in the table (store.h)
 *     'C'    the same of `checkpoints`
 *     'E'    an event: its record and the record's CRC32C, as they are in the table (record.h)
 *     'Z'    the end: how many S, C and E there are (8 each), XXH3-128 of everything before this frame (16, big-endian)
 *
 * First all S, by name, then all C, by name, then the events of positions 1 to head, then the end, then nothing. So a backup
 * that was cut off or changed, wherever, is told from one that is whole, and every record has a checksum that it has had since
 * it was appended.
 *
 * What it is a copy of: rows, checkpoints and head are of one commit, the one that was the last when the backup began. Events
 * are read after that, in short snapshots: records do not change, but for an event that is erased meanwhile, which may be in it
 * as erased or as it was, and for one whose bytes are removed, which only happens to those that are hidden by these rows already
 * (whoever makes a backup pauses the retention before). So a restored store shows exactly what the store has shown at that
 * commit, but for those erased later; its index is not in it and is built anew.
 * Ownership: caller's memory. Threads: any. */
#ifndef SERVICE_STORE_BACKUP_FORMAT_H
#define SERVICE_STORE_BACKUP_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "service/base/checksum.h"
#include "service/base/digest.h"
#include "service/base/uuid.h"
#include "service/store/store_private.h"

#define BACKUP_VERSION      1
#define BACKUP_MAGIC        "daybook backup\n" /* with its end 16 bytes */
#define BACKUP_MAGIC_BYTES  16
#define BACKUP_HEADER_BYTES (BACKUP_MAGIC_BYTES + 4 + UUID_TEXT_BYTES + 8 + 8 + 4)
_Static_assert(sizeof BACKUP_MAGIC == BACKUP_MAGIC_BYTES, "the zero byte is part of it");

enum backup_kind { BACKUP_STREAM = 'S', BACKUP_CHECKPOINT = 'C', BACKUP_EVENT = 'E', BACKUP_END = 'Z' };

#define BACKUP_FRAME_HEAD_BYTES     5
#define BACKUP_FRAME_OVERHEAD_BYTES (BACKUP_FRAME_HEAD_BYTES + 4)
#define BACKUP_END_BODY_BYTES       (3 * 8 + DIGEST_BYTES)
/* Of all bodies: an event's. */
#define BACKUP_BODY_BYTES_MAX STORED_RECORD_BYTES_MAX
_Static_assert(BACKUP_BODY_BYTES_MAX > 1 + NAME_BYTES_MAX + STREAM_ROW_BYTES_MAX, "a row is no larger");

struct backup_counts {
    uint64_t streams_count;
    uint64_t checkpoints_count;
    uint64_t events_count;
};

struct backup_header {
    char store_id[UUID_TEXT_BYTES + 1];
    uint64_t head;
    int64_t made_ns;
};

/* The `size` low bytes of a number. */
static inline uint8_t *backup_number_write(uint8_t *out, uint64_t number, uint32_t size) {
    for (uint32_t index = 0; index < size; index++) *out++ = (uint8_t)(number >> (8 * index));
    return out;
}

static inline uint64_t backup_number_read(const uint8_t *bytes, uint32_t size) {
    uint64_t number = 0;
    for (uint32_t index = 0; index < size; index++) number |= (uint64_t)bytes[index] << (8 * index);
    return number;
}

static inline void backup_header_write(const struct backup_header *header, uint8_t out[BACKUP_HEADER_BYTES]) {
    uint8_t *at = out;
    memcpy(at, BACKUP_MAGIC, BACKUP_MAGIC_BYTES);
    at = backup_number_write(at + BACKUP_MAGIC_BYTES, BACKUP_VERSION, 4);
    memcpy(at, header->store_id, UUID_TEXT_BYTES);
    at = backup_number_write(at + UUID_TEXT_BYTES, header->head, 8);
    at = backup_number_write(at, (uint64_t)header->made_ns, 8);
    stored_checksum_write(at, checksum_crc32c(bytes_of(out, (size_t)(at - out))));
}

/* A frame is written around its body: the body at `out + BACKUP_FRAME_HEAD_BYTES` first, then this. Returns its end. */
static inline uint8_t *backup_frame_close(enum backup_kind kind, size_t body_bytes, uint8_t *out) {
    assert(body_bytes <= BACKUP_BODY_BYTES_MAX);
    out[0] = (uint8_t)kind;
    (void)backup_number_write(out + 1, body_bytes, 4);
    uint8_t *at = out + BACKUP_FRAME_HEAD_BYTES + body_bytes;
    stored_checksum_write(at, checksum_crc32c(bytes_of(out, BACKUP_FRAME_HEAD_BYTES + body_bytes)));
    return at + sizeof(uint32_t);
}

#endif
