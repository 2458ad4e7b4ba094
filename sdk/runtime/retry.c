/* retry.c: see retry.h. */
#include "sdk/runtime/retry.h"

struct retry_pushback daybook__retry_pushback_parse(const char *text, size_t text_size) {
    const struct retry_pushback never = {.kind = RETRY_PUSHBACK_NEVER};
    uint64_t after_ms = 0;
    if (text_size == 0) return never;
    for (size_t i = 0; i < text_size; i++) {
        if (text[i] < '0' || text[i] > '9') return never;
        after_ms = after_ms * 10 + (uint64_t)(text[i] - '0');
        if (after_ms > INT32_MAX) return never;
    }
    return (struct retry_pushback){.kind = RETRY_PUSHBACK_AFTER, .after_ms = (uint32_t)after_ms};
}

/* SplitMix64 (Steele, Lea, Flood): one step gives a good number from any state. */
static uint64_t random_next(uint64_t *state) {
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* The pause after so many others, before anything is taken off: doubled each time, up to the longest one. */
static uint32_t backoff_ms(const daybook_retry_options *options, uint32_t backoffs_count) {
    uint64_t pause_ms = options->backoff_first_ms;
    for (uint32_t i = 0; i < backoffs_count && pause_ms < options->backoff_max_ms; i++) {
        pause_ms *= 2;
    }
    return pause_ms < options->backoff_max_ms ? (uint32_t)pause_ms : options->backoff_max_ms;
}

static uint32_t own_pause_ms(struct retry *retry, uint32_t asked_ms) {
    const uint32_t full_ms = backoff_ms(&retry->options, retry->backoffs_count++);
    const uint32_t jittered_ms = full_ms - (uint32_t)(random_next(&retry->random) % (full_ms / 2 + 1));
    return jittered_ms > asked_ms ? jittered_ms : asked_ms;
}

bool daybook__retry_plan(struct retry *retry, const daybook_status *status, const struct retry_pushback *pushback,
                         uint64_t left_ms, uint32_t *ret_pause_ms) {
    if (!retry->is_safe || !status->retryable || retry->attempts_count >= retry->options.attempts_max) return false;
    if (pushback->kind == RETRY_PUSHBACK_NEVER) return false;
    uint32_t pause_ms = pushback->after_ms;
    if (pushback->kind == RETRY_PUSHBACK_AFTER)
        retry->backoffs_count = 0;
    else
        pause_ms = own_pause_ms(retry, status->retry_delay_ms);
    if (left_ms <= pause_ms) return false;
    *ret_pause_ms = pause_ms;
    return true;
}
