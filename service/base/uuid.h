/* uuid.h: the identity of events (RFC 9562).
 *
 * Threads: any. */
#ifndef SERVICE_BASE_UUID_H
#define SERVICE_BASE_UUID_H

#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"

#define UUID_TEXT_BYTES 36

struct uuid {
    uint8_t bytes[16];
};

/* A UUIDv7 of this millisecond: ids made later sort later, down to the millisecond. */
struct uuid uuid_new(void);

/* Reads "01890a5d-ac96-774b-bcce-b302099a8057", upper or lower case, any version. FAILURE_INPUT for anything else. */
MUST_USE result uuid_parse(struct bytes text, struct uuid *ret_uuid);

/* Writes the 36 lower-case characters, without an end. */
void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES]);

#endif
