#include <stdio.h>
#include <stdlib.h>

#include "sdk/plugin/emit.h"
#include "sdk/plugin/names.h"

#define BYTES_PER_LINE 20

static void emit_trampoline(struct writer *writer, const struct service *service, const struct method *method) {
    const bool streams = method->client_streams || method->server_streams;
    write_format(writer,
                 "static bool %s_dispatch(const void *handlers, void *context, %s, const void *request) {\n"
                 "  const %s_handlers *typed = DAYBOOK__CAST(const %s_handlers *, handlers);\n"
                 "  if (typed->%s == NULL) return false;\n",
                 method->symbol, streams ? "daybook_server_stream *stream" : "daybook_server_call *call",
                 service->symbol, service->symbol, method->slot);
    if (method->client_streams) {
        write_format(writer, "  (void)request;\n  typed->%s(context, stream);\n", method->slot);
    } else {
        write_format(writer, "  typed->%s(context, %s, DAYBOOK__CAST(const %s *, request));\n", method->slot,
                     streams ? "stream" : "call", method->request);
    }
    write_format(writer, "  return true;\n}\n\n");
}

static const char *kind_name(const struct method *method) {
    if (method->client_streams) {
        return method->server_streams ? "DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING" : "DAYBOOK_METHOD_CLIENT_STREAMING";
    }
    return method->server_streams ? "DAYBOOK_METHOD_SERVER_STREAMING" : "DAYBOOK_METHOD_UNARY";
}

static const char *idempotency_name(const struct method *method) {
    switch (method->idempotency) {
    case google_protobuf_MethodOptions_NO_SIDE_EFFECTS:
        return "DAYBOOK_IDEMPOTENCY_NO_SIDE_EFFECTS";
    case google_protobuf_MethodOptions_IDEMPOTENT:
        return "DAYBOOK_IDEMPOTENCY_IDEMPOTENT";
    default:
        return "DAYBOOK_IDEMPOTENCY_UNKNOWN";
    }
}

static void emit_methods(struct writer *writer, const struct service *service, const struct options *options) {
    if (service->methods_count == 0) return;
    write_format(writer, "const daybook_method %s_methods[%zu] = {\n", service->symbol, service->methods_count);
    for (size_t index = 0; index < service->methods_count; index++) {
        const struct method *method = &service->methods[index];
        const bool streams = method->client_streams || method->server_streams;
        write_format(writer,
                     "  {\n"
                     "    \"%s\",\n"
                     "    \"/%s/%s\",\n"
                     "    %s,\n"
                     "    %s,\n"
                     "    &%s_msginit,\n"
                     "    &%s_msginit,\n",
                     method->name, service->full_name, method->name, kind_name(method), idempotency_name(method),
                     method->request, method->response);
        if (!options->server)
            write_format(writer, "    NULL,\n    NULL,\n  },\n");
        else if (streams)
            write_format(writer, "    NULL,\n    %s_dispatch,\n  },\n", method->symbol);
        else
            write_format(writer, "    %s_dispatch,\n    NULL,\n  },\n", method->symbol);
    }
    write_format(writer, "};\n\n");
}

/* The descriptor as it is served by reflection: without comments and positions, which nobody asks a server for. */
static upb_StringView descriptor_encode(const struct model *model, const struct file *file) {
    size_t size = 0;
    const char *whole = google_protobuf_FileDescriptorProto_serialize(file->descriptor, model->arena, &size);
    google_protobuf_FileDescriptorProto *copy =
        whole == NULL ? NULL : google_protobuf_FileDescriptorProto_parse(whole, size, model->arena);
    if (copy != NULL) google_protobuf_FileDescriptorProto_clear_source_code_info(copy);
    const char *stripped =
        copy == NULL ? NULL : google_protobuf_FileDescriptorProto_serialize(copy, model->arena, &size);
    if (stripped == NULL) {
        (void)fprintf(stderr, "protoc-gen-grpc-c: the descriptor of %s cannot be encoded\n", file->name);
        exit(1);
    }
    return upb_StringView_FromDataAndSize(stripped, size);
}

/* File-local names are numbered, in the runtime's own namespace: nothing of a proto can clash with them. */
static void emit_descriptor(struct writer *writer, const struct model *model, const struct file *file, size_t number) {
    const upb_StringView bytes = descriptor_encode(model, file);
    write_format(writer, "static const uint8_t daybook__descriptor_%zu[] = {", number);
    for (size_t at = 0; at < bytes.size; at++) {
        if (at % BYTES_PER_LINE == 0) write_format(writer, "\n ");
        write_format(writer, " %u,", (unsigned)(unsigned char)bytes.data[at]);
    }
    write_format(writer,
                 "\n};\n"
                 "static const daybook_file daybook__file_%zu = {\n"
                 "  \"%s\", daybook__descriptor_%zu, sizeof daybook__descriptor_%zu};\n\n",
                 number, file->name, number, number);
}

/* A proto and everything that it imports, each after what it imports. */
struct closure {
    const struct file **files;
    size_t count;
};

static void closure_add(struct closure *closure, const struct file *file) {
    for (size_t index = 0; index < closure->count; index++) {
        if (closure->files[index] == file) return;
    }
    for (size_t import = 0; import < file->imports_count; import++) closure_add(closure, file->imports[import]);
    closure->files[closure->count++] = file;
}

/* The order is that of the imports, whatever else protoc was asked for: the output depends on the proto alone. */
static size_t emit_files(struct writer *writer, const struct model *model, const struct file *file) {
    struct closure closure = {.files = arena_allocate(model->arena, model->files_count * sizeof *closure.files)};
    closure_add(&closure, file);
    for (size_t number = 0; number < closure.count; number++) {
        emit_descriptor(writer, model, closure.files[number], number);
    }
    write_format(writer, "static const daybook_file *const daybook__files[] = {\n");
    for (size_t number = 0; number < closure.count; number++) {
        write_format(writer, "  &daybook__file_%zu,\n", number);
    }
    write_format(writer, "};\n\n");
    return closure.count;
}

static void emit_table(struct writer *writer, const struct service *service, size_t files_count) {
    write_format(writer, "const daybook_service %s_service = {\"%s\", ", service->symbol, service->full_name);
    if (service->methods_count > 0)
        write_format(writer, "%s_methods, %zu, ", service->symbol, service->methods_count);
    else
        write_format(writer, "NULL, 0, ");
    write_format(writer, files_count > 0 ? "daybook__files, %zu};\n\n" : "NULL, %zu};\n\n", files_count);
}

void emit_source(struct writer *writer, const struct model *model, const struct file *file,
                 const struct options *options) {
    emit_banner(writer, file);
    emit_include(writer, model, options, file->name, "grpc");
    if (file->services_count == 0) return;
    write_format(writer, "\n#include <stddef.h>\n#include <stdint.h>\n\n");
    const bool described = options->server && options->descriptors;
    const size_t files_count = described ? emit_files(writer, model, file) : 0;
    for (size_t index = 0; index < file->services_count; index++) {
        const struct service *service = &file->services[index];
        for (size_t method = 0; options->server && method < service->methods_count; method++) {
            emit_trampoline(writer, service, &service->methods[method]);
        }
        emit_methods(writer, service, options);
        if (options->server) emit_table(writer, service, files_count);
    }
}
