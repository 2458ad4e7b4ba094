#include "service/api/pages.h"

#include <string.h>

#include "service/base/limits.h"

uint32_t page_size_of(uint32_t asked) {
    if (asked == 0) return PAGE_SIZE_DEFAULT;
    return asked < PAGE_SIZE_MAX ? asked : PAGE_SIZE_MAX;
}

struct bytes page_after(struct validation *validation, const char *list, upb_StringView token) {
    const size_t prefix_size = strlen(list) + 1;
    if (token.size == 0) return bytes_of(NULL, 0);
    const bool is_of_list = token.size > prefix_size && token.size <= prefix_size + NAME_BYTES_MAX &&
                            memcmp(token.data, list, prefix_size - 1) == 0 && token.data[prefix_size - 1] == ':';
    if (is_of_list) return bytes_of(token.data + prefix_size, token.size - prefix_size);
    const struct field field = field_of(NULL, "page_token");
    violation_add(validation, REASON_INVALID_FIELD, &field,
                  "is not of this list; the next_page_token of its last response is needed, or nothing");
    return bytes_of(NULL, 0);
}

upb_StringView page_token_new(const char *list, struct bytes last, upb_Arena *arena) {
    const size_t list_size = strlen(list);
    const size_t size = list_size + 1 + last.size;
    char *token = upb_Arena_Malloc(arena, size);
    if (token == NULL) return upb_StringView_FromDataAndSize(NULL, 0);
    memcpy(token, list, list_size);
    token[list_size] = ':';
    memcpy(token + list_size + 1, last.data, last.size);
    return upb_StringView_FromDataAndSize(token, size);
}
