/* values.h: the forms that options' values have, beyond numbers and times (common.h).
 *
 * Ownership: the parts of a value point into it. Threads: the main thread.
 * Errors: a value of another form ends the program as argp does, naming `what`. */
#ifndef SDK_CLI_VALUES_H
#define SDK_CLI_VALUES_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "upb/upb.h"

/* "90s", "15m", "12h", "30d", "2w", several of them ("1d12h"), or a plain number of seconds. */
uint64_t value_duration_seconds(struct argp_state *state, const char *text, const char *what);

/* The same for people, in the largest unit that gives it whole: "30d". */
#define VALUE_DURATION_BYTES 32
void value_duration_text(uint64_t seconds, char ret_text[VALUE_DURATION_BYTES]);

/* "KEY=TEXT", split at the first '='; the text may be empty. */
struct value_pair {
    upb_StringView key;
    upb_StringView text;
};
struct value_pair value_pair(struct argp_state *state, const char *text, const char *what);

/* What a stream must be: "any", "exists", "new", or at a revision; "new" is 0. */
struct value_expectation {
    bool exists;
    bool has_revision;
    uint64_t revision;
};
struct value_expectation value_expectation(struct argp_state *state, const char *text, const char *what);

/* "NAME@PLACE", split at the last '@', because a name may have one. */
struct value_place {
    upb_StringView name;
    const char *place;
};
struct value_place value_place(struct argp_state *state, const char *text, const char *what);

#endif
