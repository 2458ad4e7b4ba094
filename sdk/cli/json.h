/* json.h: the values that `--json` prints, made of what the protos hold.
 *
 * Fields have the names of the protos. Ownership: a value belongs to the caller (json_decref), as jansson has it.
 * Threads: the main thread. Errors: NULL without memory, which jansson's setters pass on. */
#ifndef SDK_CLI_JSON_H
#define SDK_CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "google/protobuf/timestamp.upb.h"
#include "upb/upb.h"

json_t *json_text(upb_StringView text);

/* A number; one beyond 2^63 - 1, which JSON's integers do not hold everywhere, is a string of digits. */
json_t *json_number(uint64_t number);

/* Sets a member, which must be new; a time that is not set is left out. */
void json_add(json_t *object, const char *name, json_t *value);
void json_add_time(json_t *object, const char *name, const google_protobuf_Timestamp *time);
/* A key of at most 255 bytes, as names have. */
void json_add_key(json_t *object, upb_StringView key, json_t *value);

/* Base64 of bytes. */
json_t *json_base64(upb_StringView bytes);

/* Prints the object as one line to standard output, every control character escaped, and gives it back. False without
 * memory. */
bool json_line(json_t *object);

#endif
