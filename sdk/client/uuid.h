/* uuid.h: UUIDs of version 7, each greater than the one before it.
 *
 * Source: RFC 9562, section 5.7, and section 6.2, method 1: twelve bits behind the milliseconds count within one. The count
 * begins at a random number of eleven bits; when it is used up, or the clock goes back, the time goes on from the last one.
 * Ownership: plain data. Threads: one at a time. Errors: false without random bytes. */
#ifndef DAYBOOK_SDK_CLIENT_UUID_H
#define DAYBOOK_SDK_CLIENT_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of a UUID, "01890a5d-ac96-774b-bcce-b302099a8057", without a NUL. */
#define UUID_TEXT_BYTES 36

/* Where UUIDs come from. All zero is one that is new. */
struct uuid_source {
    uint64_t unix_ms;
    uint32_t count;
    uint8_t random[512]; /* drawn ahead: a system call serves many */
    size_t random_left;
};

/* Writes the next one; `unix_ms` is the time. */
bool daybook__uuid_next(struct uuid_source *source, uint64_t unix_ms, char *ret_text);

#endif
