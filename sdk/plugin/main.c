/* protoc-gen-grpc-c: reads protoc's request, writes C. See names.h for the names and emit.h for what is made.
 *
 * Protocol: google/protobuf/compiler/plugin.proto. An error in the protos is an answer with its `error` set, which protoc
 * prints; the exit code is then 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/plugin/emit.h"
#include "sdk/plugin/model.h"
#include "sdk/plugin/writer.h"

/* A request holds every proto with its comments; nobody has had one near this. */
#define REQUEST_BYTES_MAX (256u << 20)

typedef google_protobuf_compiler_CodeGeneratorRequest plugin_request;
typedef google_protobuf_compiler_CodeGeneratorResponse plugin_response;

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

static void file_add(plugin_response *response, upb_Arena *arena, const char *name, const struct writer *writer) {
    google_protobuf_compiler_CodeGeneratorResponse_File *file =
        google_protobuf_compiler_CodeGeneratorResponse_add_file(response, arena);
    if (file == NULL) {
        (void)fputs("protoc-gen-grpc-c: out of memory\n", stderr);
        exit(1);
    }
    google_protobuf_compiler_CodeGeneratorResponse_File_set_name(file, upb_StringView_FromString(name));
    google_protobuf_compiler_CodeGeneratorResponse_File_set_content(file, writer_text(writer));
}

static void files_generate(const struct model *model, plugin_response *response) {
    for (size_t index = 0; index < model->files_count; index++) {
        const struct file *file = &model->files[index];
        if (!file->generate) continue;
        struct writer writer;
        writer_init(&writer, model->arena);
        emit_header(&writer, model, file);
        file_add(response, model->arena, arena_format(model->arena, "%s.grpc.h", file->stem), &writer);
        writer_init(&writer, model->arena);
        emit_source(&writer, model, file);
        file_add(response, model->arena, arena_format(model->arena, "%s.grpc.c", file->stem), &writer);
    }
}

static const char *generate(const plugin_request *request, upb_Arena *arena, plugin_response *response) {
    const upb_StringView parameter = google_protobuf_compiler_CodeGeneratorRequest_parameter(request);
    if (parameter.size > 0) {
        return arena_format(arena, "--grpc-c_opt=%.*s: there is no such option; the generator takes none",
                            (int)parameter.size, parameter.data);
    }
    struct model model;
    if (!model_build(request, arena, &model)) return model.error;
    files_generate(&model, response);
    return NULL;
}

int main(void) {
    upb_Arena *arena = upb_Arena_New();
    if (arena == NULL) return 1;
    size_t size = 0;
    const char *input = input_read(arena, &size);
    const plugin_request *request =
        input == NULL ? NULL : google_protobuf_compiler_CodeGeneratorRequest_parse(input, size, arena);
    if (request == NULL) {
        (void)fputs("protoc-gen-grpc-c: standard input is no CodeGeneratorRequest; protoc runs this program, as in\n"
                    "  protoc --grpc-c_out=DIR --upb_out=DIR orders.proto\n",
                    stderr);
        upb_Arena_Free(arena);
        return 1;
    }
    plugin_response *response = google_protobuf_compiler_CodeGeneratorResponse_new(arena);
    if (response == NULL) return 1;
    google_protobuf_compiler_CodeGeneratorResponse_set_supported_features(
        response, google_protobuf_compiler_CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL);
    const char *error = generate(request, arena, response);
    if (error != NULL) {
        google_protobuf_compiler_CodeGeneratorResponse_set_error(response, upb_StringView_FromString(error));
    }
    size_t output_size = 0;
    const char *output = google_protobuf_compiler_CodeGeneratorResponse_serialize(response, arena, &output_size);
    const bool written = output != NULL && fwrite(output, 1, output_size, stdout) == output_size && fflush(stdout) == 0;
    upb_Arena_Free(arena);
    return written ? 0 : 1;
}
