#include "sdk/plugin/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 4096

void *arena_allocate(upb_Arena *arena, size_t size) {
    void *memory = upb_Arena_Malloc(arena, size);
    if (memory == NULL) {
        (void)fputs("protoc-gen-grpc-c: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

char *arena_format(upb_Arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = arena_allocate(arena, (size_t)size + 1);
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}

void writer_init(struct writer *writer, upb_Arena *arena) {
    *writer = (struct writer){.arena = arena, .capacity = CAPACITY_FIRST};
    writer->data = arena_allocate(arena, writer->capacity);
}

static void reserve(struct writer *writer, size_t size) {
    if (writer->size + size <= writer->capacity) return;
    while (writer->size + size > writer->capacity) writer->capacity *= 2;
    char *grown = arena_allocate(writer->arena, writer->capacity);
    memcpy(grown, writer->data, writer->size);
    writer->data = grown;
}

static void append(struct writer *writer, const char *data, size_t size) {
    reserve(writer, size);
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

void write_format(struct writer *writer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(writer, (size_t)size + 1);
    va_start(arguments, format);
    (void)vsnprintf(writer->data + writer->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    writer->size += (size_t)size;
}

/* A comment may hold what begins or ends one in C: a space between the two characters breaks it up. */
static void append_escaped(struct writer *writer, const char *data, size_t size) {
    for (size_t index = 0; index < size; index++) {
        append(writer, data + index, 1);
        const bool ends = index + 1 < size && data[index] == '*' && data[index + 1] == '/';
        const bool begins = index + 1 < size && data[index] == '/' && data[index + 1] == '*';
        if (ends || begins) append(writer, " ", 1);
    }
}

void write_comment(struct writer *writer, upb_StringView comment, const char *indent) {
    while (comment.size > 0 && comment.data[comment.size - 1] == '\n') comment.size--;
    if (comment.size == 0) return;
    const char *line = comment.data;
    const char *end = comment.data + comment.size;
    write_format(writer, "%s/**", indent);
    for (bool first = true; line <= end; first = false) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) stop = end;
        if (!first) write_format(writer, "\n%s *", indent);
        append_escaped(writer, line, (size_t)(stop - line));
        line = stop + 1;
    }
    write_format(writer, " */\n");
}

upb_StringView writer_text(const struct writer *writer) {
    return upb_StringView_FromDataAndSize(writer->data, writer->size);
}
