/* status.c: codes, texts and how they are cut; see daybook/status.h. */
#include "sdk/runtime/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
    [DAYBOOK_OK] = "OK",
    [DAYBOOK_CANCELLED] = "CANCELLED",
    [DAYBOOK_UNKNOWN] = "UNKNOWN",
    [DAYBOOK_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [DAYBOOK_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [DAYBOOK_NOT_FOUND] = "NOT_FOUND",
    [DAYBOOK_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [DAYBOOK_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [DAYBOOK_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [DAYBOOK_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [DAYBOOK_ABORTED] = "ABORTED",
    [DAYBOOK_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [DAYBOOK_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [DAYBOOK_INTERNAL] = "INTERNAL",
    [DAYBOOK_UNAVAILABLE] = "UNAVAILABLE",
    [DAYBOOK_DATA_LOSS] = "DATA_LOSS",
    [DAYBOOK_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

#define CODES_COUNT (sizeof code_names / sizeof code_names[0])

const char *daybook_code_name(daybook_code code) {
    return (size_t)code < CODES_COUNT ? code_names[code] : code_names[DAYBOOK_UNKNOWN];
}

daybook_code daybook__code_from_number(int number) {
    return number >= 0 && (size_t)number < CODES_COUNT ? (daybook_code)number : DAYBOOK_UNKNOWN;
}

/* What no count includes is not written: a status has one and a half KiB, and most calls go well. */
void daybook_status_clear(daybook_status *ret_status) {
    if (ret_status == NULL) return;
    ret_status->code = DAYBOOK_OK;
    ret_status->retryable = false;
    ret_status->retry_delay_ms = 0;
    ret_status->reason[0] = '\0';
    ret_status->message[0] = '\0';
    ret_status->field_violations_count = 0;
}

void daybook__status_copy(const daybook_status *status, daybook_status *ret_status) {
    if (ret_status == NULL) return;
    if (status->code == DAYBOOK_OK) {
        daybook_status_clear(ret_status);
        return;
    }
    assert(status->field_violations_count <= DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX);
    memcpy(ret_status, status,
           offsetof(daybook_status, field_violations) +
               status->field_violations_count * sizeof status->field_violations[0]);
}

/* The bytes of the UTF-8 character that `text` begins with, 0 when it begins with none (RFC 3629, table 3-7 of Unicode:
 * no overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t character_size(const unsigned char *text, size_t text_size) {
    unsigned char first = text[0];
    if (first < 0x80) return 1;
    size_t size = first >= 0xc2 && first <= 0xdf   ? 2
                  : first >= 0xe0 && first <= 0xef ? 3
                  : first >= 0xf0 && first <= 0xf4 ? 4
                                                   : 0;
    if (size == 0 || size > text_size) return 0;
    unsigned char second_min = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char second_max = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < second_min || text[1] > second_max) return 0;
    for (size_t i = 2; i < size; i++) {
        if (text[i] < 0x80 || text[i] > 0xbf) return 0;
    }
    return size;
}

void daybook__status_copy_text(char *target, size_t target_size, const char *text, size_t text_size) {
    assert(target_size > 0);
    const unsigned char *source = (const unsigned char *)text;
    size_t written = 0;
    for (size_t read = 0; read < text_size && source[read] != '\0';) {
        size_t size = character_size(source + read, text_size - read);
        size_t kept = size == 0 ? 1 : size;
        if (written + kept >= target_size) break;
        if (size == 0)
            target[written] = '?';
        else
            memcpy(target + written, source + read, size);
        written += kept;
        read += kept;
    }
    target[written] = '\0';
}

void daybook__status_set_text(daybook_status *ret_status, daybook_code code, const char *text, size_t text_size) {
    if (ret_status == NULL) return;
    daybook_status_clear(ret_status);
    if (code == DAYBOOK_OK) return;
    ret_status->code = code;
    ret_status->retryable = code == DAYBOOK_UNAVAILABLE;
    daybook__status_copy_text(ret_status->message, sizeof ret_status->message, text, text_size);
}

void daybook_status_set(daybook_status *ret_status, daybook_code code, const char *format, ...) {
    if (ret_status == NULL) return;
    /* One character longer than fits, so that a text that was cut by vsnprintf is cut again between two characters. */
    char text[DAYBOOK_STATUS_MESSAGE_BYTES + 4];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) text[0] = '\0';
    daybook__status_set_text(ret_status, code, text, strlen(text));
}
