/* print.h: events as people and programs read them.
 *
 * People: `POSITION STREAM@REVISION TIME TYPE PAYLOAD`. Programs: one JSON object a line with the fields of
 * daybook.v1.RecordedEvent; `data` is base64, `text` is text.
 * Threads: the main thread. */
#ifndef SDK_CLI_PRINT_H
#define SDK_CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daybook/v1/event.upb.h"
#include "google/protobuf/timestamp.upb.h"

/* Writes one event to standard output. False without memory. */
bool print_event(const daybook_v1_RecordedEvent *recorded, bool json);

#define PRINT_TIME_BYTES        40
#define PRINT_TIME_DIGITS_SHORT 3 /* for people */
#define PRINT_TIME_DIGITS_ALL   9 /* for programs, which may give it back */
/* RFC 3339 with so many digits behind the second, "2026-01-02T03:04:05.678Z"; "-" for NULL. */
void print_time(const google_protobuf_Timestamp *time, int digits, char ret_text[PRINT_TIME_BYTES]);

/* Text from elsewhere, which must not steer the terminal: control characters are shown, not sent. */
void print_plain(FILE *out, upb_StringView text);

/* "4096 bytes", "1.2 GiB". */
#define PRINT_BYTES_BYTES 32
void print_bytes(uint64_t bytes, char ret_text[PRINT_BYTES_BYTES]);

/* Base64 (RFC 4648) of `size` bytes into `ret_text`, which has PRINT_BASE64_BYTES(size). */
#define PRINT_BASE64_BYTES(size) (((size) + 2) / 3 * 4 + 1)
void print_base64(const char *data, size_t size, char *ret_text);

#endif
