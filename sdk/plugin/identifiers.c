#include "sdk/plugin/identifiers.h"

#include <string.h>

#include "sdk/plugin/names.h"
#include "sdk/plugin/upb_names.h"
#include "sdk/plugin/writer.h"

#define SLOTS_COUNT_FIRST 1024u

/* What a method adds to its service's name and its own; every kind of method reserves all of them, so that a method may
 * begin to stream without a new name. */
static const char *const method_suffixes[] = {
    "",      "_start",  "_result", "_stream", "_open",  "_untyped", "_write",     "_write_more", "_writes_done",
    "_next", "_finish", "_cancel", "_close",  "_reply", "_send",    "_send_more", "_request",    "_dispatch"};
static const char *const service_suffixes[] = {"_service", "_methods", "_handlers", "_serve"};
/* What the parameters and variables of generated functions are called: a type of this name would be hidden by them. */
static const char *const locals[] = {"arena",      "call",    "client",  "context",  "handlers",    "message",
                                     "next",       "options", "request", "response", "ret_message", "ret_response",
                                     "ret_status", "sent",    "server",  "stream",   "typed",       "wait_ms"};

/* The same of upb's functions, as far as they name the type after the variable. */
static const char *const upb_locals[] = {"arena", "buf", "extreg", "key", "len", "msg", "options", "size", "value"};

struct taken {
    const char *identifier;
    const char *owner; /* "the message shop.v1.Order" */
    const struct file *file;
    const int32_t *path; /* where it is declared */
    size_t path_count;
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
    const struct place place = place_find(taken->file, taken->path, taken->path_count);
    return arena_format(arena, "%s:%d:%d", taken->file->name, place.line, place.column);
}

/* A clash in files that are both only imported is not ours to report. */
static void take_once(struct identifiers *identifiers, const struct taken *wanted) {
    const struct taken *other = take(identifiers, wanted);
    if (other == NULL || identifiers->error != NULL) return;
    if (!wanted->file->generate && !other->file->generate) return;
    upb_Arena *arena = identifiers->model->arena;
    identifiers->error = arena_format(
        arena, "%s: %s gives C the name %s, which %s at %s has already; rename one of them", place_text(arena, wanted),
        wanted->owner, wanted->identifier, other->owner, place_text(arena, other));
}

/* --- upb's names -------------------------------------------------------------------------------------------------- */

static void refuse(struct identifiers *identifiers, const struct taken *taken, const char *why) {
    if (identifiers->error != NULL || !taken->file->generate) return;
    upb_Arena *arena = identifiers->model->arena;
    identifiers->error = arena_format(arena, "%s: %s %s", place_text(arena, taken), taken->owner, why);
}

static void refuse_name(struct identifiers *identifiers, const struct taken *taken, const char *why) {
    refuse(identifiers, taken,
           arena_format(identifiers->model->arena, "gives C the name %s, %s", taken->identifier, why));
}

static bool is_one_of(const char *name, const char *const *names, size_t count) {
    for (size_t index = 0; index < count; index++) {
        if (strcmp(names[index], name) == 0) return true;
    }
    return false;
}

/* A package "daybook" or "upb", or a name without package that begins as if there were one: the libraries' own. */
static bool is_of_libraries(const struct file *file, const char *identifier) {
    const upb_StringView package = google_protobuf_FileDescriptorProto_package(file->descriptor);
    static const char *const libraries[] = {"daybook", "upb"};
    for (size_t index = 0; index < sizeof libraries / sizeof libraries[0]; index++) {
        const size_t size = strlen(libraries[index]);
        if (strncmp(identifier, libraries[index], size) != 0 || identifier[size] != '_') continue;
        if (package.size == 0 || upb_StringView_IsEqual(package, upb_StringView_FromString(libraries[index])))
            return true;
    }
    return false;
}

struct types {
    struct identifiers *identifiers;
    const struct file *file;
};

static void take_type(void *context, const struct upb_name *name) {
    const struct types *types = context;
    const struct taken taken = {.identifier = name->identifier,
                                .owner = name->owner,
                                .file = types->file,
                                .path = name->path,
                                .path_count = name->path_count};
    if (name->problem != NULL) refuse(types->identifiers, &taken, name->problem);
    if (name_is_reserved(taken.identifier))
        refuse_name(types->identifiers, &taken, "which C or C++ has for itself; rename it or give the proto a package");
    if (is_one_of(taken.identifier, upb_locals, sizeof upb_locals / sizeof upb_locals[0]))
        refuse_name(types->identifiers, &taken,
                    "which upb's generated functions have for themselves; rename it or give the proto a package");
    if (is_of_libraries(types->file, taken.identifier))
        refuse_name(types->identifiers, &taken, "which begins as those of the SDK's libraries; choose another package");
    take_once(types->identifiers, &taken);
}

static void take_types(struct identifiers *identifiers, const struct file *file) {
    struct types types = {.identifiers = identifiers, .file = file};
    upb_names_each(file, identifiers->model->arena, take_type, &types);
}

/* --- Our names ---------------------------------------------------------------------------------------------------- */

static void take_method(struct identifiers *identifiers, const struct file *file, const struct method *method,
                        const char *service) {
    upb_Arena *arena = identifiers->model->arena;
    struct taken taken = {.owner = arena_format(arena, "the method %s of %s", method->name, service),
                          .file = file,
                          .path = method->path,
                          .path_count = sizeof method->path / sizeof method->path[0]};
    for (size_t suffix = 0; suffix < sizeof method_suffixes / sizeof method_suffixes[0]; suffix++) {
        taken.identifier = arena_format(arena, "%s%s", method->symbol, method_suffixes[suffix]);
        take_once(identifiers, &taken);
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
    struct taken taken = {.owner = arena_format(arena, "the service %s", service->full_name),
                          .file = file,
                          .path = service->path,
                          .path_count = sizeof service->path / sizeof service->path[0]};
    for (size_t suffix = 0; suffix < sizeof service_suffixes / sizeof service_suffixes[0]; suffix++) {
        taken.identifier = arena_format(arena, "%s%s", service->symbol, service_suffixes[suffix]);
        take_once(identifiers, &taken);
    }
    for (size_t index = 0; index < service->methods_count; index++) {
        take_method(identifiers, file, &service->methods[index], service->full_name);
    }
    slots_check(identifiers, file, service);
}

/* A message without a package may be called like a parameter of the functions that take it. */
static void locals_check(struct identifiers *identifiers, const struct file *file, const struct method *method) {
    const char *const types[] = {method->request, method->response};
    for (size_t index = 0; index < sizeof types / sizeof types[0] && identifiers->error == NULL; index++) {
        if (!is_one_of(types[index], locals, sizeof locals / sizeof locals[0])) continue;
        identifiers->error =
            arena_format(identifiers->model->arena,
                         "%s:%d:%d: the method %s uses the message %s, which in C is also the name of a "
                         "variable of its functions; give the proto a package",
                         file->name, method->place.line, method->place.column, method->name, types[index]);
    }
}

/* Headers with the same include guard hide each other. */
static void guards_check(struct identifiers *identifiers) {
    const struct model *model = identifiers->model;
    for (size_t index = 0; index < model->files_count; index++) {
        const struct file *file = &model->files[index];
        const struct taken taken = {.identifier = name_guard(model->arena, file->stem),
                                    .owner = arena_format(model->arena, "the file %s", file->name),
                                    .file = file};
        take_once(identifiers, &taken);
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
