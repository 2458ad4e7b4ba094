#include "sdk/cli/clause_text.h"

#include <string.h>

typedef bool clause_add(daybook_v1_Clause *clause, upb_StringView name, upb_Arena *arena);

static const struct {
    const char *key;
    clause_add *add;
} keys[] = {
    {"type", daybook_v1_Clause_add_types},
    {"type-prefix", daybook_v1_Clause_add_type_prefixes},
    {"tag", daybook_v1_Clause_add_tags},
    {"stream", daybook_v1_Clause_add_streams},
    {"stream-prefix", daybook_v1_Clause_add_stream_prefixes},
};

static clause_add *key_find(const char *key, size_t size) {
    for (size_t index = 0; index < sizeof keys / sizeof keys[0]; index++) {
        if (strlen(keys[index].key) == size && memcmp(keys[index].key, key, size) == 0) return keys[index].add;
    }
    return NULL;
}

/* Copies the text up to a ',' or the end without its escapes. NULL when an escape ends the text. */
static const char *text_copy(const char *text, char *target, size_t *ret_size) {
    size_t size = 0;
    const char *at = text;
    for (; *at != '\0' && *at != ','; at++) {
        if (*at == '\\') at++;
        if (*at == '\0') return NULL;
        target[size++] = *at;
    }
    *ret_size = size;
    return at;
}

const char *clause_parse(const char *text, daybook_v1_Clause *clause, upb_Arena *arena) {
    const char *at = text;
    for (;;) {
        const size_t key_size = strcspn(at, "=,\\");
        clause_add *add = key_find(at, key_size);
        if (add == NULL || at[key_size] != '=') {
            return "KEY=TEXT is needed, where KEY is type, tag, stream, type-prefix or stream-prefix; a ',' in a text "
                   "is \"\\,\"";
        }
        at += key_size + 1;
        char *name = upb_Arena_Malloc(arena, strlen(at) + 1);
        if (name == NULL) return "out of memory";
        size_t size;
        at = text_copy(at, name, &size);
        if (at == NULL) return "a '\\' at the end escapes nothing; a '\\' in a text is \"\\\\\"";
        if (size == 0) return "a text is empty";
        if (!add(clause, upb_StringView_FromDataAndSize(name, size), arena)) return "out of memory";
        if (*at == '\0') return NULL;
        at++;
    }
}
