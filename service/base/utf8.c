#include "service/base/utf8.h"

#include <stddef.h>
#include <stdint.h>

/* What may follow a first byte: how many bytes, and the range of the second; all further ones are 0x80 to 0xbf. */
struct form {
    uint8_t first_min;
    uint8_t first_max;
    uint8_t size;
    uint8_t second_min;
    uint8_t second_max;
};

static const struct form forms[] = {
    {0x00, 0x7f, 1, 0x00, 0x00}, {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct form *form_of(uint8_t first) {
    for (size_t index = 0; index < sizeof forms / sizeof forms[0]; index++) {
        if (first >= forms[index].first_min && first <= forms[index].first_max) return &forms[index];
    }
    return NULL;
}

/* The size of the character at `at`, 0 when there is none. */
static size_t character_size(const uint8_t *at, const uint8_t *end) {
    const struct form *form = form_of(*at);
    if (form == NULL || form->size > end - at) return 0;
    if (form->size > 1 && (at[1] < form->second_min || at[1] > form->second_max)) return 0;
    for (size_t index = 2; index < form->size; index++) {
        if ((at[index] & 0xc0) != 0x80) return 0;
    }
    return form->size;
}

bool utf8_is_valid(struct bytes text) {
    const uint8_t *end = bytes_end(text);
    for (const uint8_t *at = text.data; at != end;) {
        const size_t size = *at < 0x80 ? 1 : character_size(at, end);
        if (size == 0) return false;
        at += size;
    }
    return true;
}
