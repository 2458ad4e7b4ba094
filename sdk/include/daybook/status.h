/** @file status.h
 * How a call ended.
 *
 * Ownership: a status lives where its owner puts it, most often on the stack; it is never allocated and holds no
 * pointer. Every function that takes a `daybook_status *ret_status` accepts NULL.
 * Threads: plain data.
 * Source of the codes: gRPC's doc/statuscodes.md; of the reason: google.rpc.ErrorInfo (AIP-193). */
#ifndef DAYBOOK_STATUS_H
#define DAYBOOK_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/declarations.h"

DAYBOOK_BEGIN_DECLARATIONS

/** The canonical codes of gRPC. */
typedef enum daybook_code {
    DAYBOOK_OK = 0,
    DAYBOOK_CANCELLED = 1,
    DAYBOOK_UNKNOWN = 2,
    DAYBOOK_INVALID_ARGUMENT = 3,
    DAYBOOK_DEADLINE_EXCEEDED = 4,
    DAYBOOK_NOT_FOUND = 5,
    DAYBOOK_ALREADY_EXISTS = 6,
    DAYBOOK_PERMISSION_DENIED = 7,
    DAYBOOK_RESOURCE_EXHAUSTED = 8,
    DAYBOOK_FAILED_PRECONDITION = 9,
    DAYBOOK_ABORTED = 10,
    DAYBOOK_OUT_OF_RANGE = 11,
    DAYBOOK_UNIMPLEMENTED = 12,
    DAYBOOK_INTERNAL = 13,
    DAYBOOK_UNAVAILABLE = 14,
    DAYBOOK_DATA_LOSS = 15,
    DAYBOOK_UNAUTHENTICATED = 16,
} daybook_code;

/** Room for a reason, with its NUL. */
#define DAYBOOK_STATUS_REASON_BYTES 64
/** Room for a message, with its NUL. */
#define DAYBOOK_STATUS_MESSAGE_BYTES 436
/** How many violated fields a status names. */
#define DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX 4
/** Room for the path of a field, with its NUL. */
#define DAYBOOK_STATUS_VIOLATION_FIELD_BYTES 96
/** Room for what is wrong with a field, with its NUL. */
#define DAYBOOK_STATUS_VIOLATION_DESCRIPTION_BYTES 160

/** A field of the request that the server does not take, and why (google.rpc.BadRequest). Always terminated; longer texts
 * are cut between two characters. */
typedef struct daybook_field_violation {
    char field[DAYBOOK_STATUS_VIOLATION_FIELD_BYTES];             /**< "writes[0].events[2].type" */
    char description[DAYBOOK_STATUS_VIOLATION_DESCRIPTION_BYTES]; /**< "is empty" */
} daybook_field_violation;

/** The end of a call. All zero is OK. */
typedef struct daybook_status {
    daybook_code code; /**< OK, or what kind of failure */
    /** The same call may succeed when it is made again: the code is UNAVAILABLE, or the server asked for a retry. */
    bool retryable;
    /** Wait at least this long before a retry; 0: the server said nothing. */
    uint32_t retry_delay_ms;
    /** The server's machine-readable reason ("REVISION_CONFLICT"), or "". Always terminated. */
    char reason[DAYBOOK_STATUS_REASON_BYTES];
    /** For the developer. Always terminated; a longer text is cut between two characters. */
    char message[DAYBOOK_STATUS_MESSAGE_BYTES];
    /** How many violated fields are named below: the first ones; all of them are in daybook_call_options.details. */
    uint32_t field_violations_count;
    daybook_field_violation field_violations[DAYBOOK_STATUS_FIELD_VIOLATIONS_MAX]; /**< as many as counted */
} daybook_status;

/** The code's name in capitals, "NOT_FOUND"; "UNKNOWN" for a number that is none. Static text. Any thread. */
const char *daybook_code_name(daybook_code code);

/** Makes `ret_status` OK with empty texts. NULL is allowed. */
void daybook_status_clear(daybook_status *ret_status);

/** Fills `ret_status` with a code and a formatted text; the reason is empty and `retryable` follows from the code.
 * NULL is allowed. */
void daybook_status_set(daybook_status *ret_status, daybook_code code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

DAYBOOK_END_DECLARATIONS

#endif
