/* retry.h: whether a call is made again, and after which pause. Arithmetic alone: no clock, no call.
 *
 * Ownership: plain data of the call it is about.
 * Threads: one at a time.
 * Errors: none.
 * Source: gRPC's proposal A6 for the server's word ("grpc-retry-pushback-ms"); daybook_retry_options for the rest. */
#ifndef DAYBOOK_SDK_RUNTIME_RETRY_H
#define DAYBOOK_SDK_RUNTIME_RETRY_H

#include <stddef.h>

#include "daybook/options.h"
#include "daybook/status.h"

/* Time without an end, in the place of what is left of a deadline. */
#define DAYBOOK__RETRY_TIME_NONE UINT64_MAX

/* What the server says of another attempt. */
struct retry_pushback {
    enum {
        RETRY_PUSHBACK_NONE,  /* nothing */
        RETRY_PUSHBACK_NEVER, /* none is wanted */
        RETRY_PUSHBACK_AFTER, /* after exactly this long */
    } kind;
    uint32_t after_ms;
};

/* The state of one call. */
struct retry {
    daybook_retry_options options; /* resolved */
    bool is_safe;                  /* making the call again does no harm */
    uint32_t attempts_count;       /* begun so far */
    uint32_t backoffs_count;       /* pauses of our own choice since the server last named one */
    uint64_t random;               /* the state of the jitter; any number is a good start */
};

/* Reads the trailer: a decimal number of milliseconds. Negative, too large or no number: never. */
struct retry_pushback daybook__retry_pushback_parse(const char *text, size_t text_size);

/* Decides after an attempt that ended with `status`, while `left_ms` of the call's time are left. False: that is the call's
 * end. */
DAYBOOK_MUST_USE bool daybook__retry_plan(struct retry *retry, const daybook_status *status,
                                          const struct retry_pushback *pushback, uint64_t left_ms,
                                          uint32_t *ret_pause_ms);

#endif
