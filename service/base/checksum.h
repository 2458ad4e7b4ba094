/* checksum.h: CRC32C of stored bytes, the hash that makes a term of a name, and the digest of an erased event.
 *
 * Threads: any. */
#ifndef SERVICE_BASE_CHECKSUM_H
#define SERVICE_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "service/base/bytes.h"

/* CRC32C (Castagnoli, RFC 3720 appendix B.4), initial value and final inversion included. */
uint32_t checksum_crc32c(struct bytes bytes);

/* SHA-256 (FIPS 180-4). */
#define SHA256_BYTES 32
void checksum_sha256(struct bytes bytes, uint8_t ret_digest[SHA256_BYTES]);

/* What a term is the hash of; the number is part of the hash and so of the format of the index. */
enum term_kind {
    TERM_STREAM = 1,
    TERM_TYPE = 2,
    TERM_TAG = 3,
    TERM_EVENT_ID = 4,
};

/* A name in the index: the XXH3-128 of its text with its kind as the seed, big-endian. Two names may share a term; whoever
 * follows a term verifies the hit against the event's own bytes. */
struct term {
    uint8_t bytes[16];
};

struct term term_of(enum term_kind kind, struct bytes text);

static inline bool term_equal(struct term left, struct term right) {
    return memcmp(left.bytes, right.bytes, sizeof left.bytes) == 0;
}

#endif
