/* protoc-gen-grpc-c: reads protoc's request, writes C. See names.h for the names and emit.h for what is made. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sdk/plugin/emit.h"
#include "sdk/plugin/generator.h"
#include "sdk/plugin/options.h"
#include "sdk/plugin/writer.h"

/* A request holds every proto with its comments; nobody has had one near this. */
#define REQUEST_BYTES_MAX (256u << 20)

static const char usage[] =
    "protoc-gen-grpc-c writes gRPC clients and servers in C. protoc runs it:\n"
    "  protoc --grpc-c_out=DIR --upb_out=DIR orders.proto\n"
    "with protoc-gen-grpc-c and protoc-gen-upb, which writes the messages, on the PATH or named by --plugin=FILE.\n"
    "Options, as --grpc-c_opt=NAME=VALUE, several with commas between:\n";

static char *input_read(upb_Arena *arena, size_t *ret_size) {
    size_t capacity = 1u << 16;
    size_t size = 0;
    char *data = arena_allocate(arena, capacity);
    for (;;) {
        size += fread(data + size, 1, capacity - size, stdin);
        if (size < capacity) break;
        if (capacity >= REQUEST_BYTES_MAX) return NULL;
        char *grown = arena_allocate(arena, capacity * 2);
        memcpy(grown, data, size);
        data = grown;
        capacity *= 2;
    }
    *ret_size = size;
    return ferror(stdin) ? NULL : data;
}

/* Without arguments only: protoc gives none. */
static int answer(upb_Arena *arena) {
    size_t size = 0;
    const char *input = input_read(arena, &size);
    const google_protobuf_compiler_CodeGeneratorRequest *request =
        input == NULL ? NULL : google_protobuf_compiler_CodeGeneratorRequest_parse(input, size, arena);
    if (request == NULL) {
        (void)fputs("protoc-gen-grpc-c: standard input is no CodeGeneratorRequest; protoc runs this program, as in\n"
                    "  protoc --grpc-c_out=DIR --upb_out=DIR orders.proto\n",
                    stderr);
        return 1;
    }
    const google_protobuf_compiler_CodeGeneratorResponse *response = generator_run(request, arena);
    const char *output = google_protobuf_compiler_CodeGeneratorResponse_serialize(response, arena, &size);
    return output != NULL && fwrite(output, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : 1;
}

static int explain(FILE *stream, int code) {
    (void)fprintf(stream, "%s%s", usage, options_help);
    return fflush(stream) == 0 ? code : 1;
}

int main(int arguments_count, char **arguments) {
    if (arguments_count == 2 && strcmp(arguments[1], "--help") == 0) return explain(stdout, 0);
    if (arguments_count == 2 && strcmp(arguments[1], "--version") == 0) {
        return printf("protoc-gen-grpc-c %s\n", plugin_version) > 0 && fflush(stdout) == 0 ? 0 : 1;
    }
    if (arguments_count > 1 || isatty(STDIN_FILENO)) return explain(stderr, 2);
    upb_Arena *arena = upb_Arena_New();
    if (arena == NULL) arena_exhausted();
    const int code = answer(arena);
    upb_Arena_Free(arena);
    return code;
}
