#include <string.h>

#include "sdk/plugin/emit.h"
#include "sdk/plugin/names.h"

#define BYTES_PER_LINE 20

static void emit_trampoline(struct writer *writer, const struct service *service, const struct method *method) {
    const bool streams = method->client_streams || method->server_streams;
    write_format(writer,
                 "static bool %s_dispatch(const void *handlers, void *context, %s, const void *request) {\n"
                 "  const %s_handlers *typed = (const %s_handlers *)handlers;\n"
                 "  if (typed->%s == NULL) return false;\n",
                 method->symbol, streams ? "daybook_server_stream *stream" : "daybook_server_call *call",
                 service->symbol, service->symbol, method->slot);
    if (method->client_streams) {
        write_format(writer, "  (void)request;\n  typed->%s(context, stream);\n", method->slot);
    } else {
        write_format(writer, "  typed->%s(context, %s, (const %s *)request);\n", method->slot,
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

static void emit_methods(struct writer *writer, const struct service *service) {
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
        write_format(writer, streams ? "    NULL,\n    %s_dispatch,\n  },\n" : "    %s_dispatch,\n    NULL,\n  },\n",
                     method->symbol);
    }
    write_format(writer, "};\n\n");
}

/* The descriptor as it is served by reflection: without comments and positions, which nobody asks a server for. */
static upb_StringView descriptor_encode(const struct model *model, const struct file *file) {
    size_t size;
    const char *whole = google_protobuf_FileDescriptorProto_serialize(file->descriptor, model->arena, &size);
    google_protobuf_FileDescriptorProto *copy =
        whole == NULL ? NULL : google_protobuf_FileDescriptorProto_parse(whole, size, model->arena);
    if (copy == NULL) return upb_StringView_FromDataAndSize(NULL, 0);
    google_protobuf_FileDescriptorProto_clear_source_code_info(copy);
    const char *stripped = google_protobuf_FileDescriptorProto_serialize(copy, model->arena, &size);
    return upb_StringView_FromDataAndSize(stripped, stripped == NULL ? 0 : size);
}

static void emit_descriptor(struct writer *writer, const struct model *model, const struct file *file) {
    const upb_StringView bytes = descriptor_encode(model, file);
    const char *identifier = name_identifier(model->arena, file->name);
    write_format(writer, "static const uint8_t %s_data[] = {", identifier);
    for (size_t index = 0; index < bytes.size; index++) {
        if (index % BYTES_PER_LINE == 0) write_format(writer, "\n ");
        write_format(writer, " %u,", (unsigned)(unsigned char)bytes.data[index]);
    }
    write_format(writer,
                 "\n};\n"
                 "static const daybook_file %s_file = {\"%s\", %s_data, sizeof %s_data};\n\n",
                 identifier, file->name, identifier, identifier);
}

static void closure_mark(const struct model *model, const struct file *file, bool *marks) {
    const size_t index = (size_t)(file - model->files);
    if (marks[index]) return;
    marks[index] = true;
    for (size_t import = 0; import < file->imports_count; import++) closure_mark(model, file->imports[import], marks);
}

/* The proto and everything that it imports, each after what it imports, as protoc orders them. */
static size_t emit_files(struct writer *writer, const struct model *model, const struct file *file) {
    bool *marks = arena_allocate(model->arena, model->files_count * sizeof *marks);
    memset(marks, 0, model->files_count * sizeof *marks);
    closure_mark(model, file, marks);
    size_t count = 0;
    for (size_t index = 0; index < model->files_count; index++) {
        if (marks[index]) emit_descriptor(writer, model, &model->files[index]);
    }
    write_format(writer, "static const daybook_file *const files[] = {\n");
    for (size_t index = 0; index < model->files_count; index++) {
        if (!marks[index]) continue;
        write_format(writer, "  &%s_file,\n", name_identifier(model->arena, model->files[index].name));
        count++;
    }
    write_format(writer, "};\n\n");
    return count;
}

static void emit_service(struct writer *writer, const struct service *service, size_t files_count) {
    for (size_t index = 0; index < service->methods_count; index++) {
        emit_trampoline(writer, service, &service->methods[index]);
    }
    emit_methods(writer, service);
    if (service->methods_count > 0) {
        write_format(writer, "const daybook_service %s_service = {\"%s\", %s_methods, %zu, files, %zu};\n\n",
                     service->symbol, service->full_name, service->symbol, service->methods_count, files_count);
    } else {
        write_format(writer, "const daybook_service %s_service = {\"%s\", NULL, 0, files, %zu};\n\n", service->symbol,
                     service->full_name, files_count);
    }
}

void emit_source(struct writer *writer, const struct model *model, const struct file *file) {
    emit_banner(writer, file);
    write_format(writer, "#include \"%s.grpc.h\"\n", file->stem);
    if (file->services_count == 0) return;
    write_format(writer, "\n#include <stddef.h>\n#include <stdint.h>\n\n");
    const size_t files_count = emit_files(writer, model, file);
    for (size_t index = 0; index < file->services_count; index++) {
        emit_service(writer, &file->services[index], files_count);
    }
}
