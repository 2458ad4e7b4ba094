/* backoff.h: when to try again, and whether that helps.
 *
 * Ownership: plain data. Threads: one at a time. Errors: none. */
#ifndef DAYBOOK_SDK_CLIENT_BACKOFF_H
#define DAYBOOK_SDK_CLIENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/status.h"

/* Pauses that double from one attempt to the next. */
struct backoff {
    uint32_t max_ms;
    uint32_t next_ms;
    unsigned jitter_seed;
};

/* `max_ms` 0: the default of the options. */
void daybook__backoff_init(struct backoff *backoff, uint32_t max_ms);

/* Something went well: the next pause is the shortest again. */
void daybook__backoff_reset(struct backoff *backoff);

/* The next pause. Half of it is jitter, so that the clients of a server that restarts do not come all at once; it is no
 * shorter than what the server asks for, up to the longest one. */
uint32_t daybook__backoff_pause_ms(struct backoff *backoff, uint32_t asked_ms);

/* What another attempt may cure: a server that is gone, draining or busy. */
bool daybook__backoff_is_passing(const daybook_status *status);

#endif
