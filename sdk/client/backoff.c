#include "sdk/client/backoff.h"

#include <stdlib.h>

#include "sdk/base/clock.h"

#define FIRST_MS       100
#define MAX_DEFAULT_MS 5000

void daybook__backoff_init(struct backoff *backoff, uint32_t max_ms) {
    *backoff = (struct backoff){.max_ms = max_ms == 0 ? MAX_DEFAULT_MS : max_ms,
                                .jitter_seed = (unsigned)daybook__clock_now_ms() ^ (unsigned)(uintptr_t)backoff};
    daybook__backoff_reset(backoff);
}

void daybook__backoff_reset(struct backoff *backoff) {
    backoff->next_ms = backoff->max_ms < FIRST_MS ? backoff->max_ms : FIRST_MS;
}

uint32_t daybook__backoff_pause_ms(struct backoff *backoff, uint32_t asked_ms) {
    const uint32_t jitter = (uint32_t)rand_r(&backoff->jitter_seed) % (backoff->next_ms / 2 + 1);
    const uint32_t own_ms = backoff->next_ms - backoff->next_ms / 2 + jitter;
    const bool may_double = backoff->next_ms <= backoff->max_ms / 2;
    backoff->next_ms = may_double ? backoff->next_ms * 2 : backoff->max_ms;
    if (asked_ms > backoff->max_ms) asked_ms = backoff->max_ms;
    return own_ms < asked_ms ? asked_ms : own_ms;
}

bool daybook__backoff_is_passing(const daybook_status *status) {
    return status->retryable || status->code == DAYBOOK_UNAVAILABLE || status->code == DAYBOOK_CANCELLED ||
           status->code == DAYBOOK_DEADLINE_EXCEEDED;
}
