/* reflection_files.c: no index is kept: a server has a few dozen files, and who asks for one is a person with a tool. */
#include "sdk/runtime/reflection_files.h"

#include <stdlib.h>
#include <string.h>

#include "upb/decode.h"

static bool is_equal(upb_StringView left, upb_StringView right) {
    return upb_StringView_IsEqual(left, right);
}

/* Whether `symbol` is below `scope`; the rest after the dot then. Everything is below the scope "". */
static bool is_below(upb_StringView symbol, upb_StringView scope, upb_StringView *ret_rest) {
    if (scope.size == 0) {
        *ret_rest = symbol;
        return true;
    }
    if (symbol.size <= scope.size || symbol.data[scope.size] != '.') return false;
    if (memcmp(symbol.data, scope.data, scope.size) != 0) return false;
    *ret_rest = upb_StringView_FromDataAndSize(symbol.data + scope.size + 1, symbol.size - scope.size - 1);
    return true;
}

/* --- Open --------------------------------------------------------------------------------------------------------- */

static bool add_file(struct reflection_files *files, const daybook_file *file, daybook_status *ret_status) {
    if (daybook__reflection_files_find_name(files, upb_StringView_FromString(file->name)) != NULL) return true;
    google_protobuf_FileDescriptorProto *proto = google_protobuf_FileDescriptorProto_new(files->arena);
    const upb_DecodeStatus decoded = proto == NULL ? kUpb_DecodeStatus_OutOfMemory
                                                   : upb_Decode((const char *)file->data, file->size, proto,
                                                                &google_protobuf_FileDescriptorProto_msginit, NULL,
                                                                kUpb_DecodeOption_AliasString, files->arena);
    if (decoded != kUpb_DecodeStatus_Ok) {
        const daybook_code code =
            decoded == kUpb_DecodeStatus_OutOfMemory ? DAYBOOK_RESOURCE_EXHAUSTED : DAYBOOK_INTERNAL;
        daybook_status_set(ret_status, code, "the descriptor of %s cannot be read", file->name);
        return false;
    }
    files->items[files->count++] = (struct reflection_file){.file = file, .proto = proto};
    return true;
}

bool daybook__reflection_files_open(struct reflection_files *files, const daybook_service *const *services,
                                    size_t services_count, daybook_status *ret_status) {
    size_t count_max = 0;
    for (size_t i = 0; i < services_count; i++) count_max += services[i]->files_count;
    files->arena = upb_Arena_New();
    files->items = calloc(count_max + 1, sizeof *files->items);
    if (files->arena == NULL || files->items == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server's descriptors");
        daybook__reflection_files_close(files);
        return false;
    }
    for (size_t i = 0; i < services_count; i++) {
        for (size_t j = 0; j < services[i]->files_count; j++) {
            if (!add_file(files, services[i]->files[j], ret_status)) {
                daybook__reflection_files_close(files);
                return false;
            }
        }
    }
    return true;
}

void daybook__reflection_files_close(struct reflection_files *files) {
    if (files->arena != NULL) upb_Arena_Free(files->arena);
    free(files->items);
    *files = (struct reflection_files){0};
}

/* --- Names and symbols -------------------------------------------------------------------------------------------- */

const struct reflection_file *daybook__reflection_files_find_name(const struct reflection_files *files,
                                                                  upb_StringView name) {
    for (size_t i = 0; i < files->count; i++) {
        if (is_equal(name, upb_StringView_FromString(files->items[i].file->name))) return &files->items[i];
    }
    return NULL;
}

static bool enum_declares(const google_protobuf_EnumDescriptorProto *declared, upb_StringView symbol) {
    if (is_equal(google_protobuf_EnumDescriptorProto_name(declared), symbol)) return true;
    size_t count;
    const google_protobuf_EnumValueDescriptorProto *const *values =
        google_protobuf_EnumDescriptorProto_value(declared, &count);
    for (size_t i = 0; i < count; i++) {
        if (is_equal(google_protobuf_EnumValueDescriptorProto_name(values[i]), symbol)) return true;
    }
    return false;
}

static bool enums_declare(const google_protobuf_EnumDescriptorProto *const *enums, size_t count,
                          upb_StringView symbol) {
    for (size_t i = 0; i < count; i++) {
        if (enum_declares(enums[i], symbol)) return true;
    }
    return false;
}

static bool fields_declare(const google_protobuf_FieldDescriptorProto *const *fields, size_t count,
                           upb_StringView symbol) {
    for (size_t i = 0; i < count; i++) {
        if (is_equal(google_protobuf_FieldDescriptorProto_name(fields[i]), symbol)) return true;
    }
    return false;
}

/* Recursion goes no deeper than messages are nested in a proto. */
static bool message_declares(const google_protobuf_DescriptorProto *message, upb_StringView symbol) {
    upb_StringView name = google_protobuf_DescriptorProto_name(message);
    if (is_equal(name, symbol)) return true;
    if (!is_below(symbol, name, &symbol)) return false;
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *fields = google_protobuf_DescriptorProto_field(message, &count);
    if (fields_declare(fields, count, symbol)) return true;
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_DescriptorProto_extension(message, &count);
    if (fields_declare(extensions, count, symbol)) return true;
    const google_protobuf_OneofDescriptorProto *const *oneofs =
        google_protobuf_DescriptorProto_oneof_decl(message, &count);
    for (size_t i = 0; i < count; i++) {
        if (is_equal(google_protobuf_OneofDescriptorProto_name(oneofs[i]), symbol)) return true;
    }
    const google_protobuf_EnumDescriptorProto *const *enums =
        google_protobuf_DescriptorProto_enum_type(message, &count);
    if (enums_declare(enums, count, symbol)) return true;
    const google_protobuf_DescriptorProto *const *nested = google_protobuf_DescriptorProto_nested_type(message, &count);
    for (size_t i = 0; i < count; i++) {
        if (message_declares(nested[i], symbol)) return true;
    }
    return false;
}

static bool service_declares(const google_protobuf_ServiceDescriptorProto *service, upb_StringView symbol) {
    upb_StringView name = google_protobuf_ServiceDescriptorProto_name(service);
    if (is_equal(name, symbol)) return true;
    if (!is_below(symbol, name, &symbol)) return false;
    size_t count;
    const google_protobuf_MethodDescriptorProto *const *methods =
        google_protobuf_ServiceDescriptorProto_method(service, &count);
    for (size_t i = 0; i < count; i++) {
        if (is_equal(google_protobuf_MethodDescriptorProto_name(methods[i]), symbol)) return true;
    }
    return false;
}

static bool file_declares(const google_protobuf_FileDescriptorProto *file, upb_StringView symbol) {
    if (!is_below(symbol, google_protobuf_FileDescriptorProto_package(file), &symbol)) return false;
    size_t count;
    const google_protobuf_DescriptorProto *const *messages =
        google_protobuf_FileDescriptorProto_message_type(file, &count);
    for (size_t i = 0; i < count; i++) {
        if (message_declares(messages[i], symbol)) return true;
    }
    const google_protobuf_ServiceDescriptorProto *const *services =
        google_protobuf_FileDescriptorProto_service(file, &count);
    for (size_t i = 0; i < count; i++) {
        if (service_declares(services[i], symbol)) return true;
    }
    const google_protobuf_EnumDescriptorProto *const *enums =
        google_protobuf_FileDescriptorProto_enum_type(file, &count);
    if (enums_declare(enums, count, symbol)) return true;
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_FileDescriptorProto_extension(file, &count);
    return fields_declare(extensions, count, symbol);
}

const struct reflection_file *daybook__reflection_files_find_symbol(const struct reflection_files *files,
                                                                    upb_StringView symbol) {
    for (size_t i = 0; i < files->count; i++) {
        if (file_declares(files->items[i].proto, symbol)) return &files->items[i];
    }
    return NULL;
}

/* --- Extensions --------------------------------------------------------------------------------------------------- */

typedef void extension_found(void *context, int32_t number);

/* The compiler writes an extendee with a dot in front: it is a full name. */
static void each_field(const google_protobuf_FieldDescriptorProto *const *fields, size_t count, upb_StringView extendee,
                       extension_found *found, void *context) {
    for (size_t i = 0; i < count; i++) {
        upb_StringView extended = google_protobuf_FieldDescriptorProto_extendee(fields[i]);
        if (extended.size != extendee.size + 1 || extended.data[0] != '.') continue;
        if (memcmp(extended.data + 1, extendee.data, extendee.size) != 0) continue;
        found(context, google_protobuf_FieldDescriptorProto_number(fields[i]));
    }
}

static void each_in_message(const google_protobuf_DescriptorProto *message, upb_StringView extendee,
                            extension_found *found, void *context) {
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_DescriptorProto_extension(message, &count);
    each_field(extensions, count, extendee, found, context);
    const google_protobuf_DescriptorProto *const *nested = google_protobuf_DescriptorProto_nested_type(message, &count);
    for (size_t i = 0; i < count; i++) each_in_message(nested[i], extendee, found, context);
}

static void each_in_file(const google_protobuf_FileDescriptorProto *file, upb_StringView extendee,
                         extension_found *found, void *context) {
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_FileDescriptorProto_extension(file, &count);
    each_field(extensions, count, extendee, found, context);
    const google_protobuf_DescriptorProto *const *messages =
        google_protobuf_FileDescriptorProto_message_type(file, &count);
    for (size_t i = 0; i < count; i++) each_in_message(messages[i], extendee, found, context);
}

void daybook__reflection_files_each_extension(const struct reflection_files *files, upb_StringView extendee,
                                              extension_found *found, void *context) {
    for (size_t i = 0; i < files->count; i++) each_in_file(files->items[i].proto, extendee, found, context);
}

struct wanted_number {
    int32_t number;
    bool is_found;
};

static void compare_number(void *context, int32_t number) {
    struct wanted_number *wanted = context;
    if (number == wanted->number) wanted->is_found = true;
}

const struct reflection_file *daybook__reflection_files_find_extension(const struct reflection_files *files,
                                                                       upb_StringView extendee, int32_t number) {
    for (size_t i = 0; i < files->count; i++) {
        struct wanted_number wanted = {.number = number};
        each_in_file(files->items[i].proto, extendee, compare_number, &wanted);
        if (wanted.is_found) return &files->items[i];
    }
    return NULL;
}

/* --- Imports ------------------------------------------------------------------------------------------------------ */

struct import_walk {
    const struct reflection_files *files;
    bool *visited;
    void (*found)(void *context, const daybook_file *file);
    void *context;
};

/* Recursion goes no deeper than there are files: none is visited twice. */
static void visit(struct import_walk *walk, const struct reflection_file *file) {
    bool *visited = &walk->visited[file - walk->files->items];
    if (*visited) return;
    *visited = true;
    walk->found(walk->context, file->file);
    size_t count;
    const upb_StringView *imports = google_protobuf_FileDescriptorProto_dependency(file->proto, &count);
    for (size_t i = 0; i < count; i++) {
        const struct reflection_file *imported = daybook__reflection_files_find_name(walk->files, imports[i]);
        if (imported != NULL) visit(walk, imported);
    }
}

bool daybook__reflection_files_each_import(const struct reflection_files *files, const struct reflection_file *file,
                                           void (*found)(void *context, const daybook_file *file), void *context) {
    struct import_walk walk = {.files = files, .found = found, .context = context};
    walk.visited = calloc(files->count, sizeof *walk.visited);
    if (walk.visited == NULL) return false;
    visit(&walk, file);
    free(walk.visited);
    return true;
}
