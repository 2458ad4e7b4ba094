#include "service/base/digest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct digest {
    XXH3_state_t *state; /* made by the library, which knows its alignment */
};

result digest_new(struct digest **ret_digest) {
    struct digest *digest = calloc(1, sizeof *digest);
    if (digest == NULL) return failure_result(FAILURE_MEMORY);
    digest->state = XXH3_createState();
    if (digest->state == NULL) {
        free(digest);
        return failure_result(FAILURE_MEMORY);
    }
    const XXH_errorcode code = XXH3_128bits_reset(digest->state);
    assert(code == XXH_OK);
    (void)code;
    *ret_digest = digest;
    return RESULT_OK;
}

struct digest *digest_free(struct digest *digest) {
    if (digest == NULL) return NULL;
    (void)XXH3_freeState(digest->state);
    free(digest);
    return NULL;
}

void digest_add(struct digest *digest, struct bytes bytes) {
    if (bytes.size == 0) return;
    const XXH_errorcode code = XXH3_128bits_update(digest->state, bytes.data, bytes.size);
    assert(code == XXH_OK);
    (void)code;
}

void digest_value(const struct digest *digest, uint8_t ret_value[DIGEST_BYTES]) {
    XXH128_canonical_t canonical;
    _Static_assert(sizeof canonical.digest == DIGEST_BYTES, "the digest is one XXH3-128");
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->state));
    memcpy(ret_value, canonical.digest, DIGEST_BYTES);
}

void digest_text(const struct digest *digest, char ret_text[DIGEST_TEXT_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t value[DIGEST_BYTES];
    digest_value(digest, value);
    for (uint32_t index = 0; index < DIGEST_BYTES; index++) {
        ret_text[2 * index] = digits[value[index] >> 4];
        ret_text[2 * index + 1] = digits[value[index] & 15];
    }
    ret_text[DIGEST_TEXT_BYTES] = '\0';
}
