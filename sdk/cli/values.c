#include "sdk/cli/values.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/cli/common.h"

/* From large to small. */
static const struct {
    char letter;
    uint64_t seconds;
} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

enum { UNITS_COUNT = sizeof units / sizeof units[0] };

/* 0 when there is no such unit. */
static uint64_t unit_seconds(char letter) {
    for (size_t index = 0; index < UNITS_COUNT; index++) {
        if (units[index].letter == letter) return units[index].seconds;
    }
    return 0;
}

/* Adds "12h" at `text` to the sum; NULL when there is none, or too much. A number that ends the whole text is seconds. */
static const char *duration_part(const char *text, bool first, uint64_t *sum_seconds) {
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0) return NULL;
    const bool plain = first && *end == '\0';
    const uint64_t unit = plain ? 1 : unit_seconds(*end);
    uint64_t part_seconds;
    if (unit == 0 || __builtin_mul_overflow(number, unit, &part_seconds)) return NULL;
    if (__builtin_add_overflow(*sum_seconds, part_seconds, sum_seconds)) return NULL;
    return plain ? end : end + 1;
}

uint64_t value_duration_seconds(struct argp_state *state, const char *text, const char *what) {
    uint64_t seconds = 0;
    const char *at = text;
    do {
        at = duration_part(at, at == text, &seconds);
    } while (at != NULL && *at != '\0');
    if (at == NULL)
        argp_error(state, "%s is \"%s\"; a duration like 90s, 15m, 12h, 30d or 1d12h is needed", what, text);
    return seconds;
}

void value_duration_text(uint64_t seconds, char ret_text[VALUE_DURATION_BYTES]) {
    size_t index = 0;
    while (index < UNITS_COUNT - 1 && (seconds < units[index].seconds || seconds % units[index].seconds != 0)) index++;
    (void)snprintf(ret_text, VALUE_DURATION_BYTES, "%" PRIu64 "%c", seconds / units[index].seconds,
                   units[index].letter);
}

struct value_pair value_pair(struct argp_state *state, const char *text, const char *what) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        argp_error(state, "%s is \"%s\"; KEY=VALUE is needed", what, text);
        return (struct value_pair){.key.size = 0};
    }
    return (struct value_pair){.key = upb_StringView_FromDataAndSize(text, (size_t)(equals - text)),
                               .text = upb_StringView_FromString(equals + 1)};
}

struct value_expectation value_expectation(struct argp_state *state, const char *text, const char *what) {
    if (strcmp(text, "any") == 0) return (struct value_expectation){.exists = false};
    if (strcmp(text, "exists") == 0) return (struct value_expectation){.exists = true};
    if (strcmp(text, "new") == 0) return (struct value_expectation){.has_revision = true};
    return (struct value_expectation){.has_revision = true, .revision = common_number(state, text, what)};
}

struct value_place value_place(struct argp_state *state, const char *text, const char *what) {
    const char *at = strrchr(text, '@');
    if (at == NULL || at == text || at[1] == '\0') {
        argp_error(state, "%s is \"%s\"; a name, @ and where it is are needed", what, text);
        return (struct value_place){.place = ""};
    }
    return (struct value_place){.name = upb_StringView_FromDataAndSize(text, (size_t)(at - text)), .place = at + 1};
}
