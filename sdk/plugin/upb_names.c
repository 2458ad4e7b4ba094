#include "sdk/plugin/upb_names.h"

#include <assert.h>
#include <string.h>

#include "sdk/plugin/names.h"
#include "sdk/plugin/writer.h"

/* Two numbers for each level; upb decodes no deeper than 100 levels. */
#define PATH_COUNT_MAX 256

/* Field numbers of descriptor.proto, which paths are made of. */
enum {
    PATH_MESSAGE_FIELD = 2,
    PATH_MESSAGE_NESTED = 3,
    PATH_MESSAGE_ENUM = 4,
    PATH_MESSAGE_EXTENSION = 6,
    PATH_MESSAGE_ONEOF = 8,
    PATH_ENUM_VALUE = 2,
    PATH_FILE_EXTENSION = 7,
};

struct walk {
    upb_Arena *arena;
    upb_name_found *found;
    void *context;
    bool is_proto2;
    int32_t path[PATH_COUNT_MAX];
    size_t path_count;
};

static void enter(struct walk *walk, int32_t kind, size_t index) {
    assert(walk->path_count + 2 <= PATH_COUNT_MAX);
    walk->path[walk->path_count++] = kind;
    walk->path[walk->path_count++] = (int32_t)index;
}

static void leave(struct walk *walk) {
    walk->path_count -= 2;
}

/* The one whose names follow: what the walk has entered last. */
static struct upb_name owner_of(struct walk *walk, const char *kind, const char *full_name) {
    int32_t *path = arena_allocate(walk->arena, walk->path_count * sizeof *path);
    memcpy(path, walk->path, walk->path_count * sizeof *path);
    return (struct upb_name){
        .owner = arena_format(walk->arena, "the %s %s", kind, full_name), .path = path, .path_count = walk->path_count};
}

static void take(struct walk *walk, struct upb_name name, const char *identifier) {
    name.identifier = identifier;
    walk->found(walk->context, &name);
}

static const char *child_name(struct walk *walk, const char *scope, upb_StringView name) {
    return name_full(walk->arena, upb_StringView_FromString(scope), name);
}

static void walk_enum(struct walk *walk, const char *scope, const google_protobuf_EnumDescriptorProto *source) {
    const char *full_name = child_name(walk, scope, google_protobuf_EnumDescriptorProto_name(source));
    const char *symbol = name_symbol(walk->arena, full_name);
    const struct upb_name owner = owner_of(walk, "enum", full_name);
    take(walk, owner, symbol);
    if (walk->is_proto2) take(walk, owner, arena_format(walk->arena, "%s_enuminit", symbol));
    size_t count;
    const google_protobuf_EnumValueDescriptorProto *const *values =
        google_protobuf_EnumDescriptorProto_value(source, &count);
    for (size_t index = 0; index < count; index++) {
        const char *value = child_name(walk, scope, google_protobuf_EnumValueDescriptorProto_name(values[index]));
        enter(walk, PATH_ENUM_VALUE, index);
        take(walk, owner_of(walk, "enum value", value), name_symbol(walk->arena, value));
        leave(walk);
    }
}

/* The generator writes them as "inf" and "nan", which are no numbers of C. */
static const char *default_problem(struct walk *walk, const google_protobuf_FieldDescriptorProto *field) {
    static const char *const bad[] = {"inf", "-inf", "nan", "-nan"};
    const int32_t type = google_protobuf_FieldDescriptorProto_type(field);
    if (type != google_protobuf_FieldDescriptorProto_TYPE_DOUBLE &&
        type != google_protobuf_FieldDescriptorProto_TYPE_FLOAT)
        return NULL;
    const upb_StringView value = google_protobuf_FieldDescriptorProto_default_value(field);
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        if (!upb_StringView_IsEqual(value, upb_StringView_FromString(bad[index]))) continue;
        return arena_format(walk->arena, "has the default value %s, of which upb's generator makes no C", bad[index]);
    }
    return NULL;
}

/* An extension's functions stand in the scope where it is declared, also when that is no message. */
static void walk_extension(struct walk *walk, const char *scope, const google_protobuf_FieldDescriptorProto *source) {
    const upb_StringView view = google_protobuf_FieldDescriptorProto_name(source);
    struct upb_name owner = owner_of(walk, "extension", child_name(walk, scope, view));
    owner.problem = default_problem(walk, source);
    const char *base = name_symbol(walk->arena, scope);
    const char *name = arena_format(walk->arena, "%.*s", (int)view.size, view.data);
    take(walk, owner, arena_format(walk->arena, "%s_%s_ext", base, name));
    take(walk, owner, arena_format(walk->arena, "%s_has_%s", base, name));
    take(walk, owner, arena_format(walk->arena, "%s_clear_%s", base, name));
    if (google_protobuf_FieldDescriptorProto_label(source) == google_protobuf_FieldDescriptorProto_LABEL_REPEATED)
        return;
    take(walk, owner, arena_format(walk->arena, "%s_%s", base, name));
    const int32_t type = google_protobuf_FieldDescriptorProto_type(source);
    if (type != google_protobuf_FieldDescriptorProto_TYPE_MESSAGE &&
        type != google_protobuf_FieldDescriptorProto_TYPE_GROUP)
        return;
    take(walk, owner, arena_format(walk->arena, "%s_set_%s", base, name));
}

struct message {
    const google_protobuf_DescriptorProto *source;
    const char *full_name;
    const char *symbol;
    bool is_map_entry;
};

static bool is_map_entry(const google_protobuf_DescriptorProto *source) {
    const google_protobuf_MessageOptions *options = google_protobuf_DescriptorProto_options(source);
    return options != NULL && google_protobuf_MessageOptions_map_entry(options);
}

/* A map is a repeated field whose type is a nested message of that option. */
static bool is_map(const struct message *message, const google_protobuf_FieldDescriptorProto *field) {
    const upb_StringView type = google_protobuf_FieldDescriptorProto_type_name(field);
    size_t count;
    const google_protobuf_DescriptorProto *const *nested =
        google_protobuf_DescriptorProto_nested_type(message->source, &count);
    const size_t scope_size = strlen(message->full_name) + 2; /* ".scope." */
    for (size_t index = 0; index < count; index++) {
        const upb_StringView name = google_protobuf_DescriptorProto_name(nested[index]);
        if (!is_map_entry(nested[index]) || type.size != scope_size + name.size) continue;
        if (memcmp(type.data + 1, message->full_name, scope_size - 2) != 0) continue;
        if (memcmp(type.data + scope_size, name.data, name.size) == 0) return true;
    }
    return false;
}

/* What stands before and behind a field's name, after its message's. */
struct shape {
    const char *prefix;
    const char *suffix;
};

static const struct shape map_shapes[] = {{"", "_size"},  {"", "_get"}, {"", "_next"},   {"clear_", ""},
                                          {"", "_clear"}, {"", "_set"}, {"", "_delete"}, {"", "_nextmutable"}};
static const struct shape repeated_shapes[] = {
    {"", ""}, {"clear_", ""}, {"mutable_", ""}, {"resize_", ""}, {"add_", ""}};
static const struct shape map_entry_shapes[] = {{"", ""}, {"set_", ""}};
static const struct shape single_shapes[] = {{"", ""}, {"set_", ""}, {"clear_", ""}};
static const struct shape presence_shape = {"has_", ""};
static const struct shape message_shape = {"mutable_", ""};

static void take_shapes(struct walk *walk, const struct upb_name *owner, const struct message *message,
                        const char *field, const struct shape *shapes, size_t count) {
    for (size_t index = 0; index < count; index++) {
        take(
            walk, *owner,
            arena_format(walk->arena, "%s_%s%s%s", message->symbol, shapes[index].prefix, field, shapes[index].suffix));
    }
}

#define TAKE_SHAPES(walk, owner, message, field, shapes)                                                               \
    take_shapes(walk, owner, message, field, shapes, sizeof(shapes) / sizeof(shapes)[0])

static void walk_field(struct walk *walk, const struct message *message,
                       const google_protobuf_FieldDescriptorProto *field) {
    const upb_StringView view = google_protobuf_FieldDescriptorProto_name(field);
    const char *name = arena_format(walk->arena, "%.*s", (int)view.size, view.data);
    struct upb_name owner = owner_of(walk, "field", arena_format(walk->arena, "%s.%s", message->full_name, name));
    owner.problem = default_problem(walk, field);
    const int32_t type = google_protobuf_FieldDescriptorProto_type(field);
    const bool is_message = type == google_protobuf_FieldDescriptorProto_TYPE_MESSAGE ||
                            type == google_protobuf_FieldDescriptorProto_TYPE_GROUP;
    const bool is_repeated =
        google_protobuf_FieldDescriptorProto_label(field) == google_protobuf_FieldDescriptorProto_LABEL_REPEATED;
    const bool has_presence = walk->is_proto2 || google_protobuf_FieldDescriptorProto_proto3_optional(field) ||
                              google_protobuf_FieldDescriptorProto_has_oneof_index(field);
    if (message->is_map_entry) {
        TAKE_SHAPES(walk, &owner, message, name, map_entry_shapes);
        return;
    }
    if (is_message || (has_presence && !is_repeated)) take_shapes(walk, &owner, message, name, &presence_shape, 1);
    if (!is_repeated) {
        TAKE_SHAPES(walk, &owner, message, name, single_shapes);
        if (is_message) take_shapes(walk, &owner, message, name, &message_shape, 1);
    } else if (is_map(message, field)) {
        TAKE_SHAPES(walk, &owner, message, name, map_shapes);
    } else {
        TAKE_SHAPES(walk, &owner, message, name, repeated_shapes);
    }
}

/* protoc makes a oneof of each optional field of proto3; upb makes nothing of those. */
static bool is_synthetic(const google_protobuf_FieldDescriptorProto *const *fields, size_t fields_count, size_t oneof) {
    for (size_t index = 0; index < fields_count; index++) {
        if (google_protobuf_FieldDescriptorProto_proto3_optional(fields[index]) &&
            google_protobuf_FieldDescriptorProto_has_oneof_index(fields[index]) &&
            (size_t)google_protobuf_FieldDescriptorProto_oneof_index(fields[index]) == oneof)
            return true;
    }
    return false;
}

static void walk_oneofs(struct walk *walk, const struct message *message) {
    size_t fields_count;
    const google_protobuf_FieldDescriptorProto *const *fields =
        google_protobuf_DescriptorProto_field(message->source, &fields_count);
    size_t count;
    const google_protobuf_OneofDescriptorProto *const *oneofs =
        google_protobuf_DescriptorProto_oneof_decl(message->source, &count);
    for (size_t index = 0; index < count; index++) {
        if (is_synthetic(fields, fields_count, index)) continue;
        const char *full_name =
            child_name(walk, message->full_name, google_protobuf_OneofDescriptorProto_name(oneofs[index]));
        const char *symbol = name_symbol(walk->arena, full_name);
        enter(walk, PATH_MESSAGE_ONEOF, index);
        const struct upb_name owner = owner_of(walk, "oneof", full_name);
        take(walk, owner, arena_format(walk->arena, "%s_case", symbol));
        take(walk, owner, arena_format(walk->arena, "%s_oneofcases", symbol));
        take(walk, owner, arena_format(walk->arena, "%s_NOT_SET", symbol));
        for (size_t field = 0; field < fields_count; field++) {
            if (!google_protobuf_FieldDescriptorProto_has_oneof_index(fields[field])) continue;
            if ((size_t)google_protobuf_FieldDescriptorProto_oneof_index(fields[field]) != index) continue;
            const upb_StringView name = google_protobuf_FieldDescriptorProto_name(fields[field]);
            take(walk, owner, arena_format(walk->arena, "%s_%.*s", symbol, (int)name.size, name.data));
        }
        leave(walk);
    }
}

static void walk_message(struct walk *walk, const char *scope, const google_protobuf_DescriptorProto *source);

static void walk_inside(struct walk *walk, const struct message *message) {
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_DescriptorProto_extension(message->source, &count);
    for (size_t index = 0; index < count; index++) {
        enter(walk, PATH_MESSAGE_EXTENSION, index);
        walk_extension(walk, message->full_name, extensions[index]);
        leave(walk);
    }
    const google_protobuf_EnumDescriptorProto *const *enums =
        google_protobuf_DescriptorProto_enum_type(message->source, &count);
    for (size_t index = 0; index < count; index++) {
        enter(walk, PATH_MESSAGE_ENUM, index);
        walk_enum(walk, message->full_name, enums[index]);
        leave(walk);
    }
    const google_protobuf_DescriptorProto *const *nested =
        google_protobuf_DescriptorProto_nested_type(message->source, &count);
    for (size_t index = 0; index < count; index++) {
        enter(walk, PATH_MESSAGE_NESTED, index);
        walk_message(walk, message->full_name, nested[index]);
        leave(walk);
    }
}

/* `scope` is the message's package, or the full name of the one it is nested in. */
static void walk_message(struct walk *walk, const char *scope, const google_protobuf_DescriptorProto *source) {
    static const char *const suffixes[] = {"_new", "_parse", "_parse_ex", "_serialize", "_serialize_ex"};
    const char *full_name = child_name(walk, scope, google_protobuf_DescriptorProto_name(source));
    const struct message message = {.source = source,
                                    .full_name = full_name,
                                    .symbol = name_symbol(walk->arena, full_name),
                                    .is_map_entry = is_map_entry(source)};
    const struct upb_name owner = owner_of(walk, "message", full_name);
    take(walk, owner, message.symbol);
    take(walk, owner, arena_format(walk->arena, "%s_msginit", message.symbol));
    for (size_t suffix = 0; !message.is_map_entry && suffix < sizeof suffixes / sizeof suffixes[0]; suffix++) {
        take(walk, owner, arena_format(walk->arena, "%s%s", message.symbol, suffixes[suffix]));
    }
    size_t count;
    const google_protobuf_FieldDescriptorProto *const *fields = google_protobuf_DescriptorProto_field(source, &count);
    for (size_t index = 0; index < count; index++) {
        enter(walk, PATH_MESSAGE_FIELD, index);
        walk_field(walk, &message, fields[index]);
        leave(walk);
    }
    walk_oneofs(walk, &message);
    walk_inside(walk, &message);
}

void upb_names_each(const struct file *file, upb_Arena *arena, upb_name_found *found, void *context) {
    const upb_StringView syntax = google_protobuf_FileDescriptorProto_syntax(file->descriptor);
    const upb_StringView package = google_protobuf_FileDescriptorProto_package(file->descriptor);
    struct walk walk = {.arena = arena,
                        .found = found,
                        .context = context,
                        .is_proto2 = !upb_StringView_IsEqual(syntax, upb_StringView_FromString("proto3"))};
    const char *scope = arena_format(arena, "%.*s", (int)package.size, package.data);
    size_t count;
    const google_protobuf_DescriptorProto *const *messages =
        google_protobuf_FileDescriptorProto_message_type(file->descriptor, &count);
    for (size_t index = 0; index < count; index++) {
        enter(&walk, PATH_FILE_MESSAGE, index);
        walk_message(&walk, scope, messages[index]);
        leave(&walk);
    }
    const google_protobuf_EnumDescriptorProto *const *enums =
        google_protobuf_FileDescriptorProto_enum_type(file->descriptor, &count);
    for (size_t index = 0; index < count; index++) {
        enter(&walk, PATH_FILE_ENUM, index);
        walk_enum(&walk, scope, enums[index]);
        leave(&walk);
    }
    const google_protobuf_FieldDescriptorProto *const *extensions =
        google_protobuf_FileDescriptorProto_extension(file->descriptor, &count);
    for (size_t index = 0; index < count; index++) {
        enter(&walk, PATH_FILE_EXTENSION, index);
        walk_extension(&walk, scope, extensions[index]);
        leave(&walk);
    }
}
