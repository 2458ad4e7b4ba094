#include "sdk/plugin/identifiers.h"

#include <string.h>

#include "sdk/plugin/names.h"
#include "sdk/plugin/writer.h"

#define SLOTS_COUNT_FIRST 1024u

/* What a method adds to its service's name and its own; every kind of method reserves all of them, so that a method may
 * begin to stream without a new name. */
static const char *const method_suffixes[] = {
    "",      "_start",  "_result", "_stream", "_open",  "_untyped", "_write",   "_write_more", "_writes_done",
    "_next", "_finish", "_cancel", "_close",  "_reply", "_send",    "_request", "_dispatch"};
static const char *const service_suffixes[] = {"_service", "_methods", "_handlers", "_serve"};
/* What upb adds to a message's name, and around the name of a field. */
static const char *const message_suffixes[] = {"",           "_new",          "_parse",  "_parse_ex",
                                               "_serialize", "_serialize_ex", "_msginit"};
static const char *const field_prefixes[] = {"", "has_", "set_", "clear_", "mutable_", "resize_", "add_"};
static const char *const field_suffixes[] = {"", "_size", "_get", "_set", "_delete", "_clear", "_next", "_nextmutable"};
/* What the parameters and variables of generated functions are called: a type of this name would be hidden by them. */
static const char *const locals[] = {"arena",      "call",    "client",  "context",  "handlers",    "message",
                                     "next",       "options", "request", "response", "ret_message", "ret_response",
                                     "ret_status", "sent",    "server",  "stream",   "typed",       "wait_ms"};

struct taken {
    const char *identifier;
    const char *owner; /* "the message shop.v1.Order" */
    const struct file *file;
    struct place place;
};

/* A hash table with open addressing, at most half full. */
struct identifiers {
    const struct model *model;
    struct taken *slots;
    size_t slots_count;
    size_t taken_count;
    const char *error;
};

/* FNV-1a. */
static uint64_t hash_of(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static struct taken *slot_find(const struct identifiers *identifiers, const char *identifier) {
    size_t index = (size_t)hash_of(identifier) & (identifiers->slots_count - 1);
    while (identifiers->slots[index].identifier != NULL) {
        if (strcmp(identifiers->slots[index].identifier, identifier) == 0) break;
        index = (index + 1) & (identifiers->slots_count - 1);
    }
    return &identifiers->slots[index];
}

static void slots_make(struct identifiers *identifiers, size_t count) {
    identifiers->slots = arena_allocate(identifiers->model->arena, count * sizeof *identifiers->slots);
    memset(identifiers->slots, 0, count * sizeof *identifiers->slots);
    identifiers->slots_count = count;
}

static void grow(struct identifiers *identifiers) {
    const struct taken *before = identifiers->slots;
    const size_t count = identifiers->slots_count;
    slots_make(identifiers, count * 2);
    for (size_t index = 0; index < count; index++) {
        if (before[index].identifier != NULL) *slot_find(identifiers, before[index].identifier) = before[index];
    }
}

/* Takes a name, unless somebody has it: returns who. */
static const struct taken *take(struct identifiers *identifiers, const struct taken *wanted) {
    if (identifiers->taken_count * 2 >= identifiers->slots_count) grow(identifiers);
    struct taken *slot = slot_find(identifiers, wanted->identifier);
    if (slot->identifier != NULL) return slot;
    *slot = *wanted;
    identifiers->taken_count++;
    return NULL;
}

static const char *place_text(upb_Arena *arena, const struct taken *taken) {
    return arena_format(arena, "%s:%d:%d", taken->file->name, taken->place.line, taken->place.column);
}

/* Takes a name that the generator makes. A clash in files that are both only imported is not ours to report. */
static void take_ours(struct identifiers *identifiers, const struct taken *wanted) {
    const struct taken *other = take(identifiers, wanted);
    if (other == NULL || identifiers->error != NULL) return;
    if (!wanted->file->generate && !other->file->generate) return;
    upb_Arena *arena = identifiers->model->arena;
    identifiers->error = arena_format(
        arena, "%s: %s gives C the name %s, which %s at %s has already; rename one of them", place_text(arena, wanted),
        wanted->owner, wanted->identifier, other->owner, place_text(arena, other));
}

/* --- upb's names -------------------------------------------------------------------------------------------------- */

static void take_upb(struct identifiers *identifiers, struct taken taken, const char *identifier) {
    taken.identifier = identifier;
    (void)take(identifiers, &taken); /* Among themselves they are upb's business. */
}

static void take_enum(struct identifiers *identifiers, const struct file *file, const char *scope, struct place place,
                      const google_protobuf_EnumDescriptorProto *source) {
    upb_Arena *arena = identifiers->model->arena;
    const upb_StringView name = google_protobuf_EnumDescriptorProto_name(source);
    const char *full_name = name_full(arena, upb_StringView_FromString(scope), name);
    const struct taken taken = {.owner = arena_format(arena, "the enum %s", full_name), .file = file, .place = place};
    take_upb(identifiers, taken, name_symbol(arena, full_name));
    size_t count;
    const google_protobuf_EnumValueDescriptorProto *const *values =
        google_protobuf_EnumDescriptorProto_value(source, &count);
    for (size_t index = 0; index < count; index++) {
        const upb_StringView value = google_protobuf_EnumValueDescriptorProto_name(values[index]);
        take_upb(identifiers, taken, name_symbol(arena, name_full(arena, upb_StringView_FromString(scope), value)));
    }
}

static void take_field(struct identifiers *identifiers, const struct taken *taken, const char *symbol,
                       upb_StringView name) {
    upb_Arena *arena = identifiers->model->arena;
    for (size_t prefix = 0; prefix < sizeof field_prefixes / sizeof field_prefixes[0]; prefix++) {
        take_upb(identifiers, *taken,
                 arena_format(arena, "%s_%s%.*s", symbol, field_prefixes[prefix], (int)name.size, name.data));
    }
    for (size_t suffix = 1; suffix < sizeof field_suffixes / sizeof field_suffixes[0]; suffix++) {
        take_upb(identifiers, *taken,
                 arena_format(arena, "%s_%.*s%s", symbol, (int)name.size, name.data, field_suffixes[suffix]));
    }
}

/* `scope` is the message's package, or the full name of the one it is nested in. */
static void take_message(struct identifiers *identifiers, const struct file *file, const char *scope,
                         struct place place, const google_protobuf_DescriptorProto *source) {
    upb_Arena *arena = identifiers->model->arena;
    const char *full_name =
        name_full(arena, upb_StringView_FromString(scope), google_protobuf_DescriptorProto_name(source));
    const char *symbol = name_symbol(arena, full_name);
    const struct taken taken = {
        .owner = arena_format(arena, "the message %s", full_name), .file = file, .place = place};
    for (size_t suffix = 0; suffix < sizeof message_suffixes / sizeof message_suffixes[0]; suffix++) {
        take_upb(identifiers, taken, arena_format(arena, "%s%s", symbol, message_suffixes[suffix]));
    }
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *fields = google_protobuf_DescriptorProto_field(source, &count);
    for (size_t index = 0; index < count; index++) {
        take_field(identifiers, &taken, symbol, google_protobuf_FieldDescriptorProto_name(fields[index]));
    }
    const google_protobuf_OneofDescriptorProto *const *oneofs =
        google_protobuf_DescriptorProto_oneof_decl(source, &count);
    for (size_t index = 0; index < count; index++) {
        const upb_StringView name = google_protobuf_OneofDescriptorProto_name(oneofs[index]);
        take_upb(identifiers, taken, arena_format(arena, "%s_%.*s_case", symbol, (int)name.size, name.data));
    }
    const google_protobuf_EnumDescriptorProto *const *enums = google_protobuf_DescriptorProto_enum_type(source, &count);
    for (size_t index = 0; index < count; index++) take_enum(identifiers, file, full_name, place, enums[index]);
    const google_protobuf_DescriptorProto *const *nested = google_protobuf_DescriptorProto_nested_type(source, &count);
    for (size_t index = 0; index < count; index++) take_message(identifiers, file, full_name, place, nested[index]);
}

static void take_types(struct identifiers *identifiers, const struct file *file) {
    upb_Arena *arena = identifiers->model->arena;
    const upb_StringView package = google_protobuf_FileDescriptorProto_package(file->descriptor);
    const char *scope = arena_format(arena, "%.*s", (int)package.size, package.data);
    size_t count;
    const google_protobuf_DescriptorProto *const *messages =
        google_protobuf_FileDescriptorProto_message_type(file->descriptor, &count);
    for (size_t index = 0; index < count; index++) {
        take_message(identifiers, file, scope, place_find(file, PATH_FILE_MESSAGE, index), messages[index]);
    }
    const google_protobuf_EnumDescriptorProto *const *enums =
        google_protobuf_FileDescriptorProto_enum_type(file->descriptor, &count);
    for (size_t index = 0; index < count; index++) {
        take_enum(identifiers, file, scope, place_find(file, PATH_FILE_ENUM, index), enums[index]);
    }
}

/* --- Our names ---------------------------------------------------------------------------------------------------- */

static void take_method(struct identifiers *identifiers, const struct file *file, const struct method *method,
                        const char *service) {
    upb_Arena *arena = identifiers->model->arena;
    struct taken taken = {.owner = arena_format(arena, "the method %s of %s", method->name, service),
                          .file = file,
                          .place = method->place};
    for (size_t suffix = 0; suffix < sizeof method_suffixes / sizeof method_suffixes[0]; suffix++) {
        taken.identifier = arena_format(arena, "%s%s", method->symbol, method_suffixes[suffix]);
        take_ours(identifiers, &taken);
    }
}

/* Two methods may share a slot: `for` becomes for_, which another one may be called. */
static void slots_check(struct identifiers *identifiers, const struct file *file, const struct service *service) {
    for (size_t index = 0; index < service->methods_count; index++) {
        const struct method *method = &service->methods[index];
        for (size_t other = 0; other < index; other++) {
            if (strcmp(service->methods[other].slot, method->slot) != 0 || identifiers->error != NULL) continue;
            identifiers->error = arena_format(
                identifiers->model->arena,
                "%s:%d:%d: the handlers of the methods %s and %s would both be called %s; rename one", file->name,
                method->place.line, method->place.column, service->methods[other].name, method->name, method->slot);
        }
    }
}

static void take_service(struct identifiers *identifiers, const struct file *file, const struct service *service) {
    upb_Arena *arena = identifiers->model->arena;
    struct taken taken = {
        .owner = arena_format(arena, "the service %s", service->full_name), .file = file, .place = service->place};
    for (size_t suffix = 0; suffix < sizeof service_suffixes / sizeof service_suffixes[0]; suffix++) {
        taken.identifier = arena_format(arena, "%s%s", service->symbol, service_suffixes[suffix]);
        take_ours(identifiers, &taken);
    }
    for (size_t index = 0; index < service->methods_count; index++) {
        take_method(identifiers, file, &service->methods[index], service->full_name);
    }
    slots_check(identifiers, file, service);
}

/* A message without a package may be called like a parameter of the functions that take it. */
static void locals_check(struct identifiers *identifiers, const struct file *file, const struct method *method) {
    for (size_t index = 0; index < sizeof locals / sizeof locals[0]; index++) {
        const bool hidden = strcmp(method->request, locals[index]) == 0 || strcmp(method->response, locals[index]) == 0;
        if (!hidden || identifiers->error != NULL) continue;
        identifiers->error =
            arena_format(identifiers->model->arena,
                         "%s:%d:%d: the method %s uses the message %s, which in C is also the name of a "
                         "variable of its functions; give the proto a package",
                         file->name, method->place.line, method->place.column, method->name, locals[index]);
    }
}

/* Headers with the same include guard hide each other. */
static void guards_check(struct identifiers *identifiers) {
    const struct model *model = identifiers->model;
    for (size_t index = 0; index < model->files_count; index++) {
        const struct file *file = &model->files[index];
        const struct taken taken = {.identifier = name_guard(model->arena, file->stem),
                                    .owner = arena_format(model->arena, "the file %s", file->name),
                                    .file = file,
                                    .place = {1, 1}};
        take_ours(identifiers, &taken);
    }
}

const char *identifiers_check(const struct model *model) {
    struct identifiers identifiers = {.model = model};
    slots_make(&identifiers, SLOTS_COUNT_FIRST);
    for (size_t index = 0; index < model->files_count; index++) take_types(&identifiers, &model->files[index]);
    guards_check(&identifiers);
    for (size_t index = 0; index < model->files_count; index++) {
        const struct file *file = &model->files[index];
        for (size_t number = 0; number < file->services_count; number++) {
            const struct service *service = &file->services[number];
            take_service(&identifiers, file, service);
            if (!file->generate) continue;
            for (size_t method = 0; method < service->methods_count; method++) {
                locals_check(&identifiers, file, &service->methods[method]);
            }
        }
    }
    return identifiers.error;
}
