/* bytes.h: a view of bytes that somebody else owns.
 *
 * Ownership: none; the owner is named where a view is handed over. Threads: plain data. */
#ifndef SERVICE_BASE_BYTES_H
#define SERVICE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size) {
    return (struct bytes){.data = (const uint8_t *)data, .size = size};
}

/* The bytes of a terminated string, without its end. */
static inline struct bytes bytes_of_text(const char *text) {
    return bytes_of(text, strlen(text));
}

/* The first byte after them. NULL plus nothing is undefined in C before C2y. */
static inline const uint8_t *bytes_end(struct bytes bytes) {
    return bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
}

static inline bool bytes_equal(struct bytes left, struct bytes right) {
    return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static inline bool bytes_begin_with(struct bytes whole, struct bytes prefix) {
    return whole.size >= prefix.size && (prefix.size == 0 || memcmp(whole.data, prefix.data, prefix.size) == 0);
}

#endif
