#include "service/base/checksum.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/sha.h>
#include <xxhash.h>

uint32_t checksum_crc32c(struct bytes bytes) {
    assert(bytes.size <= INT_MAX);
    /* ISA-L leaves the final inversion to the caller, and takes a pointer without const though it only reads. */
    union {
        const uint8_t *read_only;
        unsigned char *argument;
    } data = {.read_only = bytes.data};
    return ~crc32_iscsi(data.argument, (int)bytes.size, 0xffffffffu);
}

void checksum_sha256(struct bytes bytes, uint8_t ret_digest[SHA256_BYTES]) {
    _Static_assert(SHA256_BYTES == SHA256_DIGEST_LENGTH, "the digest has the standard's size");
    (void)SHA256(bytes.data, bytes.size, ret_digest);
}

struct term term_of(enum term_kind kind, struct bytes text) {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data, text.size, (XXH64_hash_t)kind);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    struct term term;
    _Static_assert(sizeof term.bytes == sizeof canonical.digest, "a term is one XXH3-128");
    memcpy(term.bytes, canonical.digest, sizeof term.bytes);
    return term;
}
