#include "sdk/plugin/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 4096

void arena_exhausted(void) {
    (void)fputs("protoc-gen-grpc-c: out of memory\n", stderr);
    exit(1);
}

void *arena_allocate(upb_Arena *arena, size_t size) {
    void *memory = upb_Arena_Malloc(arena, size);
    if (memory == NULL) arena_exhausted();
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

void write_bytes(struct writer *writer, const char *data, size_t size) {
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

upb_StringView writer_text(const struct writer *writer) {
    return upb_StringView_FromDataAndSize(writer->data, writer->size);
}
