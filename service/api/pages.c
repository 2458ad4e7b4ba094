#include "service/api/pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/limits.h"

/* The part before the colon: the list's name and two numbers. */
#define HEAD_BYTES_MAX 80

uint32_t page_size_of(uint32_t asked) {
    if (asked == 0) return PAGE_SIZE_DEFAULT;
    return asked < PAGE_SIZE_MAX ? asked : PAGE_SIZE_MAX;
}

static struct bytes token_refuse(struct validation *validation) {
    const struct field field = field_of(NULL, "page_token");
    violation_add(validation, REASON_INVALID_FIELD, &field,
                  "is not of this list; the next_page_token of its last response is needed, or nothing");
    return bytes_of(NULL, 0);
}

/* Joins what is before the colon and what is behind it; empty without memory. */
static upb_StringView token_join(const char *head, struct bytes rest, upb_Arena *arena) {
    const size_t head_size = strlen(head);
    const size_t size = head_size + 1 + rest.size;
    char *token = upb_Arena_Malloc(arena, size);
    if (token == NULL) return upb_StringView_FromDataAndSize(NULL, 0);
    memcpy(token, head, head_size);
    token[head_size] = ':';
    if (rest.size > 0) memcpy(token + head_size + 1, rest.data, rest.size);
    return upb_StringView_FromDataAndSize(token, size);
}

struct bytes page_after(struct validation *validation, const char *list, upb_StringView token) {
    const size_t prefix_size = strlen(list) + 1;
    if (token.size == 0) return bytes_of(NULL, 0);
    const bool is_of_list = token.size > prefix_size && token.size <= prefix_size + NAME_BYTES_MAX &&
                            memcmp(token.data, list, prefix_size - 1) == 0 && token.data[prefix_size - 1] == ':';
    if (is_of_list) return bytes_of(token.data + prefix_size, token.size - prefix_size);
    return token_refuse(validation);
}

struct bytes page_after_prefix(struct validation *validation, const char *list, struct bytes prefix,
                               upb_StringView token) {
    char head[HEAD_BYTES_MAX];
    (void)snprintf(head, sizeof head, "%s/%zu", list, prefix.size);
    const struct bytes after = page_after(validation, head, token);
    if (after.size == 0 || bytes_begin_with(after, prefix)) return after;
    return token_refuse(validation);
}

upb_StringView page_token_new(const char *list, struct bytes last, upb_Arena *arena) {
    return token_join(list, last, arena);
}

upb_StringView page_token_of_prefix(const char *list, struct bytes prefix, struct bytes last, upb_Arena *arena) {
    char head[HEAD_BYTES_MAX];
    (void)snprintf(head, sizeof head, "%s/%zu", list, prefix.size);
    return token_join(head, last, arena);
}

static void place_head(const char *list, struct page_place place, char ret_head[HEAD_BYTES_MAX]) {
    (void)snprintf(ret_head, HEAD_BYTES_MAX, "%s@%" PRIu64 "/%" PRIu64, list, place.head, place.next);
}

/* Reads the two numbers; what they are written as is compared afterwards. */
static struct page_place place_read(const char *list, upb_StringView token) {
    char text[HEAD_BYTES_MAX] = {0};
    const size_t list_size = strlen(list) + 1;
    if (token.size <= list_size) return (struct page_place){0};
    const size_t size = token.size - list_size;
    memcpy(text, token.data + list_size, size < sizeof text ? size : sizeof text - 1);
    char *end = text;
    struct page_place place = {.head = strtoull(text, &end, 10)};
    if (*end == '/') place.next = strtoull(end + 1, &end, 10);
    return place;
}

struct page_place page_place_of(struct validation *validation, const char *list, struct bytes prefix,
                                upb_StringView token) {
    if (token.size == 0) return (struct page_place){0};
    const struct page_place place = place_read(list, token);
    char head[HEAD_BYTES_MAX];
    place_head(list, place, head);
    const size_t head_size = strlen(head);
    const bool is_of_list = place.next > 0 && place.next <= place.head && token.size == head_size + 1 + prefix.size &&
                            memcmp(token.data, head, head_size) == 0 && token.data[head_size] == ':' &&
                            bytes_equal(bytes_of(token.data + head_size + 1, prefix.size), prefix);
    if (is_of_list) return place;
    (void)token_refuse(validation);
    return (struct page_place){0};
}

upb_StringView page_token_of_place(const char *list, struct bytes prefix, struct page_place place, upb_Arena *arena) {
    char head[HEAD_BYTES_MAX];
    place_head(list, place, head);
    return token_join(head, prefix, arena);
}
