/* digest.h: the XXH3-128 of bytes that come in parts, which tells a copy that is whole from one that is not.
 *
 * Ownership: a digest is its maker's, who frees it. Threads: one at a time. Errors: FAILURE_MEMORY. */
#ifndef SERVICE_BASE_DIGEST_H
#define SERVICE_BASE_DIGEST_H

#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"

#define DIGEST_BYTES      16
#define DIGEST_TEXT_BYTES (2 * DIGEST_BYTES)

struct digest;

MUST_USE result digest_new(struct digest **ret_digest);
/* NULL is allowed. Returns NULL. */
struct digest *digest_free(struct digest *digest);

void digest_add(struct digest *digest, struct bytes bytes);

/* Of all that was added so far, big-endian; more may follow. */
void digest_value(const struct digest *digest, uint8_t ret_value[DIGEST_BYTES]);
/* The same as hexadecimal digits with an end. */
void digest_text(const struct digest *digest, char ret_text[DIGEST_TEXT_BYTES + 1]);

#endif
