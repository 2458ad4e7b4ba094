#include "sdk/plugin/generator.h"

#include <stdio.h>
#include <stdlib.h>

#include "sdk/plugin/emit.h"
#include "sdk/plugin/model.h"
#include "sdk/plugin/options.h"
#include "sdk/plugin/writer.h"

typedef google_protobuf_compiler_CodeGeneratorRequest plugin_request;
typedef google_protobuf_compiler_CodeGeneratorResponse plugin_response;

static void file_add(plugin_response *response, upb_Arena *arena, const char *name, const struct writer *writer) {
    google_protobuf_compiler_CodeGeneratorResponse_File *file =
        google_protobuf_compiler_CodeGeneratorResponse_add_file(response, arena);
    if (file == NULL) arena_exhausted();
    google_protobuf_compiler_CodeGeneratorResponse_File_set_name(file, upb_StringView_FromString(name));
    google_protobuf_compiler_CodeGeneratorResponse_File_set_content(file, writer_text(writer));
}

static void files_generate(const struct model *model, const struct options *options, plugin_response *response) {
    for (size_t index = 0; index < model->files_count; index++) {
        const struct file *file = &model->files[index];
        if (!file->generate) continue;
        struct writer writer;
        writer_init(&writer, model->arena);
        emit_header(&writer, model, file, options);
        file_add(response, model->arena, arena_format(model->arena, "%s.grpc.h", file->stem), &writer);
        writer_init(&writer, model->arena);
        emit_source(&writer, model, file, options);
        file_add(response, model->arena, arena_format(model->arena, "%s.grpc.c", file->stem), &writer);
    }
}

static const char *generate(const plugin_request *request, upb_Arena *arena, plugin_response *response) {
    struct options options;
    const char *error =
        options_parse(google_protobuf_compiler_CodeGeneratorRequest_parameter(request), arena, &options);
    if (error != NULL) return error;
    struct model model;
    if (!model_build(request, arena, &model)) return model.error;
    files_generate(&model, &options, response);
    return NULL;
}

plugin_response *generator_run(const plugin_request *request, upb_Arena *arena) {
    plugin_response *response = google_protobuf_compiler_CodeGeneratorResponse_new(arena);
    if (response == NULL) arena_exhausted();
    google_protobuf_compiler_CodeGeneratorResponse_set_supported_features(
        response, google_protobuf_compiler_CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL);
    const char *error = generate(request, arena, response);
    if (error != NULL) {
        google_protobuf_compiler_CodeGeneratorResponse_set_error(response, upb_StringView_FromString(error));
    }
    return response;
}
