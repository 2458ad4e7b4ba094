/* writer.h: text that grows.
 *
 * Ownership: the arena's; the text lives as long as it. Without memory the generator ends: it is a short-lived program.
 * Threads: one. */
#ifndef SDK_PLUGIN_WRITER_H
#define SDK_PLUGIN_WRITER_H

#include <stddef.h>

#include "upb/upb.h"

struct writer {
    upb_Arena *arena;
    char *data;
    size_t size;
    size_t capacity;
};

void writer_init(struct writer *writer, upb_Arena *arena);

/* Appends formatted text. */
void write_format(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes as they are. */
void write_bytes(struct writer *writer, const char *data, size_t size);

upb_StringView writer_text(const struct writer *writer);

/* Ends the program: there is no memory. */
_Noreturn void arena_exhausted(void);

/* Allocates from an arena or ends the program with a message. */
void *arena_allocate(upb_Arena *arena, size_t size);

/* A formatted text in the arena. */
char *arena_format(upb_Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
