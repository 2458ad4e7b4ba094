#include "sdk/plugin/model.h"

#include <string.h>

#include "sdk/plugin/identifiers.h"
#include "sdk/plugin/names.h"
#include "sdk/plugin/writer.h"

/* The field of ServiceDescriptorProto that goes on the path of a method. */
#define PATH_SERVICE_METHOD 2

struct location {
    struct place place;
    upb_StringView comment;
};

static struct location location_find(const google_protobuf_FileDescriptorProto *file, const int32_t *path,
                                     size_t path_count) {
    struct location found = {{1, 1}, {NULL, 0}};
    const google_protobuf_SourceCodeInfo *info = google_protobuf_FileDescriptorProto_source_code_info(file);
    if (info == NULL) return found;
    size_t count;
    const google_protobuf_SourceCodeInfo_Location *const *all = google_protobuf_SourceCodeInfo_location(info, &count);
    for (size_t index = 0; index < count; index++) {
        size_t size;
        const int32_t *candidate = google_protobuf_SourceCodeInfo_Location_path(all[index], &size);
        if (size != path_count || (size > 0 && memcmp(candidate, path, size * sizeof *path) != 0)) continue;
        const int32_t *span = google_protobuf_SourceCodeInfo_Location_span(all[index], &size);
        if (size >= 3) found.place = (struct place){span[0] + 1, span[1] + 1};
        found.comment = google_protobuf_SourceCodeInfo_Location_leading_comments(all[index]);
        if (found.comment.size == 0)
            found.comment = google_protobuf_SourceCodeInfo_Location_trailing_comments(all[index]);
        return found;
    }
    return found;
}

struct place place_find(const struct file *file, const int32_t *path, size_t path_count) {
    return location_find(file->descriptor, path, path_count).place;
}

static const char *text_of(upb_Arena *arena, upb_StringView view) {
    return arena_format(arena, "%.*s", (int)view.size, view.data);
}

/* The file that declares a message: its full name begins with the file's package, and the rest is found among the
 * messages, nested ones included. */
static bool declares(const google_protobuf_DescriptorProto *const *messages, size_t count, const char *name) {
    const char *dot = strchr(name, '.');
    const size_t size = dot == NULL ? strlen(name) : (size_t)(dot - name);
    for (size_t index = 0; index < count; index++) {
        const upb_StringView candidate = google_protobuf_DescriptorProto_name(messages[index]);
        if (candidate.size != size || memcmp(candidate.data, name, size) != 0) continue;
        if (dot == NULL) return true;
        size_t nested_count;
        const google_protobuf_DescriptorProto *const *nested =
            google_protobuf_DescriptorProto_nested_type(messages[index], &nested_count);
        return declares(nested, nested_count, dot + 1);
    }
    return false;
}

static const char *declaring_file(const struct model *model, const char *type) {
    const char *name = type[0] == '.' ? type + 1 : type;
    for (size_t index = 0; index < model->files_count; index++) {
        const google_protobuf_FileDescriptorProto *file = model->files[index].descriptor;
        const upb_StringView package = google_protobuf_FileDescriptorProto_package(file);
        const char *rest = name;
        if (package.size > 0) {
            if (strncmp(name, package.data, package.size) != 0 || name[package.size] != '.') continue;
            rest = name + package.size + 1;
        }
        size_t count;
        const google_protobuf_DescriptorProto *const *messages =
            google_protobuf_FileDescriptorProto_message_type(file, &count);
        if (declares(messages, count, rest)) return model->files[index].name;
    }
    return NULL;
}

/* protoc gives types by their full names, with a dot in front. */
static bool is_type(const char *name) {
    return *name == '.' && name_is_full(name + 1);
}

static void method_build(struct model *model, const struct file *file, const struct service *service,
                         const google_protobuf_MethodDescriptorProto *source, const int32_t path[4],
                         struct method *ret_method) {
    upb_Arena *arena = model->arena;
    const struct location location = location_find(file->descriptor, path, 4);
    const char *request = text_of(arena, google_protobuf_MethodDescriptorProto_input_type(source));
    const char *response = text_of(arena, google_protobuf_MethodDescriptorProto_output_type(source));
    const google_protobuf_MethodOptions *options = google_protobuf_MethodDescriptorProto_options(source);
    const char *name = text_of(arena, google_protobuf_MethodDescriptorProto_name(source));
    *ret_method = (struct method){
        .name = name,
        .symbol = arena_format(arena, "%s_%s", service->symbol, name),
        .slot = name_slot(arena, name),
        .request = name_symbol(arena, request),
        .response = name_symbol(arena, response),
        .request_file = declaring_file(model, request),
        .response_file = declaring_file(model, response),
        .client_streams = google_protobuf_MethodDescriptorProto_client_streaming(source),
        .server_streams = google_protobuf_MethodDescriptorProto_server_streaming(source),
        .deprecated = service->deprecated || (options != NULL && google_protobuf_MethodOptions_deprecated(options)),
        .idempotency = options == NULL ? 0 : google_protobuf_MethodOptions_idempotency_level(options),
        .comment = location.comment,
        .place = location.place,
    };
    memcpy(ret_method->path, path, sizeof ret_method->path);
    if (!name_is_full(name) || strchr(name, '.') != NULL || !is_type(request) || !is_type(response)) {
        model->error = arena_format(arena, "%s:%d:%d: the method %s and its types have names that are none", file->name,
                                    location.place.line, location.place.column, name);
    } else if (ret_method->request_file == NULL || ret_method->response_file == NULL) {
        model->error = arena_format(
            arena, "%s:%d:%d: the type %s of the method %s is declared in none of the files that protoc gave",
            file->name, location.place.line, location.place.column,
            ret_method->request_file == NULL ? request : response, name);
    }
}

static bool is_deprecated(const google_protobuf_FileDescriptorProto *file,
                          const google_protobuf_ServiceDescriptorProto *service) {
    const google_protobuf_FileOptions *of_file = google_protobuf_FileDescriptorProto_options(file);
    const google_protobuf_ServiceOptions *of_service = google_protobuf_ServiceDescriptorProto_options(service);
    return (of_file != NULL && google_protobuf_FileOptions_deprecated(of_file)) ||
           (of_service != NULL && google_protobuf_ServiceOptions_deprecated(of_service));
}

static void service_build(struct model *model, const struct file *file, size_t index,
                          const google_protobuf_ServiceDescriptorProto *source, struct service *ret_service) {
    upb_Arena *arena = model->arena;
    const int32_t path[] = {PATH_FILE_SERVICE, (int32_t)index};
    const struct location location = location_find(file->descriptor, path, 2);
    const upb_StringView name = google_protobuf_ServiceDescriptorProto_name(source);
    const char *full_name = name_full(arena, google_protobuf_FileDescriptorProto_package(file->descriptor), name);
    size_t count;
    const google_protobuf_MethodDescriptorProto *const *methods =
        google_protobuf_ServiceDescriptorProto_method(source, &count);
    *ret_service = (struct service){.name = text_of(arena, name),
                                    .full_name = full_name,
                                    .symbol = name_symbol(arena, full_name),
                                    .methods = arena_allocate(arena, (count + 1) * sizeof(struct method)),
                                    .methods_count = count,
                                    .deprecated = is_deprecated(file->descriptor, source),
                                    .comment = location.comment,
                                    .place = location.place,
                                    .path = {PATH_FILE_SERVICE, (int32_t)index}};
    if (!name_is_full(full_name)) {
        model->error = arena_format(arena, "%s:%d:%d: the service %s has a name that is none", file->name,
                                    location.place.line, location.place.column, full_name);
    }
    for (size_t method = 0; method < count && model->error == NULL; method++) {
        const int32_t method_path[] = {PATH_FILE_SERVICE, (int32_t)index, PATH_SERVICE_METHOD, (int32_t)method};
        method_build(model, file, ret_service, methods[method], method_path, &ret_service->methods[method]);
    }
}

static const struct file *file_find(const struct model *model, upb_StringView name) {
    for (size_t index = 0; index < model->files_count; index++) {
        const char *candidate = model->files[index].name;
        if (strlen(candidate) == name.size && memcmp(candidate, name.data, name.size) == 0) return &model->files[index];
    }
    return NULL;
}

/* protoc gives each file after what it imports: an import is looked for before it, and cannot lead back. */
static void imports_build(struct model *model, struct file *file) {
    size_t count;
    const upb_StringView *names = google_protobuf_FileDescriptorProto_dependency(file->descriptor, &count);
    file->imports = arena_allocate(model->arena, (count + 1) * sizeof *file->imports);
    file->imports_count = 0;
    for (size_t index = 0; index < count; index++) {
        const struct file *import = file_find(model, names[index]);
        if (import == NULL || import >= file) {
            const int32_t path[] = {PATH_FILE_IMPORT, (int32_t)index};
            const struct place place = place_find(file, path, 2);
            model->error =
                arena_format(model->arena, "%s:%d:%d: imports \"%.*s\", which protoc did not give before it",
                             file->name, place.line, place.column, (int)names[index].size, names[index].data);
            return;
        }
        file->imports[file->imports_count++] = import;
    }
}

#define FILE_NAME_RULE                                                                                                 \
    "upb's generator makes C of the name of a file; it has letters, digits, '_', '.' and '/' only, begins with no "    \
    "digit and has its extension in its last part"

/* The names of all files that are compiled together with those that are to be generated. */
static void file_names_check(struct model *model) {
    bool *needed = arena_allocate(model->arena, (model->files_count + 1) * sizeof *needed);
    for (size_t index = 0; index < model->files_count; index++) needed[index] = model->files[index].generate;
    for (size_t index = model->files_count; index-- > 0;) {
        const struct file *file = &model->files[index];
        if (!needed[index]) continue;
        if (file->generate && !name_is_file(file->name)) {
            model->error = arena_format(model->arena, "%s:1:1: " FILE_NAME_RULE, file->name);
            return;
        }
        for (size_t import = 0; import < file->imports_count; import++) {
            needed[file->imports[import] - model->files] = true;
            if (name_is_file(file->imports[import]->name)) continue;
            const int32_t path[] = {PATH_FILE_IMPORT, (int32_t)import};
            const struct place place = place_find(file, path, 2);
            model->error = arena_format(model->arena, "%s:%d:%d: imports \"%s\"; " FILE_NAME_RULE, file->name,
                                        place.line, place.column, file->imports[import]->name);
            return;
        }
    }
}

static void services_build(struct model *model, struct file *file) {
    size_t count;
    const google_protobuf_ServiceDescriptorProto *const *sources =
        google_protobuf_FileDescriptorProto_service(file->descriptor, &count);
    file->services = arena_allocate(model->arena, (count + 1) * sizeof *file->services);
    file->services_count = count;
    for (size_t index = 0; index < count && model->error == NULL; index++) {
        service_build(model, file, index, sources[index], &file->services[index]);
    }
}

bool model_build(const google_protobuf_compiler_CodeGeneratorRequest *request, upb_Arena *arena,
                 struct model *ret_model) {
    struct model *model = ret_model;
    *model = (struct model){.arena = arena};
    const google_protobuf_FileDescriptorProto *const *files =
        google_protobuf_compiler_CodeGeneratorRequest_proto_file(request, &model->files_count);
    model->files = arena_allocate(arena, (model->files_count + 1) * sizeof *model->files);
    for (size_t index = 0; index < model->files_count; index++) {
        const char *name = text_of(arena, google_protobuf_FileDescriptorProto_name(files[index]));
        model->files[index] = (struct file){.name = name, .stem = name_stem(arena, name), .descriptor = files[index]};
    }
    size_t wanted_count;
    const upb_StringView *wanted =
        google_protobuf_compiler_CodeGeneratorRequest_file_to_generate(request, &wanted_count);
    for (size_t index = 0; index < wanted_count; index++) {
        struct file *file = (struct file *)(uintptr_t)file_find(model, wanted[index]);
        if (file == NULL) {
            model->error = arena_format(arena, "%.*s:1:1: is to be generated, but protoc did not give it",
                                        (int)wanted[index].size, wanted[index].data);
            return false;
        }
        file->generate = true;
    }
    for (size_t index = 0; index < model->files_count && model->error == NULL; index++) {
        imports_build(model, &model->files[index]);
    }
    if (model->error == NULL) file_names_check(model);
    for (size_t index = 0; index < model->files_count && model->error == NULL; index++) {
        services_build(model, &model->files[index]);
    }
    if (model->error == NULL) model->error = identifiers_check(model);
    return model->error == NULL;
}
